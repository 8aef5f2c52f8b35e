# SPDX-License-Identifier: BSD-2-Clause
"""DNS that can hold its answers back, for scripts that say "! dns holds".

A name server in the play's own network, with the plainest of zones: a record a
line, no parentheses. All other scripts use the gate's zone-file.
"""

import ipaddress
import shlex
import socket
import struct

TYPES = {"A": 1, "PTR": 12, "MX": 15, "TXT": 16, "AAAA": 28}
NOERROR, SERVFAIL, NXDOMAIN = 0, 2, 3
TTL = 300
ADDRESS = ("127.0.0.1", 53)

CONF = 'servers = {"127.0.0.1"} dns-timeout = 1m dns-tries = 1'


def encode_name(name):
    return b"".join(bytes([len(label)]) + label.encode()
                    for label in name.rstrip(".").split(".")) + b"\0"


def encode(kind, words):
    """The data of a record."""
    if kind in ("A", "AAAA"):
        return ipaddress.ip_address(words[0]).packed
    if kind == "PTR":
        return encode_name(words[0])
    if kind == "MX":
        return struct.pack("!H", int(words[0])) + encode_name(words[1])
    return b"".join(bytes([len(word)]) + word.encode() for word in words)


class Zone:
    def __init__(self, text):
        self.records = {}   # (name, type): data of each
        self.names = set()
        self.failing = set()
        for line in text.splitlines():
            if line.strip() and not line.startswith("$"):
                self._take(*shlex.split(line, comments=False))

    def _take(self, name, kind, *words):
        name = name.lower().rstrip(".")
        if kind == "SERVFAIL":
            self.failing.add(name)
            return
        self.records.setdefault((name, TYPES[kind]), []).append(
            encode(kind, words))
        while name:   # each name above it exists, too
            self.names.add(name)
            name = name.partition(".")[2]

    def addresses(self, name):
        """Those of a host, as an endpoint has them."""
        name = name.lower().rstrip(".")
        return [form.format(ipaddress.ip_address(data))
                for kind, form in (("A", "{}"), ("AAAA", "[{}]"))
                for data in self.records.get((name, TYPES[kind]), [])]

    def answer(self, query):
        """The response to a query: the question, and records of that very
        name and type."""
        at, labels = 12, []
        while query[at]:
            labels.append(query[at + 1:at + 1 + query[at]].decode("latin-1"))
            at += 1 + query[at]
        name = ".".join(labels).lower()
        kind, = struct.unpack("!H", query[at + 1:at + 3])
        data = self.records.get((name, kind), [])
        code = (SERVFAIL if name in self.failing else
                NOERROR if name in self.names else NXDOMAIN)
        return (query[:2] + struct.pack("!HHHHH", 0x8580 | code, 1, len(data),
                                        0, 0) + query[12:at + 5]
                + b"".join(struct.pack("!HHHIH", 0xc00c, kind, 1, TTL,
                                       len(each)) + each for each in data))


def endpoints(text, zone):
    """ADDRESS:PORT for each that HOST:PORT stands for by a zone's text; an
    address is itself, and what each client has of its own is none. Only a
    zone that is asked has to be a plain one."""
    host, _, port = text.rpartition(":")
    if "original-destination" in text:
        return []
    if "[" in host or host.replace(".", "").isdigit():
        return [text]
    return [f"{address}:{port}" for address in Zone(zone).addresses(host)]


class NameServer:
    def __init__(self, zone):
        self.zone = Zone(zone)
        self.is_holding = False
        self.held = []
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind(ADDRESS)
        self.sock.setblocking(False)

    def serve(self):
        """Take what was asked, and answer unless that is held back. True if
        something was asked."""
        has_moved = False
        while True:
            try:
                self.held.append(self.sock.recvfrom(1500))
                has_moved = True
            except BlockingIOError:
                break
        while self.held and not self.is_holding:
            query, asker = self.held.pop(0)
            self.sock.sendto(self.zone.answer(query), asker)
        return has_moved

    def hold(self):
        self.is_holding = True

    def answer(self):
        self.is_holding = False
        self.serve()
