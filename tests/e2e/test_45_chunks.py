# SPDX-License-Identifier: BSD-2-Clause
"""Messages that come by BDAT, cut anywhere, and what arrives of them: by BDAT
at Postfix, by BDAT with binary bodies at the sink, by DATA where the backend
is to get no BDAT."""

import random
import re
import time

from tests.e2e.gate import DMARCGATECTL
from tests.e2e.process import Process, can_connect, free_port, scratch
from tests.e2e.senders import GOOD, zone
from tests.e2e.test_40_octets import (POSTFIX_FIELDS, SENDER, compare,
                                      make_message, number_of)

COUNT = 120
BINARY = range(1000, 1040)


def cut(octets, chance):
    """In one to seven chunks, some of them empty."""
    at = sorted(chance.randrange(len(octets) + 1)
                for _ in range(chance.randrange(7)))
    return [octets[a:b] for a, b in zip([0, *at], [*at, len(octets)])]


def make_binary(number):
    """A message whose body is any octets, without a last line end."""
    chance = random.Random(number)
    head = make_message(0).partition(b"\r\n\r\n")[0]
    head = re.sub(rb"X-Number: 0", b"X-Number: %d" % number, head)
    return head + b"\r\n\r\n" + chance.randbytes(
        chance.randrange(20000)) + b"\r\n.\r\n\0\n\r"


def send(gate, messages, body):
    """Each in a session of its own; all must be taken."""
    for number, octets in messages.items():
        with gate.client(GOOD, timeout=60) as client:
            client.ehlo("mail.reject.example")
            assert "CHUNKING" in client.extensions
            assert client.mail(SENDER, f" BODY={body}").code == 250
            assert client.rcpt("bob@backend.example").code == 250
            replies = client.chunks(cut(octets, random.Random(number)))
            assert all(r.code == 250 for r in replies), (number, replies)
            client.quit()


def text_messages():
    return {number: make_message(number) for number in range(COUNT)}


def check_arrived(postfix, messages):
    arrived = postfix.wait_mail("bob", len(messages), seconds=120)
    assert {number_of(octets) for octets in arrived} == set(messages)
    for octets in arrived:
        compare(octets, messages[number_of(octets)].replace(b"\r\n", b"\n"),
                POSTFIX_FIELDS)


def check_verdicts(mx, messages):
    verdicts = mx.wait_verdicts(len(messages), seconds=60)
    assert all(v["action"] == "relay" and v["accepted"] for v in verdicts)
    assert sorted(v["size"] for v in verdicts) == sorted(
        map(len, messages.values()))


class Log:
    """What Postfix has logged since."""

    def __init__(self, postfix):
        self.postfix = postfix
        self.start = len(postfix.log())

    def sessions(self, count, seconds=20):
        """The commands of each session with mail, once so many have ended."""
        deadline = time.monotonic() + seconds
        while True:
            found = re.findall(r"disconnect from .* (mail=1 .*)",
                               self.postfix.log()[self.start:])
            if len(found) >= count:
                return found
            assert time.monotonic() < deadline, found
            time.sleep(0.02)


def test_to_postfix(gate, postfix):
    log = Log(postfix)
    mx = gate(backend=postfix.port, zone=zone())
    messages = text_messages()
    send(mx, messages, "8BITMIME")
    check_arrived(postfix, messages)
    check_verdicts(mx, messages)
    assert all(" bdat=1 " in line and " data=" not in line
               for line in log.sessions(COUNT))


def test_to_postfix_by_data(gate, postfix):
    log = Log(postfix)
    mx = gate(backend=postfix.port, zone=zone(),
              backend_settings={"chunking": "never"})
    messages = text_messages()
    send(mx, messages, "8BITMIME")
    check_arrived(postfix, messages)
    assert all(" data=1 " in line and " bdat=" not in line
               for line in log.sessions(COUNT))


def test_from_data_to_postfix_by_chunks(gate, postfix):
    log = Log(postfix)
    mx = gate(backend=postfix.port, zone=zone(),
              backend_settings={"chunking": "always"})
    with mx.client(GOOD) as client:
        client.ehlo("mail.reject.example")
        reply = client.deliver(SENDER, ["bob@backend.example"],
                               make_message(7), " BODY=8BITMIME")
        assert reply.code == 250
        client.quit()
    check_arrived(postfix, {7: make_message(7)})
    assert all(" bdat=1 " in line for line in log.sessions(1))


def test_binary_to_the_sink(gate):
    home, port = scratch("sink"), free_port()
    sink = Process([DMARCGATECTL, "sink", "--listen", f"127.0.0.1:{port}",
                    "--directory", home, "--quiet"], home / "output")
    try:
        sink.wait_for(lambda: can_connect(port))
        mx = gate(backend=port, zone=zone())
        messages = {number: make_binary(number) for number in BINARY}
        send(mx, messages, "BINARYMIME")
        arrived = {number_of(path.read_bytes()): path.read_bytes()
                   for path in home.glob("*.eml")}
        assert set(arrived) == set(messages)
        for number, octets in arrived.items():
            head, _, _ = octets.partition(b"\r\nFrom: ")
            assert head.startswith(b"Authentication-Results: gate.example;")
            assert octets[len(head) + 2:] == messages[number]
        check_verdicts(mx, messages)
    finally:
        sink.stop()
