"""Certificates are renewed while everything runs: both listeners show the new one within seconds, and what is open goes on."""
import json
import shutil
import subprocess

import pytest
from sites import BIN, PORT, until

MANAGEMENT = 5986
TLS = "/etc/understudy/tls"
SHOW = """
import ssl, socket, hashlib, sys
context = ssl._create_unverified_context()
context.load_cert_chain({certificate!r}, {key!r})
context.set_alpn_protocols(["understudy/1"])
with context.wrap_socket(socket.create_connection(("host-b", {port}), 10)) as s:
    print(hashlib.sha256(s.getpeercert(True)).hexdigest())
"""


def shown(site, port):
    """The thumbprint of the certificate that host B shows on this port."""
    script = SHOW.format(certificate=f"{TLS}/host.crt", key=f"{TLS}/host.key", port=port)
    return site.a.run(["/usr/bin/python3", "-c", script], timeout=60).stdout.strip()


@pytest.fixture
def renewed(site):
    """Makes host B's certificate anew, and puts the old one back at the end."""
    folder = site.b.path("/etc/understudy") / "tls"
    old = folder.with_name("tls.old")

    def renew():
        folder.rename(old)
        subprocess.run([BIN / "understudy", "certificate", "host", f"host-b,{site.b.address}", "--authority", site.authority,
                        "--out", folder], check=True, capture_output=True)
    yield renew
    shutil.rmtree(folder)
    old.rename(folder)


@pytest.mark.parametrize("port", [MANAGEMENT, PORT])
def test_a_renewed_certificate_is_shown_without_a_restart(site, renewed, port):
    before = shown(site, port)
    daemon, helpers = site.daemon("B").pid, site.daemon("B").helpers()
    client = site.wsman("B")
    assert client.enumerate("Msvm_ReplicationService")
    renewed()
    until(lambda: shown(site, port) != before, 30, "the new certificate is shown")
    assert client.enumerate("Msvm_ReplicationService")  # over the connection that was open
    assert (site.daemon("B").pid, site.daemon("B").helpers()) == (daemon, helpers)


@pytest.fixture(scope="module")
def vm(site):
    vm = site.replicated("renewed")
    yield vm
    site.a.virsh("destroy", "renewed", check=False)


@pytest.mark.parametrize("refuses, refused", [("B", "A"), ("A", "B")])
def test_a_revoked_certificate_counts_no_more(site, vm, refuses, refused):
    """The replica takes nothing from such a primary, the primary gives nothing to such a replica; a new one mends it."""
    tls = site.lab.host(refused).path("/etc/understudy") / "tls"
    newest = site.points(vm)[-1]["sequence"]
    info = json.loads(subprocess.run([BIN / "understudy", "certificate", "show", tls / "host.crt", "--json"], check=True,
                                     capture_output=True).stdout)
    site.cli(refuses, "certificate", "revoke", info["thumbprint"], "--reason", "lost")
    name = f"host-{refused.lower()}"
    assert f"the certificate of '{name}' ({info['thumbprint']}) is revoked by /etc/understudy/revoked" in site.wait_status(
        "A", vm, lambda s: "revoked" in (s.get("LastError") or ""), 60, "the primary says why")["LastError"]
    assert site.points(vm)[-1]["sequence"] <= newest + 1  # one may have been under way
    old = tls.rename(tls.with_name("tls.lost"))
    subprocess.run([BIN / "understudy", "certificate", "host", f"{name},{site.lab.host(refused).address}", "--authority",
                    site.authority, "--out", tls], check=True, capture_output=True)
    shutil.rmtree(old)
    newest = site.points(vm)[-1]["sequence"]
    until(lambda: site.points(vm)[-1]["sequence"] > newest, 120, "replication goes on")


def test_one_that_cannot_be_used_changes_nothing(site):
    before = [shown(site, port) for port in (MANAGEMENT, PORT)]
    file = site.b.path("/etc/understudy") / "tls" / "host.crt"
    good = file.read_text()
    try:
        file.write_text("no certificate\n")
        until(lambda: len(site.daemon("B").lines(message="changed certificates cannot be used; the ones before stay")) >= 2, 30,
              "both listeners say so")
        assert [shown(site, port) for port in (MANAGEMENT, PORT)] == before
    finally:
        file.write_text(good)
