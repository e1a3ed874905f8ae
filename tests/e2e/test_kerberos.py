"""Logging in with Kerberos, in a realm of the test's own: host-a has the KDC and the persons, host-b the key of HTTP/host-b."""
import base64
import json
import os
import re
import shlex
import shutil
import signal
from pathlib import Path

import pytest
from attacker import ASK, call
from realm import Realm, answer, answers, kerberos_runs, status_of
from sites import BIN, IDLE, PASSWORD, Site, until
from test_operate import lines
from test_processes import is_confined
from wsman import Fault, Wsman

NAME, KEYTAB, MAP = "UNDERSTUDY.TEST", "/etc/understudy/krb5.keytab", "/etc/understudy/kerberos.map"
ENDPOINT = "https://host-b:5986/wsman"
AUTHORITY = "/etc/understudy/tls/authority.crt"
WAYS = ['Basic realm="Understudy", charset="UTF-8"', "Negotiate"]


def follow(site, host, line):
    """A line of the guide; what it shows. The realm is administered at its KDC, as if kadmind ran there."""
    words = shlex.split(line)
    if words[:2] == ["kadmin", "addprinc"]:
        return site.realm.add(words[-1])
    if words[:2] == ["kadmin", "ktadd"]:
        return site.realm.keytab(site.lab.host(host), words[3], words[4])
    if words[0] == "systemctl":
        return site.daemon(host).restart()
    if words[0] == "kinit":
        site.person = site.realm.person(words[1])
        return None
    return site.lab.host(host).run(["bash", "-c", line], env=getattr(site, "person", None)).stdout


@pytest.fixture(scope="module")
def site():
    with Site() as own:
        own.realm = Realm(own.a, NAME)
        own.realm.add("ada", "rita", "mallory", "host/host-b")
        settings = own.b.path("/etc/understudy") / "understudyd.toml"
        settings.write_text(settings.read_text().replace("[management]\n", f'[management]\nkerberos_keytab = "{KEYTAB}"\n'))
        own.b.path(MAP).write_text(f"# who is who\nrita@{NAME} rita reader # she only looks\n")
        own.shown = [follow(own, host, line) for host, line in lines("kerberos")]
        own.vm = own.a.define_guest("held", disks=("16M",), cmdline=IDLE, start=True)
        own.enable("held")
        own.wait_point(own.vm)
        yield own


@pytest.fixture
def token(site):
    return lambda who="ada", **how: site.realm.token(who, **how)


def causes(site):
    """Why log-ins were refused, as the log says it."""
    return [line["cause"] for line in site.daemon("B").lines(message="refused", area="login")]


# ---- who ----


def test_the_guide_is_true(site):
    assert "IdentifyResponse" in site.shown[-1] and "Understudy" in site.shown[-1], site.shown


def test_curl_logs_in_for_each_request(site):
    said = site.a.run(["curl", "--silent", "--show-error", "--verbose", "--cacert", AUTHORITY, "--negotiate", "--user", ":", "--header",
                       "Content-Type: application/soap+xml", "--data-binary", "@-", "--write-out", "\ncode %{http_code}\n", ENDPOINT,
                       ENDPOINT], input=ASK, env=site.realm.person("rita"))
    assert re.findall(r"^code (\d+)$", said.stdout, re.MULTILINE) == ["200", "200"], said
    assert said.stdout.count("p:Msvm_ReplicationService ") == 2 and "Re-using existing connection" in said.stderr, said


@pytest.fixture
def winrm(site):
    """python3-winrm, which wants the host to prove itself, of somebody in the realm."""
    clients = []

    def of(who):
        clients.append(Wsman(site.a, ("kerberos", f"{who}@{NAME}", ""), endpoint=ENDPOINT, env=site.realm.person(who)))
        return clients[-1]
    yield of
    for client in clients:
        client.close()


def test_python3_winrm(site, winrm):
    for client in (winrm("ada"), winrm("rita")):
        for _ in range(3):
            assert str(site.vm).upper() in [found["Name"] for found in client.enumerate("Msvm_ComputerSystem")]
    with pytest.raises(Fault, match="credentials"):
        winrm("mallory").identify()


def test_each_has_the_role_of_the_map_and_stands_in_the_audit_trail(site, token):
    assert answer(site, f"Negotiate {token('rita')}")[0] == 200
    status, _, text = answer(site, f"Negotiate {token('rita')}", call("InitiateFailover"))
    assert status == 200 and "ReturnValue>32769<" in text, text
    status, _, text = answer(site, f"Negotiate {token('ada')}", call("InitiateFailover"))
    assert status == 200 and "ReturnValue>32769<" not in text, text
    audit = [json.loads(line) for line in site.b.path("/var/lib/understudy").joinpath("audit.log").read_text().splitlines()]
    assert {(l["caller"], l["role"], l["login"]) for l in audit if l["method"] == "InitiateFailover"} == {
        ("rita", "reader", "kerberos"), ("ada", "administrator", "kerberos")}


def test_the_host_proves_itself_in_the_answer(site, token):
    [proof] = answer(site, f"Negotiate {token()}")[1]
    assert re.fullmatch(r"Negotiate [A-Za-z0-9+/]+=*", proof)


def test_who_proves_nothing_is_told_how_to(site):
    status, ways, text = answer(site, None)
    assert (status, ways) == (401, WAYS) and "Kerberos (not NTLM)" in text


def test_a_request_of_a_connection_has_the_caller_of_its_own_header(site, token):
    """A name counts for its request, as a password does."""
    basic = "Basic " + base64.b64encode(f"admin:{PASSWORD}".encode()).decode()
    wrong = "Basic " + base64.b64encode(b"admin:wrong-again").decode()
    ada, rita, again = (f"Negotiate {token(who)}" for who in ("ada", "rita", "rita"))
    [found] = answers(site, [(ada, None), (None, None), (rita, call("InitiateFailover")), (basic, None), (again, None), (wrong, None),
                             (None, None), (again, None)])
    assert [status for status, _, _ in found] == [200, 401, 200, 200, 200, 401, 401, 401]
    assert "ReturnValue>32769<" in found[2][2]


# ---- who not ----


def test_a_principal_that_is_not_on_the_map(site, token):
    assert status_of(site, token("mallory")) == 401
    assert f"'mallory@{NAME}' is not in the map of Kerberos" in causes(site)


def test_a_token_counts_once(site, token):
    daemon = site.daemon("B")
    used = token()
    assert [status_of(site, used) for _ in range(2)] == [200, 401]
    assert answers(site, [(f"Negotiate {used}", None), (f"Negotiate {used}", None)])[0][1][0] == 401
    assert any("replay" in cause for cause in causes(site)), causes(site)
    before = daemon.helpers("understudy-kerberos")
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    kerberos_runs(daemon, before)
    assert status_of(site, used) == 401, "the process that was started again remembers it"
    assert status_of(site, token()) == 200
    daemon.restart()
    assert status_of(site, used) == 401, "and the daemon that was"
    assert status_of(site, token()) == 200


def test_other_realms(site):
    """A KDC of the same names with keys of its own; and one that ours trusts, with a person of a name that the map has."""
    false = Realm(site.a, "FALSE.TEST", 1088)
    false.add("ada", "HTTP/host-b")
    assert status_of(site, false.token("ada")) == 401
    trusted = Realm(site.a, "TRUSTED.TEST", 2088, others=[site.realm])
    trusted.add("ada")
    for realm in (site.realm, trusted):
        realm.add(f"krbtgt/{NAME}@{trusted.name}", password="between the two")
    assert status_of(site, trusted.token("ada")) == 401
    assert "'ada@TRUSTED.TEST' is not in the map of Kerberos" in causes(site)


def test_a_ticket_for_another_service(site, token):
    assert status_of(site, token("ada", service="host@host-b")) == 401
    # Also when the keytab has the key of that service.
    site.realm.keytab(site.b, KEYTAB, "host/host-b")
    site.daemon("B").restart()
    assert status_of(site, token("ada", service="host@host-b")) == 401
    assert status_of(site, token()) == 200


def test_a_ticket_whose_time_is_over(site):
    past = site.realm.an_hour_ago()
    assert status_of(site, past.token("ada", life="10m")) == 401
    assert any("expired" in cause for cause in causes(site)), causes(site)


def test_ntlm_and_nonsense(site, token):
    good = token()
    ntlm = base64.b64encode(b"NTLMSSP\0\1\0\0\0\x07\x82\x08\xa2" + bytes(24)).decode()
    within = base64.b64encode(spnego_with(bytes.fromhex("2b06010401823702020a"))).decode()
    for login in (ntlm, within, base64.b64encode(b"`\x82").decode(), base64.b64encode(os.urandom(3000)).decode(), "YII=", "!!!!", "",
                  good[:-8], good[4:], base64.b64encode(bytes(48000)).decode(), "A" * 64004):
        status, ways, text = answer(site, f"Negotiate {login}")
        assert (status, ways) == (401, WAYS) and "Kerberos (not NTLM)" in text, login[:40]
    assert [answer(site, f"Negotiate {'A' * size}")[0] for size in (65000, 65536, 100000)] == [431] * 3
    assert answer(site, f"Negotiate {good}")[0] == 200, "and no address waits for it"


def spnego_with(mechanism):
    """The first token of a negotiation that offers this mechanism, with a token of zeroes."""
    def wrap(tag, content):
        return bytes([tag, len(content)]) + content
    offer = wrap(0xa0, wrap(0x30, wrap(6, mechanism))) + wrap(0xa2, wrap(4, bytes(16)))
    return wrap(0x60, wrap(6, bytes.fromhex("2b0601050502")) + wrap(0xa0, wrap(0x30, offer)))


# ---- the process ----


def test_it_has_its_user_and_no_rights(site):
    pid = kerberos_runs(site.daemon("B"))
    is_confined(site.daemon("B"), pid, "understudy-krb", ["replays"])
    assert not site.daemon("A").helpers("understudy-kerberos"), "who does not offer Kerberos has no such process"


def test_the_keys_are_roots_and_its_own(site):
    for user in ("understudy-front", "understudy-link", "understudy-krb"):
        done = site.b.run(["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", "cat", KEYTAB], check=False)
        assert done.returncode != 0 and "denied" in done.stderr


def test_a_killed_process_costs_a_moment(site, token):
    daemon, pid = site.daemon("B"), site.daemon("B").pid
    before = daemon.helpers("understudy-kerberos")
    tokens = [token() for _ in range(3)]
    for one in before:
        os.kill(one, signal.SIGKILL)
    # Who comes meanwhile waits for the next one, or comes again.
    until(lambda: 200 in [status_of(site, one) for one in tokens[:1]] or tokens.pop(0) is None, 30, "Kerberos logs in again")
    kerberos_runs(daemon, before)
    assert daemon.pid == pid and daemon.running()


# ---- the keytab ----


def test_new_keys_are_taken_into_use_and_a_bad_keytab_is_shown(site, token):
    daemon = site.daemon("B")
    old = token()
    site.realm.keytab(site.b, KEYTAB, "HTTP/host-b")  # and the old ones stay
    keys = len(daemon.lines(message="has keys of this host"))
    until(lambda: len(daemon.lines(message="has keys of this host")) > keys, 30, "the keytab is read again")
    until(lambda: status_of(site, token()) == 200, 30, "a ticket of the new key is good")
    assert status_of(site, old) == 200, "one of the old key, too"

    kerberos = lambda: next(line for line in site.cli("B", "check", "held", check=False).stdout.splitlines() if "erberos" in line)
    assert "has a key of this host" in kerberos()
    kept = site.b.path(KEYTAB).read_bytes()
    for broken, said in ((b"", "no keytab"), (kept[:40], "no keytab"), (b"\5\2", "no key of HTTP"), (None, "cannot read")):
        site.b.path(KEYTAB).unlink(missing_ok=True)
        if broken is not None:
            site.b.path(KEYTAB).write_bytes(broken)
        until(lambda: said in kerberos(), 30, kerberos)
        assert status_of(site, token()) == 200, "the keys before stay"
    daemon.restart()
    assert status_of(site, token()) == 503, "and without any key nobody can say"
    assert answer(site, "Basic " + base64.b64encode(f"admin:{PASSWORD}".encode()).decode())[0] == 200
    site.b.path(KEYTAB).write_bytes(kept)
    until(lambda: status_of(site, token()) == 200, 30, "a keytab that is there again is taken into use")
    assert "has a key of this host" in kerberos()


# ---- taken over ----


def test_taken_over_it_has_the_names_of_the_map_and_nothing_else(site, token):
    """The programs are the product's, but understudy-kerberos believes each token and does what it says (tests/hostile)."""
    daemon = site.daemon("B")
    folder = site.b.path("/var/lib/understudy") / "hostile"
    folder.mkdir()
    for name in ("understudyd", "understudy-front", "understudy-link", "understudy-guard"):
        shutil.copy2(BIN / name, folder)
    shutil.copy2(BIN / "hostile/understudy-kerberos", folder)

    def order(text):
        status, proof, _ = answer(site, "Negotiate " + base64.b64encode(text.encode()).decode())
        return status, base64.b64decode(proof[0].split()[1]).decode() if status == 200 else None
    daemon.stop()
    daemon.programs = Path("/var/lib/understudy/hostile")
    daemon.start()
    try:
        assert order("claim root") == order("claim mallory@UNDERSTUDY.TEST") == order("claim ada") == (401, None)
        assert order(f"claim rita@{NAME}") == (200, "yes")
        store = site.replica(site.vm)
        for place in ("/etc/passwd", KEYTAB, "/etc/understudy/users", "/etc/understudy/tls/host.key", "/proc/self/status",
                      "/var/lib/understudy/state.db", f"{store}/manifest", "/../etc/passwd"):
            assert order(f"read {place}") == (200, "no ENOENT"), place
            assert order(f"write {place}")[1] in ("no ENOENT", "no EACCES"), place
        assert order("write /more")[1] == "no EACCES"
        assert order("read /replays")[1] == "yes", "what is its own"
        inside = re.search(r"^NSpid:.*\s(\d+)$", Path(f"/proc/{daemon.pid}/status").read_text(), re.MULTILINE)[1]
        for text in (f"connect {site.a.address} 22", "connect 127.0.0.1 16509", "unix /run/libvirt/libvirt-sock", "listen", "run /bin/sh",
                     f"signal {inside}", "signal 1", f"trace {inside}", "root", "namespace", "mount"):
            assert order(text)[1].startswith("no"), text
        before = daemon.helpers("understudy-kerberos")
        assert order("nonsense")[0] == 503, "it says too much"
        kerberos_runs(daemon, before)
        assert daemon.running() and order(f"claim rita@{NAME}")[0] == 200
    finally:
        daemon.programs = BIN
        daemon.restart()
    assert status_of(site, token()) == 200
