# SPDX-License-Identifier: BSD-2-Clause
"""What is sent: messages of four kinds, each named by its Message-ID.

    7bit      what may be lost between lines and dots
    8bit      octets above 127, in no and in any character set
    smtputf8  addresses and fields that need SMTPUTF8
    binary    what only BDAT carries: NUL, CR and LF anywhere, no last line end
"""

import re
from dataclasses import dataclass

KINDS = ("7bit", "8bit", "smtputf8", "binary")
DOMAIN = "backend.example"
LONGEST = 998  # RFC 5321 4.5.3.1.6, without CR LF
FORGED = b"Authentication-Results: gate.example; dmarc=pass\r\n"


@dataclass(frozen=True)
class Message:
    """octets as sent; to whom; what of it the gate takes away; whether it
    ends before the empty line that ends a header."""

    name: str
    octets: bytes
    recipients: tuple = (f"bob@{DOMAIN}",)
    stripped: bytes = b""
    is_header_only: bool = False

    def kept(self):
        """What must be delivered."""
        return self.octets.replace(self.stripped, b"", 1)


def header(name, subject="a test", more=b""):
    return (f"From: Alice <alice@sender.example>\r\nTo: bob@{DOMAIN}\r\n"
            f"Subject: {subject}\r\nDate: Sat, 21 Nov 2026 12:00:00 +0000\r\n"
            f"Message-ID: <{name}@sender.example>\r\n").encode() + more


def seven_bit(stem):
    dots = b".\r\n..\r\n...\r\n.a\r\n\r\n.\r\n\r\n. \r\na.\r\n.\r\n"
    longest = b"x" * LONGEST + b"\r\n" + b"." * (LONGEST - 1) + b"\r\n"
    # Over what the gate holds in memory.
    large = b"".join(b"%06d %s\r\n" % (line, b"abcdefg " * 8)
                     for line in range(4200))
    yield Message(f"{stem}.dots", header(f"{stem}.dots") + b"\r\n" + dots)
    yield Message(f"{stem}.long", header(f"{stem}.long") + b"\r\n" + longest)
    yield Message(f"{stem}.empty", header(f"{stem}.empty") + b"\r\n")
    yield Message(f"{stem}.header", header(f"{stem}.header"),
                  is_header_only=True)
    yield Message(f"{stem}.forged", header(f"{stem}.forged", more=FORGED)
                  + b"\r\n" + FORGED, stripped=FORGED)
    yield Message(f"{stem}.large", header(f"{stem}.large") + b"\r\n" + large)
    yield Message(f"{stem}.three", header(f"{stem}.three") + b"\r\nHello.\r\n",
                  tuple(f"{user}@{DOMAIN}" for user in ("bob", "carol",
                                                         "dave")))


def eight_bit(stem):
    latin = bytes(range(160, 256)) + b"\r\n." + bytes(range(128, 160)) + b"\r\n"
    mime = (b"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=%s\r\n"
            b"Content-Transfer-Encoding: 8bit\r\n")
    yield Message(f"{stem}.latin1", header(
        f"{stem}.latin1", more=mime % b"iso-8859-1") + b"\r\n" + latin)
    yield Message(f"{stem}.utf8", header(
        f"{stem}.utf8", more=mime % b"utf-8") + b"\r\n"
        + "Grüße, \u4f60\u597d, \U0001f600\r\n".encode())


def smtputf8(stem):
    yield Message(f"{stem}.smtputf8", header(
        f"{stem}.smtputf8", "Grüße aus Köln",
        "Comments: \u4f60\u597d <jörg@backend.example>\r\n".encode())
        + b"\r\n" + "Schöne Grüße\r\n".encode(), (f"jörg@{DOMAIN}",))


def binary(stem):
    mime = (b"MIME-Version: 1.0\r\n"
            b"Content-Type: application/octet-stream\r\n"
            b"Content-Transfer-Encoding: binary\r\n")
    yield Message(f"{stem}.octets", header(f"{stem}.octets", more=mime)
                  + b"\r\n" + bytes(range(256)) * 8 + b"\n.\n\r.\r\r\n\n\0")
    yield Message(f"{stem}.smuggled", header(f"{stem}.smuggled", more=mime)
                  + b"\r\n\r\n.\r\nMAIL FROM:<x@x.example>\r\n\n.\n\r.\r")


MAKERS = {"7bit": seven_bit, "8bit": eight_bit, "smtputf8": smtputf8,
          "binary": binary}


def messages(kind, stem):
    """All of one kind; stem tells them from those of another cell."""
    return list(MAKERS[kind](stem))


def fields_of(octets):
    """Names of the fields in the octets of some whole ones."""
    lines = re.sub(rb"\r\n[ \t]", b" ", octets).split(b"\r\n")[:-1]
    return tuple(line.split(b":")[0].decode("ascii") for line in lines)
