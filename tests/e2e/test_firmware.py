"""UEFI guests: the definition says what the firmware can do and never where it is, and NVRAM travels as bytes."""
import json
import os
import re
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))
from probing import facts, lab, probe  # noqa: E402,F401

OVMF = "/usr/share/OVMF"
FORMS = {  # <os ...> and what is in it; what the definition says; the firmware that runs then
    "chosen": ("<os firmware='efi'>", "", (True, True), "OVMF_CODE_4M.ms.fd"),
    "not_secure": ("<os firmware='efi'>", "<firmware><feature enabled='no' name='secure-boot'/></firmware>",
                   (False, False), "OVMF_CODE_4M.fd"),
    "path": ("<os>", f"<loader readonly='yes' secure='yes' type='pflash'>{OVMF}/OVMF_CODE_4M.secboot.fd</loader>"
             f"<nvram template='{OVMF}/OVMF_VARS_4M.fd'>/var/lib/libvirt/qemu/nvram/my.fd</nvram>",
             (True, False), "OVMF_CODE_4M.secboot.fd"),
}


def define_uefi(host, name, os_tag, inside, memory=128):
    """Off; its uuid."""
    uuid = host.define_guest(name, disks=["16M"], memory=memory)
    xml = host.virsh("dumpxml", "--inactive", name)
    xml = re.sub(r"<os>.*?</type>.*?</os>", f"{os_tag}<type arch='x86_64' machine='q35'>hvm</type>{inside}</os>", xml, flags=re.S)
    if "secure='yes'" in inside:
        xml = xml.replace("<acpi/>", "<acpi/><smm state='on'/>")
    host.virsh("define", "/dev/stdin", input=xml)
    return uuid


def command_line(host, name):
    pid = host.path(f"/run/libvirt/qemu/{name}.pid").read_text().strip()
    return host.run(["cat", f"/proc/{pid}/cmdline"]).stdout.replace("\0", " ")


@pytest.fixture
def uefi(lab, request, tmp_path):
    """(host A, host B, name, form, its uuid, folder for files); what it defines goes."""
    form = getattr(request, "param", "chosen")
    os.chmod(tmp_path, 0o755)
    name = f"uefi-{form}"
    yield lab.host("A"), lab.host("B"), name, FORMS[form], define_uefi(lab.host("A"), name, *FORMS[form][:2]), tmp_path
    for host in lab.hosts:
        host.virsh("destroy", name, check=False)
        host.virsh("undefine", name, "--nvram", check=False)


def replica_of(a, b, uuid, folder, nvram=None, **changes):
    """Writes the arguments of check and define; makes the replica's disk."""
    definition = {**json.loads(probe(a, "definition", uuid)), **changes}
    (folder / "definition").write_text(json.dumps(definition))
    store = f"/var/lib/understudy/replicas/{uuid}"
    b.run(["mkdir", "-p", store])
    b.run(["chown", probe(b, "owner"), b.create_disk(f"{store}/vda.qcow2", str(definition["disks"][0]["size"]))])
    if nvram is not None:
        (folder / "nvram").write_bytes(nvram)
    return store, [folder / "definition", store, *([folder / "nvram"] if nvram is not None else [])]


@pytest.mark.parametrize("uefi", FORMS, indirect=True)
def test_replica_runs_the_same_firmware_with_the_same_nvram(uefi):
    a, b, name, (_, _, flags, code), uuid, folder = uefi
    assert probe(a, "nvram", uuid, folder / "none") == "0", "it has not started yet"
    a.virsh("start", name, "--paused")
    definition = json.loads(probe(a, "definition", uuid))
    assert (definition["firmware"], definition["secure_boot"], definition["enrolled_keys"]) == ("efi", *flags)
    assert OVMF not in json.dumps(definition)
    assert f"{OVMF}/{code}" in command_line(a, name)
    size = int(probe(a, "nvram", uuid, folder / "read"))
    nvram = (folder / "read").read_bytes()
    assert size == len(nvram) == os.stat(f"{OVMF}/OVMF_VARS_4M.fd").st_size

    mine = nvram[:-4] + b"mine"
    store, words = replica_of(a, b, uuid, folder, mine)
    assert probe(b, "check", *words) == "warnings="
    assert probe(b, "define", *words) == "ok"
    file = b.path(f"{store}/nvram.fd")
    assert file.read_bytes() == mine
    assert oct(file.stat().st_mode & 0o777) == "0o600" and f"{file.stat().st_uid}:{file.stat().st_gid}" == probe(b, "owner")
    assert "<os firmware='efi'>" in b.virsh("dumpxml", name)
    assert json.loads(probe(b, "definition", uuid)) == definition
    b.virsh("start", name, "--paused")
    line = command_line(b, name)
    assert f"{OVMF}/{code}" in line and f"{store}/nvram.fd" in line
    assert file.read_bytes() == mine
    b.virsh("resume", name)
    b.virsh("destroy", name)
    assert probe(b, "undefine", uuid) == "ok"
    assert not file.exists()


def test_nvram_is_kept_replaced_or_removed_as_asked(uefi):
    a, b, name, _, uuid, folder = uefi
    a.virsh("start", name, "--paused")
    probe(a, "nvram", uuid, folder / "read")
    first = (folder / "read").read_bytes()[:-5] + b"first"
    store, words = replica_of(a, b, uuid, folder, first)
    file = b.path(f"{store}/nvram.fd")
    probe(b, "define", *words)
    probe(b, "define", *words[:2])
    assert file.read_bytes() == first, "none was given"
    second = first[:-5] + b"other"
    (folder / "nvram").write_bytes(second)
    probe(b, "define", *words)
    assert file.read_bytes() == second
    _, words = replica_of(a, b, uuid, folder, firmware="", secure_boot=False, enrolled_keys=False, machine="pc-q35-7.1")
    probe(b, "define", *words)
    assert not file.exists() and "<os>" in b.virsh("dumpxml", name) and "pc-q35-7.1" in b.virsh("dumpxml", name)
    b.virsh("start", name, "--paused")


def test_firmware_begins_anew_without_nvram(uefi):
    a, b, name, _, uuid, folder = uefi
    store, words = replica_of(a, b, uuid, folder)
    probe(b, "define", *words)
    b.virsh("start", name, "--paused")
    assert b.path(f"{store}/nvram.fd").read_bytes() == Path(f"{OVMF}/OVMF_VARS_4M.ms.fd").read_bytes()


def test_host_without_that_firmware_says_so(uefi):
    a, b, _, _, uuid, folder = uefi
    _, words = replica_of(a, b, uuid, folder, b"short")
    for command in ("check", "define"):
        answer = probe(b, command, *words, check=False)
        assert "stores 5 bytes, this host's 540672" in answer and "same version of ovmf" in answer
        answer = probe(b, command, *words, check=False, config=["firmware=/no/such/folder"])
        assert "no UEFI firmware with Secure Boot and enrolled keys" in answer and "apt install ovmf" in answer
    assert facts(b, uuid)["exists"] == "0"


def test_bios_guest_has_no_nvram(lab, tmp_path):
    host = lab.host("A")
    uuid = host.define_guest("bios", disks=["16M"])
    assert probe(host, "nvram", uuid, tmp_path / "x") == "0"
    assert json.loads(probe(host, "definition", uuid))["firmware"] == ""
    host.virsh("undefine", "bios")
