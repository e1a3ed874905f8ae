"""Two lab hosts with Understudy on both: what the end-to-end tests, the demo and the measurements stand on.

    with Site() as site:
        vm = site.a.define_guest("vm1", start=True)
        site.cli("A", "enable", "vm1", "--to", "host-b:8443", "--interval", 30, "--start")
        site.wait_point(vm)

A Daemon is one understudyd inside its host; programs come from $UNDERSTUDY_BUILD (default build/dev) /bin.
"""
import contextlib
import json
import os
import pty
import re
import select
import signal
import socket
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/support"))
sys.path.insert(0, str(ROOT / "tests/e2e"))
import guests  # noqa: E402
from hosts import Lab, LabError  # noqa: E402
from wsman import RUNNING, Fault, Wsman  # noqa: E402

BIN = Path(os.environ.get("UNDERSTUDY_BUILD") or ROOT / "build/dev").resolve() / "bin"
PORT = 8443
STORAGE = "/var/lib/understudy/replicas"
PASSWORD = "rehearse-often"
# cmdline= of a guest that does nothing at all. (When a guest's agent comes up while a backup job is open, libvirt holds
# back the end of that job for up to 30 s.)
IDLE = "rdinit=/bin/busybox -- cat"
CONFIG = """host_name = "{name}"
log_json = true
log_level = "{log_level}"

[management]
address = "0.0.0.0"

[hypervisor]
console_directory = "/var/log/libvirt/qemu"
"""
FAKETIME = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1"
# One for each thread that a busy daemon may have, at the size given below, fits into any limit that a test sets.
THREAD_STACK = 1 << 20


def until(condition, timeout, what, every=0.1):
    """Asks again and again, at a bounded pace, until the answer is true; returns it."""
    end = time.monotonic() + timeout
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() >= end:
            raise TimeoutError(f"not within {timeout} s: {what() if callable(what) else what}")
        select.select([], [], [], every)


class Daemon:
    """understudyd on one host. Its log is kept over restarts, in `log`."""

    def __init__(self, site, host):
        self.site, self.host = site, host
        self.log = site.folder / f"understudyd-{host.name}.log"
        self.programs = BIN
        self.memory_limit = None
        self.clock = None  # "+3h": how far its wall clock is off
        self.fault_log = host.path("/run/understudy") / "faults"
        self.process = None
        self.peak_memory = 0  # KiB, the highest of all lives that ended orderly or were looked at

    def start(self, fault=None, log_faults=False, wait=True):
        assert not self.running(), f"understudyd runs on {self.host.name}"
        env = {"UNDERSTUDY_FAULT": fault or ""}
        if log_faults:
            env["UNDERSTUDY_FAULT_LOG"] = "/run/understudy/faults"
        if self.clock:
            env |= {"LD_PRELOAD": FAKETIME, "FAKETIME": self.clock, "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
        limits = [f"--data={self.memory_limit}", f"--stack={THREAD_STACK}"] if self.memory_limit else []
        with open(self.log, "ab") as log:
            self.process = self.host.popen(
                ["prlimit", "--core=0", *limits, "--", self.programs / "understudyd", "--config", "/etc/understudy/understudyd.toml"],
                env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        if wait:
            self.wait_ready()

    def wait_ready(self, timeout=60):
        path = str(self.host.path("/run/understudy/wsman.sock"))

        def answers():
            if self.process.poll() is not None:
                raise LabError(f"understudyd on {self.host.name} ended with {self.process.returncode}:\n{self.tail()}")
            with socket.socket(socket.AF_UNIX) as s, contextlib.suppress(OSError):
                s.connect(path)
                return True
            return self.state() == "T"  # a fault that stops it came before it listened
        until(answers, timeout, lambda: f"understudyd on {self.host.name} listens\n{self.tail()}", 0.05)

    @property
    def pid(self):
        return self.process.inner_pid

    def helpers(self, name="understudy-"):
        """Its processes that face the network: {pid: name}, both fronts and the link, or those of that name."""
        found = {}
        for task in Path(f"/proc/{self.pid}/task").iterdir():
            children = []
            with contextlib.suppress(OSError):  # a thread that has just ended
                children = (task / "children").read_text().split()
            for child in children:
                with contextlib.suppress(OSError):
                    program = Path(Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0")[0].decode()).name
                    if program.startswith(name):
                        found[int(child)] = program
        return found

    def running(self):
        return self.process is not None and self.process.poll() is None

    def note_memory(self):
        with contextlib.suppress(OSError, StopIteration):
            lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
            self.peak_memory = max(self.peak_memory, next(int(l.split()[1]) for l in lines if l.startswith("VmHWM:")))
        return self.peak_memory

    def stop(self, timeout=40):
        """SIGTERM; returns the exit status."""
        self.note_memory()
        self.process.terminate()
        return self.process.wait(timeout=timeout)

    def kill(self):
        """SIGKILL, also while it is stopped."""
        self.note_memory()
        self.process.kill()
        self.go_on()
        self.process.wait(timeout=30)

    def restart(self, fault=None, **kw):
        if self.running():
            self.stop()
        self.start(fault, **kw)

    def wait_end(self, timeout=60):
        return self.process.wait(timeout=timeout)

    def state(self):
        """The letter of /proc/PID/stat: T is stopped."""
        try:
            return Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return "gone"

    def wait_stopped(self, timeout=60):
        until(lambda: self.state() in ("T", "gone"), timeout,
              lambda: f"understudyd on {self.host.name} stops at its fault point\n{self.tail()}", 0.02)
        assert self.state() == "T", self.tail()

    def go_on(self):
        # nsenter(1), around the daemon, stops with it and continues it.
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.process.pid, signal.SIGCONT)

    @contextlib.contextmanager
    def slowed(self, path, calls, milliseconds):
        """Each of these system calls that it makes on this file or folder takes so long. Yields: how many there were."""
        log, status = self.host.path("/run/slowed"), Path(f"/proc/{self.pid}/status")
        log.write_text("")
        inside = re.search(r"^NSpid:.*\s(\d+)$", status.read_text(), re.MULTILINE).group(1)
        tracer = self.host.popen(["strace", "-f", "-q", "-p", inside, "-P", path, "-e", f"trace={calls}", "-o", "/run/slowed",
                                  "-e", f"inject={calls}:delay_enter={milliseconds * 1000}"],
                                 stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        made = re.compile(rf"\b({calls.replace(',', '|')})\(")
        with tracer:
            try:
                until(lambda: tracer.poll() is not None or "TracerPid:\t0\n" not in status.read_text(), 20, "strace looks on")
                assert tracer.poll() is None, tracer.stderr.read()
                yield lambda: len(made.findall(log.read_text()))
            finally:
                if tracer.poll() is None:  # else the daemon has ended
                    tracer.send_signal(signal.SIGINT)

    def cpu_seconds(self):
        fields = Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def lines(self, **wanted):
        """Log lines that have these fields."""
        found = []
        for line in self.log.read_text().splitlines() if self.log.exists() else []:
            with contextlib.suppress(json.JSONDecodeError):
                record = json.loads(line)
                if all(record.get(key) == value for key, value in wanted.items()):
                    found.append(record)
        return found

    def tail(self, count=25):
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-count:]) if self.log.exists() else ""


class Offer:
    """A certificate that is offered: what to type on the other host (`command`), its token, and how it ends."""

    def __init__(self, host, words):
        self.process = host.popen([BIN / "understudy", *words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE, text=True)
        self.shown = ""
        while not (said := re.search(r"understudy (certificate accept \S+ --token (\w+) --out [^\s\"]+)", self.shown)):
            line = self.process.stdout.readline()
            if not line:
                raise LabError(f"nothing is offered: {self.shown}{self.process.communicate()[1]}")
            self.shown += line
        self.command, self.token = said[1].split(), said[2]

    @property
    def pid(self):
        return self.process.inner_pid

    def end(self, timeout=60):
        """Waits for it: its exit status, and all that it said."""
        out, err = self.process.communicate(timeout=timeout)
        return self.process.returncode, self.shown + out + err

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
        return self.end()


class Site:
    """A lab, an authority, and a Daemon for each host. The recovery server runs on B, which admits host-a."""

    def __init__(self, flavour="lab", memory_limit=None, log_level="info", prepare=True):
        self.lab = Lab(flavour=flavour)
        self.folder = self.lab.base / "test"
        self.memory_limit, self.log_level, self.prepare = memory_limit, log_level, prepare
        self._clients = {}
        self._readers = []

    def __enter__(self):
        for program in ("understudyd", "understudy"):
            if not (BIN / program).exists():
                raise LabError(f"{BIN / program} is missing: build first (cmake --preset dev && ninja -C build/dev)")
        self.lab.start()
        try:
            self.folder.mkdir()
            self.a, self.b = self.lab.host("A"), self.lab.host("B")
            self.daemons = {host.name: Daemon(self, host) for host in self.lab.hosts}
            if self.prepare:
                self.set_up()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for client in self._clients.values():
            with contextlib.suppress(Exception):
                client.close()
        for reader in self._readers:
            with contextlib.suppress(Exception):
                reader.kill()
        for daemon in getattr(self, "daemons", {}).values():
            if daemon.running():
                daemon.process.kill()
                daemon.process.wait(timeout=30)
        self.lab.stop()

    def daemon(self, name):
        return self.daemons[name]

    @staticmethod
    def program(name):
        return BIN / name

    # ---- setting up, with the documented commands ----

    def set_up(self):
        self.make_certificates()
        for host in self.lab.hosts:
            self.configure(host)
            self.daemons[host.name].memory_limit = self.memory_limit
            self.daemons[host.name].start()
        self.cli("B", "server", "enable", "--port", PORT)
        self.cli("B", "authorize", "host-a", "--storage", STORAGE)

    @property
    def authority(self):
        return self.folder / "authority"

    def make_certificates(self):
        understudy = str(BIN / "understudy")
        run = lambda *words: subprocess.run([understudy, *map(str, words)], check=True, capture_output=True, text=True)
        run("certificate", "authority", self.authority)
        for host in self.lab.hosts:
            run("certificate", "host", f"{host.hostname},{host.address}", "--authority", self.authority,
                "--out", host.path("/etc/understudy") / "tls")

    def configure(self, host, **more):
        """Writes understudyd.toml (`more`: text to add) and makes the user admin."""
        text = CONFIG.format(name=host.hostname, log_level=self.log_level) + more.get("text", "")
        host.path("/etc/understudy").joinpath("understudyd.toml").write_text(text)
        host.run([BIN / "understudy", "user", "add", "admin", "--role", "administrator"], input=PASSWORD + "\n")

    # ---- the command and the WS-Man client ----

    def cli(self, host, *words, check=True, timeout=180, **kw):
        """`understudy ...` on a host: its output as text; with check=False the finished process."""
        done = self.lab.host(host).run([BIN / "understudy", *words], check=check, timeout=timeout, **kw)
        return done.stdout if check else done

    def cli_on_terminal(self, host, *words, prompt, answer, timeout=180):
        """The same on a terminal, by a person who answers what ends in `prompt`: all that was shown; it must work."""
        ours, its = pty.openpty()
        process = self.lab.host(host).popen([BIN / "understudy", *words], stdin=its, stdout=its, stderr=its)
        os.close(its)
        shown, answered, deadline = b"", False, time.monotonic() + timeout
        try:
            while select.select([ours], [], [], max(deadline - time.monotonic(), 0))[0]:
                try:
                    some = os.read(ours, 4096)
                except OSError:  # EIO: nobody has the terminal any more
                    break
                shown += some
                if not answered and prompt.encode() in shown:
                    answered = os.write(ours, answer.encode() + b"\n") > 0
            text = shown.decode().replace("\r\n", "\n")
            assert process.wait(timeout=max(deadline - time.monotonic(), 1)) == 0 and answered, text
            return text
        finally:
            os.close(ours)
            process.kill()

    def offer(self, host, *words):
        """`understudy certificate offer ...` on a host, when it waits."""
        return Offer(self.lab.host(host), words)

    def wsman(self, name) -> Wsman:
        if name not in self._clients:
            self._clients[name] = Wsman(self.lab.host(name), ("password", "admin", PASSWORD))
        return self._clients[name]

    def wait_job(self, name, job, timeout=60):
        """Polls Msvm_ConcreteJob until it has ended; returns it."""
        def ended():
            found = self.wsman(name).job(job)
            return found if found["JobState"] not in RUNNING else None
        return until(ended, timeout, f"job {job} on {name} ends")

    def done(self, name, answer, timeout=60):
        """Of a method that answered 4096: waits for its job, which must have completed."""
        assert answer["ReturnValue"] == 4096, answer
        job = self.wait_job(name, answer["Job"], timeout)
        assert job["JobState"] == "7", job
        return job

    def status(self, name, vm):
        """Understudy_ReplicationStatus, or {} while that daemon does not answer."""
        try:
            return self.wsman(name).status(vm)
        except Fault:
            return {}

    def wait_status(self, name, vm, condition, timeout=60, what="its status changes"):
        last = {}

        def fits():
            last.clear()
            last.update(self.status(name, vm))
            return dict(last) if last and condition(last) else None
        return until(fits, timeout, lambda: f"{what}; on {name} it is {last}\n{self.daemons[name].tail(8)}")

    def enable(self, name="vm1", start=True, wait=True, check=True, words=(), **kw):
        """Enables replication; with `start` the first copy, to whose end it waits unless told not to."""
        at_once = ["--start"] if start and wait else []
        done = self.cli("A", "enable", name, "--to", f"host-b:{PORT}", "--interval", 30, *words, *at_once, check=check, **kw)
        if start and not wait:
            self.cli("A", "start", name, "--no-wait")
        return done

    def wait_point(self, vm, after=None, timeout=120):
        """A point on B whose cut is later than `after` (text as LastCutTime shows it); returns B's status."""
        return self.wait_status("B", vm, lambda s: s.get("LastCutTime") and s["RecoveryPoints"] != "0" and
                                (after is None or instant(s["LastCutTime"]) > instant(after)), timeout, "a new point")

    def wait_settled(self, vm, timeout=60):
        """The primary is between two cycles, with nothing left to do."""
        return self.wait_status("A", vm, lambda s: s["Phase"] == "idle" and not s.get("LastError"), timeout, "settled")

    def replicated(self, name, cmdline="us=50000", words=(), **kw):
        """A guest on A that writes, with a first point on B; between two cycles. `words`: for `understudy enable`."""
        vm = self.a.define_guest(name, cmdline=cmdline, start=True, **kw)
        self.a.console(name).wait_for(r"^READY", 120)
        self.enable(name, words=words)
        self.wait_point(vm)
        self.wait_settled(vm)
        return vm

    # ---- what lies on the hosts ----

    def replica(self, vm):
        """The folder of a replica on B, as B names it."""
        return f"{STORAGE}/{vm}"

    def manifest(self, vm):
        """What B's replica says of itself."""
        text = (self.b.path(self.replica(vm)) / "manifest").read_text()
        return json.loads(text[:text.rindex("xxh3-128 ")])

    def points(self, vm):
        """The listed points of B's replica, oldest first."""
        return self.manifest(vm)["points"]

    def merged(self, vm):
        """No merge is due: a file for each listed point and for what is set aside, and at most one more."""
        m = self.manifest(vm)
        kept = {p["sequence"] for p in m["points"]} | {s["on"]["sequence"] for s in m["set_aside"]}
        return len(m["chain"]) <= len(kept) + 1

    def point_image(self, vm, target, sequence):
        """The image in which this point of this disk ends, as B names it."""
        link = next(link for link in self.manifest(vm)["chain"] if link["sequence"] == sequence)
        return f"{self.replica(vm)}/{target}-{link['generation']}-{sequence}.qcow2"

    def top_image(self, vm, target):
        """The image in which the newest point of this disk ends, as B names it."""
        folder = self.b.path(self.replica(vm))
        images = [(int(m[1]), int(m[2]), f) for f in folder.iterdir()
                  if (m := re.fullmatch(rf"{target}-(\d+)-(\d+)\.qcow2", f.name))]
        return f"{self.replica(vm)}/{max(images)[2].name}"

    def serial(self, host, name, from_start=True):
        """A Console over what the serial port of a replica says: its console file, or the pty that it is by default.
        Taken before the VM is started again, with from_start=False, it shows nothing of an earlier start."""
        xml = host.virsh("dumpxml", name)
        if log := re.search(r"<serial .*?<log file='([^']+)'.*?</serial>", xml, re.DOTALL):
            return guests.Console(host.path(log.group(1)), from_start)
        path = re.search(r"<serial type='pty'>\s*<source path='([^']+)'", xml).group(1)
        copy = self.folder / f"{host.name}-{name}-{len(self._readers)}.console"
        with open(copy, "wb") as out:
            self._readers.append(host.popen(["cat", path], stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.DEVNULL))
        return guests.Console(copy, from_start=True)

    def leftovers(self, vm, name):
        """What a cycle must not leave on the primary: (checkpoints, scratch files, job), best case ([one], [], none)."""
        checkpoints = self.a.virsh("checkpoint-list", name, "--name").split()
        scratch = self.a.path("/var/lib/understudy/scratch")
        files = sorted(f.name for f in scratch.rglob("*") if f.is_file()) if scratch.exists() else []
        job = self.a.virsh("domjobinfo", name)
        return checkpoints, files, "none" if re.search(r"None", job) else job


def issues(status):
    """The causes of a health that is not Ok."""
    found = status.get("IssueCauses") or []
    return found if isinstance(found, list) else [found]


def instant(text):
    """Seconds since the epoch of a time as WS-Man shows it."""
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()
