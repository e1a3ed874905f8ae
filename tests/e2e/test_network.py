"""The network settings of a VM: set, kept, and given to the guest by its agent after a failover."""
import json

import pytest
from sites import IDLE, until
from wsman import embedded, vm_ref

# The hosts' network is 192.168.122.0/24; the guest comes up with the address that it had on the primary.
OLD, NEW, OTHER = "192.168.122.5", "192.168.122.77", "192.168.122.78"
GIVE_NETWORK = "32770"  # JobType
SETTINGS = "Msvm_FailoverNetworkAdapterSettingData"


@pytest.fixture(scope="module")
def vms(site):
    """Three replicas: of a guest with an agent, of one whose VM has no channel for it, of one without an agent."""
    site.b.ensure_network()
    found = {"netted": site.a.define_guest("netted", disks=("16M",), cmdline=f"mode=idle vmip={OLD}/24", network=True, start=True),
             "mute": site.a.define_guest("mute", disks=("16M",), cmdline=IDLE, network=True, agent=False, start=True),
             "silent": site.a.define_guest("silent", disks=("16M",), cmdline=IDLE, network=True, start=True)}
    site.a.console("netted").wait_for(r"^READY", 120)
    for name in found:
        site.enable(name)
    for vm in found.values():
        site.wait_point(vm)
    yield found
    for name in found:
        site.a.virsh("destroy", name, check=False)
        site.b.virsh("destroy", name, check=False)


def fail_over_and_start(site, name):
    site.a.virsh("destroy", name, check=False)
    site.cli("B", "failover", name, "--yes", "--primary-is-running")
    site.cli("B", "vm", "start", name)


def network_job(site, vm):
    """The newest job that gives a guest its settings."""
    jobs = [j for j in site.wsman("B").wql(f'ASSOCIATORS OF {{Msvm_ComputerSystem.CreationClassName="Msvm_ComputerSystem",'
                                           f'Name="{vm.upper()}"}} WHERE ResultClass = Msvm_ConcreteJob')
            if j["JobType"] == GIVE_NETWORK]
    return max(jobs, key=lambda j: j["TimeSubmitted"])


def answers(site, address):
    """From the network of host B."""
    return site.b.run(["busybox", "ping", "-c1", "-W1", address], check=False).returncode == 0


def wait_taken(site, vm):
    return site.wait_status("B", vm, lambda s: s.get("NetworkGiven") == "true", 120, "the guest takes its settings")


def inside(site):
    """What the guest says of its card's addresses."""
    cards = site.b.agent("netted", "guest-network-get-interfaces")
    return {a["ip-address"] for c in cards if c["name"] == "eth0" for a in c.get("ip-addresses", [])}


def test_settings_are_set_shown_and_kept_over_a_restart(site, vms):
    said = site.cli("B", "network", "set", "netted", "--address", f"{NEW}/24,2001:db8::77/64", "--gateway", "192.168.122.1",
                    "--dns", "192.168.122.1")
    assert f"{NEW}/24, 2001:db8::77/64" in said
    site.daemon("B").restart()
    [card] = json.loads(site.cli("B", "network", "show", "netted", "--json"))["adapters"]
    assert card["IPAddresses"] == [NEW, "2001:db8::77"] and card["Subnets"] == ["255.255.255.0", "64"], card
    assert f"{NEW}/24" in site.cli("B", "network", "show", "netted")
    ports = site.wsman("B").wql(f'ASSOCIATORS OF {{Msvm_VirtualSystemSettingData.InstanceID="Microsoft:{vms["netted"].upper()}"}} '
                                "WHERE ResultClass = Msvm_SyntheticEthernetPortSettingData")
    assert [p["InstanceID"] + "\\Failover" for p in ports] == [card["InstanceID"]]
    [far] = site.wsman("B").wql(f'ASSOCIATORS OF {{Msvm_SyntheticEthernetPortSettingData.InstanceID="{ports[0]["InstanceID"]}"}} '
                                "WHERE AssocClass = Msvm_EthernetPortFailoverSettingDataComponent".replace("\\", "\\\\"))
    assert far["DefaultGateways"] == "192.168.122.1" and far["ProtocolIFType"] == "4098", far


def test_the_method_answers_as_documented(site, vms):
    def call(host, vm, **values):
        return site.wsman(host).service("SetFailoverNetworkAdapterSettings", ComputerSystem=vm_ref(vm),
                                        NetworkSettings=embedded(SETTINGS, **values))
    for host in "AB":  # either side
        answer = call(host, vms["silent"], DHCPEnabled=True, IPAddresses=[])
        assert answer["ReturnValue"] == 0 and not answer.get("Job"), answer
    assert call("B", vms["netted"], DHCPEnabled=True)["ReturnValue"] == 32773  # no IPAddresses
    alone = site.a.define_guest("alone", disks=("16M",), network=True)
    answer = call("A", alone, DHCPEnabled=True, IPAddresses=[])
    assert answer["ReturnValue"] == 32775, answer
    refused = site.cli("A", "network", "set", "alone", "--dhcp", check=False)
    assert refused.returncode == 3 and "understudy enable alone" in refused.stderr, refused


def test_a_guest_without_a_channel_leaves_the_failover_standing(site, vms):
    site.cli("B", "network", "set", "mute", "--address", f"{OTHER}/24")
    fail_over_and_start(site, "mute")
    status = site.wait_status("B", vms["mute"], lambda s: s.get("NetworkError"), 60, "the guest is not given its settings")
    assert status["ReplicationState"] == "5" and status["NetworkGiven"] == "false"
    assert "no channel for a guest agent" in status["HealthCause"] and "virsh edit mute" in status["HealthNext"], status
    job = network_job(site, vms["mute"])
    assert job["JobState"] == "10" and job["ErrorCode"] == "32770" and "no channel" in job["ErrorDescription"], job
    assert "no channel" in site.cli("B", "network", "show", "mute")
    site.cli("B", "network", "set", "mute", "--clear")
    assert "no channel" not in site.status("B", vms["mute"])["HealthCause"]
    site.cli("B", "vm", "stop", "mute", "--yes")


def test_the_guest_answers_on_its_new_address(site, vms):
    vm = vms["netted"]
    fail_over_and_start(site, "netted")
    wait_taken(site, vm)
    until(lambda: answers(site, NEW), 20, f"the guest answers on {NEW}")
    assert not answers(site, OLD)
    assert {NEW, "2001:db8::77"} <= inside(site) and OLD not in inside(site)
    assert network_job(site, vm)["JobState"] == "7"
    assert "The guest has taken them." in site.cli("B", "network", "show", "netted")
    # Others than those that it has are given at once, and again after the next failover.
    site.cli("B", "network", "set", "netted", "--address", f"{OTHER}/24")
    wait_taken(site, vm)
    until(lambda: answers(site, OTHER), 20, f"the guest answers on {OTHER}")
    assert not answers(site, NEW)
    # Once in a failover: what the guest does with its network afterwards is its own.
    site.cli("B", "vm", "stop", "netted", "--yes")
    console = site.serial(site.b, "netted", from_start=False)
    site.cli("B", "vm", "start", "netted")
    console.wait_for(r"^READY", 120)
    assert inside(site) == {OLD} | {a for a in inside(site) if a.startswith("fe80:")}
    site.cli("B", "vm", "stop", "netted", "--yes")
    site.cli("B", "revert", "netted", "--yes")
    fail_over_and_start(site, "netted")
    wait_taken(site, vm)
    until(lambda: answers(site, OTHER), 20, f"the guest answers on {OTHER} again")


@pytest.mark.long
def test_an_agent_that_does_not_come_is_said_and_still_awaited(site, vms):
    vm = vms["silent"]
    site.cli("B", "network", "set", "silent", "--address", f"{OTHER}/24")
    fail_over_and_start(site, "silent")
    assert network_job(site, vm)["JobState"] == "4"
    status = site.wait_status("B", vm, lambda s: s.get("NetworkError"), 180, "it is said that no agent answers")
    assert status["ReplicationState"] == "5" and "no guest agent runs in VM silent" in status["HealthCause"], status
    assert "qemu-guest-agent" in status["HealthNext"]
    job = network_job(site, vm)
    assert job["JobState"] == "10" and job["ErrorCode"] == "32777", job
    site.cli("B", "vm", "stop", "silent", "--yes")
