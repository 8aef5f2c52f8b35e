# SPDX-License-Identifier: BSD-2-Clause
"""Very many clients that say EHLO and then nothing, in plain or under TLS; and
a backend that has room for as many connections.

    crowd.py PORT [CERTIFICATE KEY]    the backend; with both it offers STARTTLS
"""

import re
import resource
import selectors
import socket
import ssl
import sys
import time

AT_ONCE = 100
HELLO = b"EHLO idle.example\r\n"
SECONDS_MAX = 300
ADDRESSES = 20  # of clients, from 127.0.1.1 on
IP_BIND_ADDRESS_NO_PORT = 24  # the socket module does not know it


def raise_file_limit():
    """To the hard limit; gives it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


class Arrival:
    """A client until it is idle. With a context its last EHLO is one that it
    says under TLS."""

    def __init__(self, sock, context):
        self.sock, self.context = sock, context
        self.heard = b""
        self.is_shaking = False
        self.is_idle = self.is_refused = False

    def go_on(self):
        """Something has come."""
        try:
            if self.is_shaking:
                self._shake()
            while not self.is_shaking and not self.is_idle:
                self._hear(self.sock.recv(4096))
                if self.is_refused:
                    return
        except (BlockingIOError, ssl.SSLWantReadError):
            pass
        except (ConnectionError, ssl.SSLError):
            self.is_refused = True

    def _shake(self):
        self.sock.do_handshake()
        self.is_shaking = False
        self.sock.send(HELLO)

    def _hear(self, octets):
        self.heard += octets
        lines = self.heard.split(b"\r\n")
        if not octets or any(line.startswith(b"421") for line in lines[:-1]):
            self.is_refused = True
        elif lines[-1] == b"" and re.match(rb"\d{3} ", lines[-2]):
            self.heard = b""
            self._answer(lines[-2])

    def _answer(self, line):
        is_plain = not isinstance(self.sock, ssl.SSLSocket)
        if line.startswith(b"250 ") and self.context and is_plain:
            self.sock.send(b"STARTTLS\r\n")
        elif line.startswith(b"250 "):
            self.is_idle = True
        elif line.startswith(b"220 2.0.0 "):
            self.sock = self.context.wrap_socket(
                self.sock, server_hostname="mx.example",
                do_handshake_on_connect=False)
            self.is_shaking = True
            self._shake()
        elif line.startswith(b"220 "):
            self.sock.send(HELLO)


class Crowd:
    """Clients of one gate. Each is greeted, says EHLO, and stays; with a
    context it says STARTTLS, and EHLO again."""

    def __init__(self, port, context=None):
        self.port, self.context = port, context
        self.selector = selectors.DefaultSelector()
        self.idle = []      # sockets that have had all of the answer to EHLO
        self.refused = 0
        self.pending = set()

    def gather(self, count):
        """Have count more of them, a hundred at once; those that the gate
        does not take are counted."""
        deadline = time.monotonic() + SECONDS_MAX
        begun = 0
        while begun < count or self.pending:
            while begun < count and len(self.pending) < AT_ONCE:
                self._begin(begun)
                begun += 1
            for key, _ in self.selector.select(1):
                self._go_on(key.data)
            assert time.monotonic() < deadline, f"{len(self.idle)} in time"

    def _begin(self, number):
        client = socket.socket()
        client.setsockopt(socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
        client.bind((f"127.0.1.{1 + number % ADDRESSES}", 0))
        client.connect(("127.0.0.1", self.port))
        client.setblocking(False)
        arrival = Arrival(client, self.context)
        self.pending.add(arrival)
        self.selector.register(client, selectors.EVENT_READ, arrival)

    def _go_on(self, arrival):
        before = arrival.sock.fileno()
        arrival.go_on()
        if not arrival.is_idle and not arrival.is_refused:
            self.selector.modify(before, selectors.EVENT_READ, arrival)
            return
        self.selector.unregister(before)
        self.pending.remove(arrival)
        if arrival.is_idle:
            self.idle.append(arrival.sock)
        else:
            arrival.sock.close()
            self.refused += 1

    def are_all_there(self):
        """Whether each of them is still answered."""
        for client in self.idle:
            client.setblocking(True)
            client.settimeout(SECONDS_MAX)
            client.send(b"NOOP\r\n")
        return all(client.recv(512).startswith(b"250 ")
                   for client in self.idle)

    def leave(self):
        for client in self.idle + [each.sock for each in self.pending]:
            client.close()
        self.idle.clear()
        self.selector.close()


class Guest:
    """A connection at the backend."""

    def __init__(self, sock, context):
        self.sock, self.context = sock, context
        self.is_shaking = False
        sock.setblocking(False)
        sock.send(b"220 many.example ESMTP\r\n")

    def go_on(self):
        """Whether it stays."""
        try:
            while True:
                if self.is_shaking:
                    self.sock.do_handshake()
                    self.is_shaking = False
                octets = self.sock.recv(4096)
                if not octets:
                    return False
                for line in octets.split(b"\r\n")[:-1]:
                    self._answer(line)
        except (BlockingIOError, ssl.SSLWantReadError):
            return True
        except (ConnectionError, ssl.SSLError):
            return False

    def _answer(self, line):
        is_plain = not isinstance(self.sock, ssl.SSLSocket)
        if line == b"STARTTLS":
            self.sock.send(b"220 2.0.0 go on\r\n")
            self.sock = self.context.wrap_socket(
                self.sock, server_side=True, do_handshake_on_connect=False)
            self.is_shaking = True
        elif line[:4] == b"EHLO":
            tls = b"250-STARTTLS\r\n" if self.context and is_plain else b""
            self.sock.send(b"250-many.example\r\n" + tls +
                           b"250 XCLIENT ADDR PORT NAME\r\n")
        elif line[:8] == b"XCLIENT ":
            self.sock.send(b"220 many.example ESMTP\r\n")
        else:
            self.sock.send(b"250 2.0.0 fine\r\n")


def serve(port, pair=()):
    """Greet, and answer whatever is said with 250."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    if pair:
        context.load_cert_chain(*pair)
    selector = selectors.DefaultSelector()
    listener = socket.create_server(("127.0.0.1", port), backlog=4096)
    listener.setblocking(False)
    selector.register(listener, selectors.EVENT_READ)
    while True:
        for key, _ in selector.select():
            if key.fileobj is listener:
                connection, _ = listener.accept()
                guest = Guest(connection, pair and context)
                selector.register(connection.fileno(), selectors.EVENT_READ,
                                  guest)
            elif not key.data.go_on():
                selector.unregister(key.fd)
                key.data.sock.close()


if __name__ == "__main__":
    raise_file_limit()
    serve(int(sys.argv[1]), sys.argv[2:])
