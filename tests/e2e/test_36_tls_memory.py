# SPDX-License-Identifier: BSD-2-Clause
"""TLS at the memory ceiling of a worker: a flood of handshakes is told 421,
and never brings the worker above it."""

import contextlib
import smtplib
import ssl

import pytest

from tests.e2e.certificates import Authority
from tests.e2e.process import free_port
from tests.e2e.smtp import Client
from tests.e2e.test_35_limits import MIB, is_instrumented, most_held

CEILING = 32 * MIB
CLIENTS = 600  # at their worst they would want three times the ceiling
HERE = "192.0.2.10"
# The first record of a ClientHello that is announced as 131,000 octets long.
HELLO = (b"\x16\x03\x01\x40\x00" + b"\x01" + (131000).to_bytes(3, "big")
         + b"\x03\x03" + bytes(0x4000 - 6))


@pytest.fixture(name="authority", scope="module")
def _authority():
    return Authority()


@pytest.fixture(name="mx")
def _mx(gate, authority):
    """A gate that greets by itself: nobody listens behind it."""
    pair = authority.issue("mx.example")
    return gate(backend=free_port(),
                listen={"tls-cert": [pair[0]], "tls-key": [pair[1]]},
                limit={"connections-per-address": 0},
                top={"memory": str(CEILING), "backend-connect": "mail"})


def under_tls(mx, authority):
    client = smtplib.SMTP("127.0.0.1", mx.plain_port, "a.example", timeout=20)
    client._host = "mx.example"
    client.starttls(context=ssl.create_default_context(cafile=authority.ca))
    return client


def begin(mx, octets):
    """A client within its handshake, or the reply that keeps it out."""
    client = Client(mx.port, HERE, greet=False)
    reply = client.reply()
    if reply.code == 220:
        client.ehlo()
        reply = client.command("STARTTLS")
    if reply.code != 220:
        client.close()
        return None, reply
    with contextlib.suppress(ConnectionError):
        client.send(octets)
    return client, reply


@pytest.mark.parametrize("octets, name", [
    (b"", "silent"), (HELLO, "long")], ids=["silent", "long"])
def test_a_flood_of_handshakes(mx, authority, capsys, octets, name):
    under_tls(mx, authority).quit()
    before = most_held(mx)
    waiting = [Client(mx.port, HERE) for _ in range(3)]
    for client in waiting:
        client.ehlo()
    inside, refused = [], []
    for _ in range(CLIENTS):
        client, reply = begin(mx, octets)
        (refused if client is None else inside).append(client or reply)
    assert 50 < len(inside) < CLIENTS / 2
    assert {(reply.code, reply.enhanced)
            for reply in refused} == {(421, "4.3.2")}
    assert len(mx.wait_event("memory-full")) == 1
    # Who was in before is told so as well, and may not go on in plain.
    assert waiting[0].command("STARTTLS").code == 421
    waiting[0].expect_end()
    reply = waiting[1].mail("alice@sender.example")
    assert (reply.code, reply.enhanced) == (452, "4.3.1")
    grown = most_held(mx) - before
    # A sanitizer keeps what was freed, and a page of shadows for it.
    assert grown < CEILING or is_instrumented()
    for client in inside:
        client.close()
    mx.wait_event("memory-free")
    assert waiting[2].command("STARTTLS").code == 220
    with under_tls(mx, authority) as client:
        assert client.noop()[0] == 250
    assert not mx.events("worker-died")
    for client in waiting:
        client.close()
    with capsys.disabled():
        print(f"\nmemory = {CEILING >> 20}M: {len(inside)} {name} handshakes "
              f"under way, {len(refused)} clients told 421; the worker grew "
              f"by {grown / MIB:.1f}M")


def test_idle_sessions_under_tls_are_counted(mx, authority, capsys):
    """With what OpenSSL holds for them."""
    before = most_held(mx)
    inside = []
    with pytest.raises(smtplib.SMTPException) as told:
        while len(inside) < 10 * CLIENTS:
            inside.append(under_tls(mx, authority))
    assert told.value.args[0] == 421
    grown = most_held(mx) - before
    assert 1000 < len(inside) < 2600
    assert grown < CEILING * 1.2 or is_instrumented()
    for client in inside:
        client.close()
    mx.wait_event("memory-free")
    with capsys.disabled():
        print(f"\nmemory = {CEILING >> 20}M: {len(inside)} sessions idle under "
              f"TLS; the worker grew by {grown / MIB:.1f}M")
