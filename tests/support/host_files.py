"""The files of a lab host: what a fresh installation of Debian's libvirt would have, and libvirt's cache."""
import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import guests

CACHE = Path(os.environ.get("UNDERSTUDY_CACHE") or os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
CACHE /= "understudy"
NETWORK = "10.77.0"  # host n has address NETWORK.n
# Folders that every host has for itself, next to the whole of /run.
OWN = ["/etc/libvirt", "/var/lib/libvirt", "/var/cache/libvirt", "/var/log/libvirt", "/etc/understudy",
       "/var/lib/understudy"]

# What the `lab` flavour says in qemu.conf. The `shipped` flavour leaves Debian's file as it is: here libvirt finds no
# AppArmor in the kernel and no cgroups in the host's /sys, and does without them by itself.
LAB_QEMU_CONF = """user = "root"
group = "root"
security_driver = "none"
dynamic_ownership = 0
remember_owner = 0
namespaces = []
cgroup_controllers = []
stdio_handler = "file"
"""


class LabError(Exception):
    pass


def create_files(host):
    """Makes the host's folders; the first time, fills them as a fresh installation would."""
    for folder in [*OWN, "/run"]:
        Path(str(host.root) + folder).mkdir(parents=True, exist_ok=True)
    os.chmod(host.root, 0o755)
    etc, marker = host.path("/etc/libvirt"), host.root / "created"
    if marker.exists():
        return
    for folder in ("/var/lib/libvirt", "/var/cache/libvirt", "/var/log/libvirt"):
        copy_folders(folder, str(host.root) + folder, depth=2)
    for source in Path("/etc/libvirt").glob("*.conf"):
        shutil.copy2(source, etc)
    shutil.copytree("/etc/libvirt/nwfilter", etc / "nwfilter", dirs_exist_ok=True)
    for folder in ("qemu/networks", "hooks/qemu.d"):
        (etc / folder).mkdir(parents=True, exist_ok=True)
    # libvirtd calls hooks only if it finds one when it starts, and an empty folder is none.
    hook = etc / "hooks/qemu.d/00-lab-none"
    hook.write_text("#!/bin/sh\n# Does nothing. It is there so that libvirtd looks for hooks at all.\nexit 0\n")
    hook.chmod(0o755)
    # Two hosts on one board have one SMBIOS uuid; two machines do not.
    with open(etc / "libvirtd.conf", "a") as f:
        f.write(f'\nhost_uuid = "{host.libvirt_uuid}"\nlog_outputs = "3:file:/var/log/libvirt/libvirtd.log"\n')
    if host.lab.flavour == "lab":
        (etc / "qemu.conf").write_text(LAB_QEMU_CONF)
    else:
        require_shipped(etc / "qemu.conf")
    upper = host.root / "overlay/etc/upper"
    upper.mkdir(parents=True, exist_ok=True)
    (upper / "machine-id").write_text(host.libvirt_uuid.replace("-", "") + "\n")
    (upper / "hostname").write_text(host.hostname + "\n")
    others = "".join(f"{other.address} {other.hostname}\n" for other in host.lab.hosts)
    (upper / "hosts").write_text("127.0.0.1 localhost\n" + others)
    boot = host.path(guests.BOOT)
    boot.mkdir(exist_ok=True)
    for file in ("vmlinuz", "initrd"):  # a copy each: libvirt changes their owner
        shutil.copy(host.lab.guest / file, boot / file)
    host.path("/var/log/libvirt/qemu").mkdir(exist_ok=True)
    host.path("/var/lib/libvirt/dnsmasq").mkdir(exist_ok=True)  # libvirt makes it only for networks with DHCP or DNS
    marker.touch()


def copy_folders(source, target, depth):
    """The tree of folders, with owners and modes, without files."""
    os.makedirs(target, exist_ok=True)
    st = os.stat(source)
    os.chown(target, st.st_uid, st.st_gid)
    os.chmod(target, st.st_mode & 0o7777)
    for entry in os.scandir(source) if depth else []:
        if entry.is_dir(follow_symlinks=False):
            copy_folders(entry.path, f"{target}/{entry.name}", depth - 1)


def require_shipped(copy):
    query = ["dpkg-query", "-W", "-f=${Conffiles}", "libvirt-daemon-system"]
    known = subprocess.run(query, check=True, stdout=subprocess.PIPE, text=True).stdout
    want = next(line.split()[1] for line in known.splitlines() if line.split()[:1] == ["/etc/libvirt/qemu.conf"])
    if hashlib.md5(copy.read_bytes()).hexdigest() != want:
        raise LabError("the shipped flavour needs Debian's /etc/libvirt/qemu.conf, and this machine's was edited")


def capabilities_cache(flavour):
    parts = [flavour, os.uname().release]
    for file in ("/usr/bin/qemu-system-x86_64", "/usr/sbin/libvirtd"):
        parts.append(str(os.stat(file).st_ctime_ns))
    return CACHE / ("libvirt-capabilities-" + hashlib.sha256(" ".join(parts).encode()).hexdigest()[:16])


def give_capabilities(host):
    """Before the first boot: spares libvirt the seconds of asking QEMU what it can do. False: it has to ask."""
    cache, target = capabilities_cache(host.lab.flavour), host.path("/var/cache/libvirt/qemu")
    if not cache.is_dir() or target.exists():
        return target.exists()
    create_files(host)
    subprocess.run(["cp", "-a", f"{cache}/.", target], check=True)
    return True


def keep_capabilities(host):
    host.virsh("domcapabilities", "--virttype", "qemu")
    CACHE.mkdir(parents=True, exist_ok=True)
    copy = Path(tempfile.mkdtemp(prefix="libvirt-capabilities-new-", dir=CACHE))
    subprocess.run(["cp", "-a", f"{host.path('/var/cache/libvirt/qemu')}/.", copy], check=True)
    try:
        copy.rename(capabilities_cache(host.lab.flavour))
    except OSError:  # another lab was first
        shutil.rmtree(copy)
