#!/usr/bin/python3
"""Tokens of Kerberos, and what a listener answers to any login, from inside a host.

kerberos_client.py token SERVICE@HOST          prints a token in base64
kerberos_client.py ask HOST PORT AUTHORITY     standard input: a JSON list of connections, each a list of
                                               [Authorization, body]; prints [status, WWW-Authenticate, text] of each
"""
import http.client
import json
import sys

from attacker import ASK, HEAD, Attack


def token(service):
    import kerberos
    _, context = kerberos.authGSSClientInit(service, gssflags=kerberos.GSS_C_MUTUAL_FLAG | kerberos.GSS_C_SEQUENCE_FLAG)
    kerberos.authGSSClientStep(context, "")
    return kerberos.authGSSClientResponse(context)


def ask(stream, login, body):
    body = (body or ASK).encode()
    login = f"Authorization: {login}\r\n" if login is not None else ""
    stream.sendall((HEAD + login + f"Content-Length: {len(body)}\r\n\r\n").encode() + body)
    answer = http.client.HTTPResponse(stream, method="POST")
    answer.begin()
    return answer.status, answer.headers.get_all("WWW-Authenticate") or [], answer.read().decode(errors="replace")


if __name__ == "__main__":
    if sys.argv[1] == "token":
        print(token(sys.argv[2]))
    else:
        found = []
        for connection in json.load(sys.stdin):
            with Attack(*sys.argv[2:]).tls() as stream:
                found.append([ask(stream, *request) for request in connection])
        print(json.dumps(found))
