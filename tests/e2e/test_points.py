"""Recovery points: kinds, a day of them under a shifted clock, failing over to an old one, taking it back, going on.

The tests of this file follow one another on the same guest.
"""
import re
import subprocess

import pytest
from compare import assert_replica_holds, compared_now, read_job
from sites import instant, until
from wsman import Ref, vm_ref

VM = "daily"
HISTORY = 4
CONSISTENT = 3  # hours
HOURS = 9
HOURLY, ON_DEMAND = 1, 2  # `keep` in the manifest


@pytest.fixture(scope="module")
def vm(site):
    vm = site.a.define_guest(VM, disks=("24M", "24M"), cmdline="us=50000 churn=all", start=True)
    site.a.console(VM).wait_for(r"^READY", 120)
    site.a.wait_agent(VM)
    site.enable(VM, words=("--history", HISTORY, "--app-consistent", CONSISTENT))
    site.wait_point(vm)
    site.wait_settled(vm)
    yield vm
    for host in (site.a, site.b):
        host.virsh("destroy", VM, check=False)
    site.daemon("A").clock = None
    site.daemon("A").restart()


@pytest.fixture(scope="module")
def kept():
    """{sequence: {target: raw copy of A's export at that cut}} of the points made by the tests."""
    return {}


def cut_and_copy(site, vm, kept):
    """Makes the primary cut, copies that job's exports, and waits for the point."""
    before = site.points(vm)[-1]["sequence"]
    site.daemon("A").restart(fault="performer.job-opened:stop")
    site.daemon("A").wait_stopped(60)
    copies = read_job(site.a, VM)
    site.daemon("A").go_on()
    until(lambda: site.points(vm)[-1]["sequence"] > before, 60, "the point is listed")
    point = site.points(vm)[-1]
    kept[point["sequence"]] = {}
    for target, copy in copies.items():
        own = copy.replace(".raw", f"-{point['sequence']}.raw")
        site.a.run(["mv", copy, own])
        kept[point["sequence"]][target] = own
    site.wait_settled(vm)
    return point


def all_points_hold(site, vm, kept):
    for point in site.points(vm):
        if point["sequence"] in kept:
            assert_replica_holds(site, vm, kept[point["sequence"]], point["sequence"])


def chain_is_short(site, vm):
    """Merges have caught up: a file for each listed point, and at most one below."""
    until(lambda: len(site.manifest(vm)["chain"]) <= len(site.points(vm)) + 1, 30,
          lambda: f"merges catch up: {site.manifest(vm)['chain']}")


def test_a_day_of_hourly_points(site, vm, kept):
    for hour in range(1, HOURS + 1):
        site.daemon("A").clock = f"+{hour}h"
        cut_and_copy(site, vm, kept)
    points = site.points(vm)
    hourly = [p for p in points if p["keep"] == HOURLY]
    assert len(hourly) == HISTORY and points[-1]["keep"] == HOURLY
    hours = [round((p["cut_us"] - hourly[0]["cut_us"]) / 3.6e9) for p in hourly]
    assert hours == list(range(HISTORY))
    assert any(p["type"] == 2 for p in hourly) and any(p["type"] == 1 for p in hourly)
    all_points_hold(site, vm, kept)
    chain_is_short(site, vm)
    all_points_hold(site, vm, kept)


def test_every_file_is_an_ordinary_image(site, vm):
    folder = site.replica(vm)
    for file in sorted(site.b.path(folder).glob("*.qcow2")):
        subprocess.run(["qemu-img", "check", "-q", "-U", str(file)], check=True)


def test_points_as_the_command_shows_them(site, vm):
    listed = site.cli("B", "point", "list", VM)
    assert len(re.findall(r"(?i)application.consistent", listed)) >= 1
    for point in site.points(vm):
        assert point["id"][:8] in listed.lower()


def test_points_as_a_management_client_finds_them(site, vm):
    client = site.wsman("B")
    found = client.wql("SELECT * FROM Msvm_VirtualSystemSettingData WHERE VirtualSystemType LIKE '%Snapshot:Replica:%'")
    mine = [p for p in found if p["VirtualSystemIdentifier"].lower() == vm.lower()]
    kinds = {1: "Standard", 2: "ApplicationConsistent"}
    points = site.points(vm)
    assert sorted(p["VirtualSystemType"].rsplit(":", 1)[1] for p in mine) == sorted(kinds[p["type"]] for p in points)
    cuts = {round(instant(p["CreationTime"]) * 1000) for p in mine}
    assert cuts == {p["cut_us"] // 1000 for p in points} or cuts == {round(p["cut_us"] / 1000) for p in points}


def test_point_on_demand(site, vm, kept):
    site.daemon("A").restart()
    site.wait_settled(vm)
    before = len(site.points(vm))
    site.cli("A", "point", "create", VM)
    site.cli("A", "point", "create", VM, "--application-consistent")
    made = [p for p in site.points(vm) if p["keep"] == ON_DEMAND]
    assert [p["type"] for p in made[-2:]] == [1, 2]
    assert len(site.points(vm)) > before
    all_points_hold(site, vm, kept)


def fail_over(site, vm, point=None):
    reference = Ref("Msvm_VirtualSystemSettingData", InstanceID=f"Microsoft:{point['id'].upper()}") if point else None
    answer = site.wsman("B").service("InitiateFailover", ComputerSystem=vm_ref(vm), SnapshotSettingData=reference)
    site.done("B", answer)


def start_and_verify(site, vm):
    serial = site.serial(site.b, VM, from_start=False)
    site.done("B", site.wsman("B").request_state(vm, 2))
    verdict = serial.wait_for(r"^VERIFY .*", 120).group(0).strip()
    site.done("B", site.wsman("B").request_state(vm, 3))
    return verdict


def test_failover_to_an_old_point_and_back(site, vm, kept):
    old = next(p for p in site.points(vm) if p["sequence"] in kept)
    before = site.points(vm)
    fail_over(site, vm, old)
    client = site.wsman("B")
    assert client.vm(vm)["ReplicationState"] == "5"
    applied = [a for a in client.enumerate("Msvm_LastAppliedSnapshot") if vm.upper() in str(a).upper()]
    assert any(old["id"].upper() in str(a).upper() for a in applied)
    assert start_and_verify(site, vm).startswith("VERIFY OK")
    site.done("B", client.service("RevertFailover", ComputerSystem=vm_ref(vm)))
    assert client.vm(vm)["ReplicationState"] == "3"
    refused = site.b.virsh("start", VM, check=False)
    assert refused.returncode and "Understudy holds this VM" in refused.stderr
    assert [p["id"] for p in site.points(vm)] == [p["id"] for p in before]
    assert list(site.b.path(site.replica(vm)).glob("*-reverted-*.qcow2"))
    all_points_hold(site, vm, kept)


def test_failover_to_the_latest_and_back(site, vm, kept):
    fail_over(site, vm)
    assert start_and_verify(site, vm).startswith("VERIFY OK")
    site.cli("B", "revert", VM, "--yes")
    all_points_hold(site, vm, kept)


def test_replication_goes_on_after_the_revert(site, vm, kept):
    status = site.status("A", vm)
    if status["Phase"] == "halted":
        site.cli("A", "resume", VM)
    site.wait_settled(vm)
    compared_now(site, vm, VM)
    all_points_hold(site, vm, kept)


def test_pause_and_resume(site, vm):
    site.cli("A", "pause", VM)
    assert site.wsman("A").vm(vm)["ReplicationState"] == "7"
    done = site.cli("A", "pause", VM, check=False)
    assert done.returncode == 3 and f"understudy resume {VM}" in done.stderr
    site.cli("A", "resume", VM)
    assert site.wsman("A").vm(vm)["ReplicationState"] == "3"
    site.cli("B", "pause", VM)
    site.daemon("A").restart()
    site.wait_status("A", vm, lambda s: "paused on host-b" in (s.get("HealthCause") or ""), 60, "the primary says it")
    site.cli("B", "resume", VM)
    compared_now(site, vm, VM)
