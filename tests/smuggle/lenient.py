# SPDX-License-Identifier: BSD-2-Clause
"""A mail server on a real socket that takes almost anything for a line end.

    with Server(MANNERS["lf"]) as server:
        ...
        server.sessions    # what each connection brought: Dialogue

A manner is a pair: the pattern that ends a line, and what is done with its
octets before it is looked at. Written for itself, like lenient.c: what both
read in the same way is not read so by mistake.
"""

import re
import socket
import threading
from dataclasses import dataclass, field

STRICT = rb"\r\n"


def keep(line):
    return line


def drop_nul(line):
    return line.replace(b"\0", b"")


def cut_at_nul(line):
    return line.split(b"\0", 1)[0]


def trim(line):
    return line.rstrip(b" \t\r")


MANNERS = {
    "strict": (STRICT, keep),
    "lf": (rb"\r?\n", keep),
    "cr": (rb"\r\n|\r(?!\n)", keep),
    "lf-cr": (rb"\r\n|\n|\r(?!\n)", keep),
    "cr-crlf": (rb"\r+\n", keep),
    "no-nul": (rb"\r?\n", drop_nul),
    "nul-cuts": (rb"\r?\n", cut_at_nul),
    "trim": (rb"\r*\n", trim),
}


@dataclass
class Dialogue:
    """One connection, as the server took it."""

    octets: bytes = b""
    commands: list = field(default_factory=list)
    messages: list = field(default_factory=list)


class Reader:
    """Lines out of octets, and what is to be answered."""

    def __init__(self, manner, dialogue):
        self.pattern, self.clean = manner
        self.dialogue = dialogue
        self.pending = b""
        self.message = None

    def hear(self, octets):
        """The replies to these octets."""
        self.dialogue.octets += octets
        self.pending += octets
        replies = b""
        while True:
            # A CR at the very end may be half of a line end.
            found = re.search(self.pattern, self.pending)
            if not found or (found.end() == len(self.pending)
                             and found[0].endswith(b"\r")):
                return replies
            line = self.clean(self.pending[:found.start()])
            self.pending = self.pending[found.end():]
            replies += self.take(line)

    def take(self, line):
        if self.message is None:
            return self.command(line)
        if line == b".":
            self.dialogue.messages.append(b"".join(self.message))
            self.message = None
            return b"250 2.0.0 Queued\r\n"
        self.message.append(line.removeprefix(b".") + b"\r\n")
        return b""

    def command(self, line):
        self.dialogue.commands.append(line)
        verb = line[:4].upper()
        if verb == b"EHLO":
            return b"250-mta.example\r\n250-PIPELINING\r\n250 8BITMIME\r\n"
        if verb in (b"MAIL", b"RCPT", b"RSET", b"NOOP"):
            return b"250 2.0.0 Ok\r\n"
        if line.upper() == b"DATA":
            self.message = []
            return b"354 Go ahead\r\n"
        if verb == b"QUIT":
            return b"221 2.0.0 Bye\r\n"
        return b"500 5.5.2 What?\r\n"


class Server:
    """Listens on a loopback port; one thread a connection."""

    def __init__(self, manner):
        self.manner = manner
        self.sessions = []
        self.threads = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.acceptor = threading.Thread(target=self._accept)

    def __enter__(self):
        self.acceptor.start()
        return self

    def __exit__(self, *_):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.acceptor.join()
        self.listener.close()
        self.wait()

    def wait(self):
        """Until every connection so far is over."""
        for thread in self.threads:
            thread.join(20)
            assert not thread.is_alive(), "a connection is not closed"

    def _accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(connection,),
                                      daemon=True)
            self.threads.append(thread)
            thread.start()

    def _serve(self, connection):
        dialogue = Dialogue()
        self.sessions.append(dialogue)
        reader = Reader(self.manner, dialogue)
        with connection:
            try:
                connection.sendall(b"220 mta.example ESMTP\r\n")
                while octets := connection.recv(65536):
                    connection.sendall(reader.hear(octets))
            except OSError:
                pass  # the gate's probe, or an abort


def read_again(octets, manner):
    """What another manner makes of a connection's octets."""
    dialogue = Dialogue()
    Reader(manner, dialogue).hear(octets)
    return dialogue
