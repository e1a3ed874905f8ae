"""The host that runs three VMs is lost, and so is the network: one command on the other host, made to be run again."""
import json
import re
import shlex

import pytest
from sites import IDLE, Site

VMS = ("db", "mail", "web")


@pytest.fixture(scope="module")
def lost():
    """Host A and the network are gone; the file system of mail's replica has become read-only."""
    with Site() as site:
        site.vms = {name: site.a.define_guest(name, disks=("8M",), cmdline=IDLE, start=True) for name in VMS}
        for name in VMS:
            site.enable(name)
        for vm in site.vms.values():
            site.wait_point(vm)
        site.a.power_cut()
        site.lab.set_link("B", False)
        site.folder_of_mail = site.replica(site.vms["mail"])
        site.b.run(["mount", "--bind", site.folder_of_mail, site.folder_of_mail])
        site.b.run(["mount", "-o", "remount,bind,ro", site.folder_of_mail])
        yield site


def failover(site, *words):
    return site.cli("B", "failover", "--from", "host-a", "--all", *words, check=False)


def test_in_the_first_minutes_nothing_happens_by_yes_alone(lost):
    done = failover(lost, "--yes", "--start")
    assert done.returncode == 3 and done.stdout == "", done
    for name in VMS:
        assert re.search(rf"^{name} +[0-9a-f]{{8}} +\d{{4}}-\S+ \S+ UTC +.* ago, may still run it$", done.stderr, re.MULTILINE), done.stderr
    assert "host-a may still run db, mail, web: two copies of each would run; nothing was done" in done.stderr
    assert all(lost.status("B", vm)["Phase"] == "standby" for vm in lost.vms.values())
    assert failover(lost).returncode == 3, "nobody to ask"
    lost.way_out = re.search(r"here: understudy (.*)$", done.stderr, re.MULTILINE)[1]


def test_the_others_go_on_when_one_fails(lost):
    """By the command that the refusal names."""
    done = lost.cli("B", *shlex.split(lost.way_out), check=False)
    assert done.returncode == 1, done
    lines = done.stdout.splitlines()
    assert "db    failed over, started" in lines and "web   failed over, started" in lines, done.stdout
    assert re.search(r"^mail  failed: .+", done.stdout, re.MULTILINE), done.stdout
    assert "1 VM of 3 from host-a has a problem: mail" in done.stderr
    for name in ("db", "web"):
        assert lost.b.virsh("domstate", name).strip() == "running"
    first, again = re.search(r"next: understudy (.*?); then .*: understudy (.*)$", done.stderr, re.MULTILINE).groups()
    lost.again = again
    assert "mail" in lost.cli("B", *shlex.split(first))


def test_it_can_be_run_again(lost):
    lost.b.run(["umount", lost.folder_of_mail])
    done = lost.cli("B", *shlex.split(lost.again), "--yes", "--primary-is-running", "--json", check=False)
    assert done.returncode == 0, done
    assert "db: is failed over already, skipped" in done.stderr
    results = {vm["name"]: vm["result"] for vm in json.loads(done.stdout)["vms"]}
    assert results == {"db": "was failed over before, skipped; runs", "mail": "failed over, started",
                       "web": "was failed over before, skipped; runs"}
    assert lost.b.virsh("domstate", "mail").strip() == "running"
    assert failover(lost).returncode == 0, "nothing is left to confirm"


def test_who_was_never_here(lost):
    done = lost.cli("B", "failover", "--from", "host-c", "--all", "--yes", check=False)
    assert done.returncode == 4 and "those here come from host-a" in done.stderr and "next: understudy list" in done.stderr
    assert "host-a" in lost.cli("B", "list")
