"""Either daemon, and libvirtd, may end at any moment: the next point is right and nothing is left behind."""
import signal

import pytest
from compare import assert_replica_holds, compared_now, read_job
from sites import until

VM = "restless"

# Where each daemon is killed in the short run; the long one takes every point that a cycle passes.
ON_PRIMARY = ["performer.job-opened", "statedb.before-put:3", "statedb.after-put:4"]
ON_REPLICA = ["store.publish.before-rename", "store.publish.before-manifest", "store.publish.after-manifest", "store.merge.before-rename"]


@pytest.fixture(scope="module")
def vm(site):
    vm = site.a.define_guest(VM, cmdline="us=50000 churn=all", start=True)
    site.a.console(VM).wait_for(r"^READY", 120)
    site.enable(VM, words=("--no-auto-resync",))
    site.wait_point(vm)
    yield vm
    site.a.virsh("destroy", VM, check=False)


def nothing_is_left(site, vm):
    def clean():
        checkpoints, scratch, job = site.leftovers(vm, VM)
        return len(checkpoints) == 1 and not scratch and job == "none"
    site.wait_settled(vm)
    until(clean, 20, lambda: f"nothing is left behind: {site.leftovers(vm, VM)}")
    incoming = site.b.path(site.replica(vm)) / "incoming"
    left = sorted(f.name for f in incoming.iterdir()) if incoming.exists() else []
    assert left == []


def kill_at(site, vm, host, point):
    daemon = site.daemon(host)
    daemon.restart(fault=with_action(point, "kill"), wait=host == "B")  # a primary cuts at once: it may end before it listens
    if host == "B":
        site.daemon("A").restart()  # makes it cut at once
    daemon.wait_end(90)
    daemon.start()
    compared_now(site, vm, VM)
    nothing_is_left(site, vm)


def with_action(point, action):
    name, _, passage = point.partition(":")
    return f"{name}:{action}:{passage or 1}"


@pytest.mark.parametrize("point", ON_PRIMARY)
def test_primarys_daemon_killed(site, vm, point):
    kill_at(site, vm, "A", point)


@pytest.mark.parametrize("point", ON_REPLICA)
def test_replicas_daemon_killed(site, vm, point):
    kill_at(site, vm, "B", point)


def test_lost_reply_is_recognised(site, vm):
    """The point is durable on the replica, the answer never arrives: the primary must not send it again, nor lose it."""
    before = site.wait_settled(vm)
    site.daemon("B").restart(fault="store.publish.after-manifest:kill")
    site.daemon("A").restart(fault="performer.job-opened:stop")
    site.daemon("A").wait_stopped()
    copies = read_job(site.a, VM)
    site.daemon("A").go_on()
    site.daemon("B").wait_end(60)
    site.daemon("B").start()
    site.wait_status("A", vm, lambda s: s.get("LastCutTime") != before["LastCutTime"], 60, "the cut is acknowledged")
    assert_replica_holds(site, vm, copies)
    nothing_is_left(site, vm)


@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGKILL])
def test_libvirtd_restarted_in_mid_cycle(site, vm, sig):
    before = site.wait_settled(vm)
    site.daemon("A").restart(fault="performer.job-opened:stop")
    site.daemon("A").wait_stopped()
    site.a.kill_libvirtd(sig)
    site.daemon("A").go_on()
    site.a.start_libvirtd()
    site.wait_status("A", vm, lambda s: s.get("LastCutTime") != before["LastCutTime"], 120, "cycles go on")
    compared_now(site, vm, VM)
    nothing_is_left(site, vm)


def test_guest_powered_off_and_on_loses_nothing(site, vm):
    site.wait_settled(vm)
    site.a.virsh("shutdown", VM)
    until(lambda: site.a.virsh("domstate", VM) == "shut off", 60, "the guest is off")
    console = site.a.console(VM, from_start=False)
    site.a.virsh("start", VM)
    console.wait_for(r"^READY", 120)
    compared_now(site, vm, VM)
    nothing_is_left(site, vm)


@pytest.mark.long
def test_killed_at_every_point_a_cycle_passes(site, vm):
    for host in ("A", "B"):
        daemon = site.daemon(host)
        site.wait_settled(vm)
        daemon.fault_log.unlink(missing_ok=True)
        daemon.restart(log_faults=True)
        point = site.wait_point(vm)["LastCutTime"]
        site.daemon("A").restart(log_faults=host == "A")
        site.wait_point(vm, after=point)
        site.wait_settled(vm)
        passed, points = {}, []
        for name in daemon.fault_log.read_text().split():
            passed[name] = passed.get(name, 0) + 1
            if passed[name] <= 6:
                points.append(f"{name}:{passed[name]}")
        assert points
        for one in points:
            print(host, one)
            kill_at(site, vm, host, one)


def test_killed_qemu_halts_with_the_reason(site, vm):
    """The record of changes died with QEMU: nothing may be sent as if it were whole. The last test on this VM."""
    point = site.wait_point(vm)
    site.wait_settled(vm)
    pid = int(site.a.path("/run/libvirt/qemu").joinpath(f"{VM}.pid").read_text())
    site.a.run(["kill", "-9", str(pid)])
    until(lambda: site.a.virsh("domstate", VM) == "shut off", 60, "libvirt notices")
    site.a.virsh("start", VM)
    status = site.wait_status("A", vm, lambda s: s["ReplicationState"] == "8", 120, "it halts")
    assert status["ReplicationHealth"] == "3"
    assert "resynchronization required" in status["HealthCause"] and "did not end cleanly" in status["HealthCause"]
    assert site.status("B", vm)["LastCutTime"] >= point["LastCutTime"]
    assert site.status("B", vm)["RecoveryPoints"] == "1"
