"""Cuts with the guest's file systems frozen by its agent: consistent when they are, and whatever happens to agent, daemon
(here the probe) and guard, the guest writes again. Through hypervisor_probe."""
import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))
from probing import FIRST, PROBE, SCRATCH, SECOND, facts, lab, probe, vm, writing_vm  # noqa: E402,F401
from hosts import LabError  # noqa: E402
from sites import until  # noqa: E402

WRITES_AGAIN = 2  # seconds
GUARD = "^[^ ]*understudy-guard "


@pytest.fixture
def agent_vm(writing_vm):
    """Writing, and its agent connected."""
    host, name, _ = writing_vm
    host.wait_agent(name)
    yield writing_vm
    assert guards(host) == "", "nobody is left behind"


def guards(host):
    return host.run(["pgrep", "-f", GUARD], check=False).stdout.strip()


def open_job(host, uuid, freeze, checkpoint=FIRST, base="-", check=True, **more):
    """{"consistent": "1", "frozen_ms": .., "freeze_error": ..}; with check=False perhaps {"error": ..}."""
    answer = probe(host, "open", uuid, "vda,vdb", base, checkpoint, freeze, check=check, **more)
    if answer.startswith("error "):
        return {"error": answer}
    words, _, error = answer.partition(" freeze_error=")
    return {"freeze_error": error, **dict(pair.split("=") for pair in words.split()[1:])}


def frozen(host, name):
    return host.agent(name, "guest-fsfreeze-status") == "frozen"


def writes_again(host, name, since, within=WRITES_AGAIN):
    console = host.console(name, from_start=False)
    console.wait_for(r"^SEQ", max(0.001, since + within - time.monotonic()))


def mark(host, uuid):
    return host.path(f"{SCRATCH}/{uuid}.frozen")


def journal_is_needed(host, name, disk):
    """Would a mount of the export of this moment replay the journal?"""
    socket = re.search(r"socket='([^']*)'", host.virsh("backup-dumpxml", name)).group(1)
    copy = f"/var/tmp/understudy-journal-{os.getpid()}.raw"
    try:
        host.run(["qemu-img", "convert", "-O", "raw", f"nbd+unix:///{disk}?socket={socket}", copy])
        features = subprocess.run(["dumpe2fs", "-h", copy], check=True, capture_output=True, text=True).stdout
    finally:
        Path(copy).unlink(missing_ok=True)
    return "needs_recovery" in re.search(r"^Filesystem features:.*", features, re.MULTILINE).group()


def test_frozen_cut_is_consistent(agent_vm):
    host, name, uuid = agent_vm
    job = open_job(host, uuid, "no")
    assert (job["consistent"], job["frozen_ms"], job["freeze_error"]) == ("0", "0", "")
    assert journal_is_needed(host, name, "vda"), "else the next line proves nothing"
    probe(host, "end", uuid)
    for freeze, checkpoint, base in (("attempt", SECOND, FIRST), ("require", "understudy-3", "-")):
        job = open_job(host, uuid, freeze, checkpoint, base)
        assert (job["consistent"], job["freeze_error"]) == ("1", ""), job
        assert 0 < int(job["frozen_ms"]) < WRITES_AGAIN * 1000
        assert not frozen(host, name) and not mark(host, uuid).exists() and guards(host) == ""
        writes_again(host, name, time.monotonic())
        assert not journal_is_needed(host, name, "vda")
        assert probe(host, "end", uuid) == "ok"


def test_agent_that_does_not_answer(agent_vm):
    host, name, uuid = agent_vm
    console = host.console(name, from_start=False)
    host.guest_exec(name, "/bin/sh", "-c", "sleep 1; kill -STOP $(cat /run/ga.pid); echo STOPPED >/dev/console; "
                    "sleep 20; kill -CONT $(cat /run/ga.pid); echo GOES ON >/dev/console")
    console.wait_for(r"STOPPED", 30)
    start = time.monotonic()
    job = open_job(host, uuid, "attempt")
    assert time.monotonic() - start < 10, "the agent has 5 s, the rest is the cut"
    assert job["consistent"] == "0" and "agent" in job["freeze_error"] and "Next: in the guest" in job["freeze_error"]
    writes_again(host, name, time.monotonic())
    assert probe(host, "end", uuid) == "ok"
    refused = open_job(host, uuid, "require", SECOND, check=False)
    assert "timeout" in refused["error"]
    now = facts(host, uuid)
    assert now["checkpoints"] == [FIRST] and now["job"] == "0"
    assert guards(host) == "" and not mark(host, uuid).exists()
    console.wait_for(r"GOES ON", 60)
    assert not frozen(host, name), "it was never asked to"


def test_freeze_that_comes_too_late(agent_vm):
    """The agent freezes when nobody waits for it any more."""
    host, name, uuid = agent_vm
    console = host.console(name, from_start=False)
    host.guest_exec(name, "/bin/sh", "-c", "echo 8 >/run/slow-freeze; echo SLOW >/dev/console")
    console.wait_for(r"SLOW", 30)
    start = time.monotonic()
    job = open_job(host, uuid, "attempt")
    assert 4 < time.monotonic() - start < 10
    assert job["consistent"] == "0" and job["freeze_error"]
    assert guards(host), "it waits for the agent"
    assert "still being undone" in open_job_again(host, uuid)
    until(lambda: guards(host) == "", 30, "the guard has thawed")
    writes_again(host, name, time.monotonic())
    assert not frozen(host, name) and not mark(host, uuid).exists()


def open_job_again(host, uuid):
    probe(host, "end", uuid)
    return open_job(host, uuid, "attempt", SECOND)["freeze_error"]


def test_killed_while_frozen(agent_vm):
    host, name, uuid = agent_vm
    with host.popen([PROBE, "open", uuid, "vda,vdb", "-", FIRST, "attempt"], env={"UNDERSTUDY_FAULT": "hypervisor.frozen:kill"}) as daemon:
        daemon.wait(60)
        writes_again(host, name, time.monotonic())
    until(lambda: guards(host) == "", 10, "the guard is gone")
    assert not frozen(host, name) and not mark(host, uuid).exists()
    assert facts(host, uuid)["checkpoints"] == [] and facts(host, uuid)["job"] == "0"


@contextlib.contextmanager
def stopped_daemon(host, uuid):
    """It is in the middle of a frozen cut. Killed at the end."""
    with host.popen([PROBE, "open", uuid, "vda,vdb", "-", FIRST, "attempt"], stdout=subprocess.PIPE, text=True,
                    env={"UNDERSTUDY_FAULT": "hypervisor.frozen:stop"}) as daemon:
        try:
            stat = Path(f"/proc/{daemon.inner_pid}/stat")
            until(lambda: stat.read_text().rsplit(")", 1)[1].split()[0] == "T", 60, "it is stopped", 0.01)
            yield daemon, time.monotonic()
        finally:
            daemon.kill()
            if daemon.poll() is None:
                os.kill(daemon.pid, signal.SIGCONT)  # the nsenter around it, which has stopped too


def test_stopped_while_frozen(agent_vm):
    host, name, uuid = agent_vm
    with stopped_daemon(host, uuid) as (daemon, since):
        assert mark(host, uuid).exists()
        writes_again(host, name, since)
        until(lambda: guards(host) == "", 10, "the guard is gone")
        assert not frozen(host, name)
        for pid in (daemon.inner_pid, daemon.pid):
            os.kill(pid, signal.SIGCONT)
        answer = daemon.communicate(timeout=60)[0]
    assert "consistent=0" in answer and "were thawed before the cut" in answer
    assert facts(host, uuid)["job"] == "1", "attempt makes the cut all the same"
    probe(host, "end", uuid)


def test_daemon_and_guard_killed(agent_vm):
    """Then the next look at the VM undoes the freeze."""
    host, name, uuid = agent_vm
    with stopped_daemon(host, uuid):
        host.run(["sh", "-c", f"kill -9 $(pgrep -f '{GUARD}')"])
    assert frozen(host, name) and mark(host, uuid).exists()
    facts(host, uuid)
    assert not frozen(host, name) and not mark(host, uuid).exists()
    writes_again(host, name, time.monotonic())


def test_libvirtd_killed_while_frozen(agent_vm):
    host, name, uuid = agent_vm
    with stopped_daemon(host, uuid):
        host.kill_libvirtd(signal.SIGKILL)
        host.start_libvirtd()
        writes_again(host, name, time.monotonic(), 30)
    until(lambda: guards(host) == "", 10, "the guard is gone")
    assert not frozen(host, name)


def test_somebody_elses_freeze_is_left_alone(agent_vm):
    host, name, uuid = agent_vm
    host.virsh("domfsfreeze", name)
    try:
        job = open_job(host, uuid, "attempt")
        assert job["consistent"] == "0" and "frozen state" in job["freeze_error"] and f"virsh domfsthaw {name}" in job["freeze_error"]
        assert probe(host, "end", uuid) == "ok"
        assert "frozen state" in open_job(host, uuid, "require", SECOND, check=False)["error"]
        assert facts(host, uuid)["checkpoints"] == [FIRST]
        assert frozen(host, name)
    finally:
        host.virsh("domfsthaw", name)


def test_guest_without_agent(lab):
    host = lab.host("A")
    uuid = host.define_guest("agentless", cmdline="mode=off", agent=False, start=True)
    try:
        job = open_job(host, uuid, "attempt")
        assert job["consistent"] == "0" and "no channel for a guest agent" in job["freeze_error"]
        assert "Next: virsh edit agentless: add <channel type='unix'>" in job["freeze_error"]
        probe(host, "end", uuid)
        assert open_job(host, uuid, "require", SECOND, check=False)["error"].startswith("error not_supported")
        assert facts(host, uuid)["checkpoints"] == [FIRST]
    finally:
        host.virsh("destroy", "agentless")
        host.virsh("undefine", "agentless", "--checkpoints-metadata")


def test_agent_that_is_gone(agent_vm):
    host, name, uuid = agent_vm
    host.guest_exec(name, "/bin/sh", "-c", "sleep 1; kill $(cat /run/ga.pid)")
    until(lambda: "state='disconnected'" in host.virsh("dumpxml", name), 30, "the agent is gone")
    assert "no guest agent runs" in open_job(host, uuid, "attempt")["freeze_error"]
    probe(host, "end", uuid)
    host.virsh("suspend", name)
    with pytest.raises(LabError, match="no guest agent runs"):
        open_job(host, uuid, "require", SECOND)


def test_without_guard_nothing_is_frozen(agent_vm):
    host, _, uuid = agent_vm
    job = open_job(host, uuid, "attempt", config=["guard=/no/such/program"])
    assert job["consistent"] == "0" and "/no/such/program" in job["freeze_error"]
    probe(host, "end", uuid)
    assert "does not start" in open_job(host, uuid, "attempt", SECOND, config=["guard=/bin/true"])["freeze_error"]
