# SPDX-License-Identifier: BSD-2-Clause
"""A scripted MTA: a usual dialogue, with a trap for one sender at one point.

    backend.trap("m1@reject.example", {"dot": stop, "replied": kill})

A trap is a function that is called with the session, once, when the mail of
that sender gets to the point:

    mail rcpt data  the command was read, no reply is written
    content         a part of the content was read, and the rest cannot all be
                    on its way
    dot             all was read, nothing is accepted
    replied         it is accepted, and the 250 was written

The backend then goes on, and accepts what it has whole, be the gate alive or
not: as an MTA does that has put a message into its queue. A trap that raises
Died ends the session there.
"""

import socket
import struct
import threading
from dataclasses import dataclass

# Octets of the content before the trap "content". With these two settings of
# the socket a sender cannot have sent more than some 130 KB beyond them.
CONTENT_AT = 16 * 1024
SEGMENT, WINDOW = 536, 4096

SECONDS = 20

LARGE = 400 * 1024  # so a message of that size is under way at "content"


class Died(Exception):
    """The backend is no more, as far as this session is concerned."""


@dataclass
class Copy:
    """A message that a backend has accepted."""

    helo: str   # which attempt brought it
    sender: str
    octets: bytes


class Session:
    """One connection."""

    def __init__(self, backend, peer):
        self.backend, self.peer = backend, peer
        self.port = backend.port
        self.gate_port = peer.getpeername()[1]
        self.reader = peer.makefile("rb")
        self.helo = self.sender = ""
        self.has_ended = threading.Event()

    def at(self, point):
        action = self.backend.traps.pop((self.sender, point), None)
        if action is not None:
            action(self)

    def say(self, reply):
        self.peer.sendall(reply)

    def reset(self):
        """The connection is reset; to be called from the session's own
        thread."""
        self.peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                             struct.pack("ii", 1, 0))
        self.reader.close()
        self.peer.close()

    def interrupt(self):
        """The same from another thread, while this one waits for a
        command."""
        self.peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                             struct.pack("ii", 1, 0))
        self.peer.shutdown(socket.SHUT_RD)
        assert self.has_ended.wait(SECONDS)

    def wait_gone(self):
        """Until the gate has closed the connection."""
        while self.reader.read1(65536):
            pass

    def serve(self):
        self.say(b"220 script ESMTP\r\n")
        while line := self.reader.readline():
            verb, _, rest = line.rstrip().partition(b" ")
            talk = getattr(self, "do_" + verb.decode().lower(), None)
            if talk is None:
                self.say(b"250 2.0.0 Ok\r\n")
            else:
                talk(rest.decode())

    def do_ehlo(self, name):
        self.helo = name
        self.say(b"250-script\r\n250-PIPELINING\r\n250 SIZE\r\n")

    def do_mail(self, rest):
        self.sender = rest.partition("<")[2].partition(">")[0]
        self.at("mail")
        self.say(b"250 2.1.0 Ok\r\n")

    def do_rcpt(self, _):
        self.at("rcpt")
        self.say(b"250 2.1.5 Ok\r\n")

    def do_data(self, _):
        self.at("data")
        self.say(b"354 go ahead\r\n")
        octets = self._content()
        self.at("dot")
        number = self.backend.accept(Copy(self.helo, self.sender, octets))
        self.say(b"250 2.0.0 Ok: queued as %d\r\n" % number)
        self.at("replied")

    def do_quit(self, _):
        self.say(b"221 2.0.0 Bye\r\n")

    def _content(self):
        lines, size = [], 0
        while (line := self.reader.readline()) != b".\r\n":
            if not line:
                raise Died()
            lines.append(line[1:] if line.startswith(b".") else line)
            size += len(line)
            if size >= CONTENT_AT:
                self.at("content")
        return b"".join(lines)


class Backend:
    """Listens, until it is closed; `kind` is how its sessions are served."""

    def __init__(self, kind=Session):
        self.kind = kind
        self.server = socket.socket()
        self.server.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, SEGMENT)
        self.server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, WINDOW)
        self.server.bind(("127.0.0.1", 0))
        self.server.listen(128)
        self.port = self.server.getsockname()[1]
        self.traps, self.accepted, self.faults = {}, [], []
        self.threads = []
        self._lock = threading.Lock()
        threading.Thread(target=self._listen, daemon=True).start()

    def close(self):
        """Wait for the sessions, which end with their gates, and raise what
        went wrong in one."""
        self.server.shutdown(socket.SHUT_RDWR)
        self.server.close()
        for thread in self.threads:
            thread.join(SECONDS)
            assert not thread.is_alive(), "a session that does not end"
        if self.faults:
            raise self.faults[0]

    def trap(self, sender, actions):
        for point, action in actions.items():
            self.traps[sender, point] = action

    def accept(self, copy):
        """From here on it is ours. How many there are by now."""
        with self._lock:
            self.accepted.append(copy)
            return len(self.accepted)

    def _listen(self):
        while True:
            try:
                peer, _ = self.server.accept()
            except OSError:
                return
            self.threads.append(threading.Thread(
                target=self._serve, args=[peer], daemon=True))
            self.threads[-1].start()

    def _serve(self, peer):
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        session = self.kind(self, peer)
        with peer, session.reader:
            try:
                session.serve()
            except (OSError, Died):
                pass  # the gate, or we, were killed
            except Exception as fault:  # pylint: disable=broad-except
                self.faults.append(fault)
        session.has_ended.set()
