"""A failover while older data is being merged: the merge gives way, the point is what it was, and merges go on later.

What makes the merge long is a disk that is slow for the one file it writes; strace(1) holds those writes up.
"""
import subprocess

import pytest
from compare import EXPORTS, assert_replica_holds, read_now
from sites import until
from wsman import Ref, vm_ref

VM = "merging"
DISKS = ("vda", "vdb")
CELLS = 400          # of 64 KiB: the merge copies 25 MiB, 1 MiB with each write
HELD_UP = 150        # ms, each write
PREEMPTED_WITHIN = 1000 // HELD_UP  # writes: a second of this disk. One is under way, the others close the file
UNDER_WAY = 7        # writes: far enough that each kind of metadata has to be written when it is closed


@pytest.fixture(scope="module")
def vm(site):
    yield site.replicated(VM, cmdline="us=20000")
    for host in (site.a, site.b):
        host.virsh("destroy", VM, check=False)


def slow_file(site, path):
    """Every write of B's daemon to this file takes long. Yields a function: how many there were."""
    return site.daemon("B").slowed(path, "pwrite64", HELD_UP)


def cut(site, vm, cells=0):
    """One more point, of a guest that is suspended; its content as the primary has it."""
    site.daemon("A").stop()
    before = site.points(vm)[-1]["sequence"]
    if cells:
        site.a.virsh("resume", VM)
        console = site.a.console(VM, from_start=False)
        site.a.vmctl(VM, "fill", cells)
        console.wait_for(rf"^DONE fill {cells}", 120)
        site.a.virsh("suspend", VM)
    copies = {}
    for target, copy in read_now(site.a, VM, DISKS).items():
        copies[target] = copy.replace(".raw", f"-{before + 1}.raw")
        site.a.run(["mv", copy, copies[target]])
    site.daemon("A").start()
    until(lambda: site.points(vm)[-1]["sequence"] > before, 60, "the point is listed")
    site.wait_settled(vm)
    return site.points(vm)[-1], copies


def merging_chain(site, vm, keep_a_point):
    """A chain whose next point begins a long merge. Returns the file it writes and the point that is kept, with its content."""
    site.a.virsh("suspend", VM)
    kept = None
    site.daemon("A").restart()
    site.wait_settled(vm)
    if keep_a_point:
        content = {target: copy.replace(".raw", "-kept.raw") for target, copy in read_now(site.a, VM, DISKS).items()}
        for target in DISKS:
            site.a.run(["mv", f"{EXPORTS}/{VM}-{target}.raw", content[target]])
        site.cli("A", "point", "create", VM)
        kept = site.points(vm)[-1], content
        cut(site, vm)  # a file above it that no point will end in
    until(lambda: site.merged(vm), 60, lambda: f"earlier merges are done: {site.manifest(vm)['chain']}")
    below = site.top_image(vm, "vdb")
    cut(site, vm, CELLS)
    until(lambda: site.merged(vm), 60, lambda: f"earlier merges are done: {site.manifest(vm)['chain']}")
    return below, kept


@pytest.mark.matrix
@pytest.mark.parametrize("old", [False, True], ids=["to the latest point", "to an older point"])
def test_failover_during_a_merge(site, cell, vm, old):
    below, kept = merging_chain(site, vm, old)
    client = site.wsman("B")
    with slow_file(site, below) as writes:
        newest = cut(site, vm)
        point, content = kept if old else newest
        until(lambda: writes() >= UNDER_WAY, 60, "the merge has begun")
        chain = site.manifest(vm)["chain"]
        begun = writes()
        reference = Ref("Msvm_VirtualSystemSettingData", InstanceID=f"Microsoft:{point['id'].upper()}") if old else None
        with cell("InitiateFailover", f"while older data is being merged, to {'an older' if old else 'the latest'} point"):
            answer = client.service("InitiateFailover", ComputerSystem=vm_ref(vm), SnapshotSettingData=reference)
            before = writes()  # strace slows the answer down; what counts is what the merge does after it
            site.done("B", answer)
        assert writes() - before <= PREEMPTED_WITHIN
        assert site.manifest(vm)["chain"] == chain and site.b.path(below).exists(), "the merge was not over"
    print(f"{begun} writes of the merge before the failover, {before - begun} until it was accepted, {writes() - before} until it was done, of {CELLS * 64 // 1024}")
    for target, copy in content.items():
        active = site.b.path(site.replica(vm)) / f"{target}-active.qcow2"
        subprocess.run(["qemu-img", "compare", "-q", "-U", "-f", "raw", "-F", "qcow2", site.a.path(copy), active], check=True)
    serial = site.serial(site.b, VM, from_start=False)
    site.cli("B", "vm", "start", VM)
    serial.wait_for(r"^VERIFY OK", 120)
    site.done("B", client.request_state(vm, 3))
    assert site.manifest(vm)["chain"] == chain, "nothing is merged under a VM that was failed over"

    site.done("B", client.service("RevertFailover", ComputerSystem=vm_ref(vm)))
    assert_replica_holds(site, vm, content, point["sequence"])
    until(lambda: site.merged(vm), 60, lambda: f"merges are done after the revert: {site.manifest(vm)['chain']}")
    assert not site.b.path(below).exists() or len(site.manifest(vm)["chain"]) < len(chain)
    for p, copies in [newest, *([kept] if old else [])]:
        assert_replica_holds(site, vm, copies, p["sequence"])
    checked = site.cli("B", "store", "check", site.replica(vm))
    assert "good" in checked and "damaged" not in checked
    site.a.virsh("resume", VM)
    if site.status("A", vm)["Phase"] == "halted":  # it has heard of the failover meanwhile
        site.cli("A", "resume", VM)
    site.wait_settled(vm)


@pytest.mark.matrix
@pytest.mark.long
def test_failover_that_is_cancelled_while_the_merge_ends(site, cell, vm):
    below, _ = merging_chain(site, vm, False)
    client = site.wsman("B")
    with slow_file(site, below) as writes:
        cut(site, vm)
        until(lambda: writes() >= UNDER_WAY, 60, "the merge has begun")
        with cell("InitiateFailover", "cancelled (RequestStateChange 4) while the merge in its way ends"):
            answer = client.service("InitiateFailover", ComputerSystem=vm_ref(vm))
            cancelled = client.invoke("Msvm_ConcreteJob", "RequestStateChange", {"InstanceID": answer["Job"]}, RequestedState=4)
            assert cancelled["ReturnValue"] == 0, cancelled
            assert site.wait_job("B", answer["Job"])["JobState"] == "8"
    assert client.vm(vm)["ReplicationState"] == "3"
    site.cli("A", "point", "create", VM)  # replication goes on
    until(lambda: site.merged(vm), 60, lambda: f"and so do merges: {site.manifest(vm)['chain']}")
