"""A replica's disk that is full in the middle of a cycle: no half point, both sides say so, and it goes on by itself."""
from compare import EXPORTS, assert_replica_holds, compared_now
from sites import until

VM = "swelling"
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
    finally:
        site.a.virsh("destroy", VM, check=False)
        site.daemon("B").restart()  # lets go of the folder
        site.b.unmount_small(folder)
