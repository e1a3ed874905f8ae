"""Removing a relationship, on either side; the tests follow one another on the same guest."""
import subprocess

import pytest
from compare import read_now
from sites import PORT, STORAGE, until
from wsman import vm_ref

VM = "leaving"
DISKS = ("vda", "vdb")


@pytest.fixture(scope="module")
def vm(site):
    yield site.replicated(VM, disks=("24M", "24M"))
    for host in (site.a, site.b):
        host.virsh("destroy", VM, check=False)


def phase(site, host, vm):
    return site.status(host, vm).get("Phase")


def test_refusals_say_what_to_do(site, vm):
    never = site.a.define_guest("nobody", disks=("1M",))
    answer = site.wsman("A").service("RemoveReplicationRelationship", ComputerSystem=vm_ref(never))
    assert answer["ReturnValue"] == 32775
    done = site.cli("A", "remove", "nobody", "--yes", check=False)
    assert done.returncode == 3 and "'nobody' is not replicated" in done.stderr and "understudy list" in done.stderr
    site.cli("A", "list")
    site.a.virsh("undefine", "nobody")
    done = site.cli("A", "remove", VM, check=False)
    assert done.returncode == 2 and "--yes" in done.stderr and phase(site, "A", vm) == "idle"


def test_replica_becomes_an_ordinary_vm(site, vm):
    site.a.virsh("suspend", VM)
    site.daemon("A").restart()
    before = site.points(vm)[-1]["sequence"]
    until(lambda: site.points(vm)[-1]["sequence"] > before, 60, "a point of the suspended guest")
    site.wait_settled(vm)
    copies = read_now(site.a, VM, DISKS)
    said = site.cli("B", "remove", VM, "--yes", check=False)
    assert said.returncode == 0 and STORAGE in said.stderr, said.stderr
    assert phase(site, "B", vm) == "none" and site.wsman("B").vm(vm)["ReplicationMode"] == "0"
    for target, copy in copies.items():
        active = site.b.path(site.replica(vm)) / f"{target}-active.qcow2"
        subprocess.run(["qemu-img", "compare", "-q", "-U", "-f", "raw", "-F", "qcow2", site.a.path(copy), active], check=True)
    site.a.virsh("resume", VM)
    told = site.wait_status("A", vm, lambda s: s.get("ReplicationHealth") == "3", 90, "the primary says that its replica is gone")
    assert told["HealthCause"] and told["HealthNext"]
    site.daemon("B").restart()
    assert phase(site, "B", vm) in ("none", None)
    serial = site.serial(site.b, VM, from_start=False)
    site.b.virsh("start", VM)  # not held: an ordinary VM
    serial.wait_for(r"^VERIFY OK", 120)
    site.b.virsh("destroy", VM)


def test_primary_is_left_as_it_was(site, vm):
    site.cli("A", "remove", VM, "--yes")
    client = site.wsman("A")
    assert client.vm(vm)["ReplicationMode"] == "0" and client.vm(vm)["ReplicationState"] == "0"
    checkpoints, scratch, job = site.leftovers(vm, VM)
    assert (checkpoints, scratch, job) == ([], [], "none")
    assert site.a.virsh("domstate", VM) == "running"
    site.daemon("A").restart()
    assert client.vm(vm)["ReplicationMode"] == "0"


def test_it_can_be_replicated_again(site, vm):
    refused = site.cli("A", "enable", VM, "--to", f"host-b:{PORT}", check=False)
    assert refused.returncode == 3 and f"{site.replica(vm)} is not empty" in refused.stderr, "the VM there is not ours any more"
    assert f"ls -la {site.replica(vm)}" in refused.stderr
    site.b.run(["ls", "-la", site.replica(vm)])
    # Wherever a new replica would be stored: the VM that the old one became is nobody's replica.
    mine = site.b.virsh("dumpxml", VM, "--inactive")
    assert "understudy:replica" not in mine
    site.b.run(["mv", site.replica(vm), "/var/lib/kept"])
    refused = site.cli("A", "enable", VM, "--to", f"host-b:{PORT}", check=False)
    assert refused.returncode != 0 and "is no replica of ours" in refused.stderr and f"virsh undefine {VM}" in refused.stderr
    assert site.b.virsh("dumpxml", VM, "--inactive") == mine
    until(lambda: not site.b.path(site.replica(vm)).exists(), 30, "what could not be prepared is removed")
    site.b.run(["mv", "/var/lib/kept", site.replica(vm)])
    site.b.virsh("undefine", VM, "--nvram", check=False)
    site.b.run(["rm", "-r", site.replica(vm)])
    site.enable(VM)
    site.wait_point(vm)
    site.wait_settled(vm)


def test_in_the_middle_of_a_cycle_and_with_the_vm_off(site, vm):
    site.daemon("A").restart(fault="performer.job-opened:stop")
    site.daemon("A").wait_stopped(60)
    site.a.virsh("destroy", VM)
    site.daemon("A").go_on()
    site.cli("A", "remove", VM, "--yes")
    assert phase(site, "A", vm) == "none"
    assert site.a.virsh("checkpoint-list", VM, "--name") == ""
    assert not [f for f in site.a.path("/var/lib/understudy/scratch").rglob("*") if f.is_file()]
    for disk in site.a.disk_paths(VM).values():
        assert "understudy" not in site.a.run(["qemu-img", "info", disk]).stdout, "no bitmap of ours is left"


def test_failed_over_copy_is_kept_as_it_is(site, vm):
    site.a.virsh("undefine", VM, "--checkpoints-metadata", check=False)
    site.cli("B", "failover", VM, "--yes", "--primary-is-running")  # it was heard seconds ago
    serial = site.serial(site.b, VM, from_start=False)
    site.cli("B", "vm", "start", VM)
    serial.wait_for(r"^VERIFY OK", 120)
    serial.wait_for(r"^SEQ", 60)
    site.cli("B", "remove", VM, "--yes")
    assert phase(site, "B", vm) == "none" and site.b.virsh("domstate", VM) == "running"
    serial.wait_for(r"^SEQ", 60)
    site.b.virsh("destroy", VM)
    serial = site.serial(site.b, VM, from_start=False)
    site.b.virsh("start", VM)
    serial.wait_for(r"^VERIFY OK", 120)
