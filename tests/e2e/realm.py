"""A realm of Kerberos on a lab host: its KDC ends with the host, its files are in /run of it.

    realm = Realm(site.a, "UNDERSTUDY.TEST")
    realm.add("ada")
    realm.keytab(site.b, "/etc/understudy/krb5.keytab", "HTTP/host-b")
    realm.run(site.a, "ada", ["curl", "--negotiate", ...])
"""
import json
import subprocess
import uuid
from pathlib import Path

from sites import FAKETIME, until

CLIENT = Path(__file__).with_name("kerberos_client.py")


class Realm:
    def __init__(self, host, name, port=88, others=()):
        """others: realms that its clients know too, and whose servers they can reach by way of theirs."""
        self.host, self.name, self.port = host, name, port
        self.folder = f"/run/{name.lower()}"
        self.files = host.path(self.folder)
        self.files.mkdir()
        self.clock = {}  # environment of clients and of the KDC that they ask, when they live at another time
        # The servers' realm is the last one that is named.
        realms = [self, *others]
        known = "".join(f"  {r.name} = {{\n    kdc = {r.host.address}:{r.port}\n  }}\n" for r in realms)
        self.client_config = f"""[libdefaults]
  default_realm = {name}
  dns_lookup_kdc = false
  dns_canonicalize_hostname = false
  rdns = false
[realms]
{known}[domain_realm]
  host-a = {realms[-1].name}
  host-b = {realms[-1].name}
"""
        (self.files / "krb5.conf").write_text(self.client_config)
        self.write_kdc_config(port)
        self.admin("kdb5_util", "create", "-s", "-P", f"master of {name}")
        self.kdc = self.serve()

    def write_kdc_config(self, port, name="kdc.conf"):
        (self.files / name).write_text(f"""[kdcdefaults]
  kdc_listen = {self.host.address}:{port}
  kdc_tcp_listen = {self.host.address}:{port}
[realms]
  {self.name} = {{
    database_name = {self.folder}/principal
    key_stash_file = {self.folder}/stash
    acl_file = {self.folder}/acl
    max_life = 10h
  }}
[logging]
  kdc = FILE:{self.folder}/kdc.log
""")

    def environment(self, config="krb5.conf", profile="kdc.conf"):
        return {"KRB5_CONFIG": f"{self.folder}/{config}", "KRB5_KDC_PROFILE": f"{self.folder}/{profile}"}

    def admin(self, *words):
        return self.host.run(words, env=self.environment()).stdout

    def serve(self, env=None, **which):
        kdc = self.host.popen(["krb5kdc", "-n"], env=self.environment(**which) | (env or {}), stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        line = kdc.stdout.readline()
        assert "starting" in line, line
        return kdc

    def add(self, *principals, password=None):
        """Principals; of persons the keys are kept for run(), as their passwords would be in their heads."""
        for principal in principals:
            self.admin("kadmin.local", "addprinc", *(["-pw", password] if password else ["-randkey"]), principal)
            if "/" not in principal:
                self.admin("kadmin.local", "ktadd", "-k", f"{self.folder}/{principal}.keytab", "-norandkey", principal)

    def keytab(self, host, path, *services):
        """New keys of these services, added to a keytab of a host."""
        own = f"{self.folder}/{uuid.uuid4().hex}"
        there, here = host.path(path), self.host.path(own)
        if there.exists():
            here.write_bytes(there.read_bytes())
        for service in services:
            self.admin("kadmin.local", "ktadd", "-k", own, service)
        there.with_suffix(".new").write_bytes(here.read_bytes())
        there.with_suffix(".new").chmod(0o600)
        there.with_suffix(".new").rename(there)

    # ---- persons, on the realm's host ----

    def person(self, who, life="1h"):
        """The environment of somebody who has just logged in to the realm."""
        env = {"KRB5_CONFIG": f"{self.folder}/krb5.conf", "KRB5CCNAME": f"FILE:{self.folder}/cache-{who}"} | self.clock
        self.host.run(["kinit", "-l", life, "-k", "-t", f"{self.folder}/{who}.keytab", f"{who}@{self.name}"], env=env)
        return env

    def token(self, who, service="HTTP@host-b", life="1h"):
        """What the Authorization header would carry, in base64."""
        return self.host.run(["/usr/bin/python3", CLIENT, "token", service], env=self.person(who, life)).stdout.strip()

    def an_hour_ago(self):
        """A KDC on the port after, and clients, whose clocks are late by an hour."""
        past = Realm.__new__(Realm)
        past.__dict__ |= self.__dict__
        past.clock = {"LD_PRELOAD": FAKETIME, "FAKETIME": "-1h"}
        past.write_kdc_config(self.port + 1, "past-kdc.conf")
        (self.files / "past-krb5.conf").write_text(self.client_config.replace(f":{self.port}\n", f":{self.port + 1}\n"))
        past.clock["KRB5_CONFIG"] = f"{self.folder}/past-krb5.conf"
        past.kdc = past.serve(past.clock, config="past-krb5.conf", profile="past-kdc.conf")
        return past


def answers(site, *connections):
    """Sends requests to host B from host A: for each connection a list of (Authorization header or None, body or None).
    For each what came back: (status, WWW-Authenticate headers, text)."""
    said = site.a.run(["/usr/bin/python3", CLIENT, "ask", "host-b", "5986", "/etc/understudy/tls/authority.crt"],
                      input=json.dumps(connections), timeout=120).stdout
    return [[tuple(answer) for answer in connection] for connection in json.loads(said)]


def answer(site, login, body=None):
    return answers(site, [(login, body)])[0][0]


def status_of(site, token):
    return answer(site, f"Negotiate {token}")[0]


def kerberos_runs(daemon, before=()):
    """The pid of its understudy-kerberos, when there is one and it is another."""
    return until(lambda: [pid for pid in daemon.helpers("understudy-kerberos") if pid not in before], 30,
                 "understudy-kerberos runs")[0]
