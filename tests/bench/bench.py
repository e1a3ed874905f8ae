#!/usr/bin/python3
"""Measures Understudy on two lab hosts beside nbdcopy, qemu-img commit and a bare virsh start; prints the tables of
docs/develop/measurements.md.

    tests/bench/bench.py [first-copy] [delta] [merge] [cycle] [freeze] [start] [points]

Default: all. Root, Debian 12, a quiet machine.

Both sides of a comparison read the same export of the same backup job in the same run, in turn.
"""
import os
import re
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "e2e"))
from probing import Lab, probe  # noqa: E402
from sites import IDLE, Site, instant, until  # noqa: E402
from wsman import Ref, vm_ref  # noqa: E402

ROUNDS = int(os.environ.get("UNDERSTUDY_BENCH_ROUNDS", "3"))
GIB, MIB = 1 << 30, 1 << 20
IMAGES = "/var/lib/libvirt/images"


def row(*cells):
    print("| " + " | ".join(str(c) for c in cells) + " |", flush=True)


def median(values):
    return statistics.median(values)


def cpu(site):
    return sum(daemon.cpu_seconds() for daemon in site.daemons.values())


def random_disk(host, path, size, data):
    host.run(["sh", "-c", f"head -c {data} /dev/urandom >/tmp/bench.raw && truncate -s {size} /tmp/bench.raw && "
              f"qemu-img convert -f raw -O qcow2 /tmp/bench.raw {path} && rm /tmp/bench.raw"], timeout=300)
    return path


def nbdcopy(site, name, target):
    """(seconds, own CPU seconds) of nbdcopy --flush of the export that is open now, to a file on the same file system."""
    xml = site.a.virsh("backup-dumpxml", name)
    socket = re.search(r"<server [^>]*socket='([^']+)'", xml).group(1)
    copy = f"{IMAGES}/nbdcopy.raw"
    site.a.run(["rm", "-f", copy])
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    site.a.run(["nbdcopy", "--flush", "--request-size=1048576", f"nbd+unix:///{target}?socket={socket}", copy], timeout=600)
    took, after = time.monotonic() - begun, resource.getrusage(resource.RUSAGE_CHILDREN)
    site.a.run(["rm", "-f", copy])
    return took, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def transfer(site, vm, name, target, begin):
    """Stops the primary's daemon with the job open, lets nbdcopy read it, then lets Understudy send it.

    Returns (nbdcopy seconds, its CPU, our seconds from going on to the point, CPU of both daemons)."""
    before = site.status("B", vm).get("LastCutTime")
    site.daemon("A").restart(fault="performer.job-opened:stop")
    begin()
    site.daemon("A").wait_stopped(120)
    theirs, their_cpu = nbdcopy(site, name, target)
    used, begun = cpu(site), time.monotonic()
    site.daemon("A").go_on()
    site.wait_status("A", vm, lambda s: s["ReplicationState"] == "3" and s.get("LastCutTime") != before, 600, "it is sent")
    return theirs, their_cpu, time.monotonic() - begun, cpu(site) - used


def print_transfers(what, size, readings):
    row("", "nbdcopy --flush", "Understudy", "ratio")
    row("---", "---", "---", "---")
    for number, (theirs, _, ours, _) in enumerate(readings, 1):
        row(f"{what}, reading {number}", f"{theirs:.2f} s, {size / MIB / theirs:.0f} MB/s", f"{ours:.2f} s, {size / MIB / ours:.0f} MB/s",
            f"{ours / theirs:.2f}")
    for label, their, our in (("CPU s per GiB, median", median([r[1] for r in readings]), median([r[3] for r in readings])),):
        row(label, f"{their * GIB / size:.2f}", f"{our * GIB / size:.2f} (both daemons)", f"{our / max(their, 0.01):.2f}")
    print()


def first_copy(site):
    print("### First copy of 1 GiB of random data (2 GiB disk)\n")
    readings = []
    for number in range(ROUNDS):
        name = f"first{number}"
        disk = random_disk(site.a, f"{IMAGES}/{name}.qcow2", 2 * GIB, GIB)
        vm = site.a.define_guest(name, disks=(disk,), cmdline=IDLE, start=True)
        readings.append(transfer(site, vm, name, "vda", lambda: site.enable(name, wait=False)))
        site.wait_point(vm)
        site.a.virsh("destroy", name)
        site.b.run(["sh", "-c", f"rm -rf {site.replica(vm)}/*"])
        site.a.run(["rm", disk])
    print_transfers("1 GiB", GIB, readings)


def write_over(site, name, vm):
    """The guest writes its disk of 64 MiB over, with the primary's daemon off, so that all of it is in the next delta."""
    site.wait_settled(vm)
    site.daemon("A").stop()
    console = site.a.console(name, from_start=False)
    site.a.guest_exec(name, "/bin/sh", "-c", "dd if=/dev/urandom of=/dev/vda bs=1048576 count=64; sync; echo OVER >/dev/console")
    console.wait_for(r"^OVER", 120)


def delta(site):
    print("### Delta of 64 MiB (a 64 MiB disk written over)\n")
    vm = site.a.define_guest("delta", disks=("64M",), cmdline="mode=off", start=True)
    site.a.wait_agent("delta", 120)
    site.enable("delta")
    site.wait_point(vm)
    readings = []
    for _ in range(ROUNDS):
        write_over(site, "delta", vm)
        readings.append(transfer(site, vm, "delta", "vda", lambda: None))
    site.a.virsh("destroy", "delta")
    print_transfers("64 MiB", 64 * MIB, readings)


def committed(site, images):
    """(seconds, own CPU seconds) of qemu-img commit of copies of two images, top first, on the same file system."""
    top, base = (image.replace("/vda-", "/copy-of-vda-") for image in images)
    for image, copy in zip(images, (top, base)):
        site.b.run(["cp", "--sparse=always", image, copy])
    site.b.run(["qemu-img", "rebase", "-u", "-f", "qcow2", "-F", "qcow2", "-b", base, top])
    site.b.run(["sync", "-f", top])
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    site.b.run(["qemu-img", "commit", "-q", top], timeout=600)
    took, after = time.monotonic() - begun, resource.getrusage(resource.RUSAGE_CHILDREN)
    site.b.run(["rm", top, base])
    return took, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def merged(site, vm):
    """(seconds, CPU seconds of the replica's daemon) from the next point on the replica to the end of the merge it allows."""
    files, listed = len(site.manifest(vm)["chain"]), site.points(vm)[-1]["sequence"]
    site.daemon("A").start(wait=False)
    until(lambda: site.points(vm)[-1]["sequence"] != listed, 60, "the next point", every=0.002)
    begun, used = time.monotonic(), site.daemon("B").cpu_seconds()
    until(lambda: len(site.manifest(vm)["chain"]) == files, 60, "its merge is done", every=0.002)
    return time.monotonic() - begun, site.daemon("B").cpu_seconds() - used


def merge(site):
    print("### Apply and merge of 64 MiB (a 64 MiB disk written over) beside qemu-img commit of the same two files\n")
    vm = site.a.define_guest("merge", disks=("64M",), cmdline="mode=off", start=True)
    site.a.wait_agent("merge", 120)
    site.enable("merge", words=("--history", 0))
    site.wait_point(vm)
    readings = []
    for _ in range(max(ROUNDS, 5)):
        write_over(site, "merge", vm)
        site.a.virsh("suspend", "merge")
        before = len(phases(site, "merge"))
        site.daemon("A").start()
        site.wait_point(vm, after=site.status("B", vm)["LastCutTime"])
        site.wait_settled(vm)
        applied = max(one["sending"] for one in phases(site, "merge")[before:])  # by the engine's own log
        site.daemon("A").stop()
        chain = site.manifest(vm)["chain"]
        images = [f"{site.replica(vm)}/vda-{link['generation']}-{link['sequence']}.qcow2" for link in reversed(chain[-2:])]
        theirs, their_cpu = committed(site, images)
        ours, our_cpu = merged(site, vm)
        readings.append((theirs, their_cpu, applied, ours, our_cpu))
        site.a.virsh("resume", "merge")
    row("", "qemu-img commit", "apply (sent to acknowledged)", "merge", "apply + merge : commit")
    row(*["---"] * 5)
    for number, (theirs, _, applied, ours, _) in enumerate(readings, 1):
        row(f"reading {number}", f"{theirs:.2f} s", f"{applied:.2f} s", f"{ours:.2f} s", f"{(applied + ours) / theirs:.2f}")
    row("median", *(f"{median([r[i] for r in readings]):.2f} s" for i in (0, 2, 3)),
        f"{median([(r[2] + r[3]) / r[0] for r in readings]):.2f} (merge alone {median([r[3] / r[0] for r in readings]):.2f})")
    row("CPU s, median", f"{median([r[1] for r in readings]):.2f}", "", f"{median([r[4] for r in readings]):.2f}", "")
    print()
    site.a.virsh("destroy", "merge")


def freeze(_):
    print("### Frozen time of an application-consistent cut, two disks, ms\n")
    row("QEMU's configuration", "cuts", "median", "least", "most")
    row(*["---"] * 5)
    for flavour in ("lab", "shipped"):
        with Lab(flavour=flavour) as lab:
            host = lab.host("A")
            probe(host, "prepare")
            vm = host.define_guest("frozen", cmdline="us=20000", start=True)
            host.console("frozen").wait_for(r"^READY", 120)
            host.wait_agent("frozen")
            times, base = [], "-"
            for number in range(1, 21):
                checkpoint = f"understudy-{number}"
                answer = probe(host, "open", vm, "vda,vdb", base, checkpoint, "require")
                times.append(int(re.search(r"frozen_ms=(\d+)", answer).group(1)))
                probe(host, "end", vm)
                if base != "-":
                    probe(host, "delete-checkpoint", vm, base)
                base = checkpoint
            row("the lab's" if flavour == "lab" else "Debian's", len(times), f"{median(times):.0f}", min(times), max(times))
            host.virsh("destroy", "frozen")
    print()


def phases(site, name):
    """Cycles by the primary's debug log: [{phase: seconds}]."""
    cycles, now, since = [], None, None
    for line in site.daemon("A").lines(area="engine", message="phase", vm=name):
        at = instant(line["time"])
        if line["to"] == "inventory":
            cycles.append({})
        if cycles and now:
            cycles[-1][now] = cycles[-1].get(now, 0) + at - since
        now, since = line["to"], at
    return [c for c in cycles if "settling" in c and "sending" in c]


def cycle(site):
    print("### Cycle with little changed (two disks, a guest that writes 20 records a second), ms\n")
    vm = site.a.define_guest("cycle", cmdline="us=50000", start=True)
    site.a.console("cycle").wait_for(r"^READY", 120)
    site.enable("cycle")
    point = site.wait_point(vm)["LastCutTime"]
    done, sent = len(phases(site, "cycle")), int(site.status("A", vm)["TransferredBytes"])
    used, rounds = cpu(site), max(ROUNDS, 5)
    for _ in range(rounds):
        point = site.wait_point(vm, after=point)["LastCutTime"]
    site.wait_settled(vm)
    used, sent = cpu(site) - used, int(site.status("A", vm)["TransferredBytes"]) - sent
    found = phases(site, "cycle")[done:]
    names = ["inventory", "cutting", "sending", "settling"]
    row("cycle", *names, "all")
    row(*["---"] * (len(names) + 2))
    for number, one in enumerate(found, 1):
        row(number, *(f"{one.get(n, 0) * 1000:.0f}" for n in names), f"{sum(one.get(n, 0) for n in names) * 1000:.0f}")
    row("median", *(f"{median([o.get(n, 0) for o in found]) * 1000:.0f}" for n in names),
        f"{median([sum(o.get(n, 0) for n in names) for o in found]) * 1000:.0f}")
    print(f"\n{sent / len(found) / 1024:.0f} KiB sent and {used / len(found) * 1000:.0f} ms of CPU (both daemons, idle time included) per cycle\n")
    site.a.virsh("destroy", "cycle")


def start(site):
    print("### From the request to running, s\n")
    vm = site.a.define_guest("start", cmdline="us=50000", start=True)
    site.a.console("start").wait_for(r"^READY", 120)
    site.enable("start")
    site.wait_point(vm)
    site.a.virsh("destroy", "start")
    site.daemon("A").stop()
    client, begun = site.wsman("B"), time.monotonic()
    site.done("B", client.service("InitiateFailover", ComputerSystem=vm_ref(vm), SnapshotSettingData=None))
    failed_over = time.monotonic() - begun
    site.done("B", client.request_state(vm, 2))
    running = time.monotonic() - begun
    ours, bare = [], []
    for _ in range(max(ROUNDS, 5)):
        site.b.virsh("destroy", "start")
        until(lambda: client.vm(vm)["EnabledState"] == "3", 30, "it is off")
        begun = time.monotonic()
        site.done("B", client.request_state(vm, 2))
        ours.append(time.monotonic() - begun)
        site.b.virsh("destroy", "start")
        begun = time.monotonic()
        site.b.virsh("start", "start")
        bare.append(time.monotonic() - begun)
    row("", "seconds")
    row("---", "---")
    row("InitiateFailover, request to job completed", f"{failed_over:.2f}")
    row("InitiateFailover + RequestStateChange(2), request to running", f"{running:.2f}")
    row("RequestStateChange(2) alone, median (readings)", f"{median(ours):.2f} ({', '.join(f'{o:.2f}' for o in ours)})")
    row("virsh start, median (readings)", f"{median(bare):.2f} ({', '.join(f'{b:.2f}' for b in bare)})")
    row("ratio request to running : virsh start", f"{running / median(bare):.2f}")
    print()
    site.b.virsh("destroy", "start")
    site.daemon("A").start()


HOURS = 24


def hours_of_points(site, name, vm):
    """HOURS hourly points of a guest that writes."""
    for hour in range(1, HOURS + 2):
        listed = site.points(vm)[-1]["sequence"]
        site.daemon("A").clock = f"+{hour}h"
        site.daemon("A").restart()
        until(lambda: site.points(vm)[-1]["sequence"] != listed, 60, "the next hour's point")
        site.wait_settled(vm)
    site.daemon("A").stop()
    site.daemon("A").clock = None
    until(lambda: len(site.manifest(vm)["chain"]) <= len(site.points(vm)) + 1, 60, "merges are done")
    return [p for p in site.points(vm) if p["keep"] == 1][-HOURS:]


def points(site):
    print(f"### Failover to one of {HOURS} hourly points, request to running, s\n")
    vm = site.a.define_guest("points", cmdline="us=50000", start=True)
    site.a.console("points").wait_for(r"^READY", 120)
    site.enable("points", words=("--history", HOURS))
    site.wait_point(vm)
    hourly = hours_of_points(site, "points", vm)
    assert len(hourly) == HOURS, hourly
    site.a.virsh("destroy", "points")
    client = site.wsman("B")
    row("point", "files in its chain", "InitiateFailover", "and running", "virsh start of the same", "ratio")
    row(*["---"] * 6)
    chain = [link["sequence"] for link in site.manifest(vm)["chain"]]
    for index in (0, 12, 23):
        point = hourly[index]
        reference = Ref("Msvm_VirtualSystemSettingData", InstanceID=f"Microsoft:{point['id'].upper()}")
        over, ours, bare = [], [], []
        for _ in range(max(ROUNDS, 5)):
            begun = time.monotonic()
            site.done("B", client.service("InitiateFailover", ComputerSystem=vm_ref(vm), SnapshotSettingData=reference))
            over.append(time.monotonic() - begun)
            site.done("B", client.request_state(vm, 2))
            ours.append(time.monotonic() - begun)
            site.b.virsh("destroy", "points")
            begun = time.monotonic()
            site.b.virsh("start", "points")
            bare.append(time.monotonic() - begun)
            site.b.virsh("destroy", "points")
            until(lambda: client.vm(vm)["EnabledState"] == "3", 30, "it is off")
            site.done("B", client.service("RevertFailover", ComputerSystem=vm_ref(vm)))
        row(f"{index} of {HOURS} (0 is the oldest)", chain.index(point["sequence"]) + 2, f"{median(over):.2f}", f"{median(ours):.2f}",
            f"{median(bare):.2f}", f"{median([o / b for o, b in zip(ours, bare)]):.2f}")
    print()
    site.daemon("A").start()


def main():
    known = {"first-copy": first_copy, "delta": delta, "merge": merge, "cycle": cycle, "freeze": freeze,
             "start": start, "points": points}
    wanted = sys.argv[1:] or list(known)
    if any(w not in known for w in wanted):
        sys.exit(__doc__)
    cpus = os.cpu_count()
    qemu = subprocess.run(["qemu-img", "--version"], capture_output=True, text=True).stdout.split("(")[0].strip()
    print(f"{time.strftime('%Y-%m-%d %H:%M UTC', time.gmtime())}, {cpus} CPUs, Linux {os.uname().release}, {qemu}, load {os.getloadavg()[0]:.1f}\n")
    with Site(log_level="debug") as site:
        for name in wanted:
            known[name](site)


if __name__ == "__main__":
    main()
