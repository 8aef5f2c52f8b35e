# SPDX-License-Identifier: BSD-2-Clause
"""A passage to a real Postfix: it hands on the octets of both sides, and has
the same traps as the scripted backend, at which the smtpd of a session can be
killed. When that has died, so does the session.

What Postfix has accepted is read from the mailbox that it delivers into.
"""

import contextlib
import re
import socket

from tests.e2e.smtp import Client
from tests.e2e.test_40_octets import POSTFIX_FIELDS
from tests.kill import victims
from tests.kill.backend import (CONTENT_AT, Backend, Copy, Died, Session)

RECEIVED = re.compile(rb"^Received: from (\S+)", re.M)
RETURN_PATH = re.compile(rb"^Return-Path: <([^>]*)>", re.M)


class Relay(Session):
    """One connection, and the one to Postfix that belongs to it."""

    def __init__(self, backend, peer):
        super().__init__(backend, peer)
        self.upstream = socket.create_connection(
            ("127.0.0.1", backend.postfix.port), 30)
        self.replies = self.upstream.makefile("rb")

    def smtpd(self):
        """The process that serves this session."""
        postfix = self.backend.postfix
        return victims.holder(
            lambda: victims.children(postfix.process.pid), postfix.port,
            self.upstream.getsockname()[1])

    def serve(self):
        with self.upstream, self.replies:
            self.say(self._reply())
            while line := self.reader.readline():
                self._command(line)

    def _command(self, line):
        verb, _, rest = line.decode().strip().partition(" ")
        if verb == "EHLO":
            self.helo = rest
        elif verb == "MAIL":
            self.sender = rest.partition("<")[2].partition(">")[0]
        self.at(verb.lower())
        self.upstream.sendall(line)
        reply = self._reply()
        self.say(reply)
        if verb == "DATA" and reply.startswith(b"354"):
            self._hand_on_content()

    def _reply(self):
        lines = []
        while not lines or lines[-1][3:4] == b"-":
            lines.append(self.replies.readline())
            if not lines[-1]:
                raise Died()
        return b"".join(lines)

    def _hand_on_content(self):
        size = 0
        while (line := self.reader.readline()) != b".\r\n":
            if not line:
                raise Died()
            self.upstream.sendall(line)
            size += len(line)
            if size >= CONTENT_AT:
                self.at("content")
        self.at("dot")
        self.upstream.sendall(line)
        self.at("dot sent")
        reply = self._reply()
        if reply.startswith(b"250"):
            self.backend.accept(Copy(self.helo, self.sender, b""))
            self.at("replied")
        self.say(reply)


class Passage(Backend):
    """Listens, until it is closed."""

    def __init__(self, postfix):
        self.postfix = postfix
        super().__init__(Relay)


def keep_ready(postfix, count):
    """Have so many servers wait that have served somebody. One that dies
    before it has would make Postfix pause."""
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(Client(postfix.port))
                   for _ in range(count)]
        for client in clients:
            client.quit()


def read_mailbox(postfix, user):
    """The messages delivered to a user, as they came from the gate, once
    Postfix has nothing more to deliver."""
    victims.wait_until(lambda: not _has_queue(postfix), "an empty queue")
    return [_read_copy(octets) for octets in postfix.maildir(user)]


def _has_queue(postfix):
    return any(path.is_file()
               for name in ("maildrop", "incoming", "active", "deferred")
               for path in (postfix.home / "queue" / name).rglob("*"))


def _read_copy(octets):
    front = POSTFIX_FIELDS.match(octets)
    return Copy(RECEIVED.search(front[0])[1].decode(),
                RETURN_PATH.search(front[0])[1].decode(),
                octets[front.end():].replace(b"\n", b"\r\n"))
