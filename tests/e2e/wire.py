#!/usr/bin/python3
"""A peer by docs/spec/wire.md, as a stranger may write it: TLS 1.3, HELLO, one REQUEST after the other.

As a program, inside a host: wire.py HOST PORT CERTIFICATE KEY AUTHORITY <REQUESTS; one JSON object a line in
({"method":, "params":}), one JSON object a line out: the frame that answered, {"type":, "body":}, or {"closed": why}.
"""
import ctypes
import json
import socket
import ssl
import struct
import sys

HELLO, REQUEST, ANSWER, ERROR = 1, 2, 3, 4
XXH = ctypes.CDLL("libxxhash.so.0")
XXH.XXH3_64bits.restype = ctypes.c_uint64
XXH.XXH3_64bits.argtypes = [ctypes.c_char_p, ctypes.c_size_t]


def frame(kind, body, magic=b"US", version=1, flags=0):
    payload = json.dumps(body).encode()
    head = magic + struct.pack("<BBII", version, kind, flags, len(payload))
    return head + struct.pack("<I", XXH.XXH3_64bits(head, len(head)) & 0xFFFFFFFF) + payload


def hello(host="host-a"):
    return frame(HELLO, {"clock": "2026-11-22T18:19:08.000000Z", "features": ["zstd"], "host": host, "least_version": 1,
                         "most_version": 1, "product_version": "test"})


class Peer:
    def __init__(self, host, port, certificate, key, authority):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.set_alpn_protocols(["understudy/1"])
        context.load_verify_locations(authority)
        if certificate != "none":
            context.load_cert_chain(certificate, key)
        self.tls = context.wrap_socket(socket.create_connection((host, int(port)), 10), server_hostname=host)
        self.tls.settimeout(40)
        self.requests = 0

    def read(self, count):
        data = b""
        while len(data) < count:
            piece = self.tls.recv(count - len(data))
            if not piece:
                raise ConnectionError("closed by the other side")
            data += piece
        return data

    def answer(self):
        head = self.read(16)
        kind, length = head[3], struct.unpack("<I", head[8:12])[0]
        return {"type": kind, "body": json.loads(self.read(length))}

    def greet(self):
        self.tls.sendall(hello())
        return self.answer()

    def request(self, method, params):
        self.requests += 1
        self.tls.sendall(frame(REQUEST, {"id": self.requests, "method": method, "params": params}))
        return self.answer()


def main():
    try:
        peer = Peer(*sys.argv[1:])
        print(json.dumps(peer.greet()), flush=True)
        for line in sys.stdin:
            ask = json.loads(line)
            print(json.dumps(peer.request(ask["method"], ask["params"])), flush=True)
    except (OSError, ssl.SSLError) as error:
        print(json.dumps({"closed": f"{type(error).__name__}: {error}"}), flush=True)


if __name__ == "__main__":
    main()
