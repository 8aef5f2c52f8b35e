# SPDX-License-Identifier: BSD-2-Clause
"""The messages that the bench sends, and what DNS says of their senders."""

import random
import string

import dkim

from tests.e2e.parts import txt
from tests.e2e.senders import key

FIELDS = (b"from", b"to", b"subject", b"date", b"message-id")
GOOD, FORGED = "sender.example", "victim.example"


def signed(kilobytes, domain=GOOD):
    """A signed message of about that size, in CR LF."""
    chance = random.Random(kilobytes)
    head = (b"From: Alice <alice@%s>\r\n"
            b"To: bob@backend.example\r\n"
            b"Subject: bench message of %d KB\r\n"
            b"Date: Sat, 21 Nov 2026 12:00:00 +0000\r\n"
            b"Message-ID: <bench-%d@%s>\r\n\r\n"
            % (domain.encode(), kilobytes, kilobytes, domain.encode()))
    lines = []
    size = len(head)
    while size < kilobytes * 1024:
        line = "".join(chance.choices(string.ascii_lowercase + "     ", k=72))
        lines.append(line.strip().encode() + b"\r\n")
        size += len(lines[-1])
    message = head + b"".join(lines)
    return dkim.sign(message, b"s1", domain.encode(), key()[0],
                     canonicalize=(b"relaxed", b"relaxed"),
                     include_headers=list(FIELDS)) + message


def forged(kilobytes):
    """The same of a domain whose SPF allows nobody, changed behind its
    signature: all the work of a good one, and it fails."""
    message = signed(kilobytes, FORGED)
    return message[:-3] + (b"x" if message[-3:-2] != b"x" else b"y") + b"\r\n"


def tiny():
    """Hardly anything, of a domain that publishes no policy."""
    return b"From: <alice@names.example>\r\n\r\nHello.\r\n"


def zone(extra=""):
    public = f"v=DKIM1; k=rsa; p={key()[1]}"
    return "".join([
        "1.0.0.127.in-addr.arpa. 3600 IN PTR mx.sender.example.\n",
        "mx.sender.example. 3600 IN A 127.0.0.1\n",
        f"{GOOD}. 3600 IN A 127.0.0.1\n",
        txt(f"{GOOD}.", "v=spf1 ip4:127.0.0.1 ip4:192.0.2.10 -all", 3600),
        txt(f"_dmarc.{GOOD}.", "v=DMARC1; p=reject", 3600),
        txt(f"s1._domainkey.{GOOD}.", public, 3600),
        f"{FORGED}. 3600 IN A 127.0.0.1\n",
        txt(f"{FORGED}.", "v=spf1 -all", 3600),
        txt(f"_dmarc.{FORGED}.", "v=DMARC1; p=reject", 3600),
        txt(f"s1._domainkey.{FORGED}.", public, 3600), extra])


class Mail:
    """One kind of message in a file: what load is told of it."""

    def __init__(self, home, name, octets, **words):
        self.path = home / f"mail-{name}"
        self.path.write_bytes(octets.replace(b"\r\n", b"\n"))
        self.octets = len(octets)
        self.words = words

    def __str__(self):
        return ",".join([f"file={self.path}", *(
            f"{word}={value}" for word, value in self.words.items())])


class Mails:
    """All kinds, made when they are asked for."""

    def __init__(self, home):
        self.home, self.made = home, {}

    def _get(self, name, make, **words):
        if name not in self.made:
            self.made[name] = Mail(self.home, name, make(), **words)
        return self.made[name]

    def good(self, kilobytes=10):
        return self._get(f"good-{kilobytes}", lambda: signed(kilobytes))

    def forged(self, kilobytes=10):
        return self._get(f"forged-{kilobytes}", lambda: forged(kilobytes),
                         **{"from": f"alice@{FORGED}", "expect": 550})

    def named(self, name, octets, **words):
        return self._get(name, lambda: octets, **words)
