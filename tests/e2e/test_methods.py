"""Methods of the service beside the way of a VM: authorization, statistics, certificates, a connection tried."""
import base64
import hashlib
import xml.etree.ElementTree as ET

from sites import IDLE, PORT, STORAGE
from wsman import embedded, vm_ref

ENTRY = "Msvm_ReplicationAuthorizationSettingData"


def properties(text):
    """What an embedded instance says."""
    return {p.get("NAME"): p.findtext("VALUE") for p in ET.fromstring(text).iter("PROPERTY")}


def statistics(site, host, vm):
    answer = site.wsman(host).service("GetReplicationStatistics", ComputerSystem=vm_ref(vm))
    assert answer["ReturnValue"] == 0, answer
    return properties(answer["ReplicationStatistics"]), answer.get("ReplicationHealthIssues")


def test_authorization_is_taken_back_and_given_again(site):
    vm = site.a.define_guest("authorized", disks=("16M",), cmdline=IDLE, start=True)
    site.enable("authorized")
    site.wait_point(vm)
    service = site.wsman("B").service
    assert service("ModifyAuthorizationEntry",
                   AuthorizationEntry=embedded(ENTRY, AllowedPrimaryHostSystem="HOST-A", TrustGroup="lab"))["ReturnValue"] == 0
    try:
        said = site.cli("B", "unauthorize", "host-a")
        assert "nothing more is taken" in said and f"{STORAGE}/{vm}" in said, said
        # Though its connection was open; and all that is there stays.
        site.wait_status("A", vm, lambda s: s["ReplicationHealth"] == "3", 90, "Critical without authorization")
        assert "authorize" in site.status("A", vm)["HealthCause"]
        assert site.points(vm)
        refused = site.cli("A", "connection", "test", f"host-b:{PORT}", check=False)
        assert refused.returncode == 5 and "understudy authorize host-a" in refused.stderr, refused
        assert service("RemoveAuthorizationEntry", AllowedPrimaryHostSystem="host-a")["ReturnValue"] == 32773
        site.daemon("B").restart()
        assert site.wsman("B").enumerate(ENTRY) == []
    finally:
        site.cli("B", "authorize", "host-a", "--storage", STORAGE, check=False)
    before = site.status("B", vm)["LastCutTime"]
    site.wait_point(vm, after=before, timeout=180)
    site.a.virsh("destroy", "authorized")


def test_statistics_count_and_begin_anew(site):
    vm = site.a.define_guest("counted", disks=("16M",), cmdline=IDLE, start=True)
    none = site.wsman("A").service("GetReplicationStatistics", ComputerSystem=vm_ref(vm))
    assert none["ReturnValue"] == 32775, none
    site.enable("counted")
    site.wait_point(vm)
    for host in "AB":
        first, _ = statistics(site, host, vm)
        assert int(first["ReplicationSuccessCount"]) >= 1, first
        reset = site.wsman(host).service("ResetReplicationStatistics", ComputerSystem=vm_ref(vm))
        assert reset["ReturnValue"] == 0, reset
        second, _ = statistics(site, host, vm)
        assert second["StartStatisticTime"] > first["StartStatisticTime"]
        assert int(second["ReplicationSuccessCount"]) <= 1, second  # a cycle may have ended meanwhile
    _, issues = statistics(site, "B", vm)
    assert not issues, issues
    site.a.virsh("destroy", "counted")


def test_certificates_are_those_of_the_host(site):
    answer = site.wsman("A").service("GetSystemCertificates")
    assert answer["ReturnValue"] == 0
    encoded = answer["EncodedCertificates"]
    encoded = encoded if isinstance(encoded, list) else [encoded]
    prints = {hashlib.sha256(base64.b64decode(one)).hexdigest().upper() for one in encoded}
    [settings] = site.wsman("A").enumerate("Msvm_ReplicationServiceSettingData")
    assert settings["CertificateThumbPrint"] in prints


def test_a_connection_is_tried(site):
    said = site.cli("A", "connection", "test", f"host-b:{PORT}")
    assert "takes replicas from this host" in said, said
    silent = site.cli("A", "connection", "test", "host-b:9", check=False)
    assert silent.returncode == 6 and "host-b" in silent.stderr, silent
    asked = dict(RecoveryConnectionPoint="host-b", RecoveryServerPortNumber=PORT, AuthenticationType=2)
    assert site.wsman("A").service("TestReplicationConnection", **asked)["ReturnValue"] == 0
    assert site.wsman("A").service("TestReplicationConnection", **asked | {"AuthenticationType": 1})["ReturnValue"] == 32773
    assert site.wsman("A").service("TestReplicationConnection", **asked | {"RecoveryServerPortNumber": 9})["ReturnValue"] == 32777
