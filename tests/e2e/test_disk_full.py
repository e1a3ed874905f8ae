"""A replica's disk that is full in the middle of a cycle: no half point, both sides say so, and it goes on by itself."""
import re

from compare import EXPORTS, assert_replica_holds, compared_now
from sites import until

VM = "swelling"
MIB = 1 << 20
DISKS = ("vda", "vdb")


def full(status):
    return status.get("ReplicationHealth") == "3" and "space" in (status.get("HealthCause") or "").lower()


def free_bytes(host, folder):
    return int(host.run(["df", "--output=avail", "-B1", folder]).stdout.split()[1])


def test_full_disk_of_the_replica_costs_no_point_and_heals(site):
    vm = site.a.define_guest(VM, cmdline="us=50000", start=True)
    site.a.console(VM).wait_for(r"^READY", 120)
    folder = site.replica(vm)
    site.b.mount_small(folder, "192m")
    ballast = f"{folder}/ballast"
    try:
        site.enable(VM)
        site.wait_point(vm)
        compared_now(site, vm, VM)
        site.a.virsh("suspend", VM)  # what is compared below is of a cut before this
        site.wait_settled(vm)
        site.daemon("A").stop()
        before = site.points(vm)
        kept = {target: f"{EXPORTS}/{VM}-before-{target}.raw" for target in DISKS}
        for target, copy in kept.items():
            site.a.run(["mv", f"{EXPORTS}/{VM}-{target}.raw", copy])

        # Less room than the cycle needs; taken by somebody else.
        site.b.run(["sh", "-c", f"head -c {free_bytes(site.b, folder) - (4 << 20)} /dev/zero >{ballast}"])
        site.a.virsh("resume", VM)
        site.a.vmctl(VM, "fill", 400)
        site.daemon("A").start()
        told = site.wait_status("A", vm, full, 90, "the primary says that the replica's disk is full")
        assert told["HealthNext"]
        told = site.wait_status("B", vm, full, 30, "the replica says that its disk is full")
        assert folder in told["HealthCause"] or "space" in told["HealthCause"]
        for host in "AB":
            shown = site.cli(host, "show", VM)
            assert "critical" in shown and "space" in shown and "next" in shown, shown
        assert site.points(vm) == before
        assert_replica_holds(site, vm, kept, before[-1]["sequence"])
        checked = site.cli("B", "store", "check", folder)
        assert "good" in checked and "damaged" not in checked
        assert site.a.virsh("domstate", VM) == "running"

        site.b.run(["rm", ballast])
        until(lambda: site.points(vm) != before, 120, "replication goes on by itself")
        compared_now(site, vm, VM)
        for name in "AB":
            site.wait_status(name, vm, lambda s: not full(s), 60, "health is what it was")
        site.cli("B", "store", "check", folder)
        what_a_revert_set_aside_gives_way(site, vm, folder, ballast)
    finally:
        site.a.virsh("destroy", VM, check=False)
        site.daemon("B").restart()  # lets go of the folder
        site.b.unmount_small(folder)


def what_a_revert_set_aside_gives_way(site, vm, folder, ballast):
    """The VM ran here and wrote; the space of that is taken when replication needs it."""
    site.cli("B", "failover", VM, "--yes", "--primary-is-running")
    serial = site.serial(site.b, VM, from_start=False)
    site.cli("B", "vm", "start", VM)
    serial.wait_for(r"^READY", 120)
    site.b.wait_agent(VM)
    site.b.vmctl(VM, "fill", 600)
    serial.wait_for(r"^DONE fill 600", 120)
    site.b.virsh("destroy", VM)
    said = site.cli("B", "revert", VM, "--yes", check=False).stderr
    assert re.search(r"has run here for \d+ s .*; what it wrote takes up (3[7-9]|[4-9]\d)(\.\d)? MiB", said), said
    aside = [f for f in site.b.path(folder).glob("*-reverted-*.qcow2")]
    held = sum(f.stat().st_blocks * 512 for f in aside)
    assert held > 30 << 20
    site.daemon("A").stop()
    site.b.run(["sh", "-c", f"head -c {free_bytes(site.b, folder) - (8 << 20)} /dev/zero >{ballast}"])
    console = site.a.console(VM, from_start=False)
    site.a.vmctl(VM, "fill", 300)
    console.wait_for(r"^DONE fill 300", 120)
    before = site.points(vm)
    site.daemon("A").start()
    if site.wait_status("A", vm, lambda s: s.get("Phase") in ("halted", "idle", "sending"))["Phase"] == "halted":
        site.cli("A", "resume", VM)
    until(lambda: site.points(vm) != before, 120, lambda: f"it goes on: {site.status('A', vm)}")
    assert not any(f.exists() for f in aside)
    compared_now(site, vm, VM)


def test_a_quota_that_is_full_costs_no_point_and_heals(site):
    """Of what the replicas of one primary take up on host B."""
    vm = site.a.define_guest("bounded", cmdline="us=50000", start=True)
    site.enable("bounded")
    site.wait_point(vm)
    used = int(site.b.run(["du", "--block-size=1", "--summarize", site.replica(vm)]).stdout.split()[0])
    daemon = site.daemon("B")
    try:
        site.configure(site.b, text=f"[replication.quotas]\n\"host-a\" = {used + 4 * MIB}\n")
        daemon.restart()
        site.a.console("bounded").wait_for(r"^READY", 120)
        site.a.vmctl("bounded", "fill", 400)
        told = site.wait_status("A", vm, full, 120, "the primary says that the quota is full")
        assert "quota of 'host-a'" in told["HealthCause"] and "[replication.quotas]" in told["HealthNext"], told
        before = site.points(vm)
        assert "damaged" not in site.cli("B", "store", "check", site.replica(vm))
        site.configure(site.b)
        daemon.restart()
        until(lambda: site.points(vm) != before, 120, "replication goes on by itself")
        site.wait_status("A", vm, lambda s: not full(s), 60, "health is what it was")
    finally:
        site.configure(site.b)
        site.a.virsh("destroy", "bounded", check=False)
