"""Byte for byte: what the primary exported at a cut against what the replica made of it."""
import re
import subprocess

from sites import until

EXPORTS = "/var/lib/libvirt/images/exported"
BACKUP = """<domainbackup mode='pull'><server transport='unix' socket='{socket}'/><disks>{disks}</disks></domainbackup>"""
DISK = "<disk name='{0}' backup='yes' type='file' exportname='{0}'><scratch file='/var/lib/libvirt/images/{0}.scratch'/></disk>"


def read_job(host, name):
    """Copies every export of the backup job that is open now; {target: raw file, as the host names it}."""
    xml = host.virsh("backup-dumpxml", name)
    socket = re.search(r"<server [^>]*socket='([^']+)'", xml).group(1)
    host.run(["mkdir", "-p", EXPORTS])
    copies = {}
    for disk in re.findall(r"<disk [^>]*backup='yes'[^>]*>", xml):
        target = re.search(r" name='([^']+)'", disk).group(1)
        export = re.search(r" exportname='([^']+)'", disk)
        copies[target] = f"{EXPORTS}/{name}-{target}.raw"
        host.run(["rm", "-f", copies[target]])
        host.run(["nbdcopy", f"nbd+unix:///{export.group(1) if export else target}?socket={socket}", copies[target]],
                 timeout=300)
    return copies


def read_now(host, name, targets):
    """The same by a backup job of our own, without a checkpoint; for a guest that is suspended."""
    socket = f"/var/lib/libvirt/qemu/domain-{host.virsh('domid', name)}-{name}/test-backup.sock"
    xml = BACKUP.format(socket=socket, disks="".join(DISK.format(target) for target in targets))
    host.virsh("backup-begin", name, "/dev/stdin", input=xml)
    try:
        return read_job(host, name)
    finally:
        host.virsh("domjobabort", name)
        until(lambda: "None" in host.virsh("domjobinfo", name), 30, "the test's own backup job ends")


def assert_replica_holds(site, vm, copies, sequence=None):
    """The newest point on B, or that of this sequence, is equal to these exports of A, disk for disk."""
    for target, copy in copies.items():
        def image_now(target=target):
            return site.point_image(vm, target, sequence) if sequence else site.top_image(vm, target)

        def compared(target=target, copy=copy, image_now=image_now):
            image = image_now(target)
            done = subprocess.run(["qemu-img", "compare", "-U", "-f", "raw", "-F", "qcow2", site.a.path(copy),
                                   site.b.path(image)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            # 2 and more: not opened, because a merge has just taken a file of the chain away.
            return done if done.returncode <= 1 and image == image_now(target) else None
        done = until(compared, 20, f"the chain of {target} can be opened")
        assert done.returncode == 0, f"{target}: {done.stdout}"


def compared_point(site, vm, name, passage=1, begin=None):
    """Lets the primary's daemon make its next cut, reads that very job's export while the guest writes on, and
    compares the point that comes of it. `begin` makes the cut come about (default: a restart of the daemon)."""
    before = site.status("B", vm).get("LastCutTime")
    daemon = site.daemon("A")
    daemon.restart(fault=f"performer.job-opened:stop:{passage}")
    if begin:
        begin()
    daemon.wait_stopped(120)
    copies = read_job(site.a, name)
    daemon.go_on()
    point = site.wait_point(vm, after=before)
    assert_replica_holds(site, vm, copies)
    return point


def compared_now(site, vm, name, timeout=120):
    """Suspends the guest, waits for a point cut after that, and compares it with a backup of the test's own."""
    targets = list(site.a.disk_paths(name))
    site.a.virsh("suspend", name)
    try:
        before = site.wait_settled(vm, timeout)["LastCutTime"]
        site.daemon("A").restart()  # makes it cut at once
        point = site.wait_point(vm, after=before, timeout=timeout)
        site.wait_settled(vm, timeout)
        assert_replica_holds(site, vm, read_now(site.a, name, targets))
    finally:
        site.a.virsh("resume", name)
    return point
