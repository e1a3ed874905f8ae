"""Every documented answer of the failover methods, each made by a fault outside the daemon.

One guest with three points on B; host-a's daemon is silent unless a test needs it. The rows of docs/reference/methods.md
come from what a recorder saw between client and daemon (recorder.py), the situations are named here.
"""
import contextlib
import subprocess
import time
from pathlib import Path

import pytest
from sites import IDLE, PASSWORD, until
from wsman import Fault, Ref, Wsman, embedded, vm_ref

pytestmark = pytest.mark.matrix

VM = "matrix"
FAILOVER, REVERT = "InitiateFailover", "RevertFailover"
METHODS = [FAILOVER, REVERT]
NETWORK, CARD = "SetFailoverNetworkAdapterSettings", "Msvm_FailoverNetworkAdapterSettingData"
STANDBY, FAILED_OVER = "3", "5"
HOLDS = "/var/lib/understudy/holds"
STATE = "/var/lib/understudy/state.db-wal"


class Replica:
    """The replica of one VM on B, and its points by kind."""

    def __init__(self, site, name, vm, dead_point):
        self.site, self.name, self.vm, self.dead_point = site, name, vm, dead_point
        self.folder = site.replica(vm)
        self.client = site.wsman("B")

    def point(self, type_):
        return [p for p in self.site.points(self.vm) if p["type"] == type_][-1]

    def reference(self, point):
        return Ref("Msvm_VirtualSystemSettingData", InstanceID=f"Microsoft:{point['id'].upper()}")

    def call(self, method, client=None, **values):
        values = {"ComputerSystem": vm_ref(self.vm)} | values
        if method == NETWORK:
            values = {"NetworkSettings": embedded(CARD, DHCPEnabled=True, IPAddresses=[])} | values
        return (client or self.client).service(method, **values)

    def refused(self, method, code, **kw):
        answer = self.call(method, **kw)
        assert answer["ReturnValue"] == code, answer

    def ended(self, answer, state="7", timeout=60):
        """Waits for the job's end; asks it for its error, as a client does."""
        assert answer["ReturnValue"] == 4096, answer
        job = self.site.wait_job("B", answer["Job"], timeout)
        assert job["JobState"] == state, job
        if state == "10":
            self.client.invoke("Msvm_ConcreteJob", "GetError", {"InstanceID": answer["Job"]})
        return job

    def does(self, method, state="7", timeout=60, **values):
        return self.ended(self.call(method, **values), state, timeout)

    def state(self):
        return self.client.vm(self.vm)["ReplicationState"]

    def is_(self, state):
        assert self.state() == state

    def back(self):
        """As the tests expect to find it."""
        if self.client.vm(self.vm)["EnabledState"] == "2":
            self.site.done("B", self.client.request_state(self.vm, 3))
        if self.state() == FAILED_OVER:
            self.does(REVERT)
        self.is_(STANDBY)

    @contextlib.contextmanager
    def away(self, path):
        """A file of the replica is gone for a while."""
        path, place = self.site.b.path(self.folder) / path, self.site.folder / "moved-away"
        subprocess.run(["mv", path, place], check=True)
        try:
            yield
        finally:
            subprocess.run(["mv", place, path], check=True)

    def slow(self, milliseconds, folder=None):
        """Each time B's daemon wants this folder (the replica's) on disk, that takes so long. Yields: how often it did."""
        return self.site.daemon("B").slowed(folder or self.folder, "fsync,fdatasync", milliseconds)


@pytest.fixture(scope="module")
def replica(site):
    site.b.ensure_network()
    vm = site.a.define_guest(VM, disks=("64M", "16M"), cmdline="us=50000", network=True, start=True)
    site.a.console(VM).wait_for(r"^READY", 120)
    site.b.mount_small(site.replica(vm), "192m")
    site.enable(VM)
    site.wait_point(vm)
    first = site.points(vm)[0]["id"]  # the next one takes its place
    site.a.wait_agent(VM)
    for words in (("--application-consistent",), ()):
        site.cli("A", "point", "create", VM, *words)
    site.cli("A", "point", "create", VM)
    site.a.virsh("suspend", VM)
    site.wait_settled(vm)
    site.daemon("A").stop()
    until(lambda: site.merged(vm), 60, "nothing is being merged")
    assert first not in [p["id"] for p in site.points(vm)]
    yield Replica(site, VM, vm, first)
    site.a.virsh("destroy", VM, check=False)
    site.daemon("B").restart()
    site.b.unmount_small(site.replica(vm))


@pytest.fixture(autouse=True)
def as_found(site, replica):
    """Each test begins with a replica that can be failed over, B's daemon and libvirtd running, A's daemon silent."""
    if site.daemon("A").running():
        site.daemon("A").stop()
    replica.back()
    yield


# ---- what works ----

@pytest.mark.parametrize("type_, situation", [(None, "the latest point"), (1, "a standard point"),
                                              (2, "an application-consistent point")], ids=["latest", "standard", "consistent"])
def test_failover_and_revert(replica, cell, type_, situation):
    point = replica.point(type_) if type_ else None
    with cell(FAILOVER, f"to {situation}"):
        job = replica.does(FAILOVER, SnapshotSettingData=point and replica.reference(point))
    assert job["JobType"] == "97" and job["Cancellable"] == "false" and VM in job["Description"], job
    system = replica.client.vm(replica.vm)
    assert (system["ReplicationState"], system["FailedOverReplicationType"]) == (FAILED_OVER, str(type_ or 1)), system
    [applied] = [link for link in replica.client.enumerate("Msvm_LastAppliedSnapshot")
                 if link["Dependent"]["Name"].lower() == str(replica.vm).lower()]
    assert applied["Antecedent"]["InstanceID"].endswith((point or replica.site.points(replica.vm)[-1])["id"].upper())
    affected = [link["AffectedElement"]["Name"] for link in replica.client.enumerate("Msvm_AffectedJobElement")
                if link["AffectingElement"]["InstanceID"] == job["InstanceID"]]
    assert affected == [str(replica.vm).upper()]
    if type_ is None:
        with cell(REVERT, "of a VM that is off"):
            assert replica.does(REVERT)["JobType"] == "98"
    else:
        replica.does(REVERT)
    replica.is_(STANDBY)


def test_of_a_paused_replica(replica, cell):
    replica.site.cli("B", "pause", VM)
    with cell(FAILOVER, "of a paused replica (ReplicationState 7)"):
        replica.does(FAILOVER)
    replica.does(REVERT)
    replica.site.cli("B", "resume", VM)


def test_of_a_vm_that_somebody_undefined(replica, cell):
    replica.site.b.virsh("undefine", VM)
    with cell(FAILOVER, "the VM was undefined here: it is defined again"):
        replica.does(FAILOVER)
    assert replica.site.b.virsh("domstate", VM) == "shut off"
    replica.site.b.virsh("undefine", VM)
    with cell(REVERT, "the VM was undefined here"):
        replica.does(REVERT)
    replica.does(FAILOVER)
    replica.does(REVERT)


# ---- parameters ----

def test_what_is_no_point_of_this_vm(site, replica, cell):
    other = site.b.define_guest("plain", disks=("16M",), cmdline=IDLE)
    newest = site.points(replica.vm)[-1]["id"].upper()
    wrong = {
        "SnapshotSettingData is a point that is listed no longer": replica.reference({"id": replica.dead_point}),
        "SnapshotSettingData is another VM": Ref("Msvm_VirtualSystemSettingData", InstanceID=f"Microsoft:{str(other).upper()}"),
        "SnapshotSettingData is malformed": Ref("Msvm_VirtualSystemSettingData", InstanceID="latest, please"),
        "SnapshotSettingData is of a wrong class": Ref("Msvm_ConcreteJob", InstanceID=f"Microsoft:{newest}"),
        "SnapshotSettingData has no InstanceID": Ref("Msvm_VirtualSystemSettingData", ElementName=VM),
    }
    for situation, reference in wrong.items():
        with cell(FAILOVER, situation):
            replica.refused(FAILOVER, 32773, SnapshotSettingData=reference)
    with cell(FAILOVER, "SnapshotSettingData is a point of another VM"):
        replica.refused(FAILOVER, 32773, ComputerSystem=vm_ref(other), SnapshotSettingData=replica.reference(replica.point(1)))
    replica.is_(STANDBY)


@pytest.mark.parametrize("method", [*METHODS, NETWORK])
def test_what_is_no_vm(site, replica, cell, method):
    for situation, system, code in [
            ("ComputerSystem is missing", None, 32773),
            ("ComputerSystem is unknown here", vm_ref("01234567-89ab-4def-8123-456789abcdef"), 32773),
            ("ComputerSystem is malformed", vm_ref("no-guid"), 32773),
            ("ComputerSystem is of a wrong class", Ref("Msvm_ConcreteJob", InstanceID=str(replica.vm).upper()), 32773),
            ("ComputerSystem is the host", vm_ref("host-b"), 32770)]:
        with cell(method, situation):
            replica.refused(method, code, ComputerSystem=system)


def test_network_settings(site, replica, cell):
    with cell(NETWORK, "of a replica"):
        replica.refused(NETWORK, 0)
    with cell(NETWORK, "on the primary"):
        site.daemon("A").start()
        replica.refused(NETWORK, 0, client=site.wsman("A"))
    address = {"DHCPEnabled": False, "IPAddresses": ["192.0.2.7"], "Subnets": ["255.255.255.0"]}
    for situation, code, settings in [
            ("NetworkSettings is empty", 32773, None),
            ("DHCPEnabled is missing", 32773, embedded(CARD, IPAddresses=[])),
            ("IPAddresses is missing", 32773, embedded(CARD, DHCPEnabled=True)),
            ("an address is malformed", 32773, embedded(CARD, **address | {"IPAddresses": ["192.0.2.256"]})),
            ("a mask has holes", 32773, embedded(CARD, **address | {"Subnets": ["255.0.255.0"]})),
            ("a gateway is in no network of the card", 32773, embedded(CARD, **address, DefaultGateways=["198.51.100.1"])),
            ("InstanceID is of another card", 32773, embedded(CARD, **address, InstanceID="Microsoft:none\\0")),
            ("NetworkSettings has an instance of another class", 32776, embedded("Msvm_ReplicationSettingData", ReplicationInterval=30)),
            ("DHCPEnabled is no boolean", 32776, embedded(CARD, DHCPEnabled="perhaps", IPAddresses=[])),
            ("NetworkSettings is no XML", 32773, "192.0.2.7/24")]:
        with cell(NETWORK, situation):
            replica.refused(NETWORK, code, NetworkSettings=settings)


# ---- who asks ----

@pytest.fixture(scope="module")
def reader(site):
    site.b.run([site.program("understudy"), "user", "add", "watcher", "--role", "reader"], input=PASSWORD + "\n")
    client = Wsman(site.b, ("password", "watcher", PASSWORD))
    yield client
    client.close()


@pytest.mark.parametrize("method", [*METHODS, NETWORK])
def test_by_a_caller_without_the_right(replica, reader, cell, method):
    with cell(method, "the caller is a reader", [reader]):
        replica.refused(method, 32769, client=reader)
    replica.is_(STANDBY)


# ---- states ----

def test_of_a_vm_that_is_not_replicated(site, replica, cell):
    other = vm_ref(site.b.define_guest("alone", disks=("16M",), cmdline=IDLE, network=True))
    for method in [*METHODS, NETWORK]:
        with cell(method, "the VM is not replicated"):
            replica.refused(method, 32775, ComputerSystem=other)


def test_what_the_state_forbids(site, replica, cell):
    with cell(REVERT, "not failed over"):
        replica.refused(REVERT, 32775)
    replica.does(FAILOVER)
    with cell(FAILOVER, "failed over already"):
        replica.refused(FAILOVER, 32775)
    site.done("B", replica.client.request_state(replica.vm, 2))
    with cell(REVERT, "the VM runs"):
        replica.refused(REVERT, 32775)
    site.done("B", replica.client.request_state(replica.vm, 3))


def test_on_the_primary(site, replica, cell):
    site.daemon("A").start()
    for method in METHODS:
        with cell(method, "on the primary"):
            replica.refused(method, 32775, client=site.wsman("A"))


def test_before_the_first_point(site, replica, cell):
    vm = site.a.define_guest("first", disks=("16M",), cmdline=IDLE, start=True)
    site.daemon("A").start()
    site.cli("A", "pause", VM)  # the only job that is opened is that of the first copy
    site.enable("first", start=False)
    site.daemon("A").restart("performer.job-opened:stop")
    site.cli("A", "start", "first", "--no-wait")
    site.daemon("A").wait_stopped()
    for method, situation in [(FAILOVER, "during the first copy: there is no point yet"), (REVERT, "during the first copy")]:
        with cell(method, situation):
            replica.refused(method, 32775, ComputerSystem=vm_ref(vm))
    site.daemon("A").kill()
    site.daemon("A").start()
    site.cli("A", "resume", VM)
    site.a.virsh("destroy", "first")


def primary_goes_on(site, vm):
    """Host A replicates again, whatever it has heard of failovers."""
    site.daemon("A").start()
    if site.wait_status("A", vm, lambda s: s["Phase"] in ("idle", "halted"))["Phase"] == "halted":
        site.cli("A", "resume", VM)
    site.wait_settled(vm)


def test_during_a_resync(site, replica, cell):
    primary_goes_on(site, replica.vm)
    site.cli("A", "pause", VM)
    site.daemon("A").restart("performer.job-opened:stop")
    site.cli("A", "resync", VM, "--no-wait")
    site.daemon("A").wait_stopped()
    with cell(FAILOVER, "during a resync, which it ends"):
        replica.does(FAILOVER)
    replica.does(REVERT)
    site.daemon("A").go_on()
    site.wait_status("A", replica.vm, lambda s: s["ReplicationState"] in ("3", "8"), 60, "the resync ends, or is ended")


def test_during_a_cycle(site, replica, cell):
    primary_goes_on(site, replica.vm)
    before = site.points(replica.vm)
    site.a.virsh("resume", VM)
    console = site.a.console(VM, from_start=False)
    site.a.vmctl(VM, "fill", 100)
    console.wait_for(r"^DONE fill 100", 120)
    site.lab.shape("B", "4mbit")
    try:
        site.cli("A", "point", "create", VM, "--no-wait")
        until(lambda: any(site.b.path(f"{replica.folder}/incoming").iterdir()), 60, "a cycle comes in", 0.02)
        with cell(FAILOVER, "while a cycle is received, which is dropped"):
            replica.does(FAILOVER)
        assert site.points(replica.vm) == before
        replica.does(REVERT)
    finally:
        site.lab.shape("B")
        site.a.virsh("suspend", VM)
    site.daemon("A").stop()


# ---- two at once ----

def test_two_at_once(replica, cell):
    change = lambda job, state: replica.client.invoke("Msvm_ConcreteJob", "RequestStateChange", {"InstanceID": job},
                                                      RequestedState=state)["ReturnValue"]
    with replica.slow(3000, HOLDS):  # the last thing that a failover does, and the first of a revert
        for method, what in [(FAILOVER, "failover"), (REVERT, "revert")]:
            first = replica.call(method)
            for other in [*METHODS, NETWORK]:
                with cell(other, f"while a {what} is under way"):
                    replica.refused(other, 32774)
            assert change(first["Job"], 4) == change(first["Job"], 5) == 1  # too late, and never
            replica.ended(first)
            assert change(first["Job"], 4) == 4097


# ---- libvirtd ----

def test_without_libvirtd(site, replica, cell):
    site.b.kill_libvirtd()
    try:
        for method in [*METHODS, NETWORK]:
            with cell(method, "libvirtd is stopped"):
                replica.refused(method, 32777)
    finally:
        site.b.start_libvirtd()
    until(lambda: _answers(replica), 30, "the daemon has found libvirtd again")


def test_with_a_libvirtd_that_hangs(site, replica, cell):
    replica.is_(STANDBY)
    libvirtd = site.b.libvirtd_pid()
    subprocess.run(["kill", "-STOP", str(libvirtd)], check=True)
    try:
        for method in [*METHODS, NETWORK]:
            begun = time.monotonic()
            with cell(method, "libvirtd hangs; answered within 5 s"):
                replica.refused(method, 32777)
            assert time.monotonic() - begun < 5
    finally:
        subprocess.run(["kill", "-CONT", str(libvirtd)], check=True)
    until(lambda: _answers(replica), 60, "libvirtd answers again")


def _answers(replica):
    with contextlib.suppress(Fault):
        return replica.state() == STANDBY


@pytest.mark.long
def test_libvirtd_stops_under_the_job(site, replica, cell):
    with replica.slow(1500) as syncs, cell(FAILOVER, "libvirtd is stopped while the job runs"):
        answer = replica.call(FAILOVER)
        until(lambda: syncs() > 0, 30, "the manifest is being replaced", 0.02)
        site.b.kill_libvirtd()
        # With libvirt away no job is shown; that it is undone is.
        until(lambda: not site.manifest(replica.vm).get("failover"), 60, "the failover is undone")
        site.b.start_libvirtd()
        until(lambda: _answers(replica), 30, "the daemon has found libvirtd again")
        replica.ended(answer, "10")


# ---- files ----

def test_files_that_are_gone(site, replica, cell):
    newest = site.points(replica.vm)[-1]
    with replica.away(Path(site.point_image(replica.vm, "vdb", newest["sequence"])).name):
        with cell(FAILOVER, "the file in which the point ends is gone"):
            replica.refused(FAILOVER, 32779)
    oldest = site.points(replica.vm)[0]
    with replica.away(Path(site.point_image(replica.vm, "vda", oldest["sequence"])).name):
        with cell(FAILOVER, "a file further down the chain is gone"):
            replica.does(FAILOVER, "10")
        replica.is_(STANDBY)
    replica.does(FAILOVER)
    with replica.away("vda-active.qcow2"):
        with cell(REVERT, "the failover's disk is gone: there is nothing to set aside"):
            replica.does(REVERT)


def test_a_file_system_that_is_not_mounted(site, replica, cell):
    for method in METHODS:
        if method == REVERT:
            replica.does(FAILOVER)
        site.b.run(["mount", "-t", "tmpfs", "-o", "size=1m", "nothing", replica.folder])
        try:
            with cell(method, "the replica's file system is not mounted"):
                replica.refused(method, 32779)
        finally:
            site.b.run(["umount", replica.folder])


def test_a_damaged_manifest(site, replica, cell):
    manifest = site.b.path(replica.folder) / "manifest"
    for method in METHODS:
        if method == REVERT:
            replica.does(FAILOVER)
        good = manifest.read_bytes()
        site.daemon("B").stop()
        manifest.write_bytes(good[:-9] + b"damaged!\n")
        site.daemon("B").start()
        try:
            with cell(method, "the manifest is damaged: what the replica holds is not known"):
                replica.refused(method, 32771)
        finally:
            site.daemon("B").stop()
            manifest.write_bytes(good)
            site.daemon("B").start()


# ---- disks ----

def test_a_full_disk(site, replica, cell):
    for method in METHODS:
        if method == REVERT:
            replica.does(FAILOVER)
        ballast = f"{replica.folder}/ballast"
        site.b.run(["sh", "-c", f"cat /dev/zero >{ballast}"], check=False)
        try:
            with cell(method, "the replica's disk is full"):
                replica.does(method, "10")
        finally:
            site.b.run(["rm", ballast])
        replica.is_(STANDBY if method == FAILOVER else FAILED_OVER)


@contextlib.contextmanager
def read_only(host, folder):
    """As after an error of its disk."""
    host.run(["mount", "--bind", folder, folder])
    host.run(["mount", "-o", "remount,bind,ro", folder])
    try:
        yield
    finally:
        host.run(["umount", folder])


def test_a_disk_that_takes_nothing(site, replica, cell):
    for method in METHODS:
        if method == REVERT:
            replica.does(FAILOVER)
        with read_only(site.b, replica.folder):
            with cell(method, "the replica's disk is read-only"):
                replica.does(method, "10")
        replica.is_(STANDBY if method == FAILOVER else FAILED_OVER)


def test_a_vm_that_cannot_be_defined(site, replica, cell):
    with read_only(site.b, "/etc/libvirt/qemu"):
        with cell(FAILOVER, "libvirt cannot define the VM"):
            replica.does(FAILOVER, "10")
    replica.is_(STANDBY)


@pytest.mark.long
def test_a_state_that_cannot_be_stored(site, replica, cell):
    for method in [*METHODS, NETWORK]:
        if method == REVERT:
            replica.does(FAILOVER)
        lock = site.b.popen(["/usr/bin/python3", "-c", "import sqlite3, sys\n"
                             "db = sqlite3.connect('/var/lib/understudy/state.db')\n"
                             "db.execute('BEGIN IMMEDIATE')\nprint('locked', flush=True)\nsys.stdin.read()"],
                            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert lock.stdout.readline() == "locked\n"
        try:
            with cell(method, "another program keeps the state database locked"):
                replica.refused(method, 32768)
        finally:
            lock.stdin.close()
            lock.wait(timeout=10)
        replica.is_(STANDBY if method == FAILOVER else FAILED_OVER)


@pytest.mark.long
def test_a_disk_that_hangs(site, replica, cell):
    replica.refused(NETWORK, 0)
    for method in [NETWORK, *METHODS]:
        with replica.slow(25_000, STATE):  # of the state database: no step of any VM is done before it is durable
            other = {"NetworkSettings": embedded(CARD, DHCPEnabled=False, IPAddresses=[])} if method == NETWORK else {}  # a change
            with cell(method, "the disk of the state database hangs"):
                replica.refused(method, 32772, **other)
        # Nobody was told that it is accepted; once the disk goes on, so does it.
        after = FAILED_OVER if method == FAILOVER else STANDBY
        until(lambda: replica.state() == after, 90, lambda: f"it goes on: {replica.state()}")


# ---- the daemon ----

def test_killed_under_the_job(site, replica, cell):
    with cell(FAILOVER, "the daemon is killed meanwhile; the job goes on when it is back"):
        with replica.slow(1500) as syncs:
            answer = replica.call(FAILOVER)
            until(lambda: syncs() > 0, 30, "the manifest is being replaced", 0.02)
            site.daemon("B").kill()
        site.daemon("B").start()
        replica.ended(answer)
    kept = replica.client.job(answer["Job"])
    site.daemon("B").restart()
    assert replica.client.job(answer["Job"])["TimeSubmitted"] == kept["TimeSubmitted"]
