"""The primary's host gets a certificate of another name: a replica goes on only within a trust group, by a comparison,
and every older point stays. The tests of this file follow one another on the same guest."""
import contextlib
import shutil
import subprocess

import pytest
from compare import assert_replica_holds, compared_now, read_now
from sites import BIN, PORT, STORAGE, Site, until
from test_peers import converse, issue
from test_resync import sent_bytes
from wire import ANSWER, ERROR

VM = "renamed"
REPLICATION = "/etc/understudy/tls-replication"
SAID = "another host of the trust group sends a replica from now on"


@pytest.fixture(scope="module")
def home():
    with Site() as own:
        rename(own, "host-a")
        own.configure(own.a, text=f'\n[replication]\ncertificate = "{REPLICATION}/host.crt"\nkey = "{REPLICATION}/host.key"\n')
        own.daemon("A").restart()
        yield own


@pytest.fixture(scope="module")
def vm(home):
    vm = home.replicated(VM, "us=20000 churn=all", ("--history", 4), disks=("48M", "32M"))
    home.cli("A", "point", "create", VM)
    return vm


def rename(site, name):
    """Host A's certificate of replication, made anew under this name; the daemon takes it into use by itself."""
    folder = site.a.path(REPLICATION)
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(folder)
    subprocess.run([BIN / "understudy", "certificate", "host", f"{name},{site.a.address}", "--authority", site.authority,
                    "--out", folder], check=True, capture_output=True)


def wait_refusal(site, vm, *words):
    return site.wait_status("A", vm, lambda s: all(w in (s.get("LastError") or "") for w in words), 120, f"refused: {words}")


def wait_sender(site, vm, name):
    until(lambda: site.manifest(vm)["primary"] == name, 180, lambda: f"{name} sends; {site.status('A', vm)}")


def query(vm):
    return ("query", {"vm": vm})


def begin(site, vm, sequence, kind, start):
    held = site.manifest(vm)
    lineage = {"set": held["set"], "generation": held["generation"], "sequence": sequence}
    return ("begin", {"vm": vm, "key": {"lineage": lineage, "from": start, "kind": kind}, "granule": 65536, "bytes_total": 0})


def test_another_name_is_refused_until_both_are_of_a_group(home, vm):
    held = {p["sequence"] for p in home.points(vm) if p["keep"] != 0}
    assert held
    home.a.virsh("suspend", VM)
    home.wait_settled(vm)
    rename(home, "host-z")
    wait_refusal(home, vm, "does not authorize 'host-z'", "understudy authorize host-z --storage DIR")
    home.cli("B", "authorize", "host-z", "--storage", STORAGE, "--trust-group", "site")
    wait_refusal(home, vm, "belongs to the primary host 'host-a'", "--trust-group")
    assert home.manifest(vm)["primary"] == "host-a"
    # An entry that is there is changed; what is not named stays.
    home.cli("B", "authorize", "host-a", "--trust-group", "site")
    assert STORAGE in home.cli("B", "authorizations").split("host-a")[1].splitlines()[0]
    before = sent_bytes(home.a)
    wait_sender(home, vm, "host-z")
    home.wait_settled(vm)
    assert_replica_holds(home, vm, read_now(home.a, VM, ["vda", "vdb"]))
    assert sent_bytes(home.a) - before < 8 << 20, "of 80 MiB only what differs was sent"
    home.a.virsh("resume", VM)
    assert held <= {p["sequence"] for p in home.points(vm)}, "every point that is kept is there"
    said = home.daemon("B").lines(message=SAID)
    assert [(line["before"], line["now"]) for line in said] == [("host-a", "host-z")]


def test_the_host_before_it_hears_who_sends_and_continues_nothing(home, vm):
    old = issue(home, home.authority, "host-a")
    newest = max(p["sequence"] for p in home.points(vm))
    answers = converse(home, [query(vm), begin(home, vm, newest + 1, 1, newest), begin(home, vm, newest + 1, 0, 1)], old)
    assert answers[1]["type"] == ANSWER and answers[1]["body"]["result"]["sender"] == {"name": "host-z"}, answers[1]
    assert "staging" not in answers[1]["body"]["result"]
    for answer in answers[2:]:
        assert answer["type"] == ERROR and answer["body"]["error"]["code"] == "invalid_state", answer
        assert "begins with a comparison" in answer["body"]["error"]["message"]
    assert home.manifest(vm)["primary"] == "host-z"


def test_a_host_of_another_group_hears_nothing(home, vm):
    home.cli("B", "authorize", "host-o", "--storage", STORAGE, "--trust-group", "Site")
    newest = max(p["sequence"] for p in home.points(vm))
    other = issue(home, home.authority, "host-o")
    answers = converse(home, [query(vm), begin(home, vm, newest + 1, 0, 0)], other)
    for answer in answers[1:]:
        assert answer["type"] == ERROR and answer["body"]["error"]["code"] == "access_denied", answer
    assert home.manifest(vm)["primary"] == "host-z"


@pytest.mark.parametrize("fault, name", [("store.sender.before-manifest", "host-a"), ("store.sender.after-manifest", "host-z")])
def test_a_crash_of_the_replica_while_it_changes_hands(home, vm, fault, name):
    home.wait_settled(vm)
    home.daemon("B").restart(fault=f"{fault}:kill")
    rename(home, name)
    home.daemon("B").wait_end(180)
    home.daemon("B").start()
    wait_sender(home, vm, name)
    compared_now(home, vm, VM, 180)


def test_the_store_alone_says_who_sends(home, vm):
    """The database of host B is lost: the replica is that of the host that sent last."""
    home.a.virsh("suspend", VM)
    sender = home.manifest(vm)["primary"]
    home.daemon("B").stop()
    state = home.b.path("/var/lib/understudy")
    for file in state.glob("state.db*"):
        file.unlink()
    assert f"understudy authorize {sender}" in home.cli("B", "store", "recover", STORAGE)
    home.daemon("B").start()
    home.cli("B", "server", "enable", "--port", PORT)
    home.cli("B", "authorize", sender, "--storage", STORAGE)
    newest = max(p["sequence"] for p in home.points(vm))
    until(lambda: max(p["sequence"] for p in home.points(vm)) > newest, 180, "replication goes on, without a trust group")
    home.wait_settled(vm)
    assert_replica_holds(home, vm, read_now(home.a, VM, ["vda", "vdb"]))
    home.a.virsh("destroy", VM)
