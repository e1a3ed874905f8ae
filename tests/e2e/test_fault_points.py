"""Each daemon killed at each durable step of a VM's life: it recovers, and every point is what the primary exported."""
import pytest
from fault_life import (VM, Cycle, DayLater, Failover, FirstCopy, Frozen, Life, OnDemand, Refused, Resync, Retired, Revert, Told,
                        points_in_source)

PASSAGES = 8  # of one fault point in one phase; each is a state of its own

# Fault points of the product that no life passes, and why.
NEVER_PASSED = {
    "store.settings.before-manifest": "settings are not changed in this life: test_settings.py",
    "store.settings.after-manifest": "settings are not changed in this life: test_settings.py",
    "store.sender.before-manifest": "the primary's host keeps its name in this life: test_trust.py",
    "store.sender.after-manifest": "the primary's host keeps its name in this life: test_trust.py",
}

# The most dangerous ones, in every run. They follow one another: a merge takes a point that is kept and cycles after it.
FAST = [
    (OnDemand("point on demand"), "B", "store.publish.after-rename:2"),
    (Cycle("cycle"), "A", "performer.job-opened:1"),
    (Cycle("cycle"), "B", "store.publish.after-rename:1"),
    (Cycle("cycle, merge above the bottom"), "B", "store.merge.after-rename:1"),
    (Cycle("cycle, merge above the bottom"), "B", "store.merge.after-rename:2"),
    (Failover("failover to an old point", 0), "B", "store.failover.after-generation:1"),
    (Failover("failover to an old point", 0), "B", "store.failover.after-rename:1"),
    (Revert(), "B", "store.revert.after-manifest:1"),
    (Revert(), "B", "store.revert.after-rename:1"),
    (Resync(), "B", "store.publish.before-manifest:1"),
]


@pytest.fixture(scope="module")
def life(site):
    life = Life(site)
    yield life
    site.daemon("B").clock = None
    for daemon in site.daemons.values():
        daemon.restart()
    site.a.virsh("destroy", VM, check=False)


@pytest.fixture(autouse=True)
def daemons_run():
    """Here a phase starts them itself: a cut between two tests would be of no known content."""


def killed_at(point):
    name, passage = point.rsplit(":", 1)
    return f"{name}:kill:{passage}"


@pytest.mark.parametrize(("phase", "host", "point"), FAST, ids=lambda v: getattr(v, "name", v))
def test_killed_at_the_most_dangerous_points(life, phase, host, point):
    outcome = life.live(phase, host, killed_at(point))
    assert outcome, f"{point} was not passed"
    print(outcome)


def whole_life(life):
    """The phases in their order, with what each passes: [(phase, {host: {name: passages}})]."""
    phases = [Cycle("cycle, merge at the bottom"), OnDemand("point on demand"), Cycle("cycle"), Cycle("cycle"),
              Cycle("cycle, merge above the bottom"), Failover("failover to an old point", 0), Revert(),
              Failover("failover to the latest", -1), Told(), Resync(), Frozen("point with the guest frozen"),
              DayLater("a day later")]
    return [(phase, life.logged(phase)) for phase in phases]


def births(life):
    life.site.daemon("A").restart()
    life.settled()
    life.site.cli("A", "pause", VM)
    return [(phase, life.logged(phase)) for phase in (FirstCopy(), Refused(), Retired())]


def strikes(lived):
    for phase, found in lived:
        for host in phase.hosts:
            for name, numbers in found[host].items():
                if phase.only is None or name.startswith(phase.only):
                    yield from ((phase, host, name, number) for number in list(numbers)[:PASSAGES])


def strike_all(life, lived, table):
    for phase, host, name, number in strikes(lived):
        print(f"{phase.name}: {host} {name}:{number}", flush=True)
        outcome = life.live(phase, host, f"{name}:kill:{number}")
        row = table.setdefault((name, "primary" if host == "A" else "replica"), {"by itself": 0, "asked again": 0, None: 0})
        row[outcome] += 1


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_killed_at_every_point_that_a_life_passes(life):
    table = {}
    lived = whole_life(life)
    strike_all(life, lived, table)
    born = births(life)
    strike_all(life, born, table)
    print("\n| fault point | daemon | recovered by itself | asked again | not reached |\n|---|---|---|---|---|")
    for (name, daemon), row in sorted(table.items()):
        print(f"| {name} | {daemon} | {row['by itself']} | {row['asked again']} | {row[None]} |")
    passed = {name for _, found in lived + born for names in found.values() for name in names}
    assert points_in_source() - passed == set(NEVER_PASSED)
    assert not [key for key, row in table.items() if not row["by itself"] + row["asked again"]]
