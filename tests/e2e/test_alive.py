"""A failover while the primary lives: the replica says when it heard of it, and `understudy` makes sure that it is meant."""
import json
import re

import pytest
from sites import until
from wsman import vm_ref

VM = "living"
HEARD = r"^host-a was heard (\d+ s|1 min( \d+ s)?) ago and may still run this VM$"


@pytest.fixture(scope="module")
def vm(site):
    vm = site.a.define_guest(VM, start=True)
    site.a.console(VM).wait_for(r"^READY", 120)
    site.enable(VM)
    site.wait_point(vm)
    yield vm
    for host in (site.a, site.b):
        host.virsh("destroy", VM, check=False)


def phase(site, vm):
    return site.status("B", vm)["Phase"]


def test_the_replica_says_when_it_heard_of_the_primary(site, vm):
    status = site.status("B", vm)
    assert status["PrimaryAlive"] == "true" and int(status["PrimaryHeardSeconds"]) <= 90
    assert site.status("A", vm).get("PrimaryAlive") is None
    assert re.search(r"^primary heard +\d+ s ago$", site.cli("B", "show", VM), re.MULTILINE)


def test_yes_alone_is_refused(site, vm):
    done = site.cli("B", "failover", VM, "--yes", check=False)
    assert done.returncode == 3 and done.stdout == ""
    assert "The latest point is" in done.stderr and re.search(HEARD, done.stderr, re.MULTILINE), done.stderr
    assert re.search(rf"^understudy: VM '{VM}' may still run on host-a, which was heard ", done.stderr, re.MULTILINE)
    done = site.cli("B", "failover", VM, "--yes", "--json", check=False)
    assert done.returncode == 3 and "virsh shutdown" in json.loads(done.stdout)["error"]["next"]
    assert phase(site, vm) == "standby"


def test_the_method_is_not_refused_and_its_job_says_so(site, vm):
    client = site.wsman("B")
    job = site.done("B", client.service("InitiateFailover", ComputerSystem=vm_ref(vm), SnapshotSettingData=None))
    assert job["Description"] == f"Failover of {VM} while the primary is alive and may still run this VM"
    logged = site.daemon("B").lines(area="failover")[-1]
    assert logged["primary"] == "host-a" and logged["vm"] == VM and logged["heard"].endswith("ago")
    trail = site.b.path("/var/lib/understudy").joinpath("audit.log").read_text().splitlines()
    trail = [json.loads(line) for line in trail]
    begun, line = [l for l in trail if l["method"] == "InitiateFailover"][-2:]
    assert begun["call"] == line["call"] and (begun["stage"], line["stage"]) == ("begins", "answered") and "return" not in begun
    assert re.search(r"^the primary was heard .* ago and may still run the VM$", line["remark"]), line
    assert (line["caller"], line["login"], line["role"], line["return"]) == ("admin", "basic", "administrator", 4096)
    assert line["from"].startswith(f"{site.b.address}:") and any(vm.upper() in o for o in line["objects"]), line
    site.done("B", client.service("RevertFailover", ComputerSystem=vm_ref(vm)))
    if site.status("A", vm)["Phase"] == "halted":  # it has heard of the failover meanwhile
        site.cli("A", "resume", VM)


def test_what_the_refusal_names_is_a_way_out(site, vm):
    """Its commands, as they stand there: the VM goes off on the primary, and then runs on the replica host only."""
    done = site.cli("B", "failover", VM, "--yes", check=False)
    there, here = re.search(r"next: on host-a: virsh (.*?); .* here: understudy (.*)$", done.stderr, re.MULTILINE).groups()
    site.a.virsh(*there.split())
    until(lambda: site.a.virsh("domstate", VM).strip() == "shut off", 120, "the VM is off on the primary")
    site.cli("B", *here.split())
    site.cli("B", "vm", "start", VM)
    assert site.b.virsh("domstate", VM).strip() == "running"
    site.daemon("A").restart()
    site.wait_status("A", vm, lambda s: s["Phase"] == "halted", 90, "the primary learns of it")
    assert site.a.virsh("start", VM, check=False).returncode != 0
    assert site.a.virsh("domstate", VM).strip() == "shut off"


def test_a_silent_primary_is_not_alive(site, vm):
    site.b.virsh("destroy", VM)
    site.cli("B", "revert", VM, "--yes")
    site.daemon("A").stop()
    status = site.wait_status("B", vm, lambda s: s["PrimaryAlive"] == "false", 120, "the primary is silent")
    assert int(status["PrimaryHeardSeconds"]) >= 90
    site.cli("B", "failover", VM, "--yes")
    assert phase(site, vm) == "failed_over"
