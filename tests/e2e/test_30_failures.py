# SPDX-License-Identifier: BSD-2-Clause
"""What breaks, breaks alone, and nothing is lost: backend, client, worker,
DNS, limits."""

import os
import re
import signal
import socket
import subprocess
import threading
import time

import pytest

from tests.e2e.gate import DMARCGATE, Gate
from tests.e2e.process import free_port
from tests.e2e.senders import BAD, GOOD, message, zone
from tests.e2e.smtp import Client, Closed, encode

ALICE, BOB = "alice@reject.example", ["bob@backend.example"]


class Script:
    """A backend that says what a test wants: each connection is handed to
    `talk(file)`, a function that reads lines and writes replies."""

    def __init__(self, talk):
        self.server = socket.create_server(("127.0.0.1", 0))
        self.port = self.server.getsockname()[1]
        self.talk, self.got = talk, []
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            try:
                peer, _ = self.server.accept()
            except OSError:
                return
            with peer, peer.makefile("rwb", 0) as stream:
                try:
                    self.talk(stream, self.got)
                except OSError:
                    pass

    def close(self):
        self.server.close()


def plain(stream, got, at_data=None, at_end=None):
    """A usual SMTP dialogue; at_data and at_end say what happens there: a
    reply, or None to close."""
    stream.write(b"220 script ESMTP\r\n")
    while line := stream.readline():
        got.append(line)
        verb = line[:4].upper()
        if verb == b"EHLO":
            stream.write(b"250-script\r\n250-PIPELINING\r\n250 SIZE\r\n")
        elif verb == b"DATA":
            if at_data is None:
                return
            stream.write(at_data)
            if not at_data.startswith(b"354"):
                continue
            while (line := stream.readline()) not in (b".\r\n", b""):
                pass
            if at_end is None:
                return
            stream.write(at_end)
        elif verb == b"QUIT":
            stream.write(b"221 bye\r\n")
            return
        else:
            stream.write(b"250 ok\r\n")


@pytest.fixture(name="script")
def _script():
    started = []

    def start(**options):
        script = Script(lambda stream, got: plain(stream, got, **options))
        started.append(script)
        return script
    yield start
    for script in started:
        script.close()


def unidentified(gate, port, **settings):
    return gate(backend=port, identity="none", zone=zone(),
                backend_settings={"trust-unidentified": True}, **settings)


def test_backend_down_is_421_and_counted(gate):
    mx = unidentified(gate, free_port())
    with mx.client(GOOD, greet=False) as client:
        reply = client.expect(421)
        assert reply.enhanced == "4.3.2"
        client.expect_end()
    mx.wait_event("backend-down")


def test_the_second_address_is_taken(gate, postfix):
    mx = gate(backend=free_port(), zone=zone(), backend_settings={
        "address": [f"127.0.0.1:{free_port()}", f"127.0.0.1:{postfix.port}"]})
    with mx.client(GOOD) as client:
        client.ehlo()
        assert client.deliver(ALICE, BOB, message(ALICE)).code == 250
    postfix.wait_mail("bob")


@pytest.mark.parametrize("at_data, at_end", [
    (None, None),                   # closes when it should say 354
    (b"354 go\r\n", None),          # closes after the final dot
])
def test_backend_lost_is_451_never_2xx(gate, script, at_data, at_end):
    mx = unidentified(gate, script(at_data=at_data, at_end=at_end).port)
    with mx.client(GOOD) as client:
        client.ehlo()
        reply = client.deliver(ALICE, BOB, message(ALICE))
        assert reply.code == 451 and reply.enhanced == "4.3.0"
    verdict, = mx.wait_verdicts(1)
    assert verdict["action"] == "fail" and not verdict["accepted"]


@pytest.mark.parametrize("end", [b"452 4.2.2 full\r\n",
                                 b"550-5.7.1 two lines\r\n550 5.7.1 of no\r\n"])
def test_the_backends_refusal_is_the_clients(gate, script, end):
    mx = unidentified(gate, script(at_data=b"354 go\r\n", at_end=end).port)
    with mx.client(GOOD) as client:
        client.ehlo()
        reply = client.deliver(ALICE, BOB, message(ALICE))
        assert reply.code == int(end[:3])
        assert len(reply.lines) == end.count(b"\r\n")
    verdict, = mx.wait_verdicts(1)
    assert verdict["action"] == "relay" and not verdict["accepted"]


def test_a_yes_to_half_a_message_is_no_yes(gate):
    def talk(stream, got):
        stream.write(b"220 hasty\r\n")
        while line := stream.readline():
            if line.startswith(b"DATA"):
                stream.write(b"354 go\r\n250 2.0.0 thanks, enough\r\n")
                time.sleep(0.3)
                return
            stream.write(b"250 ok\r\n")
    script = Script(talk)
    mx = unidentified(gate, script.port)
    with mx.client(GOOD) as client:
        client.ehlo()
        reply = client.deliver(ALICE, BOB, message(ALICE, "x\r\n" * 400000))
        assert reply.code == 451
    assert not mx.wait_verdicts(1)[0]["accepted"]
    script.close()


def test_client_lost_in_data_leaves_nothing(gate, postfix):
    mx = gate(backend=postfix.port, zone=zone())
    with mx.client(GOOD) as client:
        client.ehlo()
        client.mail(ALICE)
        client.command(f"RCPT TO:<{BOB[0]}>")
        assert client.command("DATA").code == 354
        client.send(message(ALICE))
        client.abort()
    mx.wait_event("client-lost")
    assert mx.verdicts() == []
    assert not postfix.maildir("bob")


def test_mta_killed_in_mid_message(gate, postfix):
    """The MTA dies while the client uploads; it is not there at the end."""
    mx = gate(backend=postfix.port, zone=zone())
    with mx.client(GOOD) as client:
        client.ehlo()
        client.mail(ALICE)
        client.command(f"RCPT TO:<{BOB[0]}>")
        assert client.command("DATA").code == 354
        postfix.kill()
        client.send(encode(message(ALICE)))
        reply = client.reply()
        assert reply.code == 451, reply
    postfix.start()
    with mx.client(GOOD) as client:
        client.ehlo()
        assert client.deliver(ALICE, BOB, message(ALICE)).code == 250
    postfix.wait_mail("bob")


def test_the_mta_may_restart_while_the_client_uploads(gate, postfix):
    mx = gate(backend=postfix.port, zone=zone())
    with mx.client(GOOD) as client:
        client.ehlo()
        client.mail(ALICE)
        client.command(f"RCPT TO:<{BOB[0]}>")
        assert client.command("DATA").code == 354
        postfix.kill()
        postfix.start()
        client.send(encode(message(ALICE)))
        assert client.reply().code == 250
    postfix.wait_mail("bob")


def test_a_killed_worker_is_replaced(gate, postfix):
    mx = gate(backend=postfix.port, zone=zone())
    with mx.client(GOOD) as client:
        client.ehlo()
        before = mx.workers()
        mx.kill_worker()
        with pytest.raises(Closed):
            client.reply()
    mx.wait_event("worker-died")
    mx.wait_event("started", 2)
    assert mx.workers() != before
    with mx.client(GOOD) as client:
        client.ehlo()
        assert client.deliver(ALICE, BOB, message(ALICE)).code == 250
    postfix.wait_mail("bob")


def test_sigterm_lets_a_mail_end(gate, postfix):
    mx = gate(backend=postfix.port, zone=zone())
    with mx.client(GOOD) as client:
        client.ehlo()
        client.mail(ALICE)
        client.command(f"RCPT TO:<{BOB[0]}>")
        assert client.command("DATA").code == 354
        mx.signal(signal.SIGTERM)
        mx.wait_event("draining")
        with pytest.raises(OSError):
            socket.create_connection(("127.0.0.1", mx.plain_port), 1).recv(1)
            raise ConnectionRefusedError  # nobody answers there any more
        client.send(encode(message(ALICE)))
        assert client.reply().code == 250
        assert client.reply().code == 421
        client.expect_end()
    postfix.wait_mail("bob")


def test_sigusr1_opens_the_event_log_anew(gate, postfix):
    mx = gate(backend=postfix.port, zone=zone())
    log = mx.process.output
    pids = [mx.process.pid, *mx.workers(), *mx.keepers()]
    os.rename(log, log.with_suffix(".old"))
    mx.signal(signal.SIGUSR1)
    deadline = time.monotonic() + 5
    while not all(os.readlink(f"/proc/{pid}/fd/2") == str(log)
                  for pid in pids):
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.02)
    assert len(mx.wait_event("log-reopened", len(pids))) == len(pids)


def test_sigusr1_follows_no_link(gate, postfix):
    """The directory of the event log may be another's: root must not be made
    to write elsewhere."""
    mx = gate(backend=postfix.port, zone=zone())
    log, other = mx.process.output, mx.home / "of-root"
    other.touch(0o600)
    os.rename(log, log.with_suffix(".old"))
    os.symlink(other, log)
    mx.signal(signal.SIGUSR1)
    deadline = time.monotonic() + 5
    while "log-reopened" not in log.with_suffix(".old").read_text():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert other.read_text() == ""


def test_too_large_is_552_then_closed(gate, postfix):
    mx = gate(backend=postfix.port, zone=zone(),
              top={"message-size": "100k"})
    with mx.client(GOOD) as client:
        client.ehlo()
        assert client.command(f"MAIL FROM:<{ALICE}> SIZE=200000").code == 552
        reply = client.deliver(ALICE, BOB, message(ALICE, "x" * 76 + "\r\n")
                               + (b"y" * 76 + b"\r\n") * 1500)
        assert reply.code == 552 and reply.enhanced == "5.3.4"
    with mx.client(GOOD) as client:
        client.ehlo()
        client.mail(ALICE)
        client.command(f"RCPT TO:<{BOB[0]}>")
        client.command("DATA")
        client.send((b"z" * 76 + b"\r\n") * 3000)
        assert client.reply().code == 421
        client.expect_end()
    assert not postfix.maildir("bob")


def test_no_room_is_452(gate, postfix):
    mx = gate(backend=postfix.port, zone=zone(),
              top={"body-memory": "64k", "body-disk": "128k"})
    with mx.client(GOOD) as client:
        client.ehlo()
        reply = client.deliver(ALICE, BOB, message(ALICE, "x" * 76 + "\r\n")
                               + (b"y" * 76 + b"\r\n") * 10000)
        assert reply.code == 452 and reply.enhanced == "4.3.1"
        assert client.deliver(ALICE, BOB, message(ALICE)).code == 250
    mx.wait_event("body-budget")


@pytest.mark.parametrize("ending", [
    b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r", b"\r\n.\r", b"\r\n\0.\r\n",
    b"\r\r\n.\r\r\n"])
def test_smuggling_gives_one_refusal(gate, postfix, ending):
    """Nothing but CR LF . CR LF ends the data; the second 'message' inside is
    text, and the whole is refused at the true end."""
    mx = gate(backend=postfix.port, zone=zone())
    octets = (message(ALICE)[:-2] + ending +
              b"MAIL FROM:<evil@reject.example>\r\n"
              b"RCPT TO:<bob@backend.example>\r\nDATA\r\nsmuggled\r\n")
    with mx.client(GOOD) as client:
        client.ehlo()
        client.mail(ALICE)
        client.command(f"RCPT TO:<{BOB[0]}>")
        client.command("DATA")
        client.send(octets + b".\r\n")
        reply = client.reply()
        assert reply.code == 550 and reply.enhanced == "5.6.0"
        assert client.command("NOOP").code == 250
    assert not postfix.maildir("bob")


def test_a_bad_from_is_refused(gate, postfix):
    mx = gate(backend=postfix.port, zone=zone())
    for fields in (b"Subject: none\r\n",
                   b"From: a@reject.example\r\nFrom: b@none.example\r\n",
                   b"From: a@reject.example, \"b@none.example\r\n"):
        with mx.client(GOOD) as client:
            client.ehlo()
            reply = client.deliver(ALICE, BOB, fields + b"\r\nText\r\n")
            assert reply.code == 550 and reply.enhanced == "5.7.1", reply
            assert "From" in reply.text
    assert not postfix.maildir("bob")


def test_routes_by_recipient(gate, postfix, script):
    other = script(at_data=b"354 go\r\n", at_end=b"250 other\r\n")
    mx = gate(backend=postfix.port, zone=zone(),
              backends={"other": {"address": [f"127.0.0.1:{other.port}"],
                                  "identity": "none",
                                  "trust-unidentified": True}},
              routes={"backend.example": {"backend": "mta"},
                      "other.example": {"backend": "other",
                                        "mode": "monitor"}})
    with mx.client(BAD) as client:
        client.ehlo()
        client.mail("ceo@reject.example")
        assert client.command("RCPT TO:<x@nowhere.example>").code == 550
        assert client.command("RCPT TO:<bob@backend.example>").code == 250
        reply = client.command("RCPT TO:<x@other.example>")
        assert reply.code == 452 and reply.enhanced == "4.5.3"
        assert client.command("DATA").code == 354
        client.send(encode(message("ceo@reject.example")))
        assert client.reply().code == 550
        assert client.deliver("ceo@reject.example", ["x@other.example"],
                              message("ceo@reject.example")).code == 250
    first, second = mx.wait_verdicts(2)
    assert first["route"] == "backend.example" and first["enforced"]
    assert second["route"] == "other.example" and not second["enforced"]


FAULTS = [
    ('lissten "x" { }\n', "lissten"),
    ('listen "127.0.0.1:99999" { }\n', "127.0.0.1:99999"),
    ('route "x.example" { backend = "nobody" }\n', "nobody"),
    ('route "x.example" { backend = "mta" mode = "sometimes" }\n',
     "sometimes"),
    ('route "*" { backend = "mta" }\n', "can never fit"),
    ('message-size = "lots"\n', "lots"),
]


@pytest.mark.parametrize("text, word", FAULTS)
def test_a_wrong_proxy_conf_is_refused(postfix, text, word):
    gate = Gate(backend=postfix.port, start=False)
    gate.conf.write_text(gate.conf.read_text() + text)
    for option in ([], ["-t"]):
        said = subprocess.run([DMARCGATE, *option, "-c", gate.conf],
                              stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, timeout=20,
                              check=False)
        assert said.returncode == 1, said.stdout
        assert word in said.stdout
        assert re.search(rf"^{re.escape(str(gate.conf))}:\d+: ", said.stdout,
                         re.M), said.stdout


def test_an_address_in_use_is_one_clear_line(postfix):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        gate = Gate(backend=postfix.port, start=False,
                    text=f'listen "127.0.0.1:{port}" {{ }}\n')
        said = subprocess.run([DMARCGATE, "-c", gate.conf],
                              stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, timeout=20,
                              check=False)
    assert said.returncode != 0
    assert f"127.0.0.1:{port}" in said.stdout and "in use" in said.stdout
