"""A full scratch space breaks the cycle, never the guest."""
import subprocess

from compare import compared_now

VM = "busy"
SCRATCH = "/var/lib/understudy/scratch"


def test_full_scratch_breaks_the_cycle_and_not_the_guest(site):
    vm = site.a.define_guest(VM, cmdline="us=50000", start=True)
    console = site.a.console(VM)
    console.wait_for(r"^READY", 120)
    site.a.vmctl(VM, "fill", 900)
    site.enable(VM)
    site.wait_point(vm)
    site.wait_settled(vm)
    site.daemon("A").stop()
    site.a.run(["mkdir", "-p", SCRATCH])
    site.a.run(["mount", "-t", "tmpfs", "-o", "size=100m,mode=0711", "scratch", SCRATCH])
    events = site.a.popen(["virsh", "--quiet", "event", VM, "--all", "--loop", "--timeout", "400"], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, text=True)
    try:
        site.a.vmctl(VM, "fill", 800)       # 50 MiB to send, over
        site.lab.shape("B", "8mbit")        # 1 MB a second
        site.daemon("A").start()
        site.wait_status("A", vm, lambda s: s["Phase"] == "sending", 60, "the cycle is sending")
        site.a.vmctl(VM, "fill", 900)       # what is in the way goes to the scratch space
        status = site.wait_status("A", vm, lambda s: "scratch" in (s.get("HealthCause") or ""), 90, "the cycle is broken")
        assert status["ReplicationHealth"] == "3" and status["HealthNext"]
        site.a.vmctl(VM, "fill", 900)       # the guest runs on
        assert site.a.virsh("domstate", VM) == "running"
        site.lab.shape("B")
        compared_now(site, vm, VM)
        site.wait_settled(vm)
    finally:
        events.terminate()
        seen = events.communicate(timeout=30)[0]
        site.daemon("A").stop()
        site.a.run(["umount", SCRATCH])
        site.daemon("A").start()
        site.a.virsh("destroy", VM, check=False)
    paused = [line for line in seen.splitlines() if "Suspended" in line and "I/O" in line or "io-error" in line]
    assert paused == [], seen
    assert "VERIFY BAD" not in console.text()
