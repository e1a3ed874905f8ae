"""What cannot be replicated is refused when replication is enabled, with the way out; and the way out is one."""
import re
import shlex

import pytest
from guests import BOOT
from sites import IDLE, until



def running(site, name, **kw):
    return site.a.define_guest(name, disks=kw.pop("disks", ("16M",)), cmdline=IDLE, start=True, **kw)


def refused(site, name):
    """Enables it, which must be refused; returns what the command said."""
    done = site.enable(name, start=False, check=False)
    assert done.returncode in (2, 3), done
    assert name in done.stderr, done.stderr
    return done.stderr


def commands_in(text):
    """The commands that a message recommends: lines or parts that begin with a program's name."""
    return [c.strip().rstrip(".") for c in re.findall(r"((?:virsh|qemu-img|understudy) [^\n;,()]*)", text)]


def do(site, command, name):
    words = [name if w == "NAME" else w for w in shlex.split(command)]
    site.a.run(words, timeout=120)


def enabled(site, name, vm):
    site.enable(name, start=False)
    assert site.wsman("A").vm(vm)["ReplicationState"] == "1"
    site.a.virsh("destroy", name)


def test_inactive_domain(site):
    vm = site.a.define_guest("inactive", disks=("16M",), cmdline=IDLE)
    text = refused(site, "inactive")
    way_out = [c for c in commands_in(text) if c.startswith("virsh start")]
    assert way_out, text
    do(site, way_out[0], "inactive")
    enabled(site, "inactive", vm)


def test_raw_disk(site):
    site.a.run(["qemu-img", "create", "-q", "-f", "raw", "/var/lib/libvirt/images/rawdisk.raw", "16M"])
    vm = running(site, "rawdisk", disks=("16M", "/var/lib/libvirt/images/rawdisk.raw"))
    text = refused(site, "rawdisk")  # not left out in silence
    assert "vdb" in text and "raw" in text
    convert = [c for c in commands_in(text) if c.startswith("qemu-img convert")]
    assert convert, text
    site.a.virsh("destroy", "rawdisk")
    do(site, convert[0], "rawdisk")
    target = shlex.split(convert[0])[-1]
    xml = site.a.virsh("dumpxml", "--inactive", "rawdisk").replace("type='raw'", "type='qcow2'")
    site.a.virsh("define", "/dev/stdin", input=xml.replace("/var/lib/libvirt/images/rawdisk.raw", target))
    site.a.virsh("start", "rawdisk")
    enabled(site, "rawdisk", vm)


def test_old_qcow2(site):
    disk = site.a.create_disk("/var/lib/libvirt/images/oldqcow2.qcow2", "16M", "compat=0.10")
    vm = running(site, "oldqcow2", disks=(disk,))
    text = refused(site, "oldqcow2")
    amend = [c for c in commands_in(text) if c.startswith("qemu-img amend")]
    assert amend, text
    site.a.virsh("destroy", "oldqcow2")
    do(site, amend[0], "oldqcow2")
    site.a.virsh("start", "oldqcow2")
    enabled(site, "oldqcow2", vm)


def test_foreign_checkpoint(site):
    vm = running(site, "checkpointed")
    site.a.virsh("checkpoint-create-as", "checkpointed", "of-another-program")
    text = refused(site, "checkpointed")
    assert "of-another-program" in text
    delete = [c for c in commands_in(text) if c.startswith("virsh checkpoint-delete")]
    assert delete, text
    do(site, delete[0], "checkpointed")
    enabled(site, "checkpointed", vm)


def test_firmware_that_nobody_describes(site):
    code, vars_ = f"{BOOT}/code.fd", f"{BOOT}/vars.fd"
    for file in (code, vars_):
        site.a.run(["truncate", "-s", "528K", file])
    vm = site.a.define_guest("uefi", disks=("16M",), cmdline=IDLE)
    xml = site.a.virsh("dumpxml", "--inactive", "uefi")
    firmware = f"<loader readonly='yes' type='pflash'>{code}</loader><nvram>{vars_}</nvram>"
    site.a.virsh("define", "/dev/stdin", input=re.sub(r"(</type>)", rf"\1{firmware}", xml, count=1))
    text = refused(site, "uefi")
    assert f"the firmware {code}" in text and "virsh edit uefi" in text, text
    # The way out is a definition without the firmware.
    site.a.virsh("define", "/dev/stdin", input=xml)
    site.a.virsh("start", "uefi")
    enabled(site, "uefi", vm)


HOSTDEV = """<hostdev mode='subsystem' type='pci' managed='yes'><source>
  <address domain='0x0000' bus='0x00' slot='0x02' function='0x0'/></source></hostdev>"""
FILESYSTEM = "<filesystem type='mount' accessmode='passthrough'><source dir='/tmp'/><target dir='shared'/></filesystem>"
TPM = "<tpm model='tpm-tis'><backend type='passthrough'><device path='/dev/tpm0'/></backend></tpm>"
SHAREABLE = """<disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='/var/lib/libvirt/images/shared.raw'/>
  <target dev='vdq' bus='virtio'/><shareable/></disk>"""
LUN = "<disk type='block' device='lun'><driver name='qemu' type='raw'/><source dev='/dev/sdq'/><target dev='sdq' bus='scsi'/></disk>"


@pytest.mark.parametrize("device, said", [
    pytest.param(HOSTDEV, "hostdev", id="hostdev"),
    pytest.param(FILESYSTEM, "filesystem", id="virtiofs"),
    pytest.param(TPM, "TPM", id="tpm"),
    pytest.param(SHAREABLE, "share", id="shareable"),
    pytest.param(LUN, "lun", id="lun"),
])
def test_device_that_cannot_travel(site, request, device, said):
    name = "with-" + request.node.callspec.id
    vm = site.a.define_guest(name, disks=("16M",), cmdline=IDLE, extra_devices=device)
    text = refused(site, name)
    assert said.lower() in text.lower(), text
    assert commands_in(text), f"no way out in: {text}"
    site.a.virsh("undefine", name)
    site.a.define_guest(name, uuid=vm, disks=(f"/var/lib/libvirt/images/{name}-vda.qcow2",), cmdline=IDLE, start=True)
    enabled(site, name, vm)


def test_qemu_command_line(site):
    vm = site.a.define_guest("commandline", disks=("16M",), cmdline=IDLE)
    xml = site.a.virsh("dumpxml", "--inactive", "commandline")
    evil = xml.replace("<domain type='qemu'>", "<domain type='qemu' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>")
    evil = evil.replace("</domain>", "<qemu:commandline><qemu:arg value='-no-hpet'/></qemu:commandline></domain>")
    site.a.virsh("define", "/dev/stdin", input=evil)
    text = refused(site, "commandline")
    assert "commandline" in text and "virsh edit" in text, text
    site.a.virsh("define", "/dev/stdin", input=xml)
    site.a.virsh("start", "commandline")
    enabled(site, "commandline", vm)


def test_the_host_itself_and_a_host_that_is_not_there(site):
    running(site, "nowhere")
    to_itself = site.cli("A", "enable", "nowhere", "--to", "host-a:8443", check=False)
    assert to_itself.returncode == 2 and "host-a" in to_itself.stderr
    silent = site.cli("A", "enable", "nowhere", "--to", "host-b:9", check=False)
    assert silent.returncode == 6 and "host-b" in silent.stderr, silent
    until(lambda: site.enable("nowhere", start=False, check=False).returncode == 0, 30, "enabling works afterwards")
    site.a.virsh("destroy", "nowhere")
