"""The operate guide, page after page: every line of its fenced blocks, on the host that the block names."""
import json
import re
import shlex
import shutil
import signal
from pathlib import Path

import pytest
from sites import BIN, IDLE, ROOT, Site, until
from test_documents import ELSEWHERE, FENCE

VM = "web1"
GUIDE = ROOT / "docs/operate"
PAGES = ("first-replica", "firewall", "certificates", "troubleshooting", "drill", "bad-day")


def lines(page):
    """(host, command) of a page."""
    for block in FENCE.findall((GUIDE / f"{page}.md").read_text()):
        host = None
        for line in block.splitlines():
            if named := re.match(r"# on host-([ab])\b", line):
                host = named[1].upper()
            else:
                assert host, f"{page}.md does not say where: {line}"
                yield host, line


class Reader:
    """Somebody who does what the guide says."""

    def __init__(self, site):
        self.site, self.own = site, Path(f"/tmp/understudy-{site.lab.base.name}")
        self.vm = self.offer = None

    def words(self, line):
        line = line.replace("192.0.2.1", self.site.a.address).replace("192.0.2.2", self.site.b.address)
        # The points of this site are some seconds old.
        return shlex.split(line.replace("/root/", f"{self.own}/").replace("--at 10m", "--at 1s"))

    def do(self, host, line):
        site, words = self.site, self.words(line)
        if line == "systemctl restart understudyd":
            return site.daemon(host).restart()
        if any(re.search(known, line) for known in ELSEWHERE):
            return None
        if words[0] != "understudy":
            return site.lab.host(host).run(words)
        if words[1] == "server" and self.vm is None:
            self.start()
        if words[1] == "watch":
            return self.watch(host, words[1:])
        if words[1] in ("failover", "revert") or words[1:3] == ["vm", "stop"]:
            return self.answer(host, words[1:])
        if words[1:3] == ["certificate", "offer"]:
            self.offer = site.offer(host, *words[1:])
            return None
        if words[1:3] == ["certificate", "accept"]:
            return self.accept(host, words[1:])
        text = site.cli(host, *words[1:])
        if words[1] == "enable":
            until(lambda: self.status().get("RecoveryPointAgeSeconds") is not None, 60, lambda: site.cli("B", "show", VM))
        return text

    def start(self):
        for daemon in self.site.daemons.values():
            daemon.start()
        self.vm = self.site.a.define_guest(VM, disks=("16M",), cmdline=IDLE, start=True)

    def accept(self, host, words):
        """What the offer has shown, which the page says beforehand."""
        assert self.offer.command == [w.replace("TOKEN", self.offer.token) for w in words]
        self.site.cli(host, *self.offer.command)
        assert self.offer.end()[0] == 0

    def watch(self, host, words):
        out = self.site.folder / "watched"
        with open(out, "w") as file:
            watching = self.site.lab.host(host).popen([BIN / "understudy", *words], stdout=file)
        until(lambda: f"{VM}: primary, replicating" in out.read_text(), 120, out.read_text)
        watching.send_signal(signal.SIGINT)
        assert watching.wait(timeout=30) == 0

    def answer(self, host, words):
        """On a terminal, as a person who means it."""
        alive = words[0] == "failover" and "--primary-is-running" not in words and self.status().get("PrimaryAlive")
        if not alive:
            return self.site.cli_on_terminal(host, *words, prompt="[y/N] ", answer="y")
        whole = "--all" in words
        return self.site.cli_on_terminal(host, *words, prompt=f"type the name of the {'primary host' if whole else 'VM'}: ",
                                         answer="host-a" if whole else VM)

    def wait_halted(self):
        """host-a has noticed the failover; at its next cycle, or when its daemon starts."""
        self.site.daemon("A").restart()
        until(lambda: self.status("A")["Phase"] == "halted", 90, lambda: self.site.cli("A", "show", VM))

    def status(self, host="B"):
        return json.loads(self.site.cli(host, "show", VM, "--json"))["status"]


@pytest.fixture(scope="module")
def reader():
    with Site(prepare=False) as site:
        for host in site.lab.hosts:
            (host.path("/etc/understudy") / "understudyd.toml").write_text("")
        reader = Reader(site)
        reader.own.mkdir()
        yield reader
        shutil.rmtree(reader.own)


@pytest.mark.parametrize("page", PAGES)
def test_the_guide_is_true(reader, page):
    site = reader.site
    if page == "bad-day":
        site.a.power_cut()
    for host, line in lines(page):
        if line == f"understudy revert {VM}" and page == "drill":  # minutes later
            reader.wait_halted()
        if host == "A" and not site.a.running:
            site.a.boot()
            reader.wait_halted()
            assert site.a.virsh("start", VM, check=False).returncode != 0, "it is held"
        reader.do(host, line)
    if page == "bad-day":
        assert site.b.virsh("domstate", VM).strip() == "running"


def test_every_page_is_walked():
    elsewhere = ("kerberos",)  # test_kerberos.py: it takes a realm
    assert {f.stem for f in GUIDE.glob("*.md")} == {*PAGES, *elsewhere, "README"}
    for page in (*PAGES, *elsewhere):
        assert f"{page}.md" in (GUIDE / "README.md").read_text()
