"""ModifyReplicationSettings: taken from the next cycle on, on both sides; what cannot be changed is refused."""
import json

import pytest
from compare import compared_now
from sites import IDLE, PORT, until
from wsman import embedded, vm_ref

VM = "changing"
CLASS = "Msvm_ReplicationSettingData"


def stored(site, vm):
    """The settings in the replica's manifest."""
    return json.loads(site.manifest(vm)["settings"])


def modify(site, host, vm, **properties):
    return site.wsman(host).service("ModifyReplicationSettings", ComputerSystem=vm_ref(vm),
                                    ReplicationSettingData=embedded(CLASS, **properties))["ReturnValue"]


@pytest.fixture(scope="module")
def vm(site):
    vm = site.a.define_guest(VM, disks=("16M", "16M"), cmdline=IDLE, start=True)
    assert modify(site, "A", vm, ReplicationInterval=30) == 32775  # not replicated
    site.enable(VM, words=("--history", 4))
    site.wait_point(vm)
    site.wait_settled(vm)
    yield vm
    site.a.virsh("destroy", VM, check=False)


def test_running_replication_takes_them_and_tells_its_replica(site, vm):
    points = site.points(vm)
    for _ in range(2):  # hourly ones, as they come when the clock goes on: the ones on demand stay
        before = site.status("B", vm)["LastCutTime"]
        site.cli("A", "point", "create", VM)
        site.wait_point(vm, after=before)
    assert stored(site, vm)["recovery_history"] == 4
    said = site.cli("A", "set", VM, "--interval", 300, "--history", 0, "--compression", "off",
                    "--resync-window", "22:00-06:30")
    assert "from the next cycle on" in said, said
    [shown] = [s for s in site.wsman("A").enumerate(CLASS) if vm.upper() in s["InstanceID"]]
    assert (shown["ReplicationInterval"], shown["RecoveryHistory"], shown["CompressionEnabled"]) == ("300", "0", "false")
    site.daemon("A").restart()  # and it is kept
    until(lambda: stored(site, vm)["recovery_history"] == 0, 60, lambda: f"the replica takes it: {stored(site, vm)}")
    assert stored(site, vm)["auto_resynchronize_start"] == 22 * 3600
    hourly = lambda: [p for p in site.points(vm)[:-1] if p["keep"] == 1]
    until(lambda: not hourly(), 60, lambda: f"the hourly points go: {points} {hourly()}")
    # Shortened, it does not wait for the end of the longer interval.
    before = site.wait_settled(vm)["LastCutTime"]
    site.cli("A", "set", VM, "--interval", 30)
    site.wait_point(vm, after=before, timeout=60)
    compared_now(site, vm, VM)


def test_the_replica_host_may_get_another_address(site, vm):
    refused = site.cli("A", "set", VM, "--to", "host-b:1", check=False)
    assert refused.returncode != 0 and "host-b" in refused.stderr, refused
    site.wait_settled(vm)
    site.cli("A", "set", VM, "--to", f"{site.b.address}:{PORT}")
    before = site.status("B", vm)["LastCutTime"]
    site.wait_point(vm, after=before, timeout=90)
    assert site.b.address in site.cli("A", "show", VM, "--json")


def test_what_cannot_be_changed_is_refused(site, vm):
    one = f"Microsoft:{vm.upper()}\\vda"
    assert modify(site, "A", vm, IncludedDisks=[one]) == 32770
    assert modify(site, "A", vm, IncludedDisks=[one, one.replace("vda", "vdb")]) == 0
    assert modify(site, "A", vm, ReplicationInterval=60) == 32773
    assert modify(site, "A", vm, RecoveryHostSystem="elsewhere") == 32773
    assert modify(site, "B", vm, ReplicationInterval=30) == 32775
    refused = site.cli("B", "set", VM, "--interval", 30, check=False)
    assert refused.returncode == 3 and "primary host host-a" in refused.stderr, refused


@pytest.mark.parametrize("fault", ["store.settings.before-manifest", "store.settings.after-manifest"])
def test_a_crash_of_the_replica_while_it_takes_them(site, vm, fault):
    wanted = 7 if fault.endswith("before-manifest") else 9
    site.daemon("B").restart(fault=f"{fault}:kill")
    site.cli("A", "set", VM, "--history", wanted)
    site.daemon("B").wait_end(90)
    site.daemon("B").start()
    until(lambda: stored(site, vm)["recovery_history"] == wanted, 90, lambda: f"{stored(site, vm)}")
    site.wait_status("A", vm, lambda s: s["ReplicationHealth"] == "1", 90, "replication goes on")
