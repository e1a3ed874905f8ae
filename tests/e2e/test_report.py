"""`understudy report`: what a supporter needs is in it, and no secret; also with the daemon dead."""
import base64
import json
import tarfile

import pytest
from sites import BIN, IDLE, PASSWORD, STORAGE

VM = "reported"
PLANT = "planted-Kx7vQ2"


@pytest.fixture(scope="module")
def vm(site):
    vm = site.a.define_guest(VM, disks=("8M",), cmdline=IDLE, start=True)
    site.enable(VM)
    site.wait_point(vm)
    yield vm
    site.a.virsh("destroy", VM, check=False)


@pytest.fixture(scope="module")
def secrets(site):
    """Planted into every kind of text that goes into a report; and those that lie there anyway."""
    config = site.b.path("/etc/understudy") / "understudyd.toml"
    config.write_text(config.read_text() + f'# the old one: password = "{PLANT} and more"\n')
    key = (site.b.path("/etc/understudy/tls") / "host.key").read_text()
    users = (site.b.path("/etc/understudy") / "users").read_text()
    assert "PRIVATE KEY" in key and "argon2" in users
    login = base64.b64encode(f"admin:{PASSWORD}".encode()).decode()
    log = f'begin of the log\n{key}{users}Authorization: Basic {login}\n{{"passwd": "{PLANT}"}} https://ann:{PLANT}@host\nend of the log\n'
    (site.b.path("/var/log/libvirt/qemu") / "understudyd.log").write_text(log)
    hashes = [users.strip().split("$")[-1], users.strip().split("$")[-2]]
    return [PLANT, "and more", login, PASSWORD, *key.splitlines()[1:-1], *hashes]


def bundle(site, name, *words):
    """The files of a report made on B, and what was said."""
    out = f"/var/log/libvirt/qemu/{name}.tar.gz"
    done = site.cli("B", "report", "--out", out, "--log", "/var/log/libvirt/qemu/understudyd.log", *words, check=False,
                    env={"UNDERSTUDY_PASSWORD": PASSWORD})
    assert done.returncode == 0, done.stderr
    path = site.b.path("/var/log/libvirt/qemu") / f"{name}.tar.gz"
    assert path.stat().st_mode & 0o777 == 0o600
    with tarfile.open(path) as tar:
        files = {m.name.split("/", 1)[1]: tar.extractfile(m).read().decode() for m in tar.getmembers()}
    return files, done.stdout


def test_what_is_needed_is_in_it(site, vm, secrets):
    files, said = bundle(site, "whole")
    assert vm not in said.partition("Missing:")[2]
    [status] = [s for s in json.loads(files["daemon/Understudy_ReplicationStatus.json"])["instances"] if s["ElementName"] == VM]
    assert status["ReplicationHealth"] == 1
    assert vm in files["state/engine.txt"] and STORAGE in files["state/authorization_entry.txt"]
    assert json.loads(files[f"store/{vm}/manifest"].rpartition("xxh3")[0])["vm"] == vm
    assert VM in files[f"store/{vm}/definition"] and "vda-" in files[f"store/{vm}/files.txt"]
    assert json.loads(files["certificates/host.json"])["not_after"]
    assert "libvirt-daemon " in files["versions.txt"] and "host_name" in files["config/understudyd.toml"]
    assert files["log/understudyd.log"].startswith("begin") and files["log/understudyd.log"].endswith("end of the log\n")
    summary = json.loads(files["summary.json"])
    assert not [m for m in summary["missing"] if vm in m["what"]] and set(summary["files"]) == set(files) - {"summary.json"}


def test_no_secret_is_in_it(site, vm, secrets):
    files, _ = bundle(site, "searched")
    for name, text in files.items():
        for secret in secrets:
            assert secret not in text, f"{name} has {secret!r}"
    assert files["config/understudyd.toml"].endswith('password = "[removed]"\n')
    users = (site.b.path("/etc/understudy") / "users").read_text().strip().splitlines()
    assert files["log/understudyd.log"].count("[removed]") == 4 + len(users)


def test_with_the_daemon_dead(site, vm, secrets):
    site.daemon("B").stop()
    files, said = bundle(site, "dead", "--json")
    [missing] = [m for m in json.loads(said)["missing"] if not m["what"].startswith("store/")]  # replicas of other tests
    assert "daemon" in missing["what"] and "wsman.sock" in missing["cause"]
    assert missing in json.loads(files["summary.json"])["missing"]
    assert vm in files["state/engine.txt"] and f"store/{vm}/manifest" in files
    state = site.b.path("/var/lib/understudy") / "state.db"
    state.rename(state.with_suffix(".away"))
    try:
        files, said = bundle(site, "deader")
        assert "Missing:" in said and "state.db is not there" in said
        assert not state.exists(), "a report makes nothing"
    finally:
        state.with_suffix(".away").rename(state)


def test_refusals(site):
    done = site.cli("B", "report", "--out", "/etc/understudy/users", check=False)
    assert done.returncode == 2 and "is there already" in done.stderr
    done = site.cli("B", "report", "--host", "host-a", "--user", "admin", check=False, env={"UNDERSTUDY_PASSWORD": PASSWORD})
    assert done.returncode == 2 and "there: understudy report" in done.stderr
    # By its default name; the journal has nothing of a daemon in a lab.
    done = site.b.run(["sh", "-c", f"cd /var/log/libvirt/qemu && {BIN}/understudy report"], check=False)
    assert done.returncode == 0 and "give --log FILE" in done.stdout, done
