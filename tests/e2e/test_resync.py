"""What changed is not known any more: both sides are compared, only what differs is sent, every point stays.

The tests of this file follow one another on the same guest.
"""
import contextlib
import subprocess

import pytest
from compare import compared_now
from sites import IDLE, until
from wsman import vm_ref

VM = "doubted"
BLOCK = 64 << 10


@pytest.fixture(scope="module")
def vm(site):
    vm = site.replicated(VM, "us=20000 churn=all", ("--history", 4), disks=("48M", "32M"))
    yield vm
    site.a.virsh("destroy", VM, check=False)


@contextlib.contextmanager
def slow_link(site):
    site.lab.shape("B", "8mbit")
    try:
        yield
    finally:
        site.lab.shape("B", None)


def kill_qemu(site):
    pid = int(site.a.path("/run/libvirt/qemu").joinpath(f"{VM}.pid").read_text())
    site.a.run(["kill", "-9", str(pid)])
    until(lambda: site.a.virsh("domstate", VM) == "shut off", 60, "libvirt notices")


def start_guest(site):
    console = site.a.console(VM, from_start=False)
    site.a.virsh("start", VM)
    console.wait_for(r"^READY", 120)


def sent_bytes(host):
    line = next(line for line in host.run(["cat", "/proc/net/dev"]).stdout.splitlines() if "eth0:" in line)
    return int(line.split(":")[1].split()[8])


def flat(site, vm, name):
    """Raw copies of the newest point, {target: file}."""
    copies = {}
    for target in ("vda", "vdb"):
        copies[target] = site.folder / f"{name}-{target}.raw"
        subprocess.run(["qemu-img", "convert", "-U", "-O", "raw", site.b.path(site.top_image(vm, target)), copies[target]],
                       check=True)
    return copies


def differing_blocks(before, after):
    count = 0
    for target in before:
        with open(before[target], "rb") as a, open(after[target], "rb") as b:
            while block := a.read(BLOCK):
                count += block != b.read(BLOCK)
    return count


def hold_points(site, vm):
    """{sequence: {target: raw copy}} of every listed point, read from the files."""
    held = {}
    for point in site.points(vm):
        held[point["sequence"]] = {}
        for target in ("vda", "vdb"):
            copy = site.folder / f"held-{point['sequence']}-{target}.raw"
            subprocess.run(["qemu-img", "convert", "-U", "-O", "raw",
                            site.b.path(site.point_image(vm, target, point["sequence"])), copy], check=True)
            held[point["sequence"]][target] = copy
    return held


def points_still_hold(site, vm, held):
    listed = {p["sequence"] for p in site.points(vm)}
    checked = 0
    for sequence, copies in held.items():
        for target, copy in copies.items():
            if sequence in listed:
                subprocess.run(["qemu-img", "compare", "-q", "-U", "-f", "raw", "-F", "qcow2", copy,
                                site.b.path(site.point_image(vm, target, sequence))], check=True)
                checked += 1
    return checked


def replicating(site, vm, timeout=120):
    return site.wait_status("A", vm, lambda s: s["ReplicationState"] == "3" and s["Phase"] == "idle" and not s.get("LastError"),
                            timeout, "it replicates again")


def test_killed_qemu_is_resynchronized_by_itself(site, vm):
    site.daemon("A").restart()
    site.cli("A", "point", "create", VM)
    site.wait_settled(vm)
    site.a.vmctl(VM, "fill", 100)
    kill_qemu(site)
    held, before = hold_points(site, vm), flat(site, vm, "before")
    wire = sent_bytes(site.a)
    start_guest(site)
    site.a.virsh("suspend", VM)  # what differs is then what the test can count
    replicating(site, vm)
    wire = sent_bytes(site.a) - wire
    differ = differing_blocks(before, flat(site, vm, "after"))
    print(f"{differ} blocks of 64 KiB differed, {wire} bytes left the host")
    assert differ > 0
    assert wire <= 1.2 * differ * BLOCK + (1 << 20)
    assert points_still_hold(site, vm, held) >= 2
    site.a.virsh("resume", VM)
    compared_now(site, vm, VM)
    assert points_still_hold(site, vm, held) >= 2


def test_resync_survives_a_cut_link_and_both_restarts(site, vm):
    site.a.vmctl(VM, "fill", 400)
    kill_qemu(site)
    held = hold_points(site, vm)
    with slow_link(site):
        start_guest(site)
        site.wait_status("A", vm, lambda s: s["ReplicationState"] == "10" and s["Phase"] == "sending", 120, "it compares")
        site.daemon("B").kill()
        site.wait_status("A", vm, lambda s: s["Phase"] != "sending", 60, "the primary notices")
        site.daemon("A").kill()
        site.daemon("B").start()
        site.daemon("A").start()
        assert site.status("A", vm)["ReplicationState"] == "10"
    replicating(site, vm)
    assert points_still_hold(site, vm, held) >= 2
    compared_now(site, vm, VM)


def test_disk_written_while_the_vm_was_off_is_noticed(site):
    """On a VM of its own, whose guest does not mind."""
    name = "touched"
    own = site.a.define_guest(name, disks=("16M", "16M"), cmdline=IDLE, start=True)
    site.enable(name)
    site.wait_point(own)
    site.wait_settled(own)
    site.a.virsh("destroy", name)
    disk = site.a.disk_paths(name)["vdb"]
    site.a.run(["qemu-io", "-f", "qcow2", "-c", "write -q -P 0x5a 4M 256k", disk])
    site.a.virsh("start", name)
    site.wait_status("A", own, lambda s: "vdb" in (s.get("HealthCause") or ""), 60, "it is noticed")
    replicating(site, own)
    compared_now(site, own, name)
    site.a.virsh("destroy", name)


def test_lost_checkpoint_is_resynchronized(site, vm):
    site.wait_settled(vm)
    name = site.a.virsh("checkpoint-list", VM, "--name").split()[-1]
    site.a.virsh("checkpoint-delete", VM, name)
    site.daemon("A").restart()
    replicating(site, vm)
    compared_now(site, vm, VM)


def begin_slow_resync(site, vm):
    """The guest goes on writing while replication is paused: enough for some seconds of sending."""
    site.cli("A", "pause", VM)
    console = site.a.console(VM)
    console.wait_for(rf"^SEQ {console.seq() + 120}\r?$", 120)
    site.cli("A", "resync", VM, "--no-wait")
    site.wait_status("A", vm, lambda s: s["ReplicationState"] == "10" and s["Phase"] == "sending", 60, "it compares")


def test_pause_resume_and_cancel_of_a_resync(site, vm):
    site.wait_settled(vm)
    with slow_link(site):
        begin_slow_resync(site, vm)
        site.cli("A", "pause", VM)
        assert site.wsman("A").vm(vm)["ReplicationState"] == "11"
        site.cli("A", "resume", VM)
        assert site.wsman("A").vm(vm)["ReplicationState"] == "10"
        site.cli("A", "resync", VM, "--cancel")
        site.wait_status("A", vm, lambda s: s["ReplicationState"] == "9", 60, "it waits")
    answer = site.wsman("A").service("Resynchronize", ComputerSystem=vm_ref(vm), StartTime=None)
    site.done("A", answer, 120)
    compared_now(site, vm, VM)


def test_failover_during_a_resync_uses_the_last_point(site, vm):
    """The last test on this VM."""
    site.wait_settled(vm)
    held = hold_points(site, vm)
    with slow_link(site):
        begin_slow_resync(site, vm)
        site.cli("B", "failover", VM, "--yes", "--primary-is-running")
    assert points_still_hold(site, vm, held) >= 2
    site.done("B", site.wsman("B").request_state(vm, 2))
    serial = site.serial(site.b, VM)
    assert serial.wait_for(r"^VERIFY .*", 120).group(0).startswith("VERIFY OK")
    site.b.virsh("destroy", VM)
