#!/usr/bin/python3
"""What ./demo shows, after it has built the programs. Exit status 0 only if every check held."""
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from compare import assert_replica_holds, read_job  # noqa: E402
from sites import PORT, STORAGE, Site, instant, until  # noqa: E402
from wsman import Ref, vm_ref  # noqa: E402

VM = "vm1"
CYCLES = 2  # after the first point; the shortest interval is 30 seconds
BEGUN = time.monotonic()


def say(text):
    print(f"[{time.monotonic() - BEGUN:5.1f} s] {text}", flush=True)


def step(text):
    print(f"\n== {text}", flush=True)


class Checks:
    def __init__(self):
        self.rows = []

    def add(self, what, held, detail=""):
        self.rows.append((what, bool(held), str(detail)))
        say(f"{'ok     ' if held else 'FAILED '} {what}{': ' + str(detail) if detail else ''}")
        return held

    def table(self):
        width = max(len(what) for what, _, _ in self.rows)
        for what, held, detail in self.rows:
            print(f"  {what:<{width}}  {'ok' if held else 'FAILED':<6}  {detail}")

    def failed(self):
        return sum(not held for _, held, _ in self.rows)


class Witness(threading.Thread):
    """Notes when the guest's console showed which record, to know what a copy cut at some instant must hold."""

    def __init__(self, console):
        super().__init__(daemon=True)
        self.console, self.seen, self.end = console, [], threading.Event()
        self.start()

    def run(self):
        while not self.end.wait(0.1):
            self.seen.append((time.time(), self.console.seq()))

    def bounds(self, at):
        before = [seq for when, seq in self.seen if when <= at]
        after = [seq for when, seq in self.seen if when >= at + 1.0]
        # Record n+1 may be on the disks before "SEQ n" has left the serial line.
        return (max(before) if before else -1), (min(after) if after else max(s for _, s in self.seen)) + 1


def first_copy(site, vm):
    shown = -1

    def done():
        nonlocal shown
        status = site.status("A", vm)
        total = int(status.get("FirstCopyBytesTotal") or 0)
        percent = int(status.get("FirstCopyBytesDone") or 0) * 100 // total if total else 0
        if percent // 10 > shown // 10 and status.get("ReplicationState") == "2":
            shown = percent
            say(f"first copy: {percent:3} % of {total / 2**20:.0f} MiB")
        return status if status.get("ReplicationState") == "3" else None
    return until(done, 180, lambda: f"the first copy completes\n{site.daemon('A').tail()}")


def protect(site, checks):
    step("a guest on host-a: two disks, a writer that proves prefix consistency")
    vm = site.a.define_guest(VM, cmdline="us=50000 churn=mix", start=True)
    console = site.a.console(VM)
    console.wait_for(r"^READY", 120)
    witness = Witness(console)
    site.a.vmctl(VM, "fill", 900)
    say(f"{VM} runs and has written {console.seq()} records")

    step("replication to host-b")
    for words in (["server", "enable", "--port", str(PORT)], ["authorize", "host-a", "--storage", STORAGE]):
        say("host-b# understudy " + " ".join(words) + "   (done when the hosts were set up)")
    site.lab.shape("B", "200mbit")  # slow enough to watch
    for words in (["enable", VM, "--to", f"host-b:{PORT}", "--interval", "30", "--history", "4"], ["start", VM, "--no-wait"]):
        say("host-a# understudy " + " ".join(words))
        for line in site.cli("A", *words).splitlines():
            say("  " + line)
    copied = first_copy(site, vm)
    checks.add("replication is enabled and the first copy complete", copied["ReplicationHealth"] == "1", copied.get("HealthCause") or "")

    point = site.wait_point(vm)
    say(f"point 1: cut at {point['LastCutTime']}")
    for number in range(2, CYCLES + 2):
        sent = int(site.status("A", vm)["TransferredBytes"])
        point = site.wait_point(vm, after=point["LastCutTime"])
        now = site.wait_settled(vm)
        say(f"point {number}: cut at {point['LastCutTime']}, {(int(now['TransferredBytes']) - sent) / 2**20:.1f} MiB sent, "
            f"the guest is at record {console.seq()}")
    checks.add(f"{CYCLES} cycles while the guest writes", True)
    refused = site.b.virsh("start", VM, check=False)
    words = re.search(r"Understudy holds this VM: [^.]*", refused.stderr)
    checks.add("virsh start of the replica is refused", refused.returncode and words, words.group(0) if words else refused.stderr)
    return vm, console, witness


def make_point(site, checks, vm, consistent):
    """A point on demand, and a copy of what host-a exported at that very cut: (point, {target: raw file})."""
    words = ["point", "create", VM] + (["--application-consistent"] if consistent else [])
    say("host-a# understudy " + " ".join(words))
    known = {p["sequence"] for p in site.points(vm)}
    site.daemon("A").restart(fault="performer.job-opened:stop:2")  # the first cut is due at once, the second is ours
    until(lambda: {p["sequence"] for p in site.points(vm)} - known, 60, "a cycle")
    site.wait_settled(vm)
    site.cli("A", *words, "--no-wait")
    site.daemon("A").wait_stopped(60)
    copies = {}
    for target, file in read_job(site.a, VM).items():
        copies[target] = file.replace(".raw", f"-{len(known)}-{consistent}.raw")
        site.a.run(["mv", file, copies[target]])
    site.daemon("A").go_on()
    point = until(lambda: next((p for p in site.points(vm) if p["sequence"] not in known and p["keep"]), None), 60, "the point is listed")
    site.wait_settled(vm)
    say(f"point {point['id'][:8]}: {'application-consistent' if point['type'] == 2 else 'standard'}")
    checks.add("a recovery point on demand, " + ("application-consistent" if consistent else "standard"),
               point["type"] == (2 if consistent else 1))
    return point, copies


def sent_bytes(host):
    """On the wire, since the host was started."""
    line = next(line for line in host.run(["cat", "/proc/net/dev"]).stdout.splitlines() if "eth0:" in line)
    return int(line.split(":")[1].split()[8])


def fail_over(site, checks, vm, name, point=None):
    """InitiateFailover and the start of the VM; (when it was asked for, when it ran, its console)."""
    client, asked = site.wsman("B"), time.monotonic()
    reference = Ref("Msvm_VirtualSystemSettingData", InstanceID=f"Microsoft:{point['id'].upper()}") if point else None
    answer = client.service("InitiateFailover", ComputerSystem=vm_ref(vm), SnapshotSettingData=reference)
    say(f"InitiateFailover(SnapshotSettingData={point['id'][:8] if point else 'NULL'}) -> {answer['ReturnValue']}")
    job = site.wait_job("B", answer["Job"]) if answer.get("Job") else {}
    checks.add(f"InitiateFailover ({name}) completes", job.get("JobState") == "7", job.get("ErrorDescription") or "")
    serial = site.serial(site.b, VM, from_start=False)
    answer = client.request_state(vm, 2)
    say(f"RequestStateChange(2) -> {answer['ReturnValue']}")
    job = site.wait_job("B", answer["Job"]) if answer.get("Job") else {}
    running = time.monotonic()
    state = client.vm(vm)["EnabledState"]
    checks.add(f"RequestStateChange(2) starts it ({name})", job.get("JobState") == "7" and state == "2", job.get("ErrorDescription") or "")
    return asked, running, serial


def guest_says(checks, serial, witness, name, cut):
    """What the guest on host-b found on its disks: (the last record it holds, when it was ready)."""
    verdict = serial.wait_for(r"^VERIFY .*", 120).group(0).strip()
    serial.wait_for(r"^READY", 120)
    ready = time.monotonic()
    say(f"the guest on host-b says: {verdict}")
    found = re.fullmatch(r"VERIFY OK log_last=(\d+) ring_max=(\d+)", verdict)
    checks.add(f"the guest finds both disks whole and of one instant ({name})", found, verdict)
    low, high = witness.bounds(cut)
    holds = int(found.group(1)) if found else -1
    checks.add(f"they hold the writes up to the cut, and none after it ({name})", low <= holds <= high, f"{low} <= {holds} <= {high}")
    serial.wait_for(rf"^SEQ {holds + 20}\r?$", 60)
    say(f"and writes on: record {serial.seq()}")
    return holds, ready


def bytes_hold(site, checks, vm, kept):
    for point, copies in kept:
        what = "application-consistent" if point["type"] == 2 else "standard"
        try:
            assert_replica_holds(site, vm, copies, point["sequence"])
            checks.add(f"the {what} point equals host-a's export of its cut, byte for byte", True, point["id"][:8])
        except AssertionError as error:
            checks.add(f"the {what} point equals host-a's export of its cut, byte for byte", False, error)


def old_point_and_back(site, checks, vm, witness, kept):
    step("failover on host-b to an older point, over WS-Management (python3-winrm)")
    for line in site.cli("B", "point", "list", VM).splitlines():
        say("  " + line)
    bytes_hold(site, checks, vm, kept)
    point = kept[0][0]
    _, _, serial = fail_over(site, checks, vm, "older point", point)
    guest_says(checks, serial, witness, "older point", point["cut_us"] / 1e6)

    step("taken back: RevertFailover")
    client = site.wsman("B")
    site.done("B", client.request_state(vm, 3))
    answer = client.service("RevertFailover", ComputerSystem=vm_ref(vm))
    say(f"RevertFailover -> {answer['ReturnValue']}")
    job = site.wait_job("B", answer["Job"]) if answer.get("Job") else {}
    checks.add("RevertFailover completes", job.get("JobState") == "7", job.get("ErrorDescription") or "")
    checks.add("every point is still there", {p["id"] for p, _ in kept} <= {p["id"] for p in site.points(vm)})
    bytes_hold(site, checks, vm, kept)


def host_is_lost(site, checks, vm, console, witness, kept):
    step("host-a dies: every process at once, nothing flushed")
    newest = site.status("B", vm)
    sent = sent_bytes(site.a)
    lost_at = time.time()
    site.lab.host("A").power_cut()
    witness.end.set()
    last = console.seq()
    rpo = lost_at - instant(newest["LastCutTime"])
    say(f"its guest had shown record {last}; the newest point on host-b was cut {rpo:.1f} s before")
    old_point_and_back(site, checks, vm, witness, kept)

    step("failover to the latest point")
    asked, running, serial = fail_over(site, checks, vm, "null = latest")
    holds, ready = guest_says(checks, serial, witness, "latest", instant(newest["LastCutTime"]))
    return {"time from request to running": f"{running - asked:.2f} s",
            "time from request to READY in the guest": f"{ready - asked:.2f} s",
            "RPO at the cut": f"{rpo:.1f} s ({last - holds} records)", "bytes sent": f"{sent:,} ({sent / 2**20:.1f} MiB, all that left host-a on the wire)"}


def files_are_plain(site, checks, vm):
    step("the replica is plain files")
    site.b.virsh("destroy", VM)
    site.daemon("B").kill()
    folder = site.b.path(site.replica(vm))
    images = sorted(folder.glob("*.qcow2"))
    broken = [i.name for i in images if subprocess.run(["qemu-img", "check", "-q", str(i)]).returncode]
    checks.add("every image passes qemu-img check, the daemon dead", images and not broken, ", ".join(broken) or f"{len(images)} images")


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    checks, figures = Checks(), {}
    step("two libvirt hosts on this machine, host-a and host-b, each with its own understudyd")
    try:
        with Site() as site:
            say(f"up: {', '.join(f'{h.hostname} {h.address}' for h in site.lab.hosts)}")
            vm, console, witness = protect(site, checks)
            step("recovery points")
            kept = [make_point(site, checks, vm, False), make_point(site, checks, vm, True)]
            console.wait_for(rf"^SEQ {console.seq() + 200}\r?$")  # until somewhere in the middle between two cuts
            figures = host_is_lost(site, checks, vm, console, witness, kept)
            files_are_plain(site, checks, vm)
    except Exception as error:  # whatever happens is a check that did not hold
        checks.add("the demo runs to its end", False, f"{type(error).__name__}: {error}")
    step("result")
    checks.table()
    for what, value in figures.items():
        print(f"  {what}: {value}")
    count, failed = len(checks.rows), checks.failed()
    print(f"demo: {failed} of {count} checks FAILED" if failed else f"demo: all {count} checks held", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
