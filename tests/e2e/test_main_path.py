"""The main job, on hosts with Debian's qemu.conf as shipped: one guest, protected, looked at from all sides, failed over.

The tests of this file follow one another on the same guest.
"""
import re

import pytest
from compare import assert_replica_holds, compared_point, read_job
from guests import verify_images
from sites import Site, until
from wsman import Fault, Wsman, vm_ref

VM = "vm1"


@pytest.fixture(scope="module")
def shipped():
    with Site(flavour="shipped") as site:
        site.vm = site.a.define_guest(VM, cmdline="us=20000 churn=all", start=True)
        site.a.console(VM).wait_for(r"^READY", 120)
        yield site


def held(done):
    """Refused in our own words."""
    return done.returncode != 0 and "Understudy holds this VM" in done.stderr


# ---- points, byte for byte ----


def test_first_point_equals_the_primary_at_its_cut(shipped):
    shipped.daemon("A").restart(fault="performer.job-opened:stop:2")  # the first job is the pass, the second the point
    shipped.enable(VM, wait=False)
    shipped.daemon("A").wait_stopped(120)
    copies = read_job(shipped.a, VM)
    shipped.daemon("A").go_on()
    shipped.wait_point(shipped.vm)
    assert set(copies) == {"vda", "vdb"}
    assert_replica_holds(shipped, shipped.vm, copies)


@pytest.mark.parametrize("orders", [
    pytest.param([("fill", 200), ("put", 30)], id="filled"),
    pytest.param([("trim", 120), ("delete", 20), ("fstrim", 1)], id="trimmed-and-deleted"),
    pytest.param([("zero", 150), ("fill", 40), ("put", 30), ("trim", 20)], id="zeroed-and-reused"),
])
def test_point_equals_the_primary_while_its_guest_writes(shipped, orders):
    for order in orders:
        shipped.a.vmctl(VM, *order)
    compared_point(shipped, shipped.vm, VM)


def test_cycle_leaves_one_checkpoint_and_nothing_else(shipped):
    shipped.wait_settled(shipped.vm)
    checkpoints, scratch, job = shipped.leftovers(shipped.vm, VM)
    assert len(checkpoints) == 1 and checkpoints[0].startswith("understudy-")
    assert scratch == [] and job == "none"


def aa_rules(host, name=VM):
    """The lines of the AppArmor profile that libvirt would give this domain."""
    xml = host.virsh("dumpxml", "--security-info", name)
    helper = ["/usr/lib/libvirt/virt-aa-helper", "--create", "--dryrun", "--uuid", f"libvirt-{host.virsh('domuuid', name)}"]
    return host.run(helper, input=xml).stderr


def test_open_job_is_where_apparmor_lets_qemu_go(shipped):
    shipped.daemon("A").restart(fault="performer.job-opened:stop")
    shipped.daemon("A").wait_stopped()
    socket = re.search(r"<server [^>]*socket='([^']+)'", shipped.a.virsh("backup-dumpxml", VM)).group(1)
    folder = f"/var/lib/libvirt/qemu/domain-{shipped.a.virsh('domid', VM)}-{VM}"
    assert socket.rsplit("/", 1)[0] == folder
    assert f'"{folder}/*" rw' in aa_rules(shipped.a)
    shipped.daemon("A").go_on()
    shipped.wait_settled(shipped.vm)


# ---- what WS-Man shows ----


def test_wsman_shows_it_on_both_hosts(shipped):
    for name, mode in (("A", "1"), ("B", "2")):
        client = shipped.wsman(name)
        assert client.identify()["ProductVendor"]
        system = client.vm(shipped.vm)
        assert (system["ElementName"], system["ReplicationMode"], system["ReplicationState"]) == (VM, mode, "3")
        assert [s["Name"] for s in client.wql(f"SELECT * FROM Msvm_ComputerSystem WHERE ElementName = '{VM}'")] == [shipped.vm.upper()]
        assert client.enumerate("Msvm_ReplicationService")[0]["CreationClassName"] == "Msvm_ReplicationService"
        assert len(client.enumerate("Msvm_ReplicationRelationship")) == 1
    points = shipped.wsman("B").wql("SELECT * FROM Msvm_VirtualSystemSettingData WHERE VirtualSystemType LIKE '%Replica:Standard'")
    assert len(points) == 1


def test_stranger_has_no_say(shipped):
    client = Wsman(shipped.b, ("password", "admin", "not the password"))
    with pytest.raises(Fault, match="InvalidCredentials|401|rejected"):
        client.vm(shipped.vm)
    client.close()


# ---- the files, with nobody there to help ----


@pytest.fixture
def alone(shipped):
    """B's daemon dead and its database gone; both come back after the test."""
    daemon, state = shipped.daemon("B"), shipped.b.path("/var/lib/understudy")
    shipped.wait_settled(shipped.vm)
    shipped.daemon("A").stop()
    daemon.kill()
    for file in state.glob("state.db*"):
        file.rename(file.with_name("aside-" + file.name))
    yield shipped
    for file in state.glob("aside-state.db*"):
        file.rename(file.with_name(file.name[len("aside-"):]))
    daemon.start()
    shipped.daemon("A").start()


def test_chain_opens_without_daemon_and_database(alone):
    folder = alone.b.path(alone.replica(alone.vm))
    images = sorted(f.name for f in folder.glob("*.qcow2"))
    assert images and all(f.name.endswith((".qcow2", ".qcow2.sums")) for f in folder.iterdir() if f.name.startswith("vd"))
    for image in images:
        alone.b.run(["qemu-img", "check", f"{alone.replica(alone.vm)}/{image}"])
    for target in ("vda", "vdb"):
        top = alone.top_image(alone.vm, target)
        assert "image: " in alone.b.run(["qemu-img", "info", "--backing-chain", top]).stdout
        assert (alone.b.path(top).stat().st_mode & 0o777) == 0o640


def test_point_verifies_without_daemon_and_database(alone):
    line = verify_images(*(alone.b.path(alone.top_image(alone.vm, target)) for target in ("vda", "vdb")))
    assert line.startswith("VERIFY OK"), line


def test_apparmor_helper_finds_the_whole_chain(alone):
    """virt-aa-helper reads the chain of a disk that the definition names; the name is made for the time of the test."""
    with open_for_starting(alone) as images:
        rules = aa_rules(alone.b)
        for target, image in images.items():
            chain = alone.b.run(["qemu-img", "info", "-U", "--backing-chain", image]).stdout
            files = re.findall(r"^image: (\S+)", chain, re.MULTILINE)
            assert len(files) >= 2
            for file in files:
                assert f'"{file}"' in rules, f"{file} of {target} is not in:\n{rules}"


class open_for_starting:
    """Overlays at the paths that the replica's domain names, as a failover would make them."""

    def __init__(self, site):
        self.site = site

    def __enter__(self):
        paths = self.site.b.disk_paths(VM)
        for target, path in paths.items():
            assert not self.site.b.path(path).exists(), "a replica's disk is missing until a failover"
            self.site.b.run(["qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b",
                             self.site.top_image(self.site.vm, target), path])
            self.site.b.run(["chown", "--reference", self.site.top_image(self.site.vm, target), path])
            self.site.b.run(["chmod", "0660", path])
        return paths

    def __exit__(self, *_):
        for path in self.site.b.disk_paths(VM).values():
            self.site.b.path(path).unlink()


# ---- the hold ----


def test_start_of_a_replica_is_refused_by_a_dead_daemon(alone):
    assert held(alone.b.virsh("start", VM, check=False))


def test_create_from_its_definition_is_refused_by_a_dead_daemon(alone):
    xml = alone.b.virsh("dumpxml", "--inactive", VM)
    assert held(alone.b.virsh("create", "/dev/stdin", input=xml, check=False))
    assert VM in alone.b.virsh("list", "--all", "--name")


def test_start_of_a_managed_saved_replica_is_refused_by_a_dead_daemon(alone):
    hold = alone.b.path("/var/lib/understudy/holds") / alone.vm
    aside = hold.with_name("aside")
    with open_for_starting(alone):
        hold.rename(aside)
        try:
            alone.b.virsh("start", VM, "--paused")
            alone.b.virsh("managedsave", VM)
        finally:
            aside.rename(hold)
        assert managed_save(alone.b) == "yes"
        assert held(alone.b.virsh("start", VM, check=False))
    assert held(alone.b.virsh("start", VM, check=False))
    # The image stays: the failover below has to remove it, or the guest would wake up on an old disk.
    assert managed_save(alone.b) == "yes"


def managed_save(host):
    return re.search(r"^Managed save:\s+(\w+)", host.virsh("dominfo", VM), re.MULTILINE).group(1)


# ---- failover ----


def test_failover_refuses_what_it_must(shipped):
    on_a = shipped.wsman("A").service("InitiateFailover", ComputerSystem=vm_ref(shipped.vm), SnapshotSettingData=None)
    assert on_a["ReturnValue"] == 32775
    unknown = vm_ref("00000000-0000-4000-8000-000000000000")
    assert shipped.wsman("B").service("InitiateFailover", ComputerSystem=unknown, SnapshotSettingData=None)["ReturnValue"] == 32773
    assert shipped.wsman("B").request_state(shipped.vm, 2)["ReturnValue"] == 32775


def test_failover_to_the_latest_point_and_start(shipped):
    seen = shipped.a.console(VM).seq()
    shipped.a.virsh("destroy", VM)
    shipped.daemon("A").kill()
    client = shipped.wsman("B")
    answer = client.service("InitiateFailover", ComputerSystem=vm_ref(shipped.vm), SnapshotSettingData=None)
    job = shipped.done("B", answer)
    assert managed_save(shipped.b) == "no"
    assert job["PercentComplete"] == "100" and job["ErrorCode"] in ("0", None)
    assert client.vm(shipped.vm)["ReplicationState"] == "5"
    assert client.service("InitiateFailover", ComputerSystem=vm_ref(shipped.vm), SnapshotSettingData=None)["ReturnValue"] == 32775
    shipped.done("B", client.request_state(shipped.vm, 2))
    assert client.vm(shipped.vm)["EnabledState"] == "2"
    serial = shipped.serial(shipped.b, VM)
    verdict = serial.wait_for(r"^VERIFY .*", 120).group(0)
    found = re.match(r"VERIFY OK log_last=(\d+)", verdict)
    assert found and int(found.group(1)) <= seen + 1, verdict
    serial.wait_for(rf"^SEQ {int(found.group(1)) + 10}\r?$")


def test_its_files_belong_to_nobody_else_after_the_start(shipped):
    """libvirt took over only what the guest writes: no file of a point changed its owner or mode."""
    folder = shipped.b.path(shipped.replica(shipped.vm))
    for image in folder.glob("*.qcow2"):
        assert image.stat().st_mode & 0o007 == 0, image


def test_primary_learns_of_the_failover_and_is_held(shipped):
    shipped.daemon("A").restart()
    status = shipped.wait_status("A", shipped.vm, lambda s: s["ReplicationState"] == "8", 90, "it halts")
    assert "failed over" in status["HealthCause"]
    until(lambda: (shipped.a.path("/var/lib/understudy/holds") / shipped.vm).exists(), 30, "the hold is set")
    assert held(shipped.a.virsh("start", VM, check=False))
    assert shipped.wsman("A").request_state(shipped.vm, 2)["ReturnValue"] == 32775


def test_turn_off_through_wsman(shipped):
    client = shipped.wsman("B")
    shipped.done("B", client.request_state(shipped.vm, 3))
    assert client.vm(shipped.vm)["EnabledState"] == "3"
    assert client.request_state(shipped.vm, 3)["ReturnValue"] == 32775
    shipped.done("B", client.request_state(shipped.vm, 2))
    shipped.serial(shipped.b, VM).wait_for(r"^VERIFY OK", 120)
    shipped.b.virsh("destroy", VM)


def test_daemons_stop_cleanly(shipped):
    for daemon in shipped.daemons.values():
        assert daemon.stop() == 0, daemon.tail()
        daemon.start()
