"""The life of one VM in phases, each of which can be lived again with a daemon killed at one of its fault points.

The guest is suspended but for the moments in which it writes, so that what the next points must hold is read once, from the
primary's disks: QEMU has written out all it has when it has stopped. That this is what an export of a backup job shows is
looked at in the beginning. `Life.held` knows it for each listed point.
"""
import itertools
import re
import subprocess

from compare import EXPORTS, assert_replica_holds, read_now
from sites import BIN, IDLE, PORT, ROOT, STORAGE, until

VM = "mortal"
DISKS = ("vda", "vdb")
RECORDS = 5
ON_DEMAND = 2  # `keep` in the manifest
IN_SOURCE = re.compile(r'fault_point\(\s*"([^"]+)"|replace_manifest\(\s*\w+,\s*"([^"]+)",\s*"([^"]+)"')


def points_in_source():
    names = set()
    for file in (ROOT / "src").rglob("*.cc"):
        if not file.stem.endswith("_test"):
            for groups in IN_SOURCE.findall(file.read_text()):
                names.update(name for name in groups if name)
    return names


class Life:
    def __init__(self, site):
        self.site, self.held, self.copies = site, {}, {}
        self.guest_runs = False  # what is cut then is not known to the test
        self._number = itertools.count(1)
        self.vm = site.a.define_guest(VM, disks=("24M", "24M"), cmdline="us=10000 churn=all", start=True)
        site.a.console(VM).wait_for(r"^READY", 120)
        site.a.wait_agent(VM)
        site.a.run(["mkdir", "-p", EXPORTS])
        self.write()
        self.disks_are_the_exports()
        site.daemon("A").start()
        site.enable(VM, words=("--no-auto-resync",))
        site.wait_point(self.vm)
        self.settled()
        self.note()

    def a(self):
        return self.site.daemon("A")

    def b(self):
        return self.site.daemon("B")

    def status(self, host="A"):
        return self.site.status(host, self.vm)

    def where(self):
        words = [f"{host}: {s.get('Phase')}, {s.get('HealthCause')}" for host in "AB" for s in [self.status(host)]]
        return f"{words}, chain {self.site.manifest(self.vm)['chain']}, points {[p['sequence'] for p in self.points()]}"

    def settled(self):
        """Between two cycles, or paused."""
        return self.site.wait_settled(self.vm, 120)

    def points(self):
        return self.site.points(self.vm)

    def newest(self):
        return self.points()[-1]["sequence"]

    def command(self, host, *words):
        """`understudy ...`, not waited for: the daemon that it asks may die."""
        return self.site.lab.host(host).popen([BIN / "understudy", *words], stdin=subprocess.DEVNULL,
                                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    # ---- what the points must hold ----

    def write(self):
        """The primary's daemon ends, the guest writes, and from now on every cut must hold `copies`."""
        self.stop_primary()
        console = self.site.a.console(VM, from_start=False)
        self.site.a.virsh("resume", VM, check=False)  # it may be running
        for _ in range(RECORDS):
            console.wait_for(r"^SEQ \d+\r?$", 60)
        self.freeze()

    def stop_primary(self):
        """Between two cycles: what it has cut already is of the guest as it was."""
        while self.a().running():
            if self.held:
                self.settled()
            self.a().stop()
            if self.site.leftovers(self.vm, VM)[2] != "none":
                self.a().start()
        if self.held:
            self.note()

    def freeze(self):
        self.site.a.virsh("suspend", VM)
        self.guest_runs = False
        own = next(self._number)
        self.copies = {target: f"{EXPORTS}/{VM}-{target}-{own}.raw" for target in DISKS}
        for target, disk in self.site.a.disk_paths(VM).items():
            self.site.a.run(["qemu-img", "convert", "-U", "-O", "raw", disk, self.copies[target]])

    def disks_are_the_exports(self):
        for target, copy in read_now(self.site.a, VM, DISKS).items():
            self.site.a.run(["cmp", copy, self.copies[target]])

    def note(self):
        """New points hold what was read last; what no listed point needs is forgotten."""
        new = {} if self.guest_runs else self.copies
        self.held = {p["sequence"]: self.held.get(p["sequence"], new) for p in self.points()}
        needed = {copy for copies in [*self.held.values(), self.copies] for copy in copies.values()}
        for file in self.site.a.path(EXPORTS).glob(f"{VM}-*-*.raw"):
            if f"{EXPORTS}/{file.name}" not in needed:
                file.unlink()

    def good(self):
        """Every listed point, byte for byte against the primary's export of its cut, and against its checksums."""
        self.note()
        for sequence, copies in self.held.items():
            assert_replica_holds(self.site, self.vm, copies, sequence)
        text = self.site.cli("B", "store", "check", self.site.replica(self.vm))
        assert "good" in text and "damaged" not in text and "not known" not in text, text

    def active_is(self, copies):
        for target, copy in copies.items():
            active = self.site.b.path(self.site.replica(self.vm)) / f"{target}-active.qcow2"
            subprocess.run(["qemu-img", "compare", "-q", "-U", "-f", "raw", "-F", "qcow2", self.site.a.path(copy), active], check=True)

    # ---- what must never be ----

    def runs_on_one_side(self):
        """Also with a daemon dead: B's copy is off, and does not start unless it is failed over."""
        assert self.site.b.virsh("domstate", VM) == "shut off"
        failover = self.site.manifest(self.vm).get("failover")
        if not (failover and failover["complete"]):
            refused = self.site.b.virsh("start", VM, check=False)
            assert refused.returncode and "Understudy holds this VM" in refused.stderr, refused.stderr

    def nothing_is_left(self):
        def clean():
            checkpoints, scratch, job = self.site.leftovers(self.vm, VM)
            return len(checkpoints) == 1 and not scratch and job == "none"
        until(clean, 20, lambda: f"nothing is left behind: {self.site.leftovers(self.vm, VM)}")

    # ---- living ----

    def live(self, phase, host=None, fault=None):
        """Goes through a phase. With a fault, the daemon of that host dies there and is started again; returns what
        became of it: "by itself", "asked again", or None when it did not come that far."""
        phase.ready(self)
        self.begin(phase, host, fault)
        command = phase.act(self)
        ended = lambda: command is None or command.poll() is not None
        if host is None:
            until(lambda: ended() and phase.done(self), 60, lambda: f"{phase.name} is done: {self.where()}")
            outcome = "by itself"
        else:
            outcome = self.recover(phase, self.site.daemon(host), ended)
        if command:
            command.wait(timeout=60)
        phase.after(self)
        return outcome

    def begin(self, phase, host, fault):
        log = host is None
        self.b().restart(fault if host == "B" else None, log_faults=log)
        if phase.primary == "off":
            return
        self.a().start(fault if host == "A" else None, log_faults=log, wait=host != "A")
        if phase.primary == "on":
            until(lambda: not self.a().running() or phase.begun(self), 60, lambda: f"ready for {phase.name}: {self.status()}")
        self.before = {name: passages(self.site.daemon(name)) for name in "AB"} if log and phase.primary == "on" else {}

    def recover(self, phase, daemon, ended):
        until(lambda: not daemon.running() or ended() and phase.done(self), 60,
              lambda: f"the daemon dies in {phase.name}: {self.where()}")
        died = not daemon.running()
        if died:
            phase.while_dead(self)
            daemon.start()
        else:
            daemon.restart()  # or it would die of it later
        outcome = "by itself"
        until(lambda: phase.done(self) or phase.lost(self), 60,
              lambda: f"recovered from {phase.name}: {self.where()}")
        if not phase.done(self):
            outcome = "asked again"
            again = phase.act(self)
            until(lambda: again.poll() is not None and phase.done(self), 120, f"{phase.name}, asked again, is done")
        return outcome if died else None

    def logged(self, phase):
        """Lives through the phase and returns {host: {fault point: the passages it made}}."""
        for daemon in (self.a(), self.b()):
            daemon.fault_log.unlink(missing_ok=True)
        self.before = {}
        self.live(phase)
        found = {}
        for host in "AB":
            before = self.before.get(host, {})
            found[host] = {name: range(before.get(name, 0) + 1, count + 1)
                           for name, count in passages(self.site.daemon(host)).items() if count > before.get(name, 0)}
        return found


def passages(daemon):
    counts = {}
    for name in daemon.fault_log.read_text().split() if daemon.fault_log.exists() else []:
        counts[name] = counts.get(name, 0) + 1
    return counts


# ---- the phases ----

class Phase:
    primary = "act"  # the primary's daemon: "off" in this phase, "on" before it, or "act": its start is the act
    hosts = "AB"     # whose daemons are killed
    only = None      # if not all fault points are taken

    def begun(self, life):
        s = life.status()
        return s.get("Phase") == "idle" and not s.get("LastError")

    def act(self, life):
        return None

    def lost(self, life):
        return False

    def while_dead(self, life):
        life.runs_on_one_side()

    def after(self, life):
        life.good()


class Cycle(Phase):
    """A cycle, after which files are merged."""

    def __init__(self, name):
        self.name = name

    def ready(self, life):
        life.write()
        self.newest = life.newest()

    def done(self, life):
        return life.newest() > self.newest and self.begun(life) and life.site.merged(life.vm)

    def after(self, life):
        life.nothing_is_left()
        life.runs_on_one_side()
        life.good()


class OnDemand(Cycle):
    primary = "on"

    def ready(self, life):
        super().ready(life)
        self.known = {p["id"] for p in life.points()}

    def made(self, life):
        return any(p["keep"] == ON_DEMAND and p["id"] not in self.known for p in life.points())

    def begun(self, life):
        return super().begun(life) and life.newest() > self.newest

    def act(self, life):
        return life.command("A", "point", "create", VM)

    def done(self, life):
        return self.made(life) and Phase.begun(self, life) and life.site.merged(life.vm)

    def lost(self, life):
        return Phase.begun(self, life) and not self.made(life) and not asks_for_point(life)


def asks_for_point(life):
    running = [j for j in life.site.wsman("A").enumerate("Msvm_ConcreteJob") if j["JobState"] in ("2", "3", "4")]
    return bool(running)


class Frozen(OnDemand):
    """An application-consistent point, for which the guest has to run."""
    hosts = "A"
    only = "hypervisor.frozen"

    def act(self, life):
        life.guest_runs = True
        life.site.a.virsh("resume", VM, check=False)
        return life.command("A", "point", "create", VM, "--application-consistent")

    def after(self, life):
        if life.guest_runs:
            life.stop_primary()
            life.freeze()
            life.a().start()
        super().after(life)

    def while_dead(self, life):
        super().while_dead(life)
        console = life.site.a.console(VM, from_start=False)
        console.wait_for(r"^SEQ \d+\r?$", 20)  # the guard has thawed it
        life.freeze()

    def lost(self, life):
        return False

    def done(self, life):  # a suspended guest has no agent to answer, and the point is not made
        return life.newest() > self.newest + 1 and Phase.begun(self, life) and life.site.merged(life.vm)


class Failover(Phase):
    primary, hosts = "off", "B"

    def __init__(self, name, which):
        self.name, self.which = name, which

    def ready(self, life):
        life.write()
        self.point = life.points()[self.which]

    def act(self, life):
        return life.command("B", "failover", VM, "--yes", "--primary-is-running", "--point", self.point["id"])

    def done(self, life):
        return life.status("B").get("Phase") == "failed_over"

    def lost(self, life):
        return life.status("B").get("Phase") == "standby"

    def after(self, life):
        life.runs_on_one_side()
        life.good()
        life.active_is(life.held[self.point["sequence"]])
        life.site.cli("B", "revert", VM, "--yes")
        life.runs_on_one_side()
        life.good()


class Revert(Phase):
    primary, hosts, name = "off", "B", "revert"

    def ready(self, life):
        life.write()
        self.listed = [p["id"] for p in life.points()]
        life.site.cli("B", "failover", VM, "--yes", "--primary-is-running")

    def act(self, life):
        return life.command("B", "revert", VM, "--yes")

    def done(self, life):
        return life.status("B").get("Phase") == "standby"

    def lost(self, life):
        return life.status("B").get("Phase") == "failed_over"

    def after(self, life):
        life.runs_on_one_side()
        assert [p["id"] for p in life.points()] == self.listed
        assert not list(life.site.b.path(life.site.replica(life.vm)).glob("*-active.qcow2"))
        life.good()


class Told(Phase):
    """The primary learns that its replica was failed over; after the revert, replication goes on."""
    hosts, name = "A", "the primary is told"

    def ready(self, life):
        life.write()
        life.site.cli("B", "failover", VM, "--yes", "--primary-is-running")
        self.newest = life.newest()

    def done(self, life):
        s = life.status()
        return s.get("Phase") == "halted" and "failed over" in (s.get("HealthCause") or "")

    def after(self, life):
        assert life.newest() == self.newest
        life.site.cli("B", "revert", VM, "--yes")
        life.site.cli("A", "resume", VM)
        life.site.wait_status("A", life.vm, lambda s: life.newest() > self.newest and self.begun(life), 60, "it goes on")
        life.nothing_is_left()
        life.good()


class Resync(Phase):
    primary, name = "on", "resync"

    def ready(self, life):
        if not life.a().running():
            life.a().start()
        life.settled()
        life.site.cli("A", "pause", VM)
        life.write()
        self.newest = life.newest()

    def act(self, life):
        return life.command("A", "resync", VM)

    def done(self, life):
        s = life.status()
        return s.get("ReplicationState") == "3" and life.newest() > self.newest and self.begun(life) and life.site.merged(life.vm)

    def lost(self, life):
        return life.status().get("ReplicationState") == "7"

    def after(self, life):
        life.nothing_is_left()
        life.runs_on_one_side()
        life.good()


class DayLater(Cycle):
    """What a revert set aside is dropped a day later, by the replica's clock."""
    hosts = "B"
    only = "store.set-aside."

    def ready(self, life):
        super().ready(life)
        life.site.cli("B", "failover", VM, "--yes", "--primary-is-running")
        life.site.cli("B", "revert", VM, "--yes")
        life.b().clock = "+25h"

    def done(self, life):  # after a kill, the next point's turn
        return not life.site.manifest(life.vm)["set_aside"] and super().done(life)

    def after(self, life):
        assert not list(life.site.b.path(life.site.replica(life.vm)).glob("*-reverted-*"))
        life.b().clock = None
        life.b().restart()
        super().after(life)


class FirstCopy(Phase):
    """A VM of its own each time, from being enabled to its first point. The other one is paused meanwhile."""
    primary, name = "on", "first copy"
    numbers = itertools.count(1)

    def ready(self, life):
        life.stop_primary()
        self.guest = f"newborn{next(self.numbers)}"
        disks = [life.site.a.create_disk(f"/var/lib/libvirt/images/{self.guest}-{n}.qcow2", "8M") for n in (1, 2)]
        for disk in disks:
            life.site.a.run(["qemu-io", "-f", "qcow2", "-c", "write -q -P 0x42 1M 1M", "-c", "write -q -P 0x17 5M 128k", disk])
        self.id = life.site.a.define_guest(self.guest, disks=disks, cmdline=IDLE, start=True)

    def begun(self, life):
        return life.status().get("ReplicationState") == "7"

    def state(self, life, host="A"):
        return life.site.status(host, self.id)

    def act(self, life):
        if self.state(life).get("Phase") == "ready":
            return life.command("A", "start", self.guest)
        return life.command("A", "enable", self.guest, "--to", f"host-b:{PORT}", "--interval", 30, "--start")

    def done(self, life):
        s = self.state(life)
        return s.get("ReplicationState") == "3" and s.get("Phase") == "idle" and not s.get("LastError")

    def lost(self, life):
        running = life.a().running() and life.b().running() and life.site.wsman("A").vm(life.vm)
        return running and self.state(life).get("Phase") in (None, "none", "ready")

    def while_dead(self, life):
        if self.guest in life.site.b.virsh("list", "--all", "--name").split():
            assert life.site.b.virsh("domstate", self.guest) == "shut off"

    def after(self, life):
        assert_replica_holds(life.site, self.id, read_now(life.site.a, self.guest, DISKS))
        refused = life.site.b.virsh("start", self.guest, check=False)
        assert refused.returncode and "Understudy holds this VM" in refused.stderr
        life.site.cli("B", "store", "check", STORAGE)
        life.site.cli("A", "pause", self.guest)
        life.site.a.virsh("destroy", self.guest)


class Retired(FirstCopy):
    """The replica ends, and its VM becomes an ordinary one."""
    hosts, name = "B", "a replica is removed"
    only = "store.retire."

    def ready(self, life):
        super().ready(life)
        life.a().start()
        life.site.enable(self.guest)
        life.site.wait_point(self.id)
        self.read = read_now(life.site.a, self.guest, DISKS)
        life.site.cli("A", "pause", self.guest)
        life.a().stop()

    def act(self, life):
        return life.command("B", "remove", self.guest, "--yes")

    def done(self, life):
        running = life.b().running() and life.site.status("B", life.vm)
        return running and self.state(life, "B").get("Phase") in (None, "none")

    def lost(self, life):
        return self.state(life, "B").get("Phase") == "standby"

    def after(self, life):
        folder = life.site.b.path(life.site.replica(self.id))
        assert (folder / "manifest.retired").exists() and not (folder / "manifest").exists()
        for target, copy in self.read.items():
            subprocess.run(["qemu-img", "compare", "-q", "-U", "-f", "raw", "-F", "qcow2", life.site.a.path(copy),
                            folder / f"{target}-active.qcow2"], check=True)
        life.site.b.virsh("start", self.guest)
        life.site.b.virsh("destroy", self.guest)
        life.site.cli("A", "remove", self.guest, "--yes")
        life.site.a.virsh("destroy", self.guest)


class Refused(FirstCopy):
    """The replica's host has a VM of that name: what was made for the replica is removed again."""
    hosts, name = "B", "enabling is refused"
    only = "store.destroy."

    def ready(self, life):
        super().ready(life)
        life.site.b.define_guest(self.guest, disks=("1M",), cmdline=IDLE)

    def done(self, life):
        folder = life.site.b.path(life.site.replica(self.id))
        settled = life.a().running() and life.b().running() and life.site.wsman("A").vm(life.vm)
        return settled and not folder.exists() and self.state(life).get("Phase") in (None, "none")

    def lost(self, life):
        return False

    def after(self, life):
        life.site.b.virsh("undefine", self.guest)
        life.site.enable(self.guest)
        super().after(life)
