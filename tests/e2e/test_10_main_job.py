# SPDX-License-Identifier: BSD-2-Clause
"""The main job, in front of a real Postfix: genuine mail reaches the Maildir,
forged mail bounces with a 550 that explains itself."""

import subprocess

import pytest

from tests.e2e.senders import BAD, GOOD, message, sign, zone

BOB = ["bob@backend.example"]


@pytest.fixture(name="mx")
def _mx(gate, postfix):
    return gate(backend=postfix.port, zone=zone())


def deliver(gate, address, sender, octets, recipients=None, **options):
    with gate.client(address, **options) as client:
        client.ehlo("mail.reject.example")
        reply = client.deliver(sender, recipients or BOB, octets)
        client.command("QUIT")
    return reply


def test_genuine_by_spf_reaches_the_maildir(mx, postfix):
    octets = message("alice@reject.example")
    reply = deliver(mx, GOOD, "alice@reject.example", octets)
    assert reply.code == 250
    delivered, = postfix.wait_mail("bob")
    assert octets.replace(b"\r\n", b"\n") in delivered
    assert b"\nAuthentication-Results: gate.example;" in b"\n" + delivered
    assert b"dmarc=pass" in delivered
    verdict, = mx.wait_verdicts(1)
    assert verdict["dmarc"]["result"] == "pass"
    assert verdict["spf"]["result"] == "pass" and verdict["spf"]["aligned"]
    assert verdict["action"] == "relay" and verdict["accepted"]
    assert verdict["client"]["ip"] == GOOD
    assert verdict["client"]["identity"] == "proxy"


def test_genuine_by_dkim_through_a_stranger(mx, postfix):
    octets = sign(message("alice@reject.example"), "reject.example")
    assert deliver(mx, BAD, "x@elsewhere.example", octets).code == 250
    postfix.wait_mail("bob")
    verdict, = mx.wait_verdicts(1)
    assert verdict["dkim"][0]["result"] == "pass"
    assert verdict["dkim"][0]["bits"] == 2048
    assert verdict["dmarc"]["result"] == "pass"


def test_forged_reject_is_told_why(mx, postfix):
    reply = deliver(mx, BAD, "ceo@reject.example",
                    message("ceo@reject.example"))
    assert reply.code == 550 and reply.enhanced == "5.7.1"
    verdict, = mx.wait_verdicts(1)
    for word in ("DMARC", "reject.example", "SPF fail", "no DKIM",
                 verdict["id"]):
        assert word in reply.text, (word, reply.text)
    assert verdict["action"] == "reject" and not verdict["accepted"]
    assert verdict["reply"].startswith("550 5.7.1 ")
    assert not postfix.maildir("bob")


def test_the_session_goes_on_after_a_rejection(mx, postfix):
    with mx.client(BAD) as client:
        client.ehlo("mail.reject.example")
        forged = client.deliver("ceo@reject.example", BOB,
                                message("ceo@reject.example"))
        assert forged.code == 550
        genuine = client.deliver(
            "a@reject.example", BOB,
            sign(message("a@reject.example"), "reject.example"))
        assert genuine.code == 250
    postfix.wait_mail("bob")
    assert [v["action"] for v in mx.wait_verdicts(2)] == ["reject", "relay"]


def test_quarantine_is_a_mark(mx, postfix):
    octets = message("x@quarantine.example",
                     fields=["X-DMARC-Quarantine: forged by the sender"])
    assert deliver(mx, BAD, "x@quarantine.example", octets).code == 250
    delivered, = postfix.wait_mail("bob")
    assert delivered.count(b"X-DMARC-Quarantine:") == 1
    assert b"forged by the sender" not in delivered
    verdict, = mx.wait_verdicts(1)
    assert verdict["action"] == "tag"
    assert verdict["stripped"] == ["X-DMARC-Quarantine"]


def test_policy_none_is_passed_on_and_noted(mx, postfix):
    assert deliver(mx, BAD, "x@none.example",
                   message("x@none.example")).code == 250
    delivered, = postfix.wait_mail("bob")
    assert b"dmarc=fail" in delivered
    verdict, = mx.wait_verdicts(1)
    assert verdict["dmarc"]["outcome"] == "softfail"


def test_no_record_is_passed_on(mx, postfix):
    assert deliver(mx, BAD, "x@silent.example",
                   message("x@silent.example")).code == 250
    postfix.wait_mail("bob")
    verdict, = mx.wait_verdicts(1)
    assert verdict["dmarc"]["result"] == "none"


def test_a_forged_authentication_results_is_stripped(mx, postfix):
    octets = message("alice@reject.example", fields=[
        "Authentication-Results: gate.example; dmarc=pass",
        "Authentication-Results: other.example; dmarc=pass"])
    assert deliver(mx, GOOD, "alice@reject.example", octets).code == 250
    delivered, = postfix.wait_mail("bob")
    assert delivered.count(b"Authentication-Results: gate.example") == 1
    assert b"Authentication-Results: other.example; dmarc=pass" in delivered


def test_monitor_says_what_would_have_happened(gate, postfix):
    mx = gate(backend=postfix.port, zone=zone(), dmarc={"mode": "monitor"})
    assert deliver(mx, BAD, "ceo@reject.example",
                   message("ceo@reject.example")).code == 250
    delivered, = postfix.wait_mail("bob")
    assert b"dmarc=fail" in delivered
    verdict, = mx.wait_verdicts(1)
    assert not verdict["enforced"] and verdict["action"] == "relay"
    assert verdict["otherwise"] == "reject"


def test_divert_to_another_recipient(gate, postfix):
    mx = gate(backend=postfix.port, zone=zone(), quarantine={
        "action": "divert", "recipient": "postmaster@quarantine.example"})
    assert deliver(mx, BAD, "x@quarantine.example",
                   message("x@quarantine.example")).code == 250
    delivered, = postfix.wait_mail("postmaster", domain="quarantine.example")
    assert b"X-DMARC-Original-Recipients: <bob@backend.example>" in delivered
    assert not postfix.maildir("bob")
    assert mx.wait_verdicts(1)[0]["action"] == "divert"


def test_divert_to_another_backend(gate, postfix):
    mx = gate(backend=postfix.port, zone=zone(),
              backends={"cold": {"address": [f"127.0.0.1:{postfix.proxy_port}"],
                                 "identity": "proxy-v2"}},
              quarantine={"action": "divert", "backend": "cold",
                          "recipient": "postmaster@quarantine.example"})
    assert deliver(mx, BAD, "x@quarantine.example",
                   message("x@quarantine.example")).code == 250
    postfix.wait_mail("postmaster", domain="quarantine.example")
    verdict, = mx.wait_verdicts(1)
    assert verdict["backend"] == "cold" and verdict["accepted"]


def test_a_listed_forwarder_is_exempt_and_the_line_says_so(gate, postfix):
    mx = gate(backend=postfix.port, zone=zone(), overrides={
        "forwarder": {"client": [f"{BAD}/32"], "action": "accept",
                      "reason": "trusted_forwarder"}})
    assert deliver(mx, BAD, "ceo@reject.example",
                   message("ceo@reject.example")).code == 250
    postfix.wait_mail("bob")
    verdict, = mx.wait_verdicts(1)
    assert verdict["dmarc"]["result"] == "fail"
    assert verdict["override"]["reason"] == "trusted_forwarder"
    assert verdict["otherwise"] == "reject"


def test_swaks_sees_the_same(mx, postfix):
    said = subprocess.run(
        ["swaks", "--server", f"127.0.0.1:{mx.port}", "--proxy",
         f"TCP4 {BAD} 198.51.100.25 4242 25", "--ehlo", "mail.reject.example",
         "--from", "ceo@reject.example", "--to", BOB[0]],
        stdout=subprocess.PIPE, text=True, timeout=30, check=False)
    assert said.returncode == 26, said.stdout  # refused after the data
    assert "550 5.7.1" in said.stdout and "DMARC" in said.stdout
    assert not postfix.maildir("bob")


def test_dns_from_a_real_server(gate, postfix, nsd):
    mx = gate(backend=postfix.port, dns=nsd(zone()).port)
    octets = sign(message("alice@reject.example"), "reject.example")
    assert deliver(mx, BAD, "x@silent.example", octets).code == 250
    assert deliver(mx, BAD, "ceo@reject.example",
                   message("ceo@reject.example")).code == 550
    first, second = mx.wait_verdicts(2)
    assert first["dkim"][0]["result"] == "pass"
    asked = {(each["name"], each["type"]) for each in first["dns"]}
    assert ("_dmarc.reject.example", "TXT") in asked
    assert ("s1._domainkey.reject.example", "TXT") in asked
    assert any(each["cached"] for each in second["dns"])


def test_dead_dns_is_a_temperror_not_a_fail(gate, postfix):
    from tests.e2e.process import free_port
    mx = gate(backend=postfix.port, dns=free_port(),
              resolver={"dns-timeout": "200ms", "dns-tries": 1})
    assert deliver(mx, BAD, "ceo@reject.example",
                   message("ceo@reject.example")).code == 250
    verdict, = mx.wait_verdicts(1)
    assert verdict["dmarc"]["result"] == "temperror"
    mx = gate(backend=postfix.port, dns=free_port(),
              dmarc={"temperror": "defer"},
              resolver={"dns-timeout": "200ms", "dns-tries": 1})
    reply = deliver(mx, BAD, "ceo@reject.example",
                    message("ceo@reject.example"))
    assert reply.code == 451 and reply.enhanced in ("4.7.1", "4.7.24")
