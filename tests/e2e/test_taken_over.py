"""What is left to somebody who took over understudy-front or understudy-link: nothing of the host, of a store or of libvirt, no
way out, and no name but those that were proven to it. The programs are the product's, but these two obey whoever is at the other
end of a connection (tests/hostile)."""
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from sites import BIN, IDLE, PASSWORD, PORT, until

FRONT, LINK = 5986, PORT


def hostile_programs(host):
    folder = host.path("/var/lib/understudy") / "hostile"
    folder.mkdir()
    for name in ("understudyd", "understudy-guard"):
        shutil.copy2(BIN / name, folder)
    for name in ("understudy-front", "understudy-link"):
        shutil.copy2(BIN / "hostile" / "understudy-front", folder / name)
    return Path("/var/lib/understudy/hostile")


@pytest.fixture(scope="module")
def replica(site):
    vm = site.a.define_guest("kept", disks=("16M",), cmdline=IDLE, start=True)
    site.enable("kept")
    site.wait_point(vm)
    yield vm
    site.a.virsh("destroy", "kept", check=False)


class Attacker:
    """Gives orders to the front of host B, or to its link, from host A."""

    def __init__(self, site):
        self.site = site

    def orders(self, *lines, port=FRONT):
        text = "".join(line + "\n" for line in lines)
        said = self.site.a.run(["busybox", "nc", "-w", "30", self.site.b.address, str(port)], input=text).stdout
        answers = said.splitlines()
        assert len(answers) == len(lines), said
        return answers

    def order(self, line, port=FRONT):
        return self.orders(line, port=port)[0]


@pytest.fixture(scope="module")
def attacker(site, replica):
    daemon = site.daemon("B")
    daemon.stop()
    daemon.programs = hostile_programs(site.b)
    daemon.start()
    yield Attacker(site)
    daemon.programs = BIN
    daemon.restart()


@pytest.mark.parametrize("port", [FRONT, LINK])
def test_no_file_can_be_read_or_written(site, attacker, replica, port):
    store = site.replica(replica)
    places = ["/etc/passwd", "/etc/shadow", "/etc/understudy/users", "/etc/understudy/tls/host.key", "/proc/self/status",
              "/var/lib/understudy/state.db", f"{store}/manifest", "/", "."]
    for place in places:
        assert attacker.orders(f"read {place}", f"write {place}", port=port) == ["no EPERM", "no EPERM"], place


@pytest.mark.parametrize("port", [FRONT, LINK])
def test_nothing_can_be_reached(site, attacker, port):
    for where in (f"connect {site.a.address} 22", "connect 127.0.0.1 16509", f"connect {site.b.address} 8443",
                  "unix /run/libvirt/libvirt-sock", "unix /run/understudy/wsman.sock", "listen"):
        assert attacker.order(where, port).startswith("no"), where


@pytest.mark.parametrize("port", [FRONT, LINK])
def test_no_program_no_process_no_right(site, attacker, port):
    status = Path(f"/proc/{site.daemon('B').pid}/status").read_text()
    daemon = re.search(r"^NSpid:.*\s(\d+)$", status, re.MULTILINE)[1]  # as the host numbers it
    for order in ("run /bin/sh", f"signal {daemon}", "signal 1", f"trace {daemon}", "root", "namespace", "mount"):
        assert attacker.order(order, port).startswith("no"), order


def test_no_name_is_claimed_without_its_proof(site, attacker):
    assert attacker.order("ask Msvm_ComputerSystem") == "no nobody has logged in"
    assert attacker.orders("claim unix 0", "ask Msvm_ComputerSystem")[1].startswith("no")
    assert attacker.order("claim password admin wrong").startswith("no")
    assert attacker.order("ask Msvm_ComputerSystem").startswith("no")
    assert attacker.order("claim certificate 00 admin").startswith("no")
    # One's own name is one's own, with its role.
    assert attacker.orders(f"claim password admin {PASSWORD}", "ask Msvm_ReplicationService") == ["yes admin administrator", "yes 1"]
    site.cli("B", "user", "add", "looker", "--role", "reader", input="only-looking\n")
    assert attacker.orders("claim password looker only-looking", "ask Msvm_ReplicationService InitiateFailover") == [
        "yes looker reader", "yes 32769"]


def test_nonsense_costs_the_lane_or_the_process_and_the_daemon_goes_on(site, attacker, replica):
    for hexadecimal in ("ff" * 64, "0101000000000000", "01030000" + "ffffffff", "0103000002000000" + "0909"):
        assert attacker.order(f"lane {hexadecimal}") == "no answer", hexadecimal
    daemon = site.daemon("B")
    for notice in (1, 2, 9):  # what a front must not say: it is ended, and another started
        before = daemon.helpers("understudy-front")
        attacker.order(f"notice {notice}")
        until(lambda: (now := daemon.helpers("understudy-front")) != before and len(now) == 2, 30, "another front runs")
        until(lambda: answers(attacker), 30, "it serves")


def test_a_link_speaks_for_hosts_and_for_nobody_else(site, attacker):
    """TLS ends in it, so it can claim a host that is admitted; nobody else gets further, and no caller of the management."""
    assert attacker.order("peer host-a", LINK) == "yes"
    assert "does not authorize 'host-z'" in attacker.order("peer host-z", LINK)
    assert attacker.order(f"peer host-a {'x' * 64}", LINK).startswith("no")
    assert attacker.order("claim unix 0", LINK).startswith("no")
    assert attacker.order(f"claim password admin {PASSWORD}", LINK).startswith("no")
    assert site.daemon("B").running()


def test_the_way_to_a_replica_host_leads_nowhere_else(site, attacker, replica):
    """Host B is the attacker's; its answers take over the link of host A that speaks with it."""
    orders = ["read /etc/shadow", f"write {site.a.disk_paths('kept')['vda']}", "run /bin/sh", "signal 1", "root", "namespace", "listen",
              f"connect {site.b.address} 22", "unix /run/libvirt/libvirt-sock", "claim unix 0", f"say host-b {'x' * 64}"]
    a, b = site.daemon("A"), site.daemon("B")
    a.stop()
    b.stop()
    a.programs = hostile_programs(site.a)
    waits = site.b.popen(["busybox", "nc", "-l", "-p", str(PORT)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        a.start()
        answers = waits.communicate("".join(order + "\n" for order in orders), timeout=120)[0].splitlines()
        assert len(answers) == len(orders) and all(answer.startswith("no") for answer in answers), list(zip(orders, answers))
        assert a.running()
    finally:
        waits.kill()
        a.programs = BIN
        a.restart()
        b.start()


def answers(attacker):
    try:
        return attacker.order("root").startswith("no")
    except (subprocess.CalledProcessError, AssertionError):
        return False
