# SPDX-License-Identifier: BSD-2-Clause
"""The known sequences through the real gate, on sockets, to real servers that
are lenient: one message or none, and no command but those of one mail."""

import base64
import hashlib

import dkim
import pytest
from dkim.crypto import RSASSA_PKCS1_v1_5_sign, parse_pem_private_key

from tests.e2e.gate import Gate
from tests.e2e.senders import GOOD, key, message, sign, zone
from tests.e2e.smtp import Closed, encode, proxy_v2
from tests.smuggle.lenient import MANNERS, Server, read_again

SENDER, RECIPIENT = "alice@reject.example", "bob@backend.example"
VICTIM = b"boss@victim.example"

# By whom they are known: SEC Consult's list of 2023, the tools that followed
# it, CVE-2023-51764 (Postfix), -51765 (Sendmail), -51766 (Exim),
# CVE-2024-27305 (aiosmtpd), Postfix 2026 (behind smtpd_proxy_filter).
SEQUENCES = {
    "LF.LF": b"\n.\n", "LF.CR": b"\n.\r", "CR.LF": b"\r.\n",
    "CR.CR": b"\r.\r", "LF.CRLF": b"\n.\r\n", "CR.CRLF": b"\r.\r\n",
    "CRLF.LF": b"\r\n.\n", "CRLF.CR": b"\r\n.\r",
    "CRLF-NUL.CRLF": b"\r\n\0.\r\n", "CRLF.NUL-CRLF": b"\r\n.\0\r\n",
    "CRLF.CRCRLF": b"\r\n.\r\r\n", "CRCRLF.CRCRLF": b"\r\r\n.\r\r\n",
    "LFLF.CRCRLF": b"\n\n.\r\r\n", "CRLF.NULCRLF.LF": b"\r\n.\0\r\n.\n",
}

HOOK = (b"MAIL FROM:<" + VICTIM + b">\r\nRCPT TO:<bob@backend.example>\r\n"
        b"DATA\r\nFrom: " + VICTIM + b"\r\n\r\nHook.\r\n")


def gate_for(server, ending, **settings):
    return Gate(server.port, zone=zone(), identity="none",
                backend_settings={"trust-unidentified": True},
                dmarc={"bad-from": "accept"}, top={"line-endings": ending},
                **settings)


def pieces(octets, cut):
    return [octets] if cut is None else [octets[:cut], octets[cut:]]


def send(client, wire, cut):
    """The mail, its message in pieces; the reply to its end."""
    client.ehlo("mail.reject.example")
    assert client.mail(SENDER).code == 250
    assert client.rcpt(RECIPIENT).code == 250
    assert client.command("DATA").code == 354
    for piece in pieces(wire, cut):
        client.send(piece)
    reply = client.reply()
    client.quit()
    return reply


def is_tidy(dialogue):
    """The commands are those of one mail, and none is the victim's."""
    verbs = [command.split(b" ")[0] for command in dialogue.commands]
    plain = [b"EHLO", b"MAIL", b"RCPT"]
    return (verbs in ([*plain, b"DATA", b"QUIT"], [*plain, b"RSET", b"QUIT"],
                      [*plain, b"RSET"], plain)
            and not any(VICTIM in command for command in dialogue.commands))


@pytest.mark.parametrize("ending", ["reject", "normalise"])
def test_sequences(ending):
    count = messages = 0
    for name, manner in MANNERS.items():
        with Server(manner) as server, gate_for(server, ending) as gate:
            probes = len(server.sessions)
            for sequence, octets in SEQUENCES.items():
                front = message(SENDER, "Bait.")
                wire = front + octets + HOOK + b".\r\n"
                at = len(front)
                for cut in (None, at, at + 1, at + 2, at + len(octets)):
                    with gate.client(GOOD) as client:
                        reply = send(client, wire, cut)
                    assert reply.code == {"reject": 550,
                                          "normalise": 250}[ending], (
                        name, sequence, reply)
                    count += 1
        dialogues = [one for one in server.sessions[probes:]
                     if any(command.startswith(b"MAIL")
                            for command in one.commands)]
        assert len(dialogues) == len(SEQUENCES) * 5
        for dialogue in dialogues:
            for manner_name, other in MANNERS.items():
                read = read_again(dialogue.octets, other)
                assert is_tidy(read), (name, manner_name, read)
                assert len(read.messages) == (ending == "normalise"), (
                    name, manner_name, read)
            messages += len(dialogue.messages)
    print(f"{len(SEQUENCES)} sequences, {len(MANNERS)} servers, "
          f"line-endings = {ending}: {count} mails, {messages} messages, "
          "0 second messages, 0 second commands")


def test_the_servers_can_be_fooled():
    """Without the gate each of them but the strict one takes the bait."""
    for name, manner in MANNERS.items():
        fooled = [sequence for sequence, octets in SEQUENCES.items()
                  if len(read_again(b"DATA\r\nBait." + octets + HOOK
                                    + b".\r\n", manner).messages) > 1]
        assert bool(fooled) == (name != "strict"), (name, fooled)


def test_octets_behind_data():
    """Who does not wait for 354 is told so, and both sides are closed."""
    with Server(MANNERS["lf-cr"]) as server, \
            gate_for(server, "reject") as gate:
        with gate.client(GOOD) as client:
            client.ehlo("mail.reject.example")
            assert client.mail(SENDER).code == 250
            assert client.rcpt(RECIPIENT).code == 250
            client.send(b"DATA\r\n" + message(SENDER) + b".\r\n" + HOOK)
            assert client.reply().code == 503
            client.expect_end()
    assert not any(one.messages for one in server.sessions)


@pytest.mark.parametrize("header", [
    b"PROXY TCP4 192.0.2.10 203.0.113.25 4242 25 MAIL\r\n",
    b"PROXY TCP4 192.0.2.10 203.0.113.25 4242 25\n",
    b"PROXY TCP4 192.0.2.10 203.0.113.25 4242 25\rMAIL FROM:<>\r\n",
    b"PROXY TCP4 192.0.2.10\0 203.0.113.25 4242 25\r\n",
    b"PROXY TCP4 192.0.2.10 203.0.113.25 4242 25" + b" " * 80 + b"\r\n",
    b"PROXY TCP4 192.0.2.10 203.0.113.25 99999 25\r\n",
    b"PROXY TCP4 2001:db8::1 203.0.113.25 4242 25\r\n",
    proxy_v2("192.0.2.10").replace(b"\x11\x00\x0c", b"\x11\x00\x0b"),
    proxy_v2("192.0.2.10").replace(b"\x21\x11", b"\x2f\x11"),
    HOOK,
], ids=range(10))
def test_a_header_with_something_in_it(header):
    """A PROXY header that is not exactly one: nothing behind it is heard, as
    a command or otherwise."""
    with Server(MANNERS["lf-cr"]) as server, \
            gate_for(server, "reject") as gate:
        with gate.client(None, greet=False) as client:
            client.send(header + b"EHLO x.example\r\n" + HOOK)
            client.expect_end()
    assert not any(VICTIM in one.octets or b"EHLO x" in one.octets
                   for one in server.sessions)


def test_behind_the_end_and_behind_quit():
    """What stands behind the final dot is the next command; what stands
    behind QUIT is nothing."""
    with Server(MANNERS["lf-cr"]) as server, \
            gate_for(server, "reject") as gate:
        with gate.client(GOOD) as client:
            client.ehlo("mail.reject.example")
            assert client.mail(SENDER).code == 250
            assert client.rcpt(RECIPIENT).code == 250
            assert client.command("DATA").code == 354
            client.send(message(SENDER) + b".\r\nNOOP\r\nQUIT\r\n" + HOOK)
            assert [client.reply().code for _ in range(3)] == [250, 250, 221]
            with pytest.raises(Closed):
                client.reply()
    heard = b"".join(one.octets for one in server.sessions)
    assert heard.count(b"\r\nDATA\r\n") == 1 and VICTIM not in heard


@pytest.mark.parametrize("octets, made_of_it", [
    (b"\n", b"\r\n"), (b"\r", b" "), (b"\0", b" "), (b"\n.\n", b"\r\n.\r\n"),
    (b"\r\n.\r\r\n", b"\r\n. \r\n")])
def test_what_is_judged_is_what_is_forwarded(octets, made_of_it):
    """line-endings = normalise: the signature over the message as it is
    forwarded holds, that over the message as it was sent does not."""
    normalised = sign(message(SENDER, "one" + made_of_it.decode() + "two\r\n"),
                      "reject.example")
    as_sent = normalised.replace(b"one" + made_of_it, b"one" + octets)
    assert as_sent != normalised
    with Server(MANNERS["strict"]) as server, \
            gate_for(server, "normalise") as gate:
        for original in (as_sent, sign_as_it_is(octets),
                         sign_as_it_is(made_of_it)):
            with gate.client(GOOD) as client:
                stuffed = encode(original)
                assert send(client, stuffed, None).code == 250
        verdicts = gate.wait_verdicts(3)
    delivered = [text for one in server.sessions for text in one.messages]
    assert [verdict["dkim"][0]["result"] for verdict in verdicts] == [
        "pass", "fail", "pass"]
    assert delivered[0].endswith(normalised)
    # What the verdict says holds of the octets that arrived.
    assert [dkim.verify(text, dnsfunc=key_record) for text in delivered] == [
        True, False, True]


def sign_as_it_is(between):
    """A message signed over its octets as they are, by hand: dkimpy turns a
    bare LF into CR LF before it hashes."""
    body = b"one" + between + b"two\r\n"
    author = f"From: <{SENDER}>\r\n".encode()
    digest = base64.b64encode(hashlib.sha256(body).digest())
    field = (b"DKIM-Signature: v=1; a=rsa-sha256; c=simple/simple; "
             b"d=reject.example;\r\n\ts=s1; h=from; bh=" + digest
             + b";\r\n\tb=")
    signature = RSASSA_PKCS1_v1_5_sign(hashlib.sha256(author + field),
                                       parse_pem_private_key(key()[0]))
    return (field + base64.b64encode(signature) + b"\r\n" + author
            + b"\r\n" + body)


def key_record(name, timeout=5):
    """The key of reject.example, as the zone has it."""
    del timeout
    wanted = name.decode().rstrip(".") + "."
    for line in zone().splitlines():
        if line.startswith(wanted + " "):
            return "".join(line.split('"')[1::2]).encode()
    return None
