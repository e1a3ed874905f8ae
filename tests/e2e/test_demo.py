"""The README's first command, on the build that the other tests use."""
import os
import subprocess

from sites import BIN, ROOT


def test_demo_holds():
    done = subprocess.run(["./demo"], cwd=ROOT, env={**os.environ, "UNDERSTUDY_BUILD": str(BIN.parent)}, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=400)
    last = done.stdout.strip().splitlines()[-1]
    assert done.returncode == 0 and last.startswith("demo: all "), done.stdout
