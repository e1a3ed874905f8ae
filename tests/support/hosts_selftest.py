#!/usr/bin/python3
"""Checks the test lab itself, in both flavours: pytest tests/support/hosts_selftest.py (root, about a minute)."""
import os
import re
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))
import guests  # noqa: E402
import hosts  # noqa: E402

VM = "vm1"
BACKUP = """<domainbackup mode='pull'>
  <server transport='unix' socket='{socket}'/>
  <disks>
    <disk name='vda' backup='yes' type='file' exportname='vda'><scratch file='/var/lib/libvirt/images/vda.scratch'/></disk>
    <disk name='vdb' backup='yes' type='file' exportname='vdb'><scratch file='/var/lib/libvirt/images/vdb.scratch'/></disk>
  </disks>
</domainbackup>"""
CHECKPOINT = """<domaincheckpoint><name>{name}</name><disks>
  <disk name='vda' checkpoint='bitmap'/><disk name='vdb' checkpoint='bitmap'/></disks></domaincheckpoint>"""


@pytest.fixture(scope="module", params=["lab", "shipped"])
def lab(request):
    before = traces()
    with hosts.Lab(flavour=request.param) as lab:
        spaces, base = pid_spaces(lab), lab.base
        lab.uuid = lab.host("A").define_guest(VM, cmdline="us=20000 churn=mix", start=True)
        lab.host("A").console(VM).wait_for(r"^READY", 90)
        yield lab
    assert processes_of(spaces) == []
    assert traces() == before
    assert not base.exists()


def traces():
    """What a lab could leave on the machine: mounts, named network namespaces, network devices, mount points."""
    mounts = Path("/proc/self/mountinfo").read_text()
    names = sorted(os.listdir("/run/netns")) if os.path.isdir("/run/netns") else []
    points = [os.path.exists(point) for point in ("/etc/understudy", "/var/lib/understudy", "/run/understudy")]
    return mounts, names, sorted(os.listdir("/sys/class/net")), points


def pid_spaces(lab):
    return {os.readlink(f"/proc/{host.init_pid}/ns/pid") for host in lab.hosts}


def processes_of(spaces):
    found = []
    for link in Path("/proc").glob("[0-9]*/ns/pid"):
        try:
            if os.readlink(link) in spaces and "\nState:\tZ" not in link.parents[1].joinpath("status").read_text():
                found.append(int(link.parts[2]))
        except OSError:
            pass
    return found


def backup(host, name):
    """Checkpoint and pull backup of both disks in one transaction: the two raw copies, and SEQ before and after."""
    domain = host.virsh("domid", VM)
    socket = f"/var/lib/libvirt/qemu/domain-{domain}-{VM}/backup.sock"
    folder = host.path("/var/lib/libvirt/images")
    (folder / "backup.xml").write_text(BACKUP.format(socket=socket))
    (folder / "checkpoint.xml").write_text(CHECKPOINT.format(name=name))
    before = host.console(VM).seq()
    host.virsh("backup-begin", VM, "/var/lib/libvirt/images/backup.xml", "/var/lib/libvirt/images/checkpoint.xml")
    # The guest's serial line is slower than its disks: two more lines, and the cut is behind us.
    after = int(host.console(VM, from_start=False).wait_for(r"^SEQ \d+\r?\n^SEQ (\d+)").group(1))
    copies = []
    with host.popen(["virsh", "event", VM, "job-completed", "--timeout", "60"], stdout=subprocess.PIPE, text=True) as done:
        for disk in ("vda", "vdb"):
            copies.append(f"/var/lib/libvirt/images/{name}-{disk}.raw")
            host.run(["nbdcopy", f"nbd+unix:///{disk}?socket={socket}", copies[-1]])
        host.virsh("domjobabort", VM)
        assert "job-completed" in done.communicate(timeout=70)[0]
    return [host.path(c) for c in copies], before, after


def test_guest_runs_and_writes(lab):
    console = lab.host("A").console(VM)
    first = int(console.wait_for(r"^SEQ (\d+)").group(1))
    console.wait_for(rf"^SEQ {first + 20}\r?$")
    assert re.search(r"^VERIFY NONE", console.text(), re.MULTILINE)


def test_hosts_are_apart(lab):
    a, b = lab.host("A"), lab.host("B")
    a.path("/var/lib/understudy/mine").write_text("A")
    a.path("/etc/understudy/mine").write_text("A")
    for folder in ("/var/lib/understudy", "/etc/understudy", "/run/understudy", "/var/lib/libvirt/images"):
        assert b.run(["ls", "-A", folder]).stdout == ""
    assert b.run(["ls", "-A", str(lab.hide)]).stdout == ""
    assert a.run(["cat", "/var/lib/understudy/mine"]).stdout == "A"
    assert a.run(["hostname"]).stdout.strip() == "host-a"
    assert "qemu-system" not in b.run(["ps", "-eo", "args"]).stdout
    assert not os.path.exists("/var/lib/understudy/mine")


def test_network_joins_them_until_the_cable_is_pulled(lab):
    a, b = lab.host("A"), lab.host("B")
    ping = ["busybox", "ping", "-c1", "-W1", a.address]
    b.run(ping)
    lab.set_link("A", False)
    assert b.run(ping, check=False).returncode != 0
    lab.set_link("A", True)
    b.run(["busybox", "ping", "-c1", "-W20", "host-a"])
    lab.shape("B", "8mbit")
    b.run(ping)
    lab.shape("B")


def test_same_guest_is_defined_on_the_other_host_and_a_hook_refuses_it(lab):
    b = lab.host("B")
    b.define_guest(VM, uuid=lab.uuid)
    assert b.virsh("domuuid", VM) == lab.uuid
    hook = b.path("/etc/libvirt/hooks/qemu.d/50-hold")
    hook.write_text(f"""#!/bin/sh
[ "$1 $2 $3" != '{VM} prepare begin' ] && exit 0
echo 'held by the test' >&2
exit 1
""")
    hook.chmod(0o755)
    refused = b.virsh("start", VM, check=False)
    assert refused.returncode and "held by the test" in refused.stderr
    hook.unlink()
    b.virsh("start", VM)
    b.console(VM).wait_for(r"^READY", 90)
    b.virsh("destroy", VM)
    b.virsh("undefine", VM)


def test_agent_and_orders(lab):
    a = lab.host("A")
    assert a.agent(VM, "guest-ping") == {}
    assert a.agent(VM, "guest-fsfreeze-freeze") == 1
    assert a.agent(VM, "guest-fsfreeze-thaw") == 1
    for order in (("fill", 32), ("zero", 16), ("trim", 16), ("put", 20), ("delete", 5), ("fstrim", 1)):
        a.vmctl(VM, *order)


def test_backup_is_one_point_in_time_over_both_disks(lab):
    a = lab.host("A")
    first, before, after = backup(a, "cp1")
    line = guests.verify_images(*first)
    found = re.fullmatch(r"VERIFY OK log_last=(\d+) ring_max=\d+", line)
    assert found, line
    assert before <= int(found.group(1)) <= after
    second, _, _ = backup(a, "cp2")
    assert guests.verify_images(*second).startswith("VERIFY OK")
    assert guests.verify_images(first[0], second[1]).startswith("VERIFY BAD")
    assert guests.verify_images(second[0], first[1]).startswith("VERIFY BAD")
    for copy in first + second:
        copy.unlink()


def test_images_belong_to_whom_libvirt_gives_them(lab):
    a = lab.host("A")
    owner = a.run(["stat", "-c", "%U", *a.disk_paths(VM).values()]).stdout.split()
    assert owner == ["libvirt-qemu" if lab.flavour == "shipped" else "root"] * 2


def test_guest_outlives_libvirtd(lab):
    a = lab.host("A")
    a.kill_libvirtd(signal.SIGKILL)
    assert a.libvirtd_pid() is None
    a.console(VM, from_start=False).wait_for(r"^SEQ")
    a.start_libvirtd()
    assert a.virsh("domstate", VM) == "running"
    assert a.agent(VM, "guest-ping") == {}


def test_power_cut(lab):
    a = lab.host("A")
    spaces = {os.readlink(f"/proc/{a.init_pid}/ns/pid")}
    a.power_cut()
    assert processes_of(spaces) == []
    shown = a.console(VM).seq()
    console = a.console(VM, from_start=False)
    a.boot()
    assert a.virsh("domstate", VM) == "shut off"
    a.virsh("start", VM)
    last = int(console.wait_for(r"^VERIFY OK log_last=(\d+)", 90).group(1))
    assert shown <= last <= shown + 2
    console.wait_for(rf"^SEQ {last + 5}\r?$")
    a.virsh("shutdown", VM)
    console.wait_for(r"^SHUTDOWN poweroff")


def test_signals_reach_the_process_inside(lab):
    script = "trap 'echo bye; exit 7' TERM; echo up; read -r never"
    pipe = subprocess.PIPE
    with lab.host("B").popen(["sh", "-c", script], stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdout.readline() == "up\n"
        process.terminate()
        assert process.stdout.readline() == "bye\n"
        assert process.wait(timeout=20) == 7


@pytest.mark.parametrize("flavour", ["lab", "shipped"])
def test_nothing_outlives_a_killed_lab(flavour):
    before = traces()
    program = ["/usr/bin/python3", hosts.__file__, "up", "--flavour", flavour, "--guest", VM]
    with subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        text = ""
        while not text.endswith("up; ends with standard input\n"):
            line = process.stdout.readline()
            assert line, text
            text += line
        spaces = {os.readlink(f"/proc/{pid}/ns/pid") for pid in re.findall(r"nsenter -t (\d+)", text)}
        alive = [os.pidfd_open(pid) for pid in processes_of(spaces)]
        assert len(spaces) == 2 and len(alive) >= 5  # two inits, two libvirtd, a QEMU
        process.kill()
        process.wait()
        for fd in alive:
            assert select.select([fd], [], [], 20)[0]
            os.close(fd)
    assert processes_of(spaces) == []
    assert traces() == before
    assert hosts.clean() == 1


if __name__ == "__main__":
    sys.exit(pytest.main([__file__, "-q", *sys.argv[1:]]))
