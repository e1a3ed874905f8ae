"""Who may send, and what: strangers, hosts without an entry, and peers that mean harm."""
import copy
import json
import subprocess
import uuid
from pathlib import Path

import pytest
from sites import BIN, IDLE, PORT, STORAGE
from wire import ANSWER, ERROR, HELLO

TLS = "/etc/understudy/tls"
OURS = (f"{TLS}/host.crt", f"{TLS}/host.key")


def converse(site, requests=(), certificate=OURS):
    """What a peer on host-a gets from host-b: the answer to its HELLO, and one to each request."""
    text = "".join(json.dumps({"method": method, "params": params}) + "\n" for method, params in requests)
    done = site.a.run(["/usr/bin/python3", Path(__file__).with_name("wire.py"), "host-b", PORT, *certificate,
                       f"{TLS}/authority.crt"], input=text, timeout=120)
    return [json.loads(line) for line in done.stdout.splitlines()]


def issue(site, authority, names):
    """A certificate for these names in a folder of host-a; returns (certificate, key) as host-a names them."""
    folder = site.a.path("/etc/understudy") / f"tls-{names}"
    understudy = str(BIN / "understudy")
    if not authority.exists():
        subprocess.run([understudy, "certificate", "authority", str(authority)], check=True, capture_output=True)
    subprocess.run([understudy, "certificate", "host", names, "--authority", str(authority), "--out", str(folder)],
                   check=True, capture_output=True)
    return f"/etc/understudy/tls-{names}/host.crt", f"/etc/understudy/tls-{names}/host.key"


def definition(vm, name):
    """What a VM with one disk looks like on the wire; good."""
    return {"id": vm, "name": name, "title": "", "description": "", "type": "qemu", "arch": "x86_64", "machine": "pc-q35-7.2",
            "memory_kib": 131072, "current_memory_kib": 131072, "vcpus": 1, "current_vcpus": 1, "sockets": 0, "dies": 0,
            "cores": 0, "threads": 0, "cpu_mode": "", "cpu_model": "", "cpu_check": "", "cpu_features": [], "kernel": "",
            "firmware": "", "secure_boot": False, "enrolled_keys": False, "initrd": "", "cmdline": "", "boot_devices": ["hd"], "acpi": True, "apic": True, "pae": False, "features": [],
            "clock_offset": "utc", "timers": [], "on_poweroff": "destroy", "on_reboot": "restart", "on_crash": "destroy",
            "disks": [{"target": "vda", "bus": "virtio", "size": 1 << 20, "serial": "", "address": "", "boot_order": 0,
                       "discard": True, "cache": "", "io": "", "detect_zeroes": ""}],
            "cdroms": [], "nics": [], "controllers": [], "devices": []}


def prepare(changes=None, settings=None):
    vm = str(uuid.uuid4())
    params = {
        "definition": definition(vm, f"peer-{vm[:8]}"),
        "settings": {
            "recovery_connection_point": "host-b", "recovery_server_port": PORT, "recovery_host_system": "",
            "primary_connection_point": "host-a", "primary_host_system": "host-a", "authentication_type": 2,
            "certificate_thumbprint": "", "root_certificate_thumbprint": "", "compression_enabled": True,
            "bypass_proxy_server": False, "replication_interval": 30, "recovery_history": 0,
            "application_consistent_interval": 0, "replicate_host_kvp_items": True, "included_disks": ["vda"],
            "auto_resynchronize_enabled": False, "auto_resynchronize_start": 0, "auto_resynchronize_end": 0, **(settings or {})},
        "lineage": {"set": str(uuid.uuid4()), "generation": 1, "sequence": 0},
        "disks": [{"target": "vda", "size": 1 << 20}],
    }
    if changes:
        changes(params)
    return vm, ("prepare", params)


# ---- who ----


def test_stranger_of_another_authority_gets_no_frame(site):
    stranger = issue(site, site.folder / "other-authority", "host-s")
    answers = converse(site, certificate=stranger)
    assert list(answers[0]) == ["closed"], answers


def test_peer_without_a_certificate_gets_no_frame(site):
    assert list(converse(site, certificate=("none", "none"))[0]) == ["closed"]


def test_known_certificate_without_an_entry_is_refused_before_a_word_is_read(site):
    answers = converse(site, certificate=issue(site, site.authority, "host-x"))
    assert answers[0]["type"] == ERROR and answers[0]["body"]["error"]["code"] == "access_denied"
    assert "host-x" in answers[0]["body"]["error"]["message"]


def test_enabling_towards_a_host_that_does_not_admit_us_fails_with_32769(site):
    certificate, key = issue(site, site.authority, "host-y")
    settings = f'\n[replication]\ncertificate = "{certificate}"\nkey = "{key}"\n'
    vm = site.a.define_guest("unadmitted", disks=("16M",), cmdline=IDLE, start=True)
    file = site.a.path("/etc/understudy/understudyd.toml")
    before = file.read_text()
    earlier = {j["InstanceID"] for j in site.wsman("A").enumerate("Msvm_ConcreteJob")}  # of other tests; jobs are kept
    try:
        file.write_text(before + settings)
        site.daemon("A").restart()
        refused = site.enable("unadmitted", start=False, check=False)
        assert refused.returncode == 5 and "authoriz" in refused.stderr, refused
        jobs = [j for j in site.wsman("A").enumerate("Msvm_ConcreteJob") if j["InstanceID"] not in earlier]
        assert [(j["JobState"], j["ErrorCode"]) for j in jobs] == [("10", "32769")]
        assert site.wsman("A").vm(vm)["ReplicationMode"] == "0"
    finally:
        file.write_text(before)
        site.daemon("A").restart()
    site.enable("unadmitted", start=False)
    site.a.virsh("destroy", "unadmitted")


# ---- what ----


def test_good_definition_is_taken(site):
    """So that the refusals below are about what they say."""
    vm, ask = prepare()
    answers = converse(site, [ask])
    assert answers[0]["type"] == HELLO and answers[1]["type"] == ANSWER, answers
    assert vm in site.b.virsh("list", "--all", "--uuid")


def put(*path_and_value):
    *path, last, value = path_and_value

    def change(params):
        at = params["definition"]
        for step in path:
            at = at[step]
        at[last] = value
    return change


def add(kind, item):
    return lambda params: params["definition"][kind].append(item)


DEVICE = {"element": "", "type": "", "model": "", "address": "", "target": "", "port": 0}
COMMANDLINE = "<qemu:commandline xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'><qemu:arg value='-S'/></qemu:commandline>"


@pytest.mark.parametrize("change", [
    pytest.param(put("kernel", "/etc/shadow"), id="host-path-as-kernel"),
    pytest.param(put("kernel", "/boot/../etc/shadow"), id="host-path-around-the-corner"),
    pytest.param(put("initrd", "/proc/1/environ"), id="host-path-as-initrd"),
    pytest.param(add("devices", {**DEVICE, "element": "hostdev", "type": "pci", "address": "pci:0000:00:02.0"}), id="hostdev"),
    pytest.param(add("devices", {**DEVICE, "element": "filesystem", "type": "mount", "target": "/"}), id="filesystem"),
    pytest.param(add("devices", {**DEVICE, "element": "channel", "type": "unix", "target": "/run/libvirt/libvirt-sock"}), id="host-socket"),
    pytest.param(put("machine", f"q35'/></os>{COMMANDLINE}<os><type machine='q35"), id="commandline-in-machine"),
    pytest.param(put("title", "a\x01b"), id="control-character"),
    pytest.param(put("name", "../../etc"), id="path-as-name"),
    pytest.param(put("disks", 0, "target", "../vda"), id="path-as-target"),
    pytest.param(put("disks", 0, "cache", "none' file='/etc/shadow"), id="file-in-cache"),
    pytest.param(put("disks", 0, "address", "pci:0000:00:02.0'/><hostdev/>"), id="element-in-address"),
    pytest.param(put("features", ["emulator=/bin/sh"]), id="emulator-as-feature"),
    pytest.param(put("cpu_features", ["+x' /><emulator>/bin/sh</emulator>"]), id="element-in-cpu-feature"),
])
def test_hostile_definition_is_refused(site, change):
    vm, ask = prepare(change)
    answer = converse(site, [ask])[1]
    assert answer["type"] == ERROR, answer
    assert answer["body"]["error"]["code"] in ("invalid_parameter", "not_supported", "protocol", "corrupt", "wrong_type"), answer
    assert vm not in site.b.virsh("list", "--all", "--uuid")
    assert not site.b.path(site.replica(vm)).exists()


@pytest.mark.parametrize("extra", [
    {"qemu:commandline": ["-S"]}, {"emulator": "/bin/sh"}, {"hostdevs": [{"address": "pci:0000:00:02.0"}]},
    {"xml": f"<domain>{COMMANDLINE}</domain>"}, {"seclabel": "none"},
    {"nics": [{"mac": "52:54:00:00:00:01", "model": "virtio", "network": "x'/><script path='/bin/sh", "address": "", "boot_order": 0,
               "link_up": True}]},
], ids=["commandline", "emulator", "hostdev", "domain-xml", "seclabel", "script-in-network"])
def test_what_the_model_does_not_know_never_reaches_libvirt(site, extra):
    vm, ask = prepare(lambda params: params["definition"].update(copy.deepcopy(extra)))
    answer = converse(site, [ask])[1]
    if answer["type"] == ERROR:
        return
    xml = site.b.virsh("dumpxml", vm)
    for word in ("commandline", "/bin/sh", "hostdev", "-S", "<script", "<seclabel type="):
        assert word not in xml, xml
    assert "<emulator>/usr/bin/qemu-system-x86_64</emulator>" in xml


def test_definition_of_a_vm_that_is_not_ours_is_not_overwritten(site):
    mine = site.b.define_guest("mine", disks=("16M",), cmdline=IDLE)
    before = site.b.virsh("dumpxml", "mine")

    def change(params):
        params["definition"].update(id=mine, name="mine")
    _, ask = prepare(change)
    assert converse(site, [ask])[1]["type"] == ERROR
    assert site.b.virsh("dumpxml", "mine") == before
    assert STORAGE not in before


def test_lies_about_the_frame_end_the_connection_and_not_the_daemon(site):
    script = f"""
import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})
import wire
for data in (wire.frame(1, {{}}, magic=b"XX"), wire.frame(1, {{}}, version=9), wire.frame(1, {{}}, flags=1), wire.frame(99, {{}}),
             wire.frame(2, {{"id": 1, "method": "query", "params": {{}}}}), b"US\\1\\2\\0\\0\\0\\0\\xff\\xff\\xff\\xff0000", b"\\0" * 4096):
    peer = wire.Peer("host-b", {PORT}, "{OURS[0]}", "{OURS[1]}", "{TLS}/authority.crt")
    peer.tls.sendall(data)
    try:
        answer = peer.answer()
        assert answer["type"] == wire.ERROR, answer
        peer.answer()
        raise SystemExit("it goes on talking")
    except OSError as error:
        print("refused", error)
"""
    done = site.a.run(["/usr/bin/python3", "-c", script], timeout=120)
    assert done.stdout.count("refused") == 7
    assert converse(site)[0]["type"] == HELLO and site.daemon("B").running()
