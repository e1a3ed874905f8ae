"""A full Debian with systemd is given its addresses after a failover, by each network manager that can be in charge there."""
import subprocess

import pytest
from sites import ROOT, until

pytestmark = pytest.mark.long
OLD, NEW = "192.168.122.5", "192.168.122.77"
BOOT = 400  # seconds: systemd without KVM, on a busy machine


@pytest.fixture(scope="module")
def image():
    built = subprocess.run([ROOT / "tests/support/guest/debian.sh"], check=True, stdout=subprocess.PIPE, text=True)
    return built.stdout.strip()


@pytest.mark.parametrize("manager, says", [("networkd", "systemd-networkd"), ("netplan", "systemd-networkd"),
                                           ("NetworkManager", "NetworkManager"), ("ifupdown", "ifupdown")])
def test_debian_answers_on_its_new_address_and_keeps_it(site, image, manager, says):
    name = f"debian-{manager.lower()}"
    site.b.ensure_network()
    disk = f"/var/lib/libvirt/images/{name}.qcow2"
    subprocess.run(["cp", image, site.a.path("/var/lib/libvirt/images") / f"{name}.qcow2"], check=True)
    vm = site.a.define_guest(name, disks=(disk,), memory=384, network=True, start=True,
                             cmdline=f"root=/dev/vda net={manager} vmip={OLD}/24 net.ifnames=0 systemd.show_status=0")
    try:
        site.a.wait_agent(name, BOOT)
        site.enable(name, timeout=BOOT)
        site.wait_point(vm, timeout=BOOT)
        site.cli("B", "network", "set", name, "--address", f"{NEW}/24,2001:db8::77/64", "--gateway", "192.168.122.1",
                 "--dns", "192.168.122.1")
        site.a.virsh("destroy", name)
        site.cli("B", "failover", name, "--yes", "--primary-is-running")
        site.cli("B", "vm", "start", name)

        def addresses():
            cards = site.b.agent(name, "guest-network-get-interfaces")
            return {a["ip-address"] for c in cards if c["name"] == "eth0" for a in c.get("ip-addresses", [])}

        def answers(address):
            return site.b.run(["busybox", "ping", "-c1", "-W2", address], check=False).returncode == 0

        site.wait_status("B", vm, lambda s: s.get("NetworkGiven") == "true", BOOT, "the guest takes its settings")
        assert site.daemon("B").lines(vm=name, by=f"{says} eth0"), site.daemon("B").tail()
        until(lambda: answers(NEW), 60, f"{name} answers on {NEW}")
        assert {NEW, "2001:db8::77"} <= addresses() and OLD not in addresses()
        # It is the guest's own configuration from now on.
        site.cli("B", "vm", "stop", name, "--yes")
        site.cli("B", "vm", "start", name)
        until(lambda: answers(NEW), BOOT, f"{name} answers on {NEW} after a restart")
        site.b.wait_agent(name, BOOT)
        assert OLD not in addresses()
    finally:
        for host in (site.a, site.b):
            host.virsh("destroy", name, check=False)
