"""Disks that somebody wrote while a VM was off are known when it starts again, by libvirt's hook and without any daemon."""
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))
from probing import facts, lab, probe, vm  # noqa: E402,F401
from hosts import LabError  # noqa: E402


@pytest.fixture
def watched_vm(vm):
    host, _, uuid = vm
    assert probe(host, "watch-disks", uuid, "on") == "ok"
    yield vm
    assert probe(host, "watch-disks", uuid, "off") == "ok"
    assert list(host.path("/var/lib/understudy/watched").iterdir()) == []


def changed(host, uuid):
    return facts(host, uuid)["changed"]


def restart(host, name, meanwhile=lambda: None):
    host.virsh("destroy", name)
    meanwhile()
    host.virsh("start", name)


def write(host, name, target):
    host.run(["qemu-io", "-f", "qcow2", "-c", "write -P 7 1M 64k", host.disk_paths(name)[target]])


def test_written_disk_is_named_until_it_is_forgotten(watched_vm):
    host, name, uuid = watched_vm
    assert changed(host, uuid) == []
    restart(host, name)
    assert changed(host, uuid) == [], "untouched"
    restart(host, name, lambda: write(host, name, "vdb"))
    assert changed(host, uuid) == ["vdb"]
    restart(host, name, lambda: write(host, name, "vda"))
    assert changed(host, uuid) == ["vda", "vdb"]
    assert probe(host, "forget", uuid) == "ok"
    assert probe(host, "forget", uuid) == "ok"
    assert changed(host, uuid) == []
    restart(host, name)
    assert changed(host, uuid) == []


def test_reboots_saves_and_owners_are_no_writes(watched_vm):
    host, name, uuid = watched_vm
    host.virsh("reset", name)
    host.virsh("managedsave", name)
    host.virsh("start", name)
    restart(host, name, lambda: host.run(["chown", "1:1", *host.disk_paths(name).values()]))
    assert changed(host, uuid) == []
    host.virsh("destroy", name)
    host.kill_libvirtd()
    host.start_libvirtd()
    host.virsh("start", name)
    assert changed(host, uuid) == []


def test_disk_in_place_of_the_disk(watched_vm):
    host, name, uuid = watched_vm
    host.virsh("destroy", name)
    disk = host.disk_paths(name)["vda"]
    host.run(["mv", disk, disk + ".base"])
    host.run(["qemu-img", "create", "-q", "-f", "qcow2", "-b", disk + ".base", "-F", "qcow2", disk])
    host.virsh("start", name)
    assert changed(host, uuid) == ["vda"]
    probe(host, "forget", uuid)
    restart(host, name, lambda: host.run(["qemu-img", "commit", "-q", disk]))
    assert changed(host, uuid) == ["vda"]


def test_host_that_loses_power(watched_vm):
    """Nothing was recorded: the broken bitmaps tell then, not this."""
    host, name, uuid = watched_vm
    host.power_cut()
    host.boot()
    host.virsh("start", name)
    assert changed(host, uuid) == []
    restart(host, name, lambda: write(host, name, "vdb"))
    assert changed(host, uuid) == ["vdb"]


def test_held_vm_is_not_recorded(watched_vm):
    host, name, uuid = watched_vm
    probe(host, "hold", uuid, "x")
    host.virsh("destroy", name)
    write(host, name, "vda")
    with pytest.raises(LabError, match="Understudy holds"):
        probe(host, "start", uuid)
    probe(host, "lift", uuid)
    host.virsh("start", name)
    assert changed(host, uuid) == []
