"""A first copy that is interrupted goes on: at most 64 MiB are sent again, and the point that comes of it is right."""

import itertools

import pytest
from compare import assert_replica_holds, read_now
from sites import IDLE, PORT, until

DATA = 160 << 20  # random, so that compression cannot hide what is sent twice
AGAIN = 64 << 20
OVERHEAD = 1.04   # TLS, TCP and frames, and the answers to all of them
NUMBERS = itertools.count(1)
PART = DATA * 9 // 10  # interrupted after this much: a copy that began anew would send more than AGAIN twice
LINK = "200mbit"
NARROW = "20mbit"  # from there on, so that it can be interrupted at will


@pytest.fixture(scope="module", autouse=True)
def slow_link(site):
    site.lab.shape("B", LINK)
    yield
    site.lab.shape("B")


@pytest.fixture
def copying(site):
    """A VM whose first copy has sent PART of its DATA; yields its name and id, and how much host-a had sent before."""
    name = f"copy{next(NUMBERS)}"
    disk = f"/var/lib/libvirt/images/{name}.qcow2"
    site.a.run(["sh", "-c", f"head -c {DATA} /dev/urandom >/tmp/{name}.raw && "
                f"qemu-img convert -f raw -O qcow2 /tmp/{name}.raw {disk}; rm /tmp/{name}.raw"])
    vm = site.a.define_guest(name, disks=(disk,), cmdline=IDLE, start=True)
    before = sent(site)
    site.enable(name, wait=False)
    until(lambda: sent(site) - before > PART or done_bytes(site, vm) is None, 60,
          lambda: f"{PART} bytes are sent, not {sent(site) - before}", 0.05)
    site.lab.shape("B", NARROW)
    assert done_bytes(site, vm) is not None, "it was complete before it could be interrupted"
    yield name, vm, before
    site.lab.shape("B", LINK)
    site.a.virsh("destroy", name, check=False)


def sent(site):
    """Bytes that host-a has put on its cable."""
    line = next(l for l in site.a.run(["cat", "/proc/net/dev"]).stdout.splitlines() if l.strip().startswith("eth0:"))
    return int(line.split(":")[1].split()[8])


def done_bytes(site, vm):
    """Bytes of the first copy so far; None when it is complete."""
    status = site.status("A", vm)
    return None if status.get("ReplicationState") == "3" else int(status.get("FirstCopyBytesDone") or 0)


def completes(site, copying, timeout=150):
    name, vm, before = copying
    site.lab.shape("B", LINK)
    site.wait_status("A", vm, lambda s: s["ReplicationState"] == "3", timeout, "the first copy completes")
    total = sent(site) - before
    assert total <= (DATA + AGAIN) * OVERHEAD, f"{total - DATA} bytes more than the data were sent"
    print(f"{name}: {total / 2**20:.1f} MiB sent for {DATA / 2**20:.0f} MiB")
    site.wait_settled(vm)
    assert_replica_holds(site, vm, read_now(site.a, name, ["vda"]))


def test_first_copy_survives_a_broken_connection(site, copying):
    block = ["INPUT", "-p", "tcp", "--dport", str(PORT), "-j", "REJECT", "--reject-with", "tcp-reset"]
    site.b.run(["iptables", "-I", *block])
    site.wait_status("A", copying[1], lambda s: s.get("LastError"), 90, "the break is noticed")
    site.b.run(["iptables", "-D", *block])
    completes(site, copying)


def pull_cable(site, while_pulled):
    site.lab.set_link("A", False)
    try:
        while_pulled()
    finally:
        site.lab.set_link("A", True)


def test_first_copy_survives_a_cable_pulled_for_a_moment(site, copying):
    seen = []

    def silent():
        seen.append(sent(site))
        return seen[-3:] == [seen[-1]] * 3
    pull_cable(site, lambda: until(silent, 20, "nothing is sent any more", 1))
    completes(site, copying)


@pytest.mark.long
def test_first_copy_survives_a_cable_pulled_until_it_is_noticed(site, copying):
    pull_cable(site, lambda: site.wait_status("A", copying[1], lambda s: s.get("LastError"), 100, "the silence is noticed"))
    completes(site, copying, 200)


def test_first_copy_survives_kill_of_the_primarys_daemon(site, copying):
    site.daemon("A").kill()
    site.daemon("A").start()
    completes(site, copying)


def test_first_copy_survives_kill_of_the_replicas_daemon(site, copying):
    site.daemon("B").kill()
    site.daemon("B").start()
    completes(site, copying)


def test_first_copy_survives_power_off_of_the_guest(site, copying):
    name, vm, _ = copying
    site.a.virsh("destroy", name)
    site.wait_status("A", vm, lambda s: "off" in (s.get("LastError") or ""), 60, "that it is off is seen")
    site.a.virsh("start", name)
    completes(site, copying)
