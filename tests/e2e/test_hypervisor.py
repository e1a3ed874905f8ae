"""What hypervisor/ and source/ do with a real libvirt and QEMU, through hypervisor_probe: no daemon takes part."""
import json
import os
import re
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))
from probing import FIRST, PROBE, SCRATCH, SECOND, SIZES, THIRD, facts, lab, probe, vm, writing_vm  # noqa: E402,F401
import guests  # noqa: E402
from sites import until  # noqa: E402


def kill_qemu(host, name):
    """As a power cut would end it; returns when libvirt knows."""
    host.run(["kill", "-9", host.path(f"/run/libvirt/qemu/{name}.pid").read_text().strip()])
    until(lambda: host.virsh("domstate", name) == "shut off", 60, f"{name} is off")


def empty_copies(folder, sizes=SIZES):
    folder.mkdir(parents=True, exist_ok=True)
    for number, size in enumerate(sizes):
        with open(folder / f"{number}.raw", "wb") as f:
            f.truncate(size)


def export_socket(host, name):
    return re.search(r"socket='([^']*)'", host.virsh("backup-dumpxml", name)).group(1)


def same_as_export(host, name, folder):
    """Byte for byte what QEMU exports at this moment of the open job?"""
    for number, target in enumerate(("vda", "vdb")):
        host.run(["qemu-img", "convert", "-O", "raw", f"nbd+unix:///{target}?socket={export_socket(host, name)}", folder / "export.raw"])
        if subprocess.run(["cmp", folder / "export.raw", folder / f"{number}.raw"]).returncode:
            return False
    return True


def scratch_files(host):
    return [p.name for p in host.path(SCRATCH).iterdir()]


def test_cycles_keep_a_copy_equal(writing_vm, tmp_path):
    host, name, uuid = writing_vm
    assert probe(host, "replicable", uuid, "vdb,vda") == f"vda={SIZES[0]} vdb={SIZES[1]}"
    empty_copies(tmp_path)
    previous, console = "-", host.console(name)
    for number in range(1, 5):
        checkpoint = f"understudy-{number}"
        probe(host, "open", uuid, "vda,vdb", previous, checkpoint)
        if number == 3:
            host.vmctl(name, "trim")  # with the job open: the copy must be of the cut
        answer = probe(host, "read", uuid, "vda,vdb", tmp_path)
        assert same_as_export(host, name, tmp_path), answer
        values = {k: int(v) for k, v in (pair.split("=") for pair in answer.split())}
        if previous == "-":
            assert values["data"] + values["zero"] == sum(SIZES)
        else:
            assert values["data"] < 64 << 20
        assert probe(host, "end", uuid) == "ok"
        assert scratch_files(host) == []
        if previous != "-":
            assert probe(host, "delete-checkpoint", uuid, previous) == "ok"
        previous = checkpoint
        console.skip_to_end()
        console.wait_for(r"^SEQ")
    assert facts(host, uuid)["checkpoints"] == ["understudy-4"]
    os.remove(tmp_path / "export.raw")
    assert guests.verify_images(tmp_path / "0.raw", tmp_path / "1.raw").startswith("VERIFY OK")


def test_end_and_delete_can_be_repeated(vm):
    host, _, uuid = vm
    assert probe(host, "end", uuid) == "ok"
    assert probe(host, "delete-checkpoint", uuid, "understudy-99") == "ok"
    probe(host, "open", uuid, "vda", "-", FIRST)
    assert "in_use" in probe(host, "open", uuid, "vda", "-", SECOND, check=False)
    assert facts(host, uuid)["job"] == "1"
    assert probe(host, "end", uuid) == "ok"
    assert probe(host, "end", uuid) == "ok"
    assert facts(host, uuid)["job"] == "0"


def test_some_disks_only(vm, tmp_path):
    host, _, uuid = vm
    empty_copies(tmp_path, [64 << 20])
    probe(host, "open", uuid, "vdb", "-", FIRST)
    assert probe(host, "read", uuid, "vdb", tmp_path).endswith("granule=65536")
    assert probe(host, "end", uuid) == "ok"
    assert "corrupt" in probe(host, "open", uuid, "vda", FIRST, "-", check=False)


class Watch:
    """`probe watch`: its lines, as they come."""

    def __init__(self, host):
        pipe = subprocess.PIPE
        self.process, self.text = host.popen([PROBE, "watch"], stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL), ""
        self.wait("watching")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.communicate(b"")

    def wait(self, beginning, timeout=60):
        """Skips to the line that begins so, and over it."""
        end = time.monotonic() + timeout
        while not (found := re.search(rf"^{re.escape(beginning)}.*\n", self.text, re.MULTILINE)):
            self._read(max(0, end - time.monotonic()), beginning)
        self.text = self.text[found.end():]

    def skip(self):
        """Forgets what has come so far."""
        while select.select([self.process.stdout], [], [], 0)[0]:
            self._read(0, "anything")
        self.text = ""

    def _read(self, timeout, wanted):
        assert select.select([self.process.stdout], [], [], timeout)[0], f"no {wanted!r} in: {self.text}"
        piece = os.read(self.process.stdout.fileno(), 4096).decode()
        assert piece, f"the probe ended: {self.text}"
        self.text += piece


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_job_outlives_libvirtd(vm, tmp_path, how):
    host, name, uuid = vm
    empty_copies(tmp_path)
    with Watch(host) as watch:
        probe(host, "open", uuid, "vda,vdb", "-", FIRST)
        host.kill_libvirtd(how)
        assert "not_available" in probe(host, "inspect", uuid, check=False)
        watch.skip()
        host.start_libvirtd()
        watch.wait(f"event {uuid} started")  # the state of every VM is told again
        probe(host, "read", uuid, "vda,vdb", tmp_path)
        assert same_as_export(host, name, tmp_path)
        assert probe(host, "end", uuid) == "ok"
        assert scratch_files(host) == []
        watch.wait(f"event {uuid} job_ended")


def test_shutdown_ends_the_job(vm):
    host, name, uuid = vm
    probe(host, "open", uuid, "vda,vdb", "-", FIRST)
    host.virsh("destroy", name)
    assert probe(host, "end", uuid) == "ok"
    assert scratch_files(host) == []
    assert "invalid_state" in probe(host, "delete-checkpoint", uuid, FIRST, check=False)
    host.virsh("start", name)
    assert facts(host, uuid)["broken"] == []
    assert probe(host, "delete-checkpoint", uuid, FIRST) == "ok"


def test_leftover_scratch_is_in_nobodys_way(vm):
    host, _, uuid = vm
    (host.path(SCRATCH) / f"{uuid}-vda.scratch").write_text("left")
    probe(host, "open", uuid, "vda,vdb", "-", FIRST)
    assert probe(host, "end", uuid) == "ok"


def test_killed_qemu_breaks_checkpoints_and_they_go(vm):
    host, name, uuid = vm
    probe(host, "open", uuid, "vda,vdb", "-", FIRST)
    probe(host, "end", uuid)
    host.virsh("destroy", name)  # which stores the bitmap: it is in the image when QEMU dies
    host.virsh("start", name)
    probe(host, "open", uuid, "vda,vdb", FIRST, SECOND)
    kill_qemu(host, name)
    assert facts(host, uuid)["broken"] == [], "not known while it is off"
    assert probe(host, "end", uuid) == "ok"
    host.virsh("start", name)
    assert facts(host, uuid)["checkpoints"] == [FIRST, SECOND]
    assert facts(host, uuid)["broken"] == [FIRST, SECOND]
    assert probe(host, "open", uuid, "vda,vdb", FIRST, THIRD, check=False).startswith("error corrupt")
    for checkpoint in (FIRST, SECOND):
        assert probe(host, "delete-checkpoint", uuid, checkpoint) == "ok"
    assert facts(host, uuid)["checkpoints"] == []
    probe(host, "open", uuid, "vda,vdb", "-", THIRD)
    assert probe(host, "end", uuid) == "ok"


def test_filling_scratch_is_told_before_it_is_full(writing_vm):
    host, name, uuid = writing_vm
    host.vmctl(name, "fill", 900)
    with Watch(host) as watch:
        probe(host, "open", uuid, "vda,vdb", "-", FIRST, config=["scratch-space=16777216"])
        host.vmctl(name, "fill", 900)
        watch.wait(f"event {uuid} scratch_full")
        assert host.virsh("domstate", name) == "running"
    assert probe(host, "end", uuid) == "ok"


def test_full_scratch_stops_the_guest_until_the_job_ends(writing_vm):
    host, name, uuid = writing_vm
    if host.lab.flavour == "shipped":
        pytest.skip("QEMU's mounts there are those of its start")
    host.vmctl(name, "fill", 900)
    host.run(["mount", "-t", "tmpfs", "-o", "size=12m,mode=0711", "scratch", SCRATCH])
    try:
        probe(host, "open", uuid, "vda,vdb", "-", FIRST)
        host.guest_exec(name, "/bin/vmctl", "fill", "900")
        until(lambda: "I/O error" in host.virsh("domstate", name, "--reason"), 90, "the guest is stopped")
        assert probe(host, "end", uuid) == "ok"
        assert host.virsh("domstate", name) == "running"
        console = host.console(name, from_start=False)
        console.wait_for(r"^SEQ")
    finally:
        probe(host, "end", uuid)
        host.run(["umount", SCRATCH])


def test_hold_refuses_every_way_of_starting(vm):
    host, name, uuid = vm
    assert probe(host, "hook") == "ok"
    host.virsh("managedsave", name)
    assert probe(host, "hold", uuid, "it is the replica of vm1 on host-b") == "ok"
    for start in (("start", name), ("start", name, "--force-boot"), ("start", name, "--paused")):
        refused = host.virsh(*start, check=False)
        assert refused.returncode and "Understudy holds this VM: it is the replica of vm1 on host-b" in refused.stderr
    answer = probe(host, "start", uuid, check=False)
    assert answer.startswith("error invalid_state: Understudy holds this VM: it is the replica of vm1 on host-b. Next: ")
    host.virsh("managedsave-remove", name, check=False)
    xml = host.virsh("dumpxml", name, "--inactive")
    host.virsh("undefine", name, "--checkpoints-metadata")
    assert "Understudy holds" in host.virsh("create", "/dev/stdin", input=xml, check=False).stderr
    host.virsh("define", "/dev/stdin", input=xml)
    assert probe(host, "lift", uuid) == "ok"
    host.virsh("start", name)


def test_hold_refuses_restore_and_removes_managed_save(vm):
    host, name, uuid = vm
    host.virsh("save", name, "/var/lib/libvirt/images/saved")
    probe(host, "hold", uuid, "x")
    assert "Understudy holds" in host.virsh("restore", "/var/lib/libvirt/images/saved", check=False).stderr
    probe(host, "lift", uuid)
    host.virsh("restore", "/var/lib/libvirt/images/saved")
    assert probe(host, "remove-managed-save", uuid) == "ok", "there is none"
    host.virsh("managedsave", name)
    assert facts(host, uuid)["managed_save"] == "1"
    assert probe(host, "remove-managed-save", uuid) == "ok"
    assert facts(host, uuid)["managed_save"] == "0"


def test_hook_not_in_force_is_noticed(lab):
    """As on a host whose libvirtd was started before Understudy was installed."""
    host = lab.host("B")
    hooks = host.path("/etc/libvirt/hooks")
    away = hooks.with_name("hooks-away")
    host.kill_libvirtd()
    hooks.rename(away)
    try:
        host.start_libvirtd()
        assert probe(host, "prepare") == "ok"
        answer = probe(host, "hook", check=False)
        assert answer.startswith("error invalid_state: libvirtd does not call our hook") and "systemctl restart libvirtd" in answer
        host.kill_libvirtd()
        host.start_libvirtd()
        assert probe(host, "hook") == "ok"
    finally:
        host.kill_libvirtd()
        subprocess.run(["rm", "-rf", hooks], check=True)
        away.rename(hooks)
        host.start_libvirtd()


def test_replica_has_the_same_definition(lab, vm, tmp_path):
    a, name, uuid = vm
    b, store = lab.host("B"), f"/var/lib/understudy/replicas/{uuid}"
    definition = probe(a, "definition", uuid)
    (tmp_path / "definition").write_text(definition)
    os.chmod(tmp_path, 0o755)
    try:
        assert probe(b, "check", tmp_path / "definition", store) == "warnings="
        for _ in range(2):  # defining again is no error
            assert probe(b, "define", tmp_path / "definition", store) == "ok"
        b.run(["mkdir", "-p", store])
        for disk in json.loads(definition)["disks"]:
            image = b.create_disk(f"{store}/{disk['target']}.qcow2", str(disk["size"]))
            b.run(["chown", probe(b, "owner"), image])
        assert json.loads(probe(b, "definition", uuid)) == json.loads(definition)
        xml = b.virsh("dumpxml", name)
        assert "relabel='no'" in xml and "urn:understudy:domain:1" in xml
        assert "disable" in b.virsh("dominfo", name)
        assert probe(b, "start", uuid) == "ok"
        assert "invalid_state" in probe(b, "undefine", uuid, check=False)
        assert probe(b, "stop", uuid) == "ok"
    finally:
        b.virsh("destroy", name, check=False)
        assert probe(b, "undefine", uuid) == "ok"
    assert probe(b, "undefine", uuid) == "ok", "not there is no error"
    assert facts(b, uuid)["exists"] == "0"


def test_replica_is_defined_anew_without_its_past(lab, vm, tmp_path):
    """Every point has a definition of its own."""
    a, name, uuid = vm
    b, store, file = lab.host("B"), f"/var/lib/understudy/replicas/{uuid}", tmp_path / "definition"
    first = json.loads(probe(a, "definition", uuid))
    second = {**first, "name": f"{name}-2", "memory_kib": 147456, "current_memory_kib": 147456, "cdroms": ["sda:sata"]}
    os.chmod(tmp_path, 0o755)
    b.run(["mkdir", "-p", store])
    for disk in first["disks"]:
        b.run(["chown", probe(b, "owner"), b.create_disk(f"{store}/{disk['target']}.qcow2", str(disk["size"]))])

    def define(definition, check=True):
        file.write_text(json.dumps(definition))
        return probe(b, "define", file, store, check=check)
    try:
        define(first)
        b.virsh("start", name)
        assert "is running" in define(second, check=False)
        b.virsh("autostart", name)
        b.virsh("snapshot-create-as", name, "s")
        probe(b, "open", uuid, "vda,vdb", "-", FIRST)
        probe(b, "end", uuid)
        b.virsh("managedsave", name)
        probe(b, "hold", uuid, "x")
        assert define(second) == "ok"
        now = facts(b, uuid)
        assert (now["managed_save"], now["checkpoints"], now["power"]) == ("0", [], "0")
        assert b.virsh("snapshot-list", "--name", f"{name}-2") == ""
        assert "disable" in b.virsh("dominfo", f"{name}-2")
        assert b.virsh("domuuid", f"{name}-2") == uuid and name not in b.virsh("list", "--all", "--name").split()
        assert json.loads(probe(b, "definition", uuid)) == {**second, "controllers": json.loads(probe(b, "definition", uuid))["controllers"]}
        assert "Understudy holds" in b.virsh("start", f"{name}-2", check=False).stderr, "a hold is of the id"
        assert define(first) == "ok"
        assert json.loads(probe(b, "definition", uuid)) == first
    finally:
        probe(b, "lift", uuid)
        b.virsh("destroy", name, check=False)
        assert probe(b, "undefine", uuid) == "ok"


def test_holds_can_be_repeated_and_outlive_the_host(lab, vm):
    host, _, uuid = vm
    assert probe(host, "held", uuid) == "0"
    for reason in ("first", "second", "second"):
        assert probe(host, "hold", uuid, reason) == "ok"
        assert probe(host, "held", uuid) == "1"
    host.power_cut()
    host.boot()
    assert probe(host, "held", uuid) == "1"
    assert "Understudy holds this VM: second" in probe(host, "start", uuid, check=False)
    for _ in range(2):
        assert probe(host, "lift", uuid) == "ok"
        assert probe(host, "held", uuid) == "0"
    assert probe(host, "start", uuid) == "ok"


def test_vms_that_are_not_ours_are_left_alone(lab, vm, tmp_path):
    a, name, uuid = vm
    (tmp_path / "definition").write_text(probe(a, "definition", uuid))
    os.chmod(tmp_path, 0o755)
    for command in ("check", "define"):
        assert "is no replica of ours" in probe(a, command, tmp_path / "definition", "/store", check=False)
    probe(a, "stop", uuid)
    assert "access_denied" in probe(a, "undefine", uuid, check=False)
    assert facts(a, uuid)["exists"] == "1"
    b = lab.host("B")
    b.define_guest(name, disks=["1M"])
    try:
        assert "another VM named" in probe(b, "check", tmp_path / "definition", "/store", check=False)
    finally:
        b.virsh("undefine", name)


def test_replica_that_could_not_start_is_refused(lab, vm, tmp_path):
    a, _, uuid = vm
    b, good = lab.host("B"), json.loads(probe(a, "definition", uuid))
    os.chmod(tmp_path, 0o755)

    def answer(**changes):
        (tmp_path / "definition").write_text(json.dumps({**good, **changes}))
        return probe(b, "check", tmp_path / "definition", "/store", check=False)

    assert "pc-q35-99.0" in answer(machine="pc-q35-99.0")
    assert "kvm" in answer(type="kvm")
    assert "not known to QEMU here" in answer(cpu_model="Pentium9")
    assert "is not on this host" in answer(kernel="/boot/no-such-kernel")
    assert "invalid_parameter" in answer(name="../x")
    assert "there is no network office here" in answer(nics=[{"mac": "52:54:00:00:00:01", "model": "virtio", "network": "office",
                                                              "address": "", "boot_order": 0, "link_up": True}])
    assert "MiB of memory" in answer(memory_kib=1 << 34)


def test_what_cannot_be_replicated_says_the_way_out(lab):
    host = lab.host("A")
    host.run(["qemu-img", "create", "-q", "-f", "raw", f"{guests.IMAGES}/odd.img", "8M"])
    host.create_disk(f"{guests.IMAGES}/old.qcow2", "8M", "compat=0.10")
    uuid = host.define_guest("odd", disks=["8M", f"{guests.IMAGES}/odd.img", f"{guests.IMAGES}/old.qcow2"], cmdline="mode=off")

    def answer(disks):
        return probe(host, "replicable", uuid, disks, check=False)
    try:
        assert "virsh start odd" in answer("vda")
        host.virsh("start", "odd")
        assert "is raw" in answer("vdb") and "qemu-img convert -O qcow2" in answer("vdb")
        assert "qemu-img amend -o compat=1.1" in answer("vda,vdc")
        assert "has no disk vdx" in answer("vdx")
        assert answer("vda") == f"vda={8 << 20}"
        probe(host, "open", uuid, "vda", "-", FIRST)  # the others are left out
        assert probe(host, "end", uuid) == "ok"
        host.virsh("checkpoint-create-as", "odd", "theirs", "--diskspec", "vda,checkpoint=bitmap", "--diskspec", "vdb,checkpoint=no",
                   "--diskspec", "vdc,checkpoint=no")
        assert "virsh checkpoint-delete odd theirs" in answer("vda")
        assert facts(host, uuid)["broken"] == []
    finally:
        host.virsh("destroy", "odd", check=False)
        host.virsh("undefine", "odd", "--checkpoints-metadata")


@pytest.mark.parametrize("name", ["a-name-much-longer-than-libvirt-keeps-of-it", "büro-zürich-straße-ñandú-1234", "with space & <angle>"])
def test_names_that_libvirt_changes(lab, name):
    host = lab.host("A")
    uuid = host.define_guest(name, disks=[host.create_disk(f"{guests.IMAGES}/name.qcow2", "8M")], cmdline="mode=off", start=True)
    try:
        assert json.loads(probe(host, "definition", uuid))["name"] == name
        probe(host, "open", uuid, "vda", "-", FIRST)
        assert "data=" in probe(host, "drain", uuid, "vda")
        assert probe(host, "end", uuid) == "ok"
    finally:
        host.virsh("destroy", name)
        host.virsh("undefine", name, "--checkpoints-metadata")
