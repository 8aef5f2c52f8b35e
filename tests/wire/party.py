# SPDX-License-Identifier: BSD-2-Clause
"""The parties of a script, as sockets.

A party may have several connections, one after the other. What it hears of
each is: the mark [connect ADDRESS] where it was connected to, or [connect
ADDRESS from IP] where it came from an address that is not loopback's, octets,
and the mark [close] or [abort].

What TCP shows of an end: an RST can only be an abort. A FIN may be either, but
a connection that was closed in order still takes octets, and one that was
aborted answers them with RST. So a peer that has seen FIN says one octet: for
[abort] the RST must come; for [close] none may be there already. Where the
party has closed its own half there is no way to tell, and both will do.
"""

import ctypes
import ipaddress
import re
import select
import socket
import ssl
import struct
import time
from pathlib import Path

from tests.wire.world import SECONDS_MAX, Trouble

READ_MAX = 1 << 18
SO_ATTACH_FILTER, SO_DETACH_FILTER = 26, 27
ETH_P_ALL, ETH_P_IP, ETH_P_IPV6 = 0x0003, 0x0800, 0x86dd
LOOPBACK_HEADER = 14

COMMANDS = Path(__file__).resolve().parents[2] / "smtp" / "command.h"
VERBS = re.findall(rb"X\(\w+, \"(\w+)\",", COMMANDS.read_bytes())

# Quietly end: no TIME_WAIT that would keep a port from the next client.
NO_LINGER = struct.pack("ii", 1, 0)


def parse_endpoint(text):
    """("127.0.0.1", 25) of "127.0.0.1:25"; "[::1]:25" is one, too."""
    host, port = text.rsplit(":", 1)
    return host.strip("[]"), int(port)


def family_of(host):
    return socket.AF_INET6 if ":" in host else socket.AF_INET


class Connection:
    """One connection of a party."""

    def __init__(self, sock, address=None, origin=None):
        self.sock = sock          # None: one that was never made
        self.address = address    # that it was made to; None: we made it
        self.origin = origin      # where it came from, if it tells anything
        self.is_connect_new = address is not None
        self.heard = bytearray()
        self.unsaid = bytearray()
        self.is_closing = False   # once all is said
        self.is_half_closed = False
        self.end = None           # "fin" or "rst"
        self.tls = None           # the engine, once TLS has begun
        self.is_deaf = False      # what comes is of no use
        if sock is not None:
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send(self):
        """As much as goes."""
        try:
            while self.unsaid:
                del self.unsaid[:self.sock.send(self.unsaid[:READ_MAX])]
            if self.is_closing and not self.is_half_closed:
                self.is_half_closed = True
                self.sock.shutdown(socket.SHUT_WR)
        except BlockingIOError:
            pass
        except OSError:
            self.unsaid.clear()   # the peer is gone: reading tells how

    def secure(self, context, name=None):
        """Begin TLS; what was heard behind the last line is its first part.
        A name is the server's, and we are its client."""
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing,
                                    server_side=name is None,
                                    server_hostname=name)
        self.is_secured = False
        self.incoming.write(bytes(self.heard))
        self.heard.clear()
        self._decrypt()

    def spoil(self):
        """What is no TLS, in place of a handshake: every verb that the gate
        knows. Were it to listen, it would act on some."""
        self.is_deaf = True
        self.heard.clear()
        self.unsaid += b"".join(verb + b" x\r\n" for verb in VERBS)
        self.send()

    def say(self, octets):
        if self.tls:
            self.tls.write(octets)
            octets = self.outgoing.read()
        self.unsaid += octets
        self.send()

    def _decrypt(self):
        try:
            if not self.is_secured:
                self.tls.do_handshake()
                self.is_secured = True
            while octets := self.tls.read(READ_MAX):
                self.heard += octets
        except (ssl.SSLWantReadError, ssl.SSLZeroReturnError):
            pass
        self.unsaid += self.outgoing.read()
        self.send()

    def receive(self):
        """As much as is there; False if that is nothing."""
        try:
            octets = self.sock.recv(READ_MAX)
        except BlockingIOError:
            return False
        except OSError:
            self.end = "rst"
            return True
        if not octets:
            self.end = "fin"
        if self.is_deaf:
            return True
        if self.tls and octets:
            self.incoming.write(octets)
            self._decrypt()
        else:
            self.heard += octets
        return True

    def ended_by(self, mark):
        """Whether a connection that has ended did so by that mark."""
        if mark not in ("[abort]", "[close]"):
            return False
        if self.end == "rst":
            return mark == "[abort]"
        if self.sock is None or self.is_half_closed:
            return True
        try:
            self.sock.send(b"\n")
            wait_ms = SECONDS_MAX * 1000 if mark == "[abort]" else 0
            return self._was_reset(wait_ms) == (mark == "[abort]")
        except OSError:
            return mark == "[abort]"

    def _was_reset(self, wait_ms):
        poller = select.poll()
        poller.register(self.sock, 0)
        return any(event & (select.POLLERR | select.POLLHUP)
                   for _, event in poller.poll(wait_ms))

    def reset(self):
        """End it, whatever it has."""
        if self.sock is not None:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                 NO_LINGER)
            self.sock.close()
        self.sock = None


class Party:
    """One of client, backend and second backend."""

    def __init__(self, letter):
        self.letter = letter
        self.connections = []
        self.is_stalled = False
        self.is_skipping = False
        self.is_tls_bad = False
        self.is_silent = False    # where TLS should begin

    @property
    def current(self):
        return self.connections[0] if self.connections else None

    def peek(self):
        """The next thing heard: ("line" or "mark" or "half a line", text), or
        None. Of a mark for an end the text is what TCP has shown."""
        connection = self.current
        if connection is None:
            return None
        if connection.is_connect_new:
            origin = connection.origin
            return "mark", (f"[connect {connection.address}"
                            + (f" from {origin}" if origin else "")
                            + "]").encode()
        end = connection.heard.find(b"\r\n")
        if end >= 0:
            return "line", bytes(connection.heard[:end])
        if connection.heard:
            return "half a line", bytes(connection.heard)
        if connection.end:
            return "mark", f"[{connection.end}]".encode()
        return None

    def take(self):
        """Go over what peek() has shown."""
        connection = self.current
        kind, text = self.peek()
        if kind == "line":
            del connection.heard[:len(text) + 2]
        elif kind == "half a line":
            connection.heard.clear()
        elif connection.is_connect_new:
            connection.is_connect_new = False
            if connection.sock is None and connection.end == "refused":
                self.connections.pop(0)
        else:
            connection.reset()
            self.connections.pop(0)

    def say(self, octets):
        connection = self.current
        if (connection is None or connection.sock is None
                or connection.is_connect_new or connection.end):
            if self.letter != "c":
                raise Trouble(f"{self.letter.upper()} speaks, but is not "
                              "connected")
            return
        connection.say(octets)


class Listener:
    """Where a backend is connected to: it can refuse, or leave unanswered."""

    def __init__(self, address, party):
        self.address = address
        self.party = party
        self.refusals = 0      # connects that will fail
        self.is_hanging = False
        self.sock = None
        self.open()

    def open(self):
        host, port = parse_endpoint(self.address)
        self.sock = socket.socket(family_of(host), socket.SOCK_STREAM)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.sock.bind((host, port))
        self.sock.listen(16)
        self.sock.setblocking(False)

    def close(self):
        if self.sock is not None:
            self.sock.close()
        self.sock = None

    def refuse(self):
        self.refusals += 1
        self.close()

    def hang(self):
        """No SYN comes through to it any more."""
        refuse_all = ctypes.create_string_buffer(
            struct.pack("HBBI", 0x06, 0, 0, 0))
        program = struct.pack("HL", 1, ctypes.addressof(refuse_all))
        self.sock.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, program)
        self.is_hanging = True

    def answer(self):
        if self.is_hanging:
            self.sock.setsockopt(socket.SOL_SOCKET, SO_DETACH_FILTER, 0)
        self.is_hanging = False

    def accept(self):
        """A new connection, or None."""
        if self.sock is None:
            return None
        try:
            sock, (origin, *_) = self.sock.accept()
        except BlockingIOError:
            return None
        # A connect without a bind comes from loopback, or from the very
        # address that it goes to.
        is_bound = (not ipaddress.ip_address(origin).is_loopback
                    and origin != parse_endpoint(self.address)[0])
        return Connection(sock, self.address, origin if is_bound else None)


class Knocks:
    """Every SYN on the loopback device: a connect that nobody answers is seen
    nowhere else."""

    def __init__(self):
        self.sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW,
                                  socket.htons(ETH_P_ALL))
        self.sock.bind(("lo", 0))
        self.sock.setblocking(False)
        self.seen = set()   # a SYN may be repeated

    def endpoints(self):
        """(address, port) of each that was newly knocked at."""
        endpoints = []
        while True:
            try:
                packet, origin = self.sock.recvfrom(256)
            except BlockingIOError:
                return endpoints
            if origin[2] != socket.PACKET_OUTGOING:
                continue
            knock = _knock(packet, origin[1])
            if knock and knock not in self.seen:
                self.seen.add(knock)
                endpoints.append(knock[1:])


def _knock(packet, protocol):
    """Source port, destination and its port of a SYN; None for all else."""
    start = LOOPBACK_HEADER
    if protocol == ETH_P_IP:
        address = socket.inet_ntop(socket.AF_INET,
                                   packet[start + 16:start + 20])
        start += (packet[start] & 15) * 4
    elif protocol == ETH_P_IPV6:
        address = socket.inet_ntop(socket.AF_INET6,
                                   packet[start + 24:start + 40])
        start += 40
    else:
        return None
    tcp = packet[start:start + 14]
    if len(tcp) < 14 or tcp[13] & 0x12 != 0x02:
        return None
    source, port = struct.unpack("!HH", tcp[:4])
    return source, address, port


class Probe:
    """A connection by which the gate asks what a backend offers."""

    def __init__(self, connection, keywords):
        self.connection = connection
        self.keywords = keywords
        self.is_asked = False
        self.is_over = False
        connection.unsaid += b"220 probe\r\n"
        connection.send()

    def go_on(self):
        connection = self.connection
        connection.receive()
        if not self.is_asked and b"EHLO " in connection.heard:
            self.is_asked = True
            lines = [b"probe", *self.keywords]
            connection.unsaid += b"".join(
                b"250%c%b\r\n" % (b" " if line is lines[-1] else b"-", line)
                for line in lines)
            connection.send()
        if connection.end:
            if b"QUIT\r\n" not in connection.heard:
                raise Trouble(f"a probe said {bytes(connection.heard)!r}")
            connection.reset()
            self.is_over = True


def deadline():
    return time.monotonic() + SECONDS_MAX
