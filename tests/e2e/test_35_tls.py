# SPDX-License-Identifier: BSD-2-Clause
"""TLS on both legs, with real peers: Python's and OpenSSL's clients in front, a
Postfix behind."""

import hashlib
import shutil
import signal
import smtplib
import socket
import ssl
import subprocess
import threading
import time

import pytest

from tests.e2e.certificates import Authority
from tests.e2e.gate import DMARCGATECTL
from tests.e2e.parts import Postfix
from tests.e2e.process import Process, can_connect, free_port, scratch
from tests.e2e.senders import zone

MESSAGE = (b"From: x@none.example\r\nSubject: under TLS\r\n\r\n"
           + b"A line of the message.\r\n" * 10)


@pytest.fixture(scope="module")
def authority():
    return Authority()


@pytest.fixture
def sink():
    """A backend that takes everything: its port and directory."""
    home, port = scratch("sink"), free_port()
    process = Process([DMARCGATECTL, "sink", "--listen", f"127.0.0.1:{port}",
                       "--directory", home, "--quiet"], home / "output")
    process.wait_for(lambda: can_connect(port))
    yield port, home
    process.stop()


def listener(pair, **settings):
    return {"tls-cert": [pair[0]], "tls-key": [pair[1]],
            **{word.replace("_", "-"): value
               for word, value in settings.items()}}


def trusting(authority):
    return ssl.create_default_context(cafile=authority.ca)


def secured(port, context, name="mx.example"):
    """A client that is under TLS and has greeted."""
    client = smtplib.SMTP("127.0.0.1", port, "client.example", timeout=20)
    client._host = name   # what is asked for, and verified
    client.starttls(context=context)
    client.ehlo()
    return client


def deliver(client, message=MESSAGE):
    assert client.sendmail("x@none.example", ["bob@backend.example"],
                           message) == {}


def s_client(port, *words, text=b"QUIT\r\n"):
    return subprocess.run(
        ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-crlf",
         "-ign_eof", *words], input=text, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, timeout=20, check=False).stdout.decode()


def test_a_message_comes_under_tls(gate, sink, authority):
    mx = gate(backend=sink[0], zone=zone(), identity="xclient",
              listen=listener(authority.issue("mx.example")))
    with secured(mx.plain_port, trusting(authority)) as client:
        assert client.sock.version() == "TLSv1.3"
        assert not client.has_extn("starttls")
        deliver(client)
        deliver(client, MESSAGE + b"x" * 70 + b"\r\n" * 20000)
    first, second = mx.wait_verdicts(2)
    for verdict in first, second:
        assert verdict["client"]["tls"] == "TLSv1.3"
        assert verdict["client"]["tls_cipher"].startswith("TLS_")
        assert verdict["client"]["tls_sni"] == "mx.example"
        assert verdict["client"]["cert"] is None
    assert len(list(sink[1].glob("*.eml"))) == 2


def test_the_name_chooses_the_certificate(gate, sink, authority):
    first = authority.issue("mx.example")
    second = authority.issue("other.example")
    mx = gate(backend=sink[0], listen={
        "tls-cert": [first[0], second[0]], "tls-key": [first[1], second[1]]})
    for name in "mx.example", "other.example":
        secured(mx.plain_port, trusting(authority), name).quit()
    said = s_client(mx.plain_port, "-starttls", "smtp", "-noservername")
    assert "CN = mx.example" in said


@pytest.mark.parametrize("lowest, offered, stands", [
    ("1.2", "-tls1_2", True), ("1.2", "-tls1_1", False),
    ("1.3", "-tls1_2", False), ("1.3", "-tls1_3", True)])
def test_the_lowest_version(gate, sink, authority, lowest, offered, stands):
    mx = gate(backend=sink[0], listen=listener(
        authority.issue("mx.example"), tls_min=lowest))
    said = s_client(mx.plain_port, "-starttls", "smtp", offered, "-cipher",
                    "DEFAULT@SECLEVEL=0")
    assert ("Cipher is (NONE)" not in said) == stands
    if not stands:
        mx.wait_event("tls-failed")


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_a_session_is_resumed_by_any_worker_and_after_a_reload(
        gate, sink, authority, version):
    mx = gate(backend=sink[0], top={"workers": 2},
              listen=listener(authority.issue("mx.example")))
    ticket = mx.home / "ticket"
    s_client(mx.plain_port, "-starttls", "smtp", "-sess_out", ticket,
             version)
    for _ in range(6):
        assert "Reused," in s_client(mx.plain_port, "-starttls", "smtp",
                                     "-sess_in", ticket, version)
    mx.reload()
    assert "Reused," in s_client(mx.plain_port, "-starttls", "smtp",
                                 "-sess_in", ticket, version)


def test_what_a_client_proves_stands_in_the_verdict(gate, sink, authority):
    mx = gate(backend=sink[0], zone=zone(), listen=listener(
        authority.issue("mx.example"), tls_client_ca=str(authority.ca)))
    known = authority.issue("partner.example")
    stranger = Authority().issue("partner.example")
    for pair in known, stranger, None:
        context = trusting(authority)
        if pair:
            context.load_cert_chain(*pair)
        with secured(mx.plain_port, context) as client:
            deliver(client)
    proved, claimed, none = mx.wait_verdicts(3)
    der = ssl.PEM_cert_to_DER_cert(open(known[0], encoding="ascii").read())
    assert proved["client"]["cert"] == {
        "verified": True, "subject": "CN=partner.example,O=Test",
        "sha256": hashlib.sha256(der).hexdigest()}
    assert claimed["client"]["cert"]["verified"] is False
    assert none["client"]["cert"] is None


class Resuming:
    """A context that offers a session of before."""

    def __init__(self, context, session):
        self.context, self.session = context, session

    def wrap_socket(self, sock, server_hostname=None):
        return self.context.wrap_socket(
            sock, server_hostname=server_hostname, session=self.session)


def test_trust_of_before_is_not_resumed(gate, sink, authority):
    ca = authority.folder / "clients.pem"
    shutil.copy(authority.ca, ca)
    mx = gate(backend=sink[0], zone=zone(), listen=listener(
        authority.issue("mx.example"), tls_client_ca=str(ca)))
    context = trusting(authority)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(*authority.issue("partner.example"))
    with secured(mx.plain_port, context) as client:
        deliver(client)
        session = client.sock.session
    shutil.copy(Authority().ca, ca)
    mx.reload()
    with secured(mx.plain_port, Resuming(context, session)) as client:
        assert not client.sock.session_reused
        deliver(client)
    before, after = mx.wait_verdicts(2)
    assert before["client"]["cert"]["verified"] is True
    assert after["client"]["cert"]["verified"] is False


def test_implicit_tls_behind_a_proxy_header(gate, sink, authority):
    mx = gate(backend=sink[0], zone=zone(), listen=listener(
        authority.issue("mx.example"), tls="implicit"))
    with socket.create_connection(("127.0.0.1", mx.port), 20) as plain:
        plain.sendall(b"PROXY TCP4 192.0.2.10 203.0.113.25 4242 465\r\n")
        with trusting(authority).wrap_socket(
                plain, server_hostname="mx.example") as sock:
            client = smtplib.SMTP(local_hostname="client.example")
            client.sock, client.file = sock, None
            assert client.getreply()[0] == 220
            deliver(client)
            client.quit()
    verdict, = mx.wait_verdicts(1)
    assert verdict["client"]["ip"] == "192.0.2.10"
    assert verdict["client"]["tls"] == "TLSv1.3"


def tls_postfix(authority):
    certificate, key = authority.issue("mta.example")
    return Postfix(settings={
        "smtpd_tls_security_level": "may",
        "smtpd_tls_cert_file": certificate, "smtpd_tls_key_file": key,
        "smtpd_tls_received_header": "yes", "smtpd_tls_loglevel": "1"})


@pytest.fixture(scope="module")
def postfix_with_tls(authority):
    with tls_postfix(authority) as running:
        yield running


@pytest.mark.parametrize("mode", ["opportunistic", "required", "verify"])
def test_a_real_postfix_behind_tls(gate, postfix_with_tls, authority, mode):
    postfix_with_tls.clear()
    mx = gate(backend=postfix_with_tls.port, zone=zone(), backend_settings={
        "tls": mode, "tls-ca": str(authority.ca), "tls-name": "mta.example"})
    with mx.client("192.0.2.10") as client:
        client.ehlo("mx.none.example")
        reply = client.deliver("x@none.example", ["bob@backend.example"],
                               MESSAGE)
        assert reply.code == 250
    message, = postfix_with_tls.wait_mail("bob", 1)
    assert b"(using TLSv1.3 with cipher" in message
    assert b"192.0.2.10" in message
    assert mx.wait_verdicts(1)[0]["backend_tls"] == "TLSv1.3"


@pytest.mark.parametrize("name, why", [
    ("elsewhere.example", "hostname mismatch"),
    (None, "self-signed certificate in certificate chain")])
def test_a_backend_that_proves_nothing_gets_nothing(
        gate, postfix_with_tls, authority, name, why):
    mx = gate(backend=postfix_with_tls.port, backend_settings={
        "tls": "verify", "tls-name": name or "mta.example",
        "tls-ca": str(authority.ca) if name else str(Authority().ca)})
    with mx.client("192.0.2.10", greet=False) as client:
        assert client.reply().code == 421
    event, = mx.wait_event("tls-failed")
    assert why in event or "unable to get" in event


def test_a_certificate_that_cannot_be_used(gate, sink, authority):
    pair = authority.issue("mx.example", file="bad")
    mx = gate(backend=sink[0], listen=listener(pair))
    with open(pair[0], "w", encoding="ascii") as file:
        file.write("nonsense\n")
    assert "bad.pem: not a certificate in PEM" in mx.check().stderr
    assert mx.check().returncode != 0
    mx.signal(signal.SIGHUP)
    mx.wait_event("reload-refused")
    assert "CN = mx.example" in s_client(mx.plain_port, "-starttls", "smtp")


class Senders:
    """Clients that each send one message under TLS, over and over, and keep
    what certificate they were shown."""

    def __init__(self, port, authority, count):
        self.port, self.authority = port, authority
        self.shown, self.faults, self.sent = [], [], 0
        self.is_over, self.lock = threading.Event(), threading.Lock()
        self.threads = [threading.Thread(target=self._run, daemon=True)
                        for _ in range(count)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.is_over.set()
        for thread in self.threads:
            thread.join(60)

    def _run(self):
        context = trusting(self.authority)
        while not self.is_over.is_set() and not self.faults:
            try:
                client = secured(self.port, context)
                serial = client.sock.getpeercert()["serialNumber"]
                deliver(client)
                client.quit()
            except (OSError, smtplib.SMTPException) as fault:
                self.faults.append(fault)
                return
            with self.lock:
                self.sent += 1
                self.shown.append(serial)


def serial_of(pair):
    return ssl._ssl._test_decode_cert(pair[0])["serialNumber"]


def wait_for_certificate(mx, authority, serials):
    """Until the last one is shown. A worker that leaves a listener still takes
    what has come to it, and shows the one before."""
    deadline = time.monotonic() + 30
    shown = None
    while shown != serials[-1]:
        assert shown in (None, serials[-2]) and time.monotonic() < deadline
        client = secured(mx.plain_port, trusting(authority))
        shown = client.sock.getpeercert()["serialNumber"]
        client.quit()


def test_a_certificate_is_replaced_under_load(gate, sink, authority, capsys):
    replaced = 5
    pairs = [authority.issue("mx.example", file="live")]
    mx = gate(backend=sink[0], zone=zone(), listen=listener(pairs[0]),
              top={"workers": 2, "drain-timeout": "60s"})
    serials = [serial_of(pairs[0])]
    # One session begun before all of it, and ended after: within a mail, since
    # who is silent between two is sent away.
    old = secured(mx.plain_port, trusting(authority))
    assert old.mail("x@none.example")[0] == 250
    with Senders(mx.plain_port, authority, 4) as senders:
        for number in range(1, replaced + 1):
            authority.issue("mx.example", file="live")
            serials.append(serial_of(pairs[0]))
            mx.reload()
            mx.wait_event("draining", 2 * number)
            wait_for_certificate(mx, authority, serials)
            before = senders.sent
            while senders.sent < before + 20 and not senders.faults:
                senders.is_over.wait(0.01)
        assert old.rcpt("bob@backend.example")[0] == 250
        assert old.data(MESSAGE)[0] == 250
        old.quit()
    assert not senders.faults, senders.faults
    assert len(list(sink[1].glob("*.eml"))) == senders.sent + 1
    assert set(senders.shown) <= set(serials)
    with capsys.disabled():
        print(f"\ncertificates: replaced {replaced} times under load, "
              f"{senders.sent + 1} sessions: 0 lost; "
              f"{len(set(senders.shown))} certificates seen")


def test_what_a_backend_offers_is_asked_under_tls(gate, postfix_with_tls,
                                                  authority):
    """Where the gate greets in its stead: who cannot prove itself offers
    nothing, since nothing will be sent to it."""
    def offered(ca):
        mx = gate(backend=postfix_with_tls.port, zone=zone(),
                  top={"backend-connect": "mail"}, backend_settings={
                      "tls": "verify", "tls-name": "mta.example",
                      "tls-ca": str(ca)})
        with mx.client("192.0.2.10") as client:
            client.ehlo("mx.none.example")
            return mx, set(client.extensions)

    _, keywords = offered(authority.ca)
    assert {"DSN", "8BITMIME", "SMTPUTF8"} <= keywords
    mx, keywords = offered(Authority().ca)
    assert "DSN" not in keywords
    assert "certificate" in mx.wait_event("backend-down")[0]
