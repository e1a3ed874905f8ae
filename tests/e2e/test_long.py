"""Large disks under a small memory limit."""
import pytest
from compare import compared_now
from sites import IDLE, Site

LIMIT = 256 << 20
VM = "large"
DATA = 2 << 30

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def small():
    with Site(memory_limit=LIMIT) as site:
        yield site


def test_8_gib_disk_with_2_gib_of_data_in_256_mib_for_each_daemon(small):
    disk = small.a.create_disk("/var/lib/libvirt/images/large.qcow2", "8G")
    # 2 GiB in 32 places all over the disk, half of it random.
    writes = []
    for place in range(32):
        source = f"/tmp/large-{place % 4}"
        if place < 4:
            small.a.run(["sh", "-c", f"head -c {DATA // 64} /dev/urandom >{source}; head -c {DATA // 64} /dev/zero | tr '\\0' u >>{source}"])
        writes += ["-c", f"write -q -s {source} {place * (256 << 20)} {DATA // 32}"]
    small.a.run(["qemu-io", "-f", "qcow2", *writes, disk], timeout=300)
    small.a.run(["sh", "-c", "rm /tmp/large-*"])
    vm = small.a.define_guest(VM, disks=(disk,), cmdline=IDLE, start=True)
    small.enable(VM, timeout=600)
    small.wait_point(vm, timeout=600)
    compared_now(small, vm, VM, 600)
    for name, daemon in small.daemons.items():
        peak = daemon.note_memory()
        print(f"understudyd on {name}: {peak / 1024:.0f} MiB at its peak")
        assert peak < LIMIT >> 10
