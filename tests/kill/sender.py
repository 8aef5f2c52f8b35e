# SPDX-License-Identifier: BSD-2-Clause
"""A sender that does what an MTA does: it keeps a message until somebody has
said 2xx to the end of its data, and tries again until then.

Every message has a sender's address of its own, and every attempt a HELO name
of its own: by these two the books know them again, in what a backend has
accepted and in the verdict log.
"""

import contextlib
import itertools
import random
import time
from dataclasses import dataclass, field

from tests.e2e.senders import GOOD, message
from tests.e2e.smtp import Closed, ProtocolError, Reply, encode

ATTEMPTS_MAX = 50
PAUSE = 0.02
SMALL = 3000

_numbers = itertools.count(1)


@dataclass
class Attempt:
    """One connection that tried to deliver a message."""

    helo: str
    stage: str = "connect"  # how far it got: … MAIL RCPT DATA content end
    reply: Reply = None     # the last one of that stage

    def is_delivered(self):
        return self.stage == "end" and self.code() == 2

    def code(self):
        """The class of the last reply, 0 if there was none."""
        return self.reply.code // 100 if self.reply else 0

    def saw(self):
        """In a word."""
        return "closed" if self.reply is None else f"{self.code()}xx"


@dataclass
class Letter:
    """A message, and what became of it."""

    sender: str
    octets: bytes
    is_bystander: bool = False
    attempts: list = field(default_factory=list)


def write_letter(size=SMALL, is_bystander=False):
    """Unlike every other, with lines that begin with dots."""
    number = next(_numbers)
    chance = random.Random(number)
    lines = [f"number {number}", ".", "..two", ""]
    lines += ["." * (at % 3) + chance.randbytes(200).hex()
              for at in range(size // 400)]
    sender = f"m{number}@reject.example"
    return Letter(sender, message(sender, "\r\n".join(lines) + "\r\n"),
                  is_bystander)


def ignore(_):
    """What is done at a moment that means nothing."""


class Carrier:
    """One attempt, in two halves: begin() and finish()."""

    def __init__(self, gate, letter):
        self.gate, self.letter = gate, letter
        name = letter.sender.partition("@")[0]
        self.attempt = Attempt(f"{name}-{len(letter.attempts)}.example")
        letter.attempts.append(self.attempt)
        self.client = None
        encoded = encode(letter.octets)
        self.halves = [encoded[:len(encoded) // 2],
                       encoded[len(encoded) // 2:]]

    def begin(self):
        """Up to the first half of the content; whether it got so far."""
        return self._try(self._begin)

    def finish(self, heard=ignore):
        """The other half, and the reply."""
        if self._try(self._finish):
            heard(self.port())
            self._take_leave()

    def port(self):
        """Our end of the connection."""
        return self.client.socket.getsockname()[1]

    def _try(self, talk):
        try:
            return talk()
        except (OSError, Closed, ProtocolError) as end:
            if isinstance(end, ProtocolError) and "closed inside" not in str(
                    end):
                raise
            self.attempt.reply = None
            if self.client is not None:
                self.client.close()
            return False

    def _begin(self):
        self.client = self.gate.client(GOOD, greet=False)
        for stage, line in (
                ("banner", None), ("EHLO", f"EHLO {self.attempt.helo}"),
                ("MAIL", f"MAIL FROM:<{self.letter.sender}>"),
                ("RCPT", "RCPT TO:<bob@backend.example>"), ("DATA", "DATA")):
            if not self._step(stage, line):
                self.client.close()
                return False
        self.attempt.stage, self.attempt.reply = "content", None
        self.client.send(self.halves[0])
        return True

    def _step(self, stage, line):
        self.attempt.stage, self.attempt.reply = stage, None
        self.attempt.reply = (self.client.command(line) if line
                              else self.client.reply())
        return self.attempt.code() < 4

    def _finish(self):
        self.client.send(self.halves[1])
        self.attempt.stage = "end"
        self.attempt.reply = self.client.reply()
        return True

    def _take_leave(self):
        """221, or 421 of a gate that is ending; if it still lives."""
        with self.client, contextlib.suppress(OSError, Closed):
            self.client.send(b"QUIT\r\n")
            self.client.reply()


def carry(gate, letter, moments=None):
    """One attempt. `moments` may hold functions that are called with our
    port, each once: "upload" in the middle of the content, "heard" when the
    reply to its end has come."""
    carrier, moments = Carrier(gate, letter), moments or {}
    if carrier.begin():
        moments.pop("upload", ignore)(carrier.port())
        carrier.finish(moments.pop("heard", ignore))
    return carrier.attempt


def deliver(gate, letter, moments=None):
    """Try until it is delivered."""
    for _ in range(ATTEMPTS_MAX):
        if carry(gate, letter, moments).is_delivered():
            return
        time.sleep(PAUSE)
    raise AssertionError(f"{letter.sender} is not delivered: "
                         f"{letter.attempts[-3:]}")
