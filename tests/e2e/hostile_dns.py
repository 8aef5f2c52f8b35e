# SPDX-License-Identifier: BSD-2-Clause
"""A name server that does as a test says: it answers, lies, or is silent.

It serves UDP and TCP on one loopback port, in threads of the test. What it
answers is made by functions of the question, a dns.message.Message: each gives
what is sent, a list of messages or of octets as they are.
"""

import socket
import struct
import threading

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset

from tests.e2e.process import free_port


def name_of(question):
    """The name asked for, in lower case and without the last dot."""
    return question.question[0].name.to_text().lower().rstrip(".")


def type_of(question):
    return dns.rdatatype.to_text(question.question[0].rdtype)


def answer(question, *records, rcode="NOERROR", flags="", authority=()):
    """A response to it; a record is "NAME TTL TYPE DATA"."""
    response = dns.message.make_response(question, recursion_available=True)
    response.set_rcode(dns.rcode.from_text(rcode))
    response.flags |= dns.flags.from_text(flags)
    for section, lines in ((response.answer, records),
                           (response.authority, authority)):
        for line in lines:
            name, ttl, kind, data = line.split(" ", 3)
            section.append(dns.rrset.from_text(name.rstrip(".") + ".",
                                               int(ttl), "IN", kind, data))
    return response


def wire(response):
    """Its octets, whatever its size."""
    if isinstance(response, bytes):
        return response
    return response.to_wire(max_size=65535, want_shuffle=False)


class Zone:
    """The plainest of zones: {(name, type): [(ttl, data)]}. Names above
    others exist; what is below nothing does not."""

    def __init__(self, records):
        self.records = records
        self.names = set()
        for name, _ in records:
            while name:
                self.names.add(name)
                name = name.partition(".")[2]

    def __call__(self, question, _is_tcp=False):
        name, kind = name_of(question), type_of(question)
        found = [f"{name} {ttl} {kind} {data}"
                 for ttl, data in self.records.get((name, kind), [])]
        soa = () if found else (". 60 SOA ns.invalid. host.invalid. "
                                "1 3600 600 86400 60",)
        rcode = "NOERROR" if name in self.names else "NXDOMAIN"
        return [answer(question, *found, rcode=rcode, authority=soa)]


class Server:
    """answers(question, is_tcp) gives what is sent, one after the other."""

    def __init__(self, answers):
        self.answers = answers
        self.port = free_port()
        self.questions = []   # (name, type, is_tcp), as they came
        self.lock = threading.Lock()
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.bind(("127.0.0.1", self.port))
        self.tcp = socket.create_server(("127.0.0.1", self.port))
        self.open = []
        for run in self._serve_udp, self._serve_tcp:
            threading.Thread(target=run, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for sock in (self.udp, self.tcp, *self.open):
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass   # not connected: its thread wakes up all the same
            sock.close()

    def count(self, name, kind="TXT"):
        """How often that was asked."""
        with self.lock:
            return sum(asked[:2] == (name, kind) for asked in self.questions)

    def reply(self, octets, is_tcp, send):
        question = dns.message.from_wire(octets)
        with self.lock:
            self.questions.append((name_of(question), type_of(question),
                                   is_tcp))
        for response in self.answers(question, is_tcp):
            send(wire(response))

    def _serve_udp(self):
        while True:
            try:
                octets, asker = self.udp.recvfrom(4096)
                if not octets:
                    return   # shut down
            except OSError:
                return
            # By itself: a late answer holds up no other.
            threading.Thread(target=self._answer_udp, args=(octets, asker),
                             daemon=True).start()

    def _answer_udp(self, octets, asker):
        try:
            self.reply(octets, False,
                       lambda data: self.udp.sendto(data, asker))
        except OSError:
            pass   # the test is over

    def _serve_tcp(self):
        while True:
            try:
                conn, _ = self.tcp.accept()
            except OSError:
                return
            self.open.append(conn)
            threading.Thread(target=self._serve_connection, args=(conn,),
                             daemon=True).start()

    def _serve_connection(self, conn):
        def send(data):
            conn.sendall(struct.pack("!H", len(data)) + data)

        try:
            while True:
                size = conn.recv(2, socket.MSG_WAITALL)
                if len(size) < 2:
                    return
                length, = struct.unpack("!H", size)
                self.reply(conn.recv(length, socket.MSG_WAITALL), True, send)
        except OSError:
            pass


class Rounds(Server):
    """Answers nothing until all of a set of questions has come: who asks them
    one after the other is never answered. Then it has been one round; what
    comes later makes another each."""

    def __init__(self, zone, expected):
        self.zone, self.expected = zone, expected
        self.held = []
        self.rounds = 0
        super().__init__(None)

    def reply(self, octets, is_tcp, send):
        question = dns.message.from_wire(octets)
        with self.lock:
            self.questions.append((name_of(question), type_of(question),
                                   is_tcp))
            self.held.append((question, send))
            if not self.expected <= {asked[:2] for asked in self.questions}:
                return
            self.rounds += 1
            held, self.held = self.held, []
        for asked, back in held:
            for response in self.zone(asked):
                back(wire(response))
