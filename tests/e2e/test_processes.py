"""The processes that face the network, as they run: who they are and what they have left; and that killing one costs its
connections and nothing else."""
import os
import pwd
import re
import shutil
import signal
from pathlib import Path

import pytest
from sites import BIN, until

VM = "carried"


@pytest.fixture(scope="module")
def vm(site):
    vm = site.replicated(VM)
    yield vm
    site.a.virsh("destroy", VM, check=False)


def test_each_has_its_user_and_no_rights(site, vm):
    helpers = site.daemon("B").helpers()
    assert sorted(helpers.values()) == ["understudy-front", "understudy-front", "understudy-link"]
    sends = site.daemon("A").helpers()  # its link speaks with host B
    assert sorted(sends.values()) == ["understudy-front", "understudy-front", "understudy-link"]
    for pid, name in (helpers | sends).items():
        for host in ("A", "B"):
            is_confined(site.daemon(host), pid, name, [])


def is_confined(daemon, pid, user, files):
    """A process of this daemon, or of a neighbour's: it is this user, with no rights, and has these files and no others."""
    status = dict(re.findall(r"^(\w+):[ \t]*(.*)$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE))
    entry = pwd.getpwnam(user)
    assert status["Uid"].split() == [str(entry.pw_uid)] * 4 and status["Gid"].split() == [str(entry.pw_gid)] * 4, user
    assert status["Groups"] == "" and status["NoNewPrivs"] == "1" and status["Seccomp"] == "2", (user, status)
    assert {int(status[f"Cap{kind}"], 16) for kind in ("Inh", "Prm", "Eff", "Bnd", "Amb")} == {0}, user
    assert os.listdir(f"/proc/{pid}/root") == files, "that is all of its file system"
    for namespace in ("net", "ipc"):
        assert os.readlink(f"/proc/{pid}/ns/{namespace}") != os.readlink(f"/proc/{daemon.pid}/ns/{namespace}")
    files = {os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")}
    own = {f for f in files if not re.match(r"socket:|anon_inode:|pipe:|/dev/null", f)}
    assert all(f.endswith(".log") for f in own), own  # the daemon's standard error


def killed(site, name, host="B"):
    daemon = site.daemon(host)
    until(lambda: site.cli(host, "list", check=False).returncode == 0, 30, "it has started")  # all of its processes serve
    before = daemon.helpers(name)
    for pid in before:
        os.kill(pid, signal.SIGKILL)

    def others_run():
        now = daemon.helpers(name)  # one look: what was killed may still be there at the first of two
        return len(now) == len(before) and not before.keys() & now.keys()
    until(others_run, 30, f"another {name} runs")


@pytest.mark.parametrize("host", ["A", "B"])
def test_a_killed_link_costs_its_connection(site, vm, host):
    daemon, pid = site.daemon(host), site.daemon(host).pid
    newest = site.points(vm)[-1]["sequence"]
    killed(site, "understudy-link", host)
    assert daemon.lines(message="a process has ended, and is started again", program="understudy-link", how="signal 9")
    until(lambda: site.points(vm)[-1]["sequence"] > newest, 120, "replication goes on")
    assert daemon.pid == pid and daemon.running()
    assert not site.status("A", vm).get("LastError")


def test_a_link_that_cannot_be_started_again_is_shown_until_it_can(site, vm):
    """The programs lie in a folder of their own for this, from which one is taken away."""
    daemon = site.daemon("B")
    folder = site.b.path("/var/lib/understudy") / "programs"
    folder.mkdir()
    for program in ("understudyd", "understudy-front", "understudy-link", "understudy-guard"):
        shutil.copy2(BIN / program, folder)
    daemon.stop()
    daemon.programs = Path("/var/lib/understudy/programs")
    try:
        daemon.start()
        listens = lambda: site.wsman("B").enumerate("Msvm_ReplicationService")[0]["OperationalStatus"]
        good = listens()
        (folder / "understudy-link").rename(folder / "away")
        for pid in daemon.helpers("understudy-link"):
            os.kill(pid, signal.SIGKILL)
        until(lambda: listens() != good, 30, "the service shows that nobody listens")
        assert "listen" in site.wait_status("B", vm, lambda s: s["HealthCause"], 60, "health says so")["HealthCause"]
        (folder / "away").rename(folder / "understudy-link")
        until(lambda: listens() == good, 90, "it listens again by itself")
        newest = site.points(vm)[-1]["sequence"]
        until(lambda: site.points(vm)[-1]["sequence"] > newest, 120, "replication goes on")
    finally:
        daemon.programs = BIN
        daemon.restart()


def test_a_killed_front_costs_its_connections(site, vm):
    pid = site.daemon("B").pid
    killed(site, "understudy-front")
    until(lambda: site.cli("B", "list", check=False).returncode == 0, 30, "the local socket answers")
    until(lambda: site.status("B", vm), 30, "the network is answered")
    assert site.daemon("B").pid == pid and site.daemon("B").running()
