"""`understudy` as people and scripts use it: texts, --json, exit codes, login over the network."""
import json
import re
import signal
import subprocess

import pytest
from sites import BIN, IDLE, PASSWORD, PORT, ROOT, STORAGE, until

VM = "shown"
COMMANDS = ["server enable", "authorize", "enable", "start", "list", "show", "watch", "failover", "revert", "point list",
            "point create", "network set", "network show", "pause", "resume", "resync", "remove", "vm start", "vm stop",
            "job list", "job show", "job cancel", "certificate authority", "certificate host", "user add"]


@pytest.fixture(scope="module")
def vm(site):
    vm = site.a.define_guest(VM, disks=("16M",), cmdline=IDLE, start=True)
    text = site.enable(VM)
    assert VM in text
    site.wait_point(vm)
    yield vm
    site.a.virsh("destroy", VM, check=False)


def over_https(site, *words, password=PASSWORD):
    return site.b.run([BIN / "understudy", *words, "--host", "host-a", "--user", "admin", "--ca",
                       "/etc/understudy/tls/authority.crt"], check=False, env={"UNDERSTUDY_PASSWORD": password})


@pytest.mark.parametrize("command", COMMANDS)
def test_help_says_how(site, command):
    text = site.cli("A", *command.split(), "--help")
    assert f"understudy {command}" in text and "Exit codes" in text


def test_list_and_show(site, vm):
    for host in ("A", "B"):
        assert re.search(rf"^{VM}\b.*\b(Primary|Replica)\b", site.cli(host, "list"), re.MULTILINE | re.IGNORECASE)
        assert VM in site.cli(host, "show", VM)
    shown = json.loads(site.cli("A", "show", VM, "--json"))
    assert vm.upper() in json.dumps(shown).upper()
    assert VM in json.dumps(json.loads(site.cli("B", "list", "--json")))


def test_exit_codes(site, vm):
    def code(*words):
        return site.cli("A", *words, check=False).returncode
    assert code("list") == 0
    assert code("no-such-command") == 2
    assert code("enable", VM) == 2
    assert code("show", "no-such-vm") == 4
    assert code("enable", VM, "--to", f"host-b:{PORT}") == 3       # it is enabled already
    assert code("failover", VM) == 3                               # not on the primary
    assert code("list", "--socket", "/run/understudy/nobody.sock") == 6
    assert code("authorize", "host-q", "--storage", "not/absolute") == 2


def test_errors_say_what_next(site, vm):
    done = site.cli("A", "failover", VM, check=False)
    assert "host-b" in done.stderr and done.stdout == ""
    done = site.cli("A", "show", "no-such-vm", check=False)
    assert VM in done.stderr
    done = site.cli("A", "failover", VM, "--json", check=False)
    assert done.returncode == 3 and done.stdout + done.stderr


def test_every_refusal_names_a_command_that_works(site, vm):
    for host, words in (("B", f"revert {VM}"), ("B", f"failover {VM} --at 9999d --yes"), ("B", f"failover {VM} --point zzzz --yes"),
                        ("B", "failover"), ("B", "failover --from host-q --all"), ("B", f"point create {VM}"),
                        ("B", "unauthorize nobody"), ("B", f"pause {VM} --wait --no-wait"), ("A", f"enable {VM}"),
                        ("A", f"failover {VM}"), ("A", "job show zzzz"), ("A", "job cancel zzzz"), ("A", "remove nobody --yes"),
                        ("A", f"vm stop {VM}"), ("A", "certificate host x")):
        refused = site.cli(host, *words.split(), check=False)
        assert refused.returncode != 0, words
        next_step = re.search(r"^  next: (.*)$", refused.stderr, re.MULTILINE)
        assert next_step, refused.stderr
        there = re.search(r"^(?:on host-([ab]): )?understudy (.*)$", next_step[1])
        if not there:  # names the VMs there are, or says what to add
            assert VM in next_step[1] or next_step[1].startswith("add --yes"), next_step[1]
        elif not (there[1] == "b" and there[2].startswith("failover")):  # test_alive.py does that
            site.cli((there[1] or host).upper(), *there[2].split())


def test_bash_completes_names(site, vm):
    def completed(host, *words):
        script = (f"source {ROOT}/src/cli/understudy.bash; COMP_WORDS=({BIN}/understudy {' '.join(words)} ''); "
                  f"COMP_CWORD={len(words) + 1}; _understudy; echo \"${{COMPREPLY[*]}}\"")
        return host.run(["bash", "-c", script]).stdout.split()
    assert VM in completed(site.a, "show") and VM in completed(site.b, "point", "list")
    assert completed(site.b, "failover", "--from") == ["host-a"] and completed(site.a, "failover", "--from") == []
    assert completed(site.b, "unauthorize") == ["host-a"]


@pytest.mark.parametrize("words", [[], ["--json"]])
def test_watch_outlives_the_daemon(site, vm, words):
    out = site.folder / f"watch{len(words)}"
    with open(out, "w") as file:
        watching = site.a.popen([BIN / "understudy", "watch", VM, *words], stdout=file)
    try:
        until(lambda: VM in out.read_text(), 30, "a first line")
        site.cli("A", "pause", VM)
        until(lambda: re.search(r"suspended|paused", out.read_text(), re.IGNORECASE), 30, out.read_text)
        site.daemon("A").stop()
        until(lambda: "wsman.sock" in out.read_text(), 30, out.read_text)
        before = len(out.read_text())
        site.daemon("A").start()
        until(lambda: VM in out.read_text()[before:], 30, out.read_text)
        watching.send_signal(signal.SIGINT)
        assert watching.wait(timeout=30) == 0
    finally:
        watching.kill()
        site.cli("A", "resume", VM)
    for line in out.read_text().splitlines():
        assert json.loads(line)["time"] if words else re.match(r"\d{4}-\d\d-\d\dT[\d:]{8}Z \S", line), line


def test_login_over_the_network(site, vm):
    done = over_https(site, "list")
    assert done.returncode == 0 and VM in done.stdout, done.stderr
    assert over_https(site, "list", password="not the password").returncode == 5


def test_settings_are_kept_over_a_restart(site, vm):
    site.daemon("B").restart()
    entries = site.wsman("B").enumerate("Msvm_ReplicationAuthorizationSettingData")
    assert [(e["AllowedPrimaryHostSystem"], e["ReplicaStorageLocation"]) for e in entries] == [("host-a", STORAGE)]
    settings = site.wsman("B").enumerate("Msvm_ReplicationServiceSettingData")[0]
    assert settings["RecoveryServerEnabled"] == "true" and settings["HttpsPort"] == str(PORT)


def test_local_socket_appears_last(site, vm):
    """Who reaches the local socket may take it that the network listener is there too; without that one nothing starts."""
    daemon, local = site.daemon("B"), site.b.path("/run/understudy") / "wsman.sock"
    daemon.stop()
    local.unlink(missing_ok=True)
    holder = site.b.popen(["/usr/bin/python3", "-c", "import socket; s = socket.create_server(('0.0.0.0', 5986)); "
                           "print(flush=True); input()"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        holder.stdout.readline()
        daemon.start(wait=False)
        assert daemon.wait_end() != 0
        assert not local.exists()
        assert "5986" in daemon.lines(message="cannot start")[-1]["error"]
    finally:
        holder.kill()
        holder.wait(timeout=30)
    daemon.start()
    assert VM in site.cli("B", "list")
