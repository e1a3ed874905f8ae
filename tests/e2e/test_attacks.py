"""Attacks on both listeners, from another host, and whether others are answered meanwhile, in bounded memory. What a front does
that was taken over is in test_taken_over.py, what a peer with a good certificate may send in test_peers.py."""
import json
import subprocess
from pathlib import Path

import pytest
from sites import BIN, IDLE, PASSWORD, PORT, Site, until
from wsman import Fault, Wsman, vm_ref

MANAGEMENT = 5986
TLS = "/etc/understudy/tls"
ADMIN, READER, OPERATOR = f"admin:{PASSWORD}", "reader:only-looking", "operator:on-the-wheel"
MORE_MEMORY = 96 << 10  # KiB that an attack may cost


@pytest.fixture(scope="module")
def site():
    """Hosts of its own: wrong passwords make an address wait. Host A attacks from a second address."""
    with Site() as own:
        for user in (READER, OPERATOR):
            name, password = user.split(":")
            own.cli("B", "user", "add", name, "--role", name, input=password + "\n")
        own.vm = own.replicated("guest")
        yield own


def attack(site, name, *words, port=MANAGEMENT):
    return json.loads(site.a.run(command(name, *words, port=port), timeout=300).stdout.splitlines()[-1])


def command(name, *words, port=MANAGEMENT):
    return ["/usr/bin/python3", Path(__file__).with_name("attacker.py"), name, "host-b", port, f"{TLS}/authority.crt", *words]


def issued(site, authority, name):
    folder = site.a.path("/etc/understudy") / f"tls-{name}"
    if not authority.exists():
        subprocess.run([BIN / "understudy", "certificate", "authority", authority], check=True, capture_output=True)
    subprocess.run([BIN / "understudy", "certificate", "host", name, "--authority", authority, "--out", folder],
                   check=True, capture_output=True)
    return f"/etc/understudy/tls-{name}/host.crt", f"/etc/understudy/tls-{name}/host.key"


# ---- who ----


def test_no_header_and_every_wrong_one(site):
    assert set(attack(site, "headers")) <= {400, 401}


def test_each_request_of_a_connection_has_a_caller_of_its_own(site):
    assert attack(site, "second", ADMIN, READER) == [200, 401, 200, 200]  # the third is refused by its ReturnValue
    assert attack(site, "pipelined", ADMIN) == [200, 401]


def test_a_certificate_that_nobody_knows(site):
    assert attack(site, "certificate", *issued(site, site.authority, "stranger")) == 401
    assert attack(site, "certificate", *issued(site, site.folder / "other", "foreigner")) != 200


def test_a_reader_changes_nothing_and_an_operator_no_settings(site):
    changing = ["InitiateFailover", "RevertFailover", "SetFailoverNetworkAdapterSettings", "StartReplication",
                "RequestReplicationStateChange", "ModifyServiceSettings", "AddAuthorizationEntry", "RemoveReplicationRelationship"]
    before = site.cli("B", "server", "show", "--json")
    denied = {"32769", "AccessDenied"}  # a fault where the method's values have no such number
    assert set(attack(site, "methods", READER, *changing).values()) <= denied
    settings = ["ModifyServiceSettings", "AddAuthorizationEntry", "RemoveAuthorizationEntry", "ModifyReplicationSettings",
                "CreateReplicationRelationship", "RemoveReplicationRelationship", "StartService", "AnythingElse"]
    answers = attack(site, "methods", OPERATOR, *settings)
    assert {answers[m] for m in settings[:-1]} <= denied and answers["AnythingElse"] != "0"
    assert site.cli("B", "server", "show", "--json") == before
    lines = [json.loads(line) for line in site.b.path("/var/lib/understudy").joinpath("audit.log").read_text().splitlines()]
    refused = [l for l in lines if l.get("return") == 32769]
    assert {(l["caller"], l["role"]) for l in refused} == {("reader", "reader"), ("operator", "operator")}
    assert {l["method"] for l in refused} >= set(changing)
    assert all(l["from"].startswith(site.a.address) and l["time"] and l["objects"] for l in refused)
    text = site.b.path("/var/lib/understudy").joinpath("audit.log").read_text()
    assert "only-looking" not in text and PASSWORD not in text


def test_a_role_on_one_vm_reaches_that_vm_and_nothing_else(site):
    other = site.a.define_guest("other", disks=("16M",), cmdline=IDLE)
    site.cli("A", "user", "add", "tenant", "--role", f"operator@{site.vm}", input="one-vm-only\n")
    tenant, admin = Wsman(site.a, ("password", "tenant", "one-vm-only")), site.wsman("A")
    try:
        assert {vm["ElementName"] for vm in admin.enumerate("Msvm_ComputerSystem")} >= {"guest", "other", "host-a"}
        assert {vm["ElementName"] for vm in tenant.enumerate("Msvm_ComputerSystem")} == {"guest", "host-a"}
        for class_name in ("CIM_ManagedElement", "CIM_SettingData", "Msvm_SummaryInformation", "Msvm_SystemReplicationRelationship"):
            seen = tenant.enumerate(class_name)
            assert other.upper() not in str(seen).upper(), class_name
            assert len(seen) < len(admin.enumerate(class_name)), class_name
        assert tenant.vm(site.vm)["ElementName"] == "guest"
        for ask in (lambda: tenant.vm(other), lambda: tenant.status(other), lambda: tenant.enumerate("Msvm_ReplicationServiceSettingData")[0],
                    lambda: tenant.wql(f"ASSOCIATORS OF {{Msvm_ComputerSystem.CreationClassName='Msvm_ComputerSystem',Name='{other.upper()}'}}")):
            with pytest.raises((Fault, IndexError)):
                ask()
        reset = lambda vm: tenant.service("ResetReplicationStatistics", ComputerSystem=vm_ref(vm))["ReturnValue"]
        assert reset(site.vm) == 0
        assert reset(other) == 32769
        assert tenant.service("RemoveReplicationRelationship", ComputerSystem=vm_ref(site.vm))["ReturnValue"] == 32769
        assert tenant.service("RemoveAuthorizationEntry", AllowedPrimaryHostSystem=str(site.vm))["ReturnValue"] == 32769
        line = json.loads(site.a.path("/var/lib/understudy").joinpath("audit.log").read_text().splitlines()[-1])
        assert (line["caller"], line["role"], line["return"]) == ("tenant", f"operator@{site.vm}", 32769)
    finally:
        tenant.close()
        site.a.virsh("undefine", "other")


# ---- what ----


def test_smuggled_requests_end_the_connection(site):
    answers = attack(site, "smuggled", ADMIN)
    assert set(answers[0::2]) == {400} and set(answers[1::2]) == {0}, answers


def test_documents_that_mean_harm_get_a_fault(site):
    with memory_is_bounded(site):
        for name, (status, leaked, fault) in attack(site, "documents", READER).items():
            assert status in (413, 500) and not leaked and fault, (name, status)


def test_a_thousand_enumerations_that_nobody_pulls(site):
    with memory_is_bounded(site):
        assert attack(site, "enumerations", READER) == {"opened": 64, "told": "QuotaLimit"}
        others_are_answered(site)


# ---- how many ----


@pytest.mark.parametrize("port", [MANAGEMENT, PORT])
@pytest.mark.parametrize("how", [pytest.param("silent", marks=pytest.mark.long), "half_open"])
def test_ten_thousand_connections_that_say_nothing(site, port, how):
    with memory_is_bounded(site):
        attacker = site.a.popen(command(how, "10000", port=port), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        try:
            assert json.loads(attacker.stdout.readline()) == {"holding": 10000}
            others_are_answered(site)
            replication_goes_on(site)
        finally:
            attacker.stdin.close()
            attacker.wait(timeout=60)


@pytest.mark.parametrize("port", [MANAGEMENT, PORT])
def test_one_byte_a_second(site, port):
    with memory_is_bounded(site):
        raw = () if port == MANAGEMENT else ("raw",)
        attacker = site.a.popen(command("slow", "100", "120", *raw, port=port), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                text=True)
        try:
            attacker.stdout.readline()
            others_are_answered(site)
            replication_goes_on(site)
        finally:
            attacker.stdin.close()
            attacker.wait(timeout=60)


# ---- and meanwhile ----


def others_are_answered(site):
    """From another address, and at the local socket."""
    done = site.b.run([BIN / "understudy", "list", "--host", "host-b", "--user", "admin", "--ca", f"{TLS}/authority.crt"],
                      check=False, env={"UNDERSTUDY_PASSWORD": PASSWORD}, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "guest" in done.stdout and "guest" in site.cli("B", "list")


def replication_goes_on(site):
    newest = site.points(site.vm)[-1]["sequence"]
    until(lambda: site.points(site.vm)[-1]["sequence"] > newest, 120, "a new point")


class memory_is_bounded:
    """Of the daemon and of its processes, on host B: what an attack costs, at its worst."""

    def __init__(self, site):
        self.daemon = site.daemon("B")

    def most(self):
        found = {}
        for pid in (self.daemon.pid, *self.daemon.helpers()):
            lines = Path(f"/proc/{pid}/status").read_text().splitlines()
            found[pid] = next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))
        return found

    def __enter__(self):
        self.before = self.most()

    def __exit__(self, kind, *_):
        after = self.most()
        if kind is None:
            assert after.keys() == self.before.keys(), "a process was started again"
            assert all(after[pid] - before < MORE_MEMORY for pid, before in self.before.items()), (self.before, after)
