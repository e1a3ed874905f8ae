"""Fixtures of the end-to-end tests. A site is two hosts with Understudy; what fails shows the daemons' last words."""
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))
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
