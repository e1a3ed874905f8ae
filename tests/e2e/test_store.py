"""Looking into a replica and rebuilding the database from it, with the daemon dead; damage that a living one finds."""
import json
import subprocess

import pytest
from compare import compared_now
from sites import IDLE, PORT, STORAGE, issues, until

VM = "rebuilt"


@pytest.fixture(scope="module")
def vm(site):
    disks = [site.a.create_disk(f"/var/lib/libvirt/images/{VM}-{n}.qcow2", "16M") for n in (1, 2)]
    for disk in disks:
        site.a.run(["qemu-io", "-f", "qcow2", "-c", "write -q -P 0x42 3M 1M", "-c", "write -q -P 0x17 9M 128k", disk])
    vm = site.a.define_guest(VM, disks=disks, cmdline=IDLE, start=True)
    site.enable(VM, words=("--history", 2))
    site.wait_point(vm)
    site.cli("A", "point", "create", VM)
    site.wait_settled(vm)
    yield vm
    site.a.virsh("destroy", VM, check=False)


@pytest.fixture
def dead(site, vm):
    site.daemon("B").kill()
    yield site
    if not site.daemon("B").running():
        site.daemon("B").start()


def test_list_shows_what_the_manifest_says(dead, vm):
    listed = json.loads(dead.cli("B", "store", "list", STORAGE, "--json"))
    mine = next(r for r in listed["replicas"] if r["vm"] == vm)
    assert [p["id"] for p in mine["points"]] == [p["id"] for p in reversed(dead.points(vm))]
    text = dead.cli("B", "store", "list", dead.replica(vm))
    assert VM in text and "on demand" in text and "host-a" in text


@pytest.mark.parametrize("target", ["vda", "vdb"])
def test_export_gives_a_disk_of_a_point(dead, vm, target):
    point = dead.points(vm)[0]
    out = f"/var/lib/libvirt/images/exported-{target}.raw"
    dead.cli("B", "store", "export", dead.replica(vm), "--point", point["id"][:8], "--disk", target, "--out", out)
    image = dead.b.path(dead.point_image(vm, target, point["sequence"]))
    subprocess.run(["qemu-img", "compare", "-q", "-U", "-f", "raw", "-F", "qcow2", dead.b.path(out), image], check=True)
    again = dead.cli("B", "store", "export", dead.replica(vm), "--disk", target, "--out", out, check=False)
    assert again.returncode == 2 and out in again.stderr
    dead.b.run(["rm", out])


def test_export_over_nbd_is_read_only(dead, vm):
    socket = "/run/understudy/look.sock"
    server = dead.b.popen([dead.program("understudy"), "store", "export", dead.replica(vm), "--nbd", socket],
                          stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        until(lambda: dead.b.path(socket).exists(), 30, "the socket appears")
        shown = dead.b.run(["nbdinfo", f"nbd+unix:///vda?socket={socket}"]).stdout
        assert "is_read_only: true" in shown and str(16 << 20) in shown
    finally:
        server.kill()
        server.wait(timeout=30)


def flip(path, offset):
    with open(path, "r+b") as file:
        file.seek(offset)
        byte = file.read(1)[0]
        file.seek(offset)
        file.write(bytes([byte ^ 1]))


def data_in(image):
    """Where the file itself has its first bytes of data, and of which place of the disk."""
    shown = json.loads(subprocess.run(["qemu-img", "map", "-U", "--output=json", image], check=True, capture_output=True).stdout)
    run = next(r for r in shown if r["depth"] == 0 and r["data"] and "offset" in r)
    return run["offset"], run["start"]


def test_check_finds_each_point_good(dead, vm):
    text = dead.cli("B", "store", "check", STORAGE)
    assert VM in text and "good" in text and "damaged" not in text and "not known" not in text
    shown = json.loads(dead.cli("B", "store", "check", dead.replica(vm), "--json"))
    mine = shown["replicas"][0]
    assert [p["id"] for p in mine["points"]] == [p["id"] for p in reversed(dead.points(vm))]
    assert {p["result"] for p in mine["points"]} == {"good"} and mine["bytes"] > 0


def test_check_names_a_flipped_bit_and_the_newest_good_point(dead, vm):
    image = dead.b.path(dead.point_image(vm, "vda", dead.points(vm)[0]["sequence"]))
    host, place = data_in(image)
    flip(image, host + 100)
    try:
        done = dead.cli("B", "store", "check", dead.replica(vm), check=False)
        assert done.returncode == 1 and "damaged" in done.stderr and f"understudy resync {VM}" in done.stderr
        assert image.name in done.stdout and f"at byte {place}" in done.stdout
        done = dead.cli("B", "store", "check", dead.replica(vm), "--json", check=False)
        shown = json.loads(done.stdout)
        assert "damaged" in shown["error"]["message"] and "damaged" in done.stderr
        oldest = shown["replicas"][0]["points"][-1]
        assert oldest["result"] == "damaged" and oldest["damages"][0]["disk"] == "vda"
    finally:
        flip(image, host + 100)
    dead.cli("B", "store", "check", dead.replica(vm))


def test_damage_that_a_merge_finds_is_in_health_until_it_is_mended(site):
    name = "rotting"
    vm = site.replicated(name)
    console = site.a.console(name, from_start=False)
    site.a.vmctl(name, "fill", 16)
    console.wait_for(r"^DONE fill 16", 60)
    site.a.virsh("suspend", name)
    before = site.points(vm)[-1]["sequence"]
    site.daemon("A").restart()
    until(lambda: site.points(vm)[-1]["sequence"] > before, 60, "the cells are in a point")
    site.daemon("A").stop()
    flip(site.b.path(site.top_image(vm, "vdb")), data_in(site.b.path(site.top_image(vm, "vdb")))[0] + 100)
    assert site.status("B", vm)["ReplicationHealth"] == "1", "nobody has read it"
    site.daemon("A").start()  # one more point: what was the newest is merged
    damaged = lambda s: any("damaged at rest" in cause for cause in issues(s))
    found = site.wait_status("B", vm, damaged, 66, "health names the damage")
    assert found["ReplicationHealth"] == "3" and f"understudy store check {site.replica(vm)}" in found["HealthNext"], found
    site.daemon("B").restart()
    site.wait_status("B", vm, damaged, 66, "it is not forgotten")
    site.wait_status("A", vm, damaged, 66, "the primary hears of it")
    for words in ("pause", "resync"):
        site.cli("A", words, name)
    for host in "AB":
        site.wait_status(host, vm, lambda s: s["ReplicationHealth"] == "1", 100, "it is mended")
    site.cli("B", "store", "check", site.replica(vm))
    site.a.virsh("destroy", name)


def test_check_does_not_call_good_what_it_cannot_check(dead, vm):
    sums = dead.b.path(dead.point_image(vm, "vdb", dead.points(vm)[0]["sequence"]) + ".sums")
    kept = sums.read_bytes()
    sums.unlink()
    try:
        done = dead.cli("B", "store", "check", dead.replica(vm), check=False)
        assert done.returncode == 1 and "cannot be checked" in done.stderr and "not known" in done.stdout
    finally:
        sums.write_bytes(kept)


def test_wrong_names_are_told(dead, vm):
    done = dead.cli("B", "store", "export", dead.replica(vm), "--point", "ffffffff", "--out", "/tmp/x", check=False)
    assert done.returncode == 4 and "ffffffff" in done.stderr
    done = dead.cli("B", "store", "list", "/etc", check=False)
    assert done.returncode == 4 and "/etc" in done.stderr


def test_recover_refuses_beside_a_running_daemon(site, vm):
    done = site.cli("B", "store", "recover", STORAGE, check=False)
    assert done.returncode == 3 and "stop" in done.stderr


def test_database_lost_and_rebuilt(dead, vm):
    state = dead.b.path("/var/lib/understudy")
    points = [p["id"] for p in dead.points(vm)]
    for file in state.glob("state.db*"):
        file.unlink()
    for file in state.joinpath("holds").iterdir():
        file.unlink()
    text = dead.cli("B", "store", "recover", STORAGE)
    assert VM in text and "understudy authorize host-a" in text
    dead.daemon("B").start()
    dead.cli("B", "server", "enable", "--port", PORT)
    dead.cli("B", "authorize", "host-a", "--storage", STORAGE)
    assert dead.wsman("B").vm(vm)["ReplicationState"] == "3"
    assert [p["id"] for p in dead.points(vm)] == points
    refused = dead.b.virsh("start", VM, check=False)
    assert refused.returncode and "Understudy holds this VM" in refused.stderr
    compared_now(dead, vm, VM)
