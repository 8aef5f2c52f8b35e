# SPDX-License-Identifier: BSD-2-Clause
"""1,000 different messages of 1 KB to 5 MB, compared octet by octet: what the
sender sent is what arrives, with one field of ours on top and nothing else."""

import random
import re
from concurrent.futures import ThreadPoolExecutor

from tests.e2e.gate import DMARCGATECTL
from tests.e2e.process import Process, can_connect, free_port, scratch
from tests.e2e.senders import GOOD, zone

COUNT = 1000
SMALLEST, LARGEST = 1024, 5 * 1024 * 1024
SESSIONS = 4
SENDER = "alice@reject.example"

# Postfix's own fields stand above ours.
POSTFIX_FIELDS = re.compile(
    rb"(?:(?:Return-Path|X-Original-To|Delivered-To|Received):[^\n]*\n"
    rb"(?:[ \t][^\n]*\n)*)*")
OUR_FIELD = re.compile(
    rb"Authentication-Results: gate\.example;[^\n]*\n(?:[ \t][^\n]*\n)*")

# Lines that have broken mail systems.
NASTY = [b"", b".", b"..", b".\t", b". ", b"...", b"From the start", b" ",
         b"\t", b"-----", b"=20=", "gr\u00fc\u00dfe".encode(), b"\xff\xfe\x80",
         b"x" * 998, b"." + b"y" * 997, b"QUIT", b"RSET", b"DATA"]


def size_of(number):
    """Evenly spread over the magnitudes, with more of the small ones."""
    share = (number / (COUNT - 1)) ** 1.7
    return int(SMALLEST * (LARGEST / SMALLEST) ** share)


def make_message(number):
    """Message `number`: always the same, and unlike every other."""
    chance = random.Random(number)
    lines = [b"From: <%s>" % SENDER.encode(), b"To: <bob@backend.example>",
             b"Subject: =?utf-8?q?number?= %d" % number,
             b"Date: Sat, 21 Nov 2026 12:00:00 +0000",
             b"Message-ID: <%d@reject.example>" % number,
             b"X-Folded: a\r\n\tb\r\n  c", b"X-Number: %d" % number, b""]
    size = sum(map(len, lines)) + 2 * len(lines)
    wanted = size_of(number)
    while size < wanted:
        if chance.random() < 0.2:
            line = chance.choice(NASTY)
        else:
            line = chance.randbytes(chance.randrange(20, 500)).translate(
                CLEAN)
        lines.append(line)
        size += len(line) + 2
    return b"\r\n".join(lines) + b"\r\n"


# Any octet but NUL, CR and LF.
CLEAN = bytes(octet if octet not in b"\0\r\n" else 0x2e
              for octet in range(256))


def send_all(gate):
    """All messages, over a few sessions at once; each must be taken."""
    def send(start):
        for number in range(start, COUNT, SESSIONS):
            with gate.client(GOOD, timeout=120) as client:
                client.ehlo("mail.reject.example")
                reply = client.deliver(SENDER, ["bob@backend.example"],
                                       make_message(number), " BODY=8BITMIME")
                assert reply.code == 250, (number, reply)
    with ThreadPoolExecutor(SESSIONS) as pool:
        list(pool.map(send, range(SESSIONS)))


def number_of(octets):
    return int(re.search(rb"\nX-Number: (\d+)\r?\n", octets)[1])


def compare(arrived, expected, front):
    """Raise unless arrived = front + our field + expected."""
    top = front.match(arrived)
    ours = OUR_FIELD.match(arrived, top.end())
    assert ours, arrived[:600]
    rest = arrived[ours.end():]
    if rest != expected:
        at = next((i for i, (a, b) in enumerate(zip(rest, expected))
                   if a != b), min(len(rest), len(expected)))
        raise AssertionError(f"differs at {at}: {rest[at - 40:at + 40]!r}, "
                             f"sent {expected[at - 40:at + 40]!r}")


def test_to_postfix(gate, postfix):
    mx = gate(backend=postfix.port, zone=zone())
    send_all(mx)
    arrived = postfix.wait_mail("bob", COUNT, seconds=300)
    seen = set()
    for octets in arrived:
        number = number_of(octets)
        seen.add(number)
        compare(octets, make_message(number).replace(b"\r\n", b"\n"),
                POSTFIX_FIELDS)
    assert seen == set(range(COUNT))
    verdicts = mx.wait_verdicts(COUNT, seconds=60)
    assert len(verdicts) == COUNT
    assert all(v["action"] == "relay" and v["accepted"] for v in verdicts)
    assert sorted(v["size"] for v in verdicts) == sorted(
        len(make_message(number)) for number in range(COUNT))


def test_to_the_sink(gate):
    home, port = scratch("sink"), free_port()
    sink = Process([DMARCGATECTL, "sink", "--listen", f"127.0.0.1:{port}",
                    "--directory", home, "--quiet"], home / "output")
    try:
        sink.wait_for(lambda: can_connect(port))
        mx = gate(backend=port, zone=zone())
        send_all(mx)
        arrived = {}
        for path in home.glob("*.eml"):
            octets = path.read_bytes()
            arrived[number_of(octets)] = octets
        assert set(arrived) == set(range(COUNT))
        for number, octets in arrived.items():
            # The sink has the octets of the wire: only the pattern of our
            # field is written for LF.
            head, _, _ = octets.partition(b"\r\nFrom: ")
            assert head.startswith(b"Authentication-Results: gate.example;")
            assert octets[len(head) + 2:] == make_message(number)
    finally:
        sink.stop()
