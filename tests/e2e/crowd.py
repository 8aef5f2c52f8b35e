# SPDX-License-Identifier: BSD-2-Clause
"""Very many clients that say EHLO and then nothing; and a backend that has
room for as many connections.

    crowd.py PORT    the backend
"""

import resource
import selectors
import socket
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


class Crowd:
    """Clients of one gate. Each is greeted, says EHLO, and stays."""

    def __init__(self, port):
        self.port = port
        self.selector = selectors.DefaultSelector()
        self.idle = []      # sockets that have had all of the answer to EHLO
        self.refused = 0
        self.pending = {}   # socket: what it has heard

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
                self._hear(key.fileobj)
            assert time.monotonic() < deadline, f"{len(self.idle)} in time"

    def _begin(self, number):
        client = socket.socket()
        client.setsockopt(socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
        client.bind((f"127.0.1.{1 + number % ADDRESSES}", 0))
        client.connect(("127.0.0.1", self.port))
        client.setblocking(False)
        self.pending[client] = b""
        self.selector.register(client, selectors.EVENT_READ)

    def _hear(self, client):
        try:
            octets = client.recv(4096)
        except ConnectionResetError:
            octets = b""
        self.pending[client] += octets
        heard = self.pending[client].split(b"\r\n")[:-1]
        if not octets or any(line.startswith(b"421") for line in heard):
            self._forget(client)
            client.close()
            self.refused += 1
        elif len(heard) == 1 and heard[0].startswith(b"220 "):
            if self.pending[client].endswith(b"\r\n"):
                client.send(HELLO)
        elif heard and heard[-1].startswith(b"250 "):
            self._forget(client)
            self.idle.append(client)

    def _forget(self, client):
        self.selector.unregister(client)
        del self.pending[client]

    def are_all_there(self):
        """Whether each of them is still answered."""
        for client in self.idle:
            client.setblocking(True)
            client.settimeout(SECONDS_MAX)
            client.send(b"NOOP\r\n")
        return all(client.recv(512).startswith(b"250 ")
                   for client in self.idle)

    def leave(self):
        for client in self.idle + list(self.pending):
            client.close()
        self.idle.clear()
        self.selector.close()


def serve(port):
    """Greet, and answer whatever is said with 250."""
    selector = selectors.DefaultSelector()
    listener = socket.create_server(("127.0.0.1", port), backlog=4096)
    listener.setblocking(False)
    selector.register(listener, selectors.EVENT_READ)
    while True:
        for key, _ in selector.select():
            if key.fileobj is listener:
                connection, _ = listener.accept()
                connection.send(b"220 many.example ESMTP\r\n")
                selector.register(connection, selectors.EVENT_READ)
            elif not answer(key.fileobj):
                selector.unregister(key.fileobj)
                key.fileobj.close()


def answer(connection):
    """Whether it stays."""
    try:
        octets = connection.recv(4096)
        for line in octets.split(b"\r\n")[:-1]:
            connection.send(b"250 many.example\r\n" if line[:4] == b"EHLO"
                            else b"250 2.0.0 fine\r\n")
    except ConnectionError:
        return False
    return bool(octets)


if __name__ == "__main__":
    raise_file_limit()
    serve(int(sys.argv[1]))
