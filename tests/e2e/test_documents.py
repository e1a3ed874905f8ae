"""Every command that README.md and docs/ show in a fenced block is run by a test, or said here why not."""
import re

import pytest
from sites import ROOT, Site, until

VM = "web1"
FENCE = re.compile(r"^```[a-z]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PROGRAMS = ("understudy ", "understudyd", "virsh", "qemu-img", "qemu-nbd", "nbdcopy", "cmake", "ninja", "ctest", "./demo", "./test", "tools/",
            "tests/", "UNDERSTUDY_", "python3", "/usr/bin/python3", "systemctl", "apt-get", "git")
ELSEWHERE = {
    r"^\./demo": "run by test_demo.py",
    r"^\./test": "runs this test",
    r"^cmake --preset|^ninja |^ctest ": "building is what ./test begins with",
    r"^(UNDERSTUDY_\w+=\S+ )?tests/bench/": "measurements take a quiet machine and minutes",
    r"^qemu-img (info --backing-chain|check|create -f qcow2 -b) ": "test_main_path.py does it to a replica whose daemon is dead",
    r"^understudy store check ": "test_store.py does it to a replica whose daemon is dead",
    r"^tools/coverage ": "a build of its own, minutes",
    r"^systemctl |^journalctl |^apt-get |^git ": "of the system; there is no systemd in a test host",
    r"^(/usr/bin/)?python3 -m pytest": "runs this test",
}


def commands():
    """(file, command) of every fenced block, comments at the end of a line cut off."""
    for file in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]:
        for block in FENCE.findall(file.read_text()):
            for line in block.splitlines():
                command = re.sub(r"\s+#.*", "", line).strip().removeprefix("$ ").removeprefix("# ")
                if command.startswith(PROGRAMS):
                    yield str(file.relative_to(ROOT)), command


def test_every_documented_command_is_run_or_explained():
    run = [c for c in commands() if c[0] == "README.md" and c[1].startswith("understudy ")]
    assert run, "README.md shows how to use the command"
    # Every line of docs/operate/ is run by test_operate.py.
    left = [c for c in commands() if c not in run and not c[0].startswith("docs/operate/") and not any(re.search(known, c[1]) for known in ELSEWHERE)]
    assert left == [], "neither run by a test nor explained in ELSEWHERE"


@pytest.fixture(scope="module")
def bare():
    """Hosts with Understudy installed and nothing set up."""
    with Site(prepare=False) as site:
        for host in site.lab.hosts:
            (host.path("/etc/understudy") / "understudyd.toml").write_text("")
        yield site


def test_readme_from_certificates_to_failover(bare):
    """The commands of README.md, in order, as they stand there but for addresses and the folder of the authority."""
    ran = []
    for _, command in (c for c in commands() if c[0] == "README.md" and c[1].startswith("understudy ")):
        words = command.replace("192.0.2.1", bare.a.address).replace("192.0.2.2", bare.b.address)
        words = words.replace("/root/authority", f"/tmp/understudy-{bare.lab.base.name}").split()[1:]
        host = "B" if any(w in command for w in ("accept", "server", "authorize", "failover", "vm start")) else "A"
        if words[0] == "server":
            for daemon in bare.daemons.values():
                daemon.start()
            bare.a.define_guest(VM, start=True)
            bare.a.console(VM).wait_for(r"^READY", 120)
        if words[0] == "failover":
            until(lambda: "newest point" in bare.cli("B", "show", VM), 120, lambda: bare.cli("B", "show", VM))
            bare.lab.host("A").power_cut()
            # What README says of the first 90 seconds: the dead primary looks alive, and the name is asked for.
            shown = bare.cli_on_terminal(host, *words, prompt="type the name of the VM: ", answer=VM)
            assert re.search(r"^host-a was heard \d+ s ago and may still run this VM$", shown, re.MULTILINE), shown
        elif words[:2] == ["certificate", "offer"]:
            offer = bare.offer(host, *words)
        elif words[:2] == ["certificate", "accept"]:
            assert offer.command == [w.replace("TOKEN", offer.token) for w in words], "it shows this line"
            bare.cli(host, *offer.command)
            assert offer.end()[0] == 0
        else:
            bare.cli(host, *words)
        ran.append(words[0])
    assert ran.count("certificate") == 4 and ran[-1] == "vm"
    bare.serial(bare.b, VM).wait_for(r"^VERIFY OK", 120)
