#!/usr/bin/python3
"""Speaks python3-winrm for a test, from inside a host: one JSON line in, one JSON line out.

In: {"message": SOAP text}. Out: {"answer": text}, or {"fault": type and text} for whatever the library raises.
Arguments: HOW ENDPOINT WHO SECRET AUTHORITY: "password" with a user's, "certificate" with files of certificate and key,
"kerberos" with a principal whose ticket is in the environment's cache.
"""
import json
import sys

from winrm.protocol import Protocol


def protocol(words):
    how, endpoint, who, secret, authority = words
    login = {"cert_pem": who, "cert_key_pem": secret} if how == "certificate" else {"username": who, "password": secret}
    return Protocol(endpoint, transport="ssl" if how == "password" else how, ca_trust_path=authority,
                    server_cert_validation="validate", read_timeout_sec=70, operation_timeout_sec=60, **login)


def main():
    client = protocol(sys.argv[1:])
    for line in sys.stdin:
        try:
            answer = client.send_message(json.loads(line)["message"])
            reply = {"answer": answer.decode() if isinstance(answer, bytes) else answer}
        except Exception as error:  # the test decides what it means
            reply = {"fault": f"{type(error).__name__}: {error}"}
        print(json.dumps(reply), flush=True)


if __name__ == "__main__":
    main()
