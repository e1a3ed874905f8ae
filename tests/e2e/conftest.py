"""Fixtures of the end-to-end tests. A site is two hosts with Understudy; what fails shows the daemons' last words."""
import contextlib
import json
import os
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))
import matrix  # noqa: E402
from recorder import Recorder  # noqa: E402
from sites import Site  # noqa: E402


@pytest.fixture(scope="session")
def site():
    """The site most tests share, each with VMs of its own."""
    with Site() as shared:
        yield shared


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    sites = {id(v): v for v in getattr(item, "funcargs", {}).values() if isinstance(v, Site)}
    for site in sites.values() if report.failed else ():
        for name, daemon in getattr(site, "daemons", {}).items():
            report.sections.append((f"understudyd on {name}", daemon.tail()))


@pytest.fixture
def cell(request, site):
    """A row of docs/reference/methods.md: `with cell("InitiateFailover", "the latest point"):` makes the situation and
    the call; the row's numbers are what a recorder sees between client and daemon meanwhile (recorder.py)."""
    rows = []

    @contextlib.contextmanager
    def record(method, situation, clients=()):
        recorder = Recorder()
        clients = [*clients, site.wsman("A"), site.wsman("B")]
        for client in clients:
            client.recorder = recorder
        try:
            yield
        finally:
            for client in clients:
                client.recorder = None
        [call] = [call for call in recorder.calls if call.method == method]
        call.check()
        rows.append({"method": method, "return_value": call.return_value, "job_state": call.job_state,
                     "error_code": call.error_code, "situation": situation,
                     "test": f"{request.node.path.name} {request.node.originalname}"})
    yield record
    folder = os.environ.get("UNDERSTUDY_MATRIX")
    if folder:
        with open(Path(folder) / f"{request.node.path.stem}.jsonl", "a") as out:
            out.writelines(json.dumps(row) + "\n" for row in rows)
    else:  # one run of one test: what it makes is what is kept
        kept = matrix.kept_lines(f"{request.node.path.name} {request.node.originalname}")
        assert all(matrix.line(row) in kept for row in rows), \
            f"docs/reference/methods.md has other rows; ./test matrix --write makes it anew: {[matrix.line(r) for r in rows]}"


@pytest.fixture(autouse=True)
def daemons_run(request):
    """Every test of a shared site finds both daemons running, without a fault set."""
    yield
    for value in {id(v): v for v in request.node.funcargs.values() if isinstance(v, Site)}.values():
        for daemon in value.daemons.values():
            if daemon.running() and daemon.state() == "T":
                daemon.kill()
            if not daemon.running() and daemon.host.running:
                daemon.start()
