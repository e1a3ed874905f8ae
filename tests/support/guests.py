#!/usr/bin/python3
"""Guests of the test lab: the domain's XML, its serial console, its agent, and the check of disk images.

Used through hosts.Host (define_guest, console, agent, ...). As a program: `guests.py wait-agent URI NAME SECONDS`.
"""
import ctypes
import json
import os
import re
import select
import shutil
import subprocess
import sys
import tempfile
import time
import uuid as uuids
from pathlib import Path
from xml.sax.saxutils import escape

BOOT = "/var/lib/libvirt/boot"  # kernel and initrd, at the same place on every host
IMAGES = "/var/lib/libvirt/images"
CONSOLES = "/var/log/libvirt/qemu"
AGENT = "org.qemu.guest_agent.0"


def built_guest():
    """The folder with vmlinuz, initrd and vmwriter; built when missing."""
    script = Path(__file__).resolve().parent / "guest" / "build.sh"
    return Path(subprocess.run([script], check=True, stdout=subprocess.PIPE, text=True).stdout.strip())


def domain_xml(name, disks, uuid=None, memory=128, cmdline="", network=None, mac=None, extra_devices="", agent=True):
    """disks: list of (target, path, format). network: name of a libvirt network, or None. agent: with its channel?"""
    devices = "".join(f"""
    <disk type='file' device='disk'>
      <driver name='qemu' type='{kind}' discard='unmap' detect_zeroes='off'/>
      <source file='{escape(path)}'/>
      <target dev='{target}' bus='virtio'/>
    </disk>""" for target, path, kind in disks)
    if network:
        address = f"<mac address='{mac}'/>" if mac else ""
        devices += f"""
    <interface type='network'>{address}<source network='{network}'/><model type='virtio'/></interface>"""
    if agent:
        extra_devices += f"""
    <channel type='unix'><target type='virtio' name='{AGENT}'/></channel>"""
    return f"""<domain type='qemu'>
  <name>{escape(name)}</name>
  <uuid>{uuid or uuids.uuid4()}</uuid>
  <memory unit='MiB'>{memory}</memory>
  <vcpu>1</vcpu>
  <os>
    <type arch='x86_64' machine='q35'>hvm</type>
    <kernel>{BOOT}/vmlinuz</kernel>
    <initrd>{BOOT}/initrd</initrd>
    <cmdline>{escape(f"console=ttyS0 quiet panic=-1 mitigations=off nokaslr {cmdline}".strip())}</cmdline>
  </os>
  <features><acpi/></features>
  <on_poweroff>destroy</on_poweroff>
  <on_reboot>restart</on_reboot>
  <on_crash>destroy</on_crash>
  <devices>{devices}
    <serial type='file'><source path='{CONSOLES}/{escape(name)}.console' append='on'/><target port='0'/></serial>
    <memballoon model='none'/>{extra_devices}
  </devices>
</domain>
"""


class FileWatch:
    """Wakes when something changes in a folder: inotify, which Python's library lacks."""

    _libc = ctypes.CDLL(None, use_errno=True)
    _EVENTS = 0x2 | 0x80 | 0x100  # modified, moved in, created

    def __init__(self, folder):
        self.fd = self._libc.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK)
        if self.fd < 0 or self._libc.inotify_add_watch(self.fd, os.fsencode(folder), self._EVENTS) < 0:
            raise OSError(ctypes.get_errno(), "inotify", str(folder))

    def wait(self, seconds):
        if select.select([self.fd], [], [], max(0, seconds))[0]:
            os.read(self.fd, 65536)

    def close(self):
        os.close(self.fd)


class Console:
    """Follows a guest's console file from a position that only moves forward. Complete lines only.

    A new Console starts at the file's present end (from_start=False) or at its beginning.
    """

    def __init__(self, path, from_start=False):
        self.path = Path(path)
        self.position = 0 if from_start or not self.path.exists() else self.path.stat().st_size

    def text(self, start=0):
        """All complete lines from a byte position on."""
        try:
            with open(self.path, "rb") as f:
                f.seek(start)
                data = f.read()
        except FileNotFoundError:
            return ""
        return data[:data.rfind(b"\n") + 1].decode("latin-1")

    def wait_for(self, pattern, timeout=60):
        """Waits until a line matches the regex (re.MULTILINE), moves behind that line and returns the match."""
        expression, end = re.compile(pattern, re.MULTILINE), time.monotonic() + timeout
        watch = FileWatch(self.path.parent)
        try:
            while True:
                text = self.text(self.position)
                if found := expression.search(text):
                    self.position += text.index("\n", max(found.start(), found.end() - 1)) + 1
                    return found
                if time.monotonic() >= end:
                    last = "\n".join(self.text().splitlines()[-15:])
                    raise TimeoutError(f"no {pattern!r} on {self.path} in {timeout} s; last lines:\n{last}")
                watch.wait(end - time.monotonic())
        finally:
            watch.close()

    def seq(self):
        """The newest SEQ number that the console shows, -1 if none."""
        return max((int(n) for n in re.findall(r"^SEQ (\d+)\r?$", self.text(), re.MULTILINE)), default=-1)

    def skip_to_end(self):
        self.position = self.path.stat().st_size if self.path.exists() else 0


def wait_agent(uri, name, timeout):
    """Returns when libvirt says that the guest's agent is connected."""
    subprocess.run(["/usr/bin/python3", __file__, "wait-agent", uri, name, str(timeout)], check=True,
                   timeout=timeout + 10)


def _wait_agent_main(uri, name, seconds):
    import libvirt
    libvirt.virEventRegisterDefaultImpl()
    connection = libvirt.open(uri)
    domain, state = connection.lookupByName(name), {"connected": False, "late": False}

    def changed(_connection, _domain, now, _reason, _opaque):
        state["connected"] = now == libvirt.VIR_CONNECT_DOMAIN_EVENT_AGENT_LIFECYCLE_STATE_CONNECTED

    connection.domainEventRegisterAny(domain, libvirt.VIR_DOMAIN_EVENT_ID_AGENT_LIFECYCLE, changed, None)
    libvirt.virEventAddTimeout(int(seconds * 1000), lambda *_: state.update(late=True), None)
    state["connected"] |= re.search(rf"name='{AGENT}' state='connected'", domain.XMLDesc()) is not None
    while not state["connected"] and not state["late"]:
        libvirt.virEventRunDefaultImpl()
    sys.exit(0 if state["connected"] else f"agent of {name}: not connected after {seconds} s")


def verify_images(log_disk, ring_disk, vmwriter=None):
    """Checks a pair of disk images (qcow2 or raw, seen from outside, not in use); returns the VERIFY line.

    Works on copies: replays the journal of disk 1 there, and takes its files out with debugfs.
    """
    vmwriter = vmwriter or built_guest() / "vmwriter"
    work = Path(tempfile.mkdtemp(prefix="understudy-verify-", dir="/var/tmp"))
    try:
        for source, copy in ((log_disk, "log.img"), (ring_disk, "ring.img")):
            subprocess.run(["qemu-img", "convert", "-U", "-f", image_format(source), "-O", "raw", source, work / copy],
                           check=True)
        # e2fsck: 0 clean, 1 corrected. Anything else is a broken file system.
        check = subprocess.run(["e2fsck", "-p", work / "log.img"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                               text=True)
        if check.returncode > 1:
            return "VERIFY BAD e2fsck: " + " ".join(check.stdout.split())
        (work / "files").mkdir()
        subprocess.run(["debugfs", "-R", f"rdump / {work}/files", work / "log.img"], check=True, capture_output=True)
        done = subprocess.run([vmwriter, "verify", work / "files", work / "ring.img"], stdout=subprocess.PIPE, text=True)
        return done.stdout.strip()
    finally:
        shutil.rmtree(work, ignore_errors=True)


def image_format(image):
    with open(image, "rb") as f:
        return "qcow2" if f.read(4) == b"QFI\xfb" else "raw"


def agent_command(command, **arguments):
    """JSON; underscores in argument names stand for hyphens."""
    words = {key.replace("_", "-"): value for key, value in arguments.items()}
    return json.dumps({"execute": command, "arguments": words} if words else {"execute": command})


if __name__ == "__main__" and sys.argv[1:2] == ["wait-agent"]:
    _wait_agent_main(sys.argv[2], sys.argv[3], float(sys.argv[4]))
