"""Would a failover work? Each cause of bad health is made by a fault from outside, named, and over when the fault is."""
import json
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sites import BIN, FAKETIME, IDLE, PORT, STORAGE, Site, issues, until
from wire import ANSWER
from wsman import embedded, vm_ref

VM = "examined"
SETTINGS = "Msvm_ReplicationServiceSettingData"
SOON = 66  # two intervals, and the pace at which a host looks
FOREIGN = ("<filesystem type='mount' accessmode='mapped'><source dir='/tmp'/><target dir='shared'/></filesystem></devices>")


def told(site, host, vm, *words, timeout=SOON):
    """Each of these words is in some cause of the VM's health."""
    return site.wait_status(host, vm, lambda s: all(any(w in i for i in issues(s)) for w in words), timeout,
                            f"health names {words}")


def over(site, vm):
    """Nobody did more than to take the fault away."""
    for host in "AB":
        site.wait_status(host, vm, lambda s: s["ReplicationHealth"] == "1", 100, "it is over")


def checked(site, host, expected):
    """What `understudy check` finds: {check: finding} for each host. `expected`: its exit status; None: any."""
    done = site.cli(host, "check", VM, "--json", check=False)
    assert expected is None or done.returncode == expected, done.stdout + done.stderr
    [one] = json.loads(done.stdout)["vms"]
    found = {}
    for finding in one["findings"]:
        found.setdefault(finding["Host"], {})[finding["Check"]] = finding
    return found


class Certificate:
    """The certificate of a host, replaced by one of the same authority that was issued some days ago."""

    FILES = ("host.key", "host.crt")

    def __init__(self, site, host, days_ago):
        self.folder = host.path("/etc/understudy") / "tls"
        made = site.folder / f"aged-{host.name}"
        subprocess.run([str(BIN / "understudy"), "certificate", "host", host.hostname, "--authority", str(site.authority),
                        "--out", str(made)], check=True, capture_output=True,
                       env={"LD_PRELOAD": FAKETIME, "FAKETIME": f"-{days_ago}d"})
        for name in self.FILES:
            shutil.copy2(self.folder / name, self.folder / f"{name}.kept")
            shutil.copy2(made / name, self.folder / name)

    def restore(self):
        for name in self.FILES:
            (self.folder / f"{name}.kept").replace(self.folder / name)


@pytest.fixture(scope="module")
def site():
    """QEMU runs as a user of its own there, who may not go everywhere."""
    with Site(flavour="shipped") as own:
        yield own


@pytest.fixture(scope="module")
def vm(site):
    seen = "/var/lib/understudy/seen"
    program = site.a.path("/etc/understudy") / "told.sh"
    program.write_text(f'#!/bin/sh\necho "$1 $2 $UNDERSTUDY_HEALTH_BEFORE: $UNDERSTUDY_CAUSE" >>{seen}\n')
    program.chmod(0o755)
    site.configure(site.a, text='\n[health]\nscript = "/etc/understudy/told.sh"\n')
    site.daemon("A").restart()
    vm = site.a.define_guest(VM, disks=("16M",), cmdline=IDLE, start=True)
    site.enable(VM)
    site.wait_point(vm)
    for host in "AB":
        site.wait_status(host, vm, lambda s: s["ReplicationHealth"] == "1", SOON, "healthy at first")
    yield vm


def test_a_healthy_pair_is_found_healthy(site, vm):
    here = checked(site, "A", 0)
    assert set(here["host-a"]) >= {"health", "certificate", "authority", "definition", "checkpoints", "agent", "source", "replica"}
    assert set(here["host-b"]) == {"version", "host"}
    there = checked(site, "B", 0)["host-b"]
    assert set(there) >= {"health", "certificate", "listener", "location", "space", "damage", "memory", "definition", "hook"}
    assert "ok" in site.cli("A", "check") and "examined:" in site.cli("B", "check", VM)


def test_a_check_beside_cycles_sees_no_checkpoint_that_goes(site, vm):
    """Each point lets the checkpoint before it go, in another thread than the one that looks at what there is."""
    with ThreadPoolExecutor(1) as pool:
        points = pool.submit(lambda: [site.cli("A", "point", "create", VM) for _ in range(12)])
        while not points.done():
            found = checked(site, "A", None)["host-a"]
            assert [f["Cause"] for c, f in found.items() if c in ("hypervisor", "checkpoints") and f["Health"] != 1] == []
        points.result()


def test_each_fault_is_named_and_over_when_it_is(site, vm):
    inactive = site.a.virsh("dumpxml", "--inactive", VM)
    storage = site.b.path(STORAGE)
    site.daemon("B").clock = "+90s"
    site.daemon("B").restart()
    aged = [Certificate(site, site.a, 820), Certificate(site, site.b, 800)]
    try:
        site.b.run(["chmod", "0700", STORAGE])
        (site.b.path("/var/lib/understudy") / "holds" / vm).unlink()
        define(site, inactive.replace("</devices>", FOREIGN))
        told(site, "B", vm, f"may not pass through {STORAGE}", "nothing holds the replica", "24 more days", "the clock of host-a")
        told(site, "A", vm, "can no longer travel", "4 more days", "the clock of host-b")
        status = told(site, "A", vm, "on host-b: QEMU", timeout=40)  # and what it says of itself comes with a cycle
        assert status["ReplicationHealth"] == "3" and status["HealthSince"] and all(issues(status))
        assert len(status["IssueCauses"]) == len(status["IssueNexts"]) == len(status["IssueSince"])
        found = checked(site, "B", 8)["host-b"]
        assert found["location"]["Health"] == 3 and found["certificate"]["Health"] == 2
        assert checked(site, "A", 8)["host-a"]["definition"]["Next"]
        shown = site.cli("A", "show", VM)
        assert "critical" in shown and "can no longer travel" in shown, shown
        # The ways out that are named are some.
        site.b.run(found["location"]["Next"].split())
        assert found["hold"]["Next"].endswith("systemctl restart understudyd")
    finally:
        for certificate in aged:
            certificate.restore()
        storage.chmod(0o711)
        define(site, inactive)
        site.daemon("B").clock = None
        site.daemon("B").restart()
    over(site, vm)
    assert not any(issues(site.status(host, vm)) for host in "AB")
    checked(site, "A", 0)


def define(site, xml):
    site.a.virsh("define", "/dev/stdin", input=xml)


def test_a_replica_host_that_receives_no_more(site, vm):
    off = site.wsman("B").service("ModifyServiceSettings", SettingData=embedded(SETTINGS, RecoveryServerEnabled=False))
    assert off["ReturnValue"] == 0, off
    try:
        told(site, "B", vm, "not enabled as a recovery server")
        site.wait_status("A", vm, lambda s: s["ReplicationHealth"] != "1", SOON, "the primary notices")
        found = checked(site, "A", 8)["host-a"]
        assert found["replica"]["Health"] == 3
        assert checked(site, "B", 8)["host-b"]["listener"]["Next"] == "understudy server enable"
    finally:
        site.cli("B", "server", "enable", "--port", PORT)
    over(site, vm)


def test_a_vm_that_wants_more_memory_than_the_replica_host_has(site, vm):
    inactive = site.a.virsh("dumpxml", "--inactive", VM)
    site.a.virsh("setmaxmem", VM, "4T", "--config")
    try:
        found = told(site, "B", vm, "the VM needs 4194304 MiB of memory")
        assert found["ReplicationHealth"] == "2" and "less" in found["HealthNext"], found
        told(site, "A", vm, "on host-b: the VM needs 4194304 MiB of memory")
        assert checked(site, "B", 7)["host-b"]["memory"]["Health"] == 2
    finally:
        define(site, inactive)
    over(site, vm)


def test_a_primary_host_of_another_version(site, vm):
    tls = "/etc/understudy/tls"
    site.daemon("A").stop()
    try:
        said = site.a.run(["/usr/bin/python3", Path(__file__).with_name("wire.py"), "host-b", PORT, f"{tls}/host.crt", f"{tls}/host.key",
                           f"{tls}/authority.crt"], input=json.dumps({"method": "query", "params": {"vm": vm}}) + "\n").stdout
        assert json.loads(said.splitlines()[1])["type"] == ANSWER, said
        found = told(site, "B", vm, "host-a runs version test of Understudy, this host ")
        assert found["ReplicationHealth"] == "2" and found["HealthNext"] == "bring both hosts to the same version", found
    finally:
        site.daemon("A").start()
    over(site, vm)


def test_a_hook_that_somebody_replaced(site, vm):
    hook = site.b.path("/etc/libvirt") / "hooks/qemu.d/50-understudy"
    ours = hook.read_text()
    hook.write_text("#!/bin/sh\nexit 0\n")
    try:
        site.b.virsh("define", "/dev/stdin", input=site.b.virsh("dumpxml", "--inactive", VM))  # else it is looked at once a day
        found = told(site, "B", vm, "libvirtd does not call our hook")
        assert found["ReplicationHealth"] == "3" and "systemctl restart understudyd" in found["HealthNext"], found
        assert checked(site, "B", 8)["host-b"]["hook"]["Health"] == 3
    finally:
        hook.write_text(ours)
    over(site, vm)


def test_a_guest_without_an_agent_that_shall_have_consistent_points(site, vm):
    site.cli("A", "set", VM, "--history", 1, "--app-consistent", 1)
    site.daemon("A").restart()  # else it is looked at once a day
    try:
        found = told(site, "A", vm, "application-consistent points cannot be made")
        assert found["ReplicationHealth"] == "2" and found["HealthNext"], found
    finally:
        site.cli("A", "set", VM, "--history", 0, "--app-consistent", 0)
    over(site, vm)


def test_cycles_that_take_longer_than_the_interval(site, vm):
    """Two megabits for ten megabytes: 40 s, and 30 between two cuts."""
    name = "slow"
    slow = site.replicated(name, cmdline="us=1000000")
    reset = site.wsman("A").service("ResetReplicationStatistics", ComputerSystem=vm_ref(slow))
    assert reset["ReturnValue"] == 0, reset
    console = site.a.console(name, from_start=False)
    site.a.vmctl(name, "fill", 160)
    console.wait_for(r"^DONE fill 160", 60)
    site.lab.shape("B", "2mbit")
    try:
        found = told(site, "A", slow, "more than 20 % of the cycles took longer than the interval", timeout=150)
        assert found["ReplicationHealth"] == "2" and "interval" in found["HealthNext"], found
    finally:
        site.lab.shape("B")
    for _ in range(4):  # enough in time
        site.cli("A", "point", "create", name)
    over(site, slow)
    over(site, vm)
    site.a.virsh("destroy", name)


def test_the_script_heard_of_each_change(site, vm):
    seen = site.a.path("/var/lib/understudy") / "seen"
    lines = lambda: [line for line in seen.read_text().splitlines() if line.startswith(f"{VM} ")]
    until(lambda: lines()[-1].startswith(f"{VM} ok "), 30, lines)
    assert any(line.startswith(f"{VM} critical ") and ": " in line for line in lines()), lines()


def test_the_replica_is_checked_with_the_primary_dead(site, vm):
    site.daemon("A").kill()
    try:
        checked(site, "B", 0)
    finally:
        site.daemon("A").start()


def test_enabling_is_refused_when_qemu_could_not_reach_the_replica(site):
    other = site.a.define_guest("shut-out", disks=("16M",), cmdline=IDLE, start=True)
    site.b.run(["chmod", "0700", STORAGE])
    try:
        refused = site.enable("shut-out", start=False, check=False)
        assert refused.returncode != 0 and "may not pass through" in refused.stderr and "chmod o+x" in refused.stderr, refused
        assert not site.status("B", other).get("ReplicationMode") or site.status("B", other)["ReplicationMode"] == "0"
    finally:
        site.b.run(["chmod", "o+x", STORAGE])
        site.a.virsh("destroy", "shut-out")
