# SPDX-License-Identifier: BSD-2-Clause
"""Real clients log in at a real server through the gate: at Exim, since it has
the mechanisms built in. What is sent then is the server's to judge."""

import smtplib
import ssl
import subprocess
import time

import pytest

from tests.e2e.parts import txt
from tests.e2e.process import free_port
from tests.peers import backends
from tests.peers.matrix import ZONE
from tests.peers.messages import seven_bit
from tests.peers.network import BACKEND, CLIENT, GATE_OUTSIDE
from tests.peers.peergate import PeerGate

SECONDS_MAX = 20
USER, SECRET = "alice", "a secret"
VICTIM = ("victim.example. 300 IN A 192.0.2.20\n"
          + txt("victim.example", "v=spf1 -all")
          + txt("_dmarc.victim.example", "v=DMARC1; p=reject"))


class EximWithUsers(backends.Exim):
    """It knows one user."""

    services = {"proxy-v1": 2515, "transparent": 2516}
    authenticators = f"""\
plain:
  driver = plaintext
  public_name = PLAIN
  server_prompts = :
  server_condition = ${{if and{{{{eq{{$auth2}}{{{USER}}}}}\
                     {{eq{{$auth3}}{{{SECRET}}}}}}}}}
  server_set_id = $auth2
login:
  driver = plaintext
  public_name = LOGIN
  server_prompts = Username:: : Password::
  server_condition = ${{if and{{{{eq{{$auth1}}{{{USER}}}}}\
                     {{eq{{$auth2}}{{{SECRET}}}}}}}}}
  server_set_id = $auth1
cram:
  driver = cram_md5
  public_name = CRAM-MD5
  server_secret = ${{if eq{{$auth1}}{{{USER}}}{{{SECRET}}}fail}}
  server_set_id = $auth1
"""


@pytest.fixture(scope="module")
def server(network, certificate):
    running = EximWithUsers(network, certificate)
    try:
        running.start()
        yield running
    finally:
        running.stop()


@pytest.fixture(scope="module")
def gate(network, server, certificate):
    port = free_port()
    text = (f'listen "{GATE_OUTSIDE}:{port}" {{ auth = "relay" '
            f'tls-cert = "{certificate.chain}" '
            f'tls-key = "{certificate.key}" }}\n')
    with PeerGate(network, zone=ZONE + VICTIM, identity="proxy-v1",
                  backend=f"{BACKEND}:{server.services['proxy-v1']}",
                  text=text) as running:
        running.wait_for(port)
        running.outside = port
        yield running


def forged(name):
    """A message that nobody else may send: from a domain with p=reject."""
    message = next(seven_bit(name))
    octets = message.octets.replace(b"From: ", b"X-From: ", 1)
    return message, b"From: boss@victim.example\r\n" + octets


def swaks(network, port, mechanism, secret, message, octets):
    return subprocess.run(
        [*network.on("client"), "swaks", "--server", GATE_OUTSIDE, "--port",
         str(port), "--tls", "--ehlo", "client.example", "--from",
         f"{mechanism.lower()}@victim.example", "--to",
         ",".join(message.recipients), "--data", octets.decode(),
         "--auth", mechanism, "--auth-user", USER, "--auth-password", secret],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
        timeout=SECONDS_MAX)


def wait_logged(server, text):
    deadline = time.monotonic() + SECONDS_MAX
    while text not in server.log():
        assert time.monotonic() < deadline, f"no {text}\n{server.log()}"
        time.sleep(0.05)


@pytest.mark.parametrize("mechanism, name", [
    ("PLAIN", "plain"), ("LOGIN", "login"), ("CRAM-MD5", "cram")])
def test_who_logs_in_may_send(network, server, gate, mechanism, name):
    message, octets = forged(f"login-{name}")
    before = len(gate.verdicts())
    done = swaks(network, gate.outside, mechanism, SECRET, message, octets)
    assert done.returncode == 0, done.stdout
    verdict = gate.wait_verdicts(before + 1)[-1]
    assert verdict["authenticated"] and verdict["dmarc"] is None
    assert verdict["accepted"] and verdict["client"]["ip"] == CLIENT
    wait_logged(server, f"A={name}:{USER}")
    assert server.clients_of(f"{mechanism.lower()}@victim.example") == {CLIENT}
    assert SECRET not in gate.process.text()


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN", "CRAM-MD5"])
def test_who_does_not_know_the_secret_may_not(network, gate, mechanism):
    message, octets = forged("login-wrong")
    before = len(gate.events("login-refused"))
    done = swaks(network, gate.outside, mechanism, "a guess", message, octets)
    assert " 535 " in done.stdout, done.stdout
    gate.wait_event("login-refused", before + 1)


def test_who_does_not_log_in_is_judged(network, gate):
    message, octets = forged("login-none")
    with network.inside("client"):
        mail = smtplib.SMTP(GATE_OUTSIDE, gate.outside, "client.example",
                            SECONDS_MAX)
    with mail, pytest.raises(smtplib.SMTPDataError) as refused:
        mail.sendmail("none@victim.example", message.recipients, octets)
    assert refused.value.smtp_code == 550


def test_a_login_lasts_for_the_session(network, server, gate):
    """smtplib: an initial response, then two messages."""
    context = ssl._create_unverified_context()
    messages = [forged(f"login-twice-{i}") for i in range(2)]
    before = len(gate.verdicts())
    with network.inside("client"):
        mail = smtplib.SMTP(GATE_OUTSIDE, gate.outside, "client.example",
                            SECONDS_MAX)
    with mail:
        mail.ehlo()
        assert not mail.has_extn("auth")
        mail.starttls(context=context)
        mail.ehlo()
        assert set(mail.esmtp_features["auth"].split()) == {
            "PLAIN", "LOGIN", "CRAM-MD5"}
        mail.login(USER, SECRET)
        for message, octets in messages:
            mail.sendmail("twice@victim.example", message.recipients, octets)
    verdicts = gate.wait_verdicts(before + 2)[before:]
    assert all(verdict["authenticated"] for verdict in verdicts)
