"""What the tests of hypervisor/ share: two hosts, a guest for each test, and hypervisor_probe. No daemon takes part."""
import os
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/support"))
from hosts import Lab, LabError  # noqa: E402

PROBE = Path(os.environ.get("UNDERSTUDY_BUILD") or ROOT / "build/dev").resolve() / "bin/hypervisor_probe"
SIZES = (160 << 20, 64 << 20)  # of vda and vdb
SCRATCH = "/var/lib/understudy/scratch"
FIRST, SECOND, THIRD = "understudy-1", "understudy-2", "understudy-3"


@pytest.fixture(scope="module", params=["lab", "shipped"])
def lab(request):
    """The shipped flavour too: there QEMU is another user, in a mount namespace of its own."""
    with Lab(flavour=request.param) as both:
        for host in both.hosts:
            assert probe(host, "prepare") == "ok"
        yield both


@pytest.fixture
def vm(lab, request):
    """A started guest of its own for each test: (host A, its name, its uuid). What it does does not matter."""
    host, name = lab.host("A"), request.node.originalname.replace("test_", "")[:40]
    uuid = host.define_guest(name, disks=map(str, SIZES), cmdline="us=20000", start=True)
    yield host, name, uuid
    probe(host, "lift", uuid)
    probe(host, "end", uuid, check=False)
    host.virsh("destroy", name, check=False)
    host.virsh("undefine", name, "--managed-save", "--checkpoints-metadata", check=False)


@pytest.fixture
def writing_vm(vm):
    """The same, writing to both disks."""
    host, name, _ = vm
    host.console(name).wait_for(r"^READY", 120)
    return vm


def probe(host, *words, check=True, config=(), env=None):
    """The last line that the probe prints; its errors are LabError, or with check=False text."""
    options = [word for setting in config for word in ("--config", setting)]
    done = host.run([PROBE, *options, *words], check=False, timeout=120, env=env)
    lines = [line for line in done.stdout.splitlines() if not line.startswith("event ")]
    answer = lines[-1] if lines else done.stderr
    if check and done.returncode:
        raise LabError(answer)
    return answer


def facts(host, uuid):
    values = dict(pair.split("=", 1) for pair in probe(host, "inspect", uuid).split())
    return {k: v.split(",") if "," in v else ([v] if v else []) if k in ("checkpoints", "broken", "changed") else v for k, v in values.items()}
