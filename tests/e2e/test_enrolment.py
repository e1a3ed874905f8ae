"""A host gets its certificate from another one by a one-time token; what the token does not allow; and who it is that reads
what comes over the network."""
import base64
import json
import re
import subprocess
import types
from pathlib import Path

import pytest
from sites import BIN, IDLE, PORT, STORAGE, Site, until
from test_processes import is_confined

AUTHORITY = "/etc/understudy/authority"
TLS = "/etc/understudy/tls"
AT = 8444
# Shows a secret to who offers, and prints the answer's code: 0 none, 1 secret, 2 request, 3 over.
CALLER = """
import ssl, socket, sys
context = ssl.create_default_context()
context.check_hostname, context.verify_mode, context.minimum_version = False, ssl.CERT_NONE, ssl.TLSVersion.{version}
context.maximum_version = ssl.TLSVersion.{version}
context.set_alpn_protocols(["understudy-enrol/1"])
with context.wrap_socket(socket.create_connection(("{host}", {port}), 10)) as s:
    s.sendall(bytes([1]) + bytes(16) + bytes(2))
    print(s.recv(6)[1])
"""
# Connects, and says nothing; one of them begins to.
SILENT = """
import socket, sys
all = [socket.create_connection(("{host}", {port}), 10) for _ in range({count})]
all[0].sendall(bytes.fromhex("1603010200010001fc0303"))
print("there", flush=True)
sys.stdin.read()
"""
# Takes one connection, and says nothing.
MUTE = """
import socket
with socket.create_server(("{host}", {port})) as listener:
    print("listens", flush=True)
    caller = listener.accept()[0]
    print("there", flush=True)
    caller.recv(1 << 16)
    input()
"""


@pytest.fixture(scope="module")
def bare():
    """The authority is on host A, which has its own certificate from it; host B has none."""
    with Site(prepare=False) as site:
        for host in site.lab.hosts:
            (host.path("/etc/understudy") / "understudyd.toml").write_text("")
        site.cli("A", "certificate", "authority", AUTHORITY)
        site.cli("A", "certificate", "host", f"host-a,{site.a.address}", "--authority", AUTHORITY, "--out", TLS)
        yield site


@pytest.fixture(scope="module", autouse=True)
def lonely(bare):
    """An offer that nobody takes, from the beginning on."""
    offer = bare.offer("A", "certificate", "offer", "host-c", "--authority", AUTHORITY, "--listen", "0.0.0.0:8499",
                       "--minutes", "1", "--json")
    yield offer
    offer.stop()


@pytest.fixture
def offer(bare):
    made = []

    def make(*more, names=None):
        made.append(bare.offer("A", "certificate", "offer", names or f"host-b,{bare.b.address}", "--authority", AUTHORITY, *more))
        return made[-1]
    yield make
    for one in made:
        one.stop()


def accept(site, offer, out, host="B", token=None, **kw):
    words = [(token or offer.token) if w == offer.token else w for w in offer.command[:-1]]
    return site.cli(host, *words, out, check=False, **kw)


def call(site, version="TLSv1_3"):
    return site.b.run(["/usr/bin/python3", "-c", CALLER.format(host=site.a.address, port=AT, version=version)], check=False)


def child_of(command):
    """The process that speaks with the other host for it."""
    pids = [pid for task in Path(f"/proc/{command}/task").iterdir() for pid in (task / "children").read_text().split()]
    [pid] = [pid for pid in pids if Path(f"/proc/{pid}/exe").resolve().name == "understudy-enrol"]
    return int(pid)


def private_number(pem):
    """The secret of an EC key (RFC 5915), as it lies in a file."""
    der = base64.b64decode("".join(line for line in pem.splitlines() if not line.startswith("-")))
    at = der.index(bytes.fromhex("0201010420")) + 5
    return der[at:at + 32]


def memory(pid):
    with open(f"/proc/{pid}/mem", "rb", 0) as mem:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            begin, end = (int(x, 16) for x in line.split()[0].split("-"))
            if line.split()[1].startswith("rw"):
                mem.seek(begin)
                yield mem.read(end - begin)


def test_the_process_that_listens_has_nothing(bare, offer):
    waiting = offer()
    pid = child_of(waiting.pid)
    is_confined(types.SimpleNamespace(pid=waiting.pid), pid, "understudy-link", [])
    secret = private_number((bare.a.path(AUTHORITY) / "authority.key").read_text())
    held = b"".join(memory(pid))
    assert b"PRIVATE KEY" in held, "the key of the offer's own certificate"
    assert secret not in held and secret[::-1] not in held, "the authority's key"
    assert waiting.token.encode() not in held, "the token"


def test_the_process_that_asks_has_nothing(bare, offer):
    """While who should answer it does not."""
    token = offer().token
    with bare.a.popen(["/usr/bin/python3", "-c", MUTE.format(host=bare.a.address, port=8450)], stdin=subprocess.PIPE,
                      stdout=subprocess.PIPE, text=True) as mute:
        assert mute.stdout.readline() == "listens\n"
        asking = bare.b.popen([BIN / "understudy", "certificate", "accept", f"{bare.a.address}:8450", "--token", token, "--out",
                               "/etc/understudy/never"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert mute.stdout.readline() == "there\n"
        pid = child_of(asking.inner_pid)
        is_confined(types.SimpleNamespace(pid=asking.inner_pid), pid, "understudy-link", [])
        assert b"PRIVATE KEY" not in b"".join(memory(pid)), "the host's key"
        mute.stdin.close()
        assert asking.communicate(timeout=60) and asking.returncode != 0
    assert not bare.b.path("/etc/understudy/never").exists()


def test_a_host_enrols_and_replicates(bare, offer):
    """With a caller beside it that never gets to its end, and from the line as it is shown."""
    waiting = offer()
    assert waiting.command == ["certificate", "accept", f"{bare.a.address}:{AT}", "--token", waiting.token, "--out", TLS]
    with bare.b.popen(["/usr/bin/python3", "-c", SILENT.format(host=bare.a.address, port=AT, count=40)], stdin=subprocess.PIPE,
                      stdout=subprocess.PIPE, text=True) as silent:
        assert silent.stdout.readline() == "there\n"
        assert "CN=host-b" in bare.cli("B", *waiting.command)
        assert waiting.end()[0] == 0
        silent.stdin.close()
    info = json.loads(bare.cli("B", "certificate", "show", f"{TLS}/host.crt", "--json"))
    assert info["names"] == ["host-b", bare.b.address] and info["thumbprint"] in waiting.end()[1]
    tls = bare.b.path("/etc/understudy") / "tls"
    assert {f.name: (oct(f.stat().st_mode & 0o7777), f.stat().st_uid) for f in tls.iterdir()} == \
        {"host.key": ("0o600", 0), "host.crt": ("0o644", 0), "authority.crt": ("0o644", 0)}
    for host in bare.lab.hosts:
        bare.configure(host)
        bare.daemon(host.name).restart()
    bare.cli("B", "server", "enable", "--port", PORT)
    bare.cli("B", "authorize", "host-a", "--storage", STORAGE)
    vm = bare.a.define_guest("enrolled", disks=("16M",), cmdline=IDLE, start=True)
    bare.enable("enrolled")
    bare.wait_point(vm)


def test_a_used_token_is_worth_nothing(bare, offer):
    first = offer()
    assert accept(bare, first, "/etc/understudy/used").returncode == 0
    assert first.end()[0] == 0
    again = accept(bare, first, "/etc/understudy/again")
    assert again.returncode == 6 and "refused" in again.stderr, again.stderr
    other = offer()  # at the same place
    again = accept(bare, first, "/etc/understudy/again")
    assert again.returncode == 5 and "who answers is not who made the token" in again.stderr, again.stderr
    assert not bare.b.path("/etc/understudy/again").exists()
    assert accept(bare, other, "/etc/understudy/other").returncode == 0


def test_a_wrong_token_is_told_before_anybody_is_asked(bare, offer):
    waiting = offer()
    wrong = ("2" if waiting.token[20] != "2" else "3").join([waiting.token[:20], waiting.token[21:]])
    for token in (wrong, waiting.token[:-1], waiting.token + "0", "understudy"):
        done = accept(bare, waiting, "/etc/understudy/never", token=token)
        assert done.returncode == 2 and "this is not the token as it was shown" in done.stderr, done.stderr
    assert accept(bare, waiting, TLS, host="A").returncode == 3, "nothing is overwritten, and the token is still good"
    done = accept(bare, waiting, "/etc/understudy/stdin", token="-", input=waiting.token + "\n")
    assert done.returncode == 0, done.stderr
    assert waiting.end()[0] == 0


def test_five_wrong_secrets_end_an_offer(bare, offer):
    waiting = offer("--json")
    assert call(bare, "TLSv1_2").returncode != 0, "only TLS 1.3 is spoken"
    assert [call(bare).stdout.strip() for _ in range(5)] == ["1"] * 5
    status, said = waiting.end()
    assert status == 5 and "5 callers had a wrong secret" in said, said
    shown, failed = (json.loads(line) for line in said.splitlines() if line.startswith("{"))
    assert shown["token"] == waiting.token and failed["error"]["code"] == "access_denied"
    assert accept(bare, waiting, "/etc/understudy/late").returncode == 6


def test_a_certificate_that_nobody_keeps_is_told(bare, offer):
    """The other host cannot write: it says so, and the offer names the certificate to revoke."""
    waiting = offer()
    done = accept(bare, waiting, "/proc/nowhere")
    assert done.returncode != 0 and "/proc/nowhere" in done.stderr, done.stderr
    status, said = waiting.end()
    assert status == 6 and re.search(r"understudy certificate revoke [0-9A-F]{64}", said), said


def test_a_renewal_is_an_enrolment(bare, offer):
    """As docs/operate/certificates.md has it; the daemon takes the certificate without a restart."""
    folder = bare.b.path("/etc/understudy") / "tls"
    folder.rename(folder.with_name("tls.old"))
    waiting = offer()
    assert accept(bare, waiting, TLS).returncode == 0
    new = json.loads(bare.cli("B", "certificate", "show", f"{TLS}/host.crt", "--json"))["thumbprint"]
    until(lambda: len(bare.daemon("B").lines(message="certificates were renewed")) >= 2, 30, "both listeners have it")
    assert json.loads(bare.cli("B", "server", "show", "--json")), "it answers"
    assert new in waiting.end()[1]


def test_only_root_and_only_a_good_authority(bare, offer):
    done = bare.cli("A", "certificate", "offer", "host-b", "--authority", "/nowhere", check=False)
    assert done.returncode == 4 and "/nowhere/authority.crt" in done.stderr
    waiting = offer()
    nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", BIN / "understudy"]
    done = bare.b.run([*nobody, *waiting.command[:-1], "/tmp/never"], check=False)
    assert done.returncode == 5 and "run it as root" in done.stderr, done.stderr


def test_an_offer_ends_at_its_time(lonely):
    status, said = lonely.end(timeout=90)
    assert status == 6 and "nobody took the certificate of 'host-c' within 1 minute:" in said, said
