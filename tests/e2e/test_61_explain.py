# SPDX-License-Identifier: BSD-2-Clause
"""What dmarcgatectl eval says: how SPF decided, what would have changed the
verdict, and what hostile messages come to."""

import subprocess

import pytest

from tests.e2e import hostile, senders
from tests.e2e.gate import DMARCGATECTL
from tests.e2e.parts import txt
from tests.e2e.process import free_port, scratch

CLIENT, STRANGER = "192.0.2.10", "203.0.113.66"

ZONE = "".join([
    txt("bank.example", "v=spf1 include:_spf.host.example -all"),
    txt("_spf.host.example", "v=spf1 a:none.example redirect=_n.host.example"),
    txt("_n.host.example", "v=spf1 ip4:192.0.2.0/24 ?all"),
    txt("_dmarc.bank.example", "v=DMARC1; p=reject; sp=quarantine"),
    txt("s1._domainkey.bank.example", f"v=DKIM1; p={senders.key()[1]}"),
    "news.bank.example. 300 IN A 192.0.2.1\n",
    txt("forum.example", "v=spf1 ip4:203.0.113.66 -all"),
    txt("s1._domainkey.forum.example", f"v=DKIM1; p={senders.key()[1]}"),
    txt("_dmarc.strict.example", "v=DMARC1; p=quarantine; adkim=s; aspf=s"),
    txt("m.strict.example", "v=spf1 ip4:203.0.113.66 -all"),
    txt("s1._domainkey.m.strict.example", f"v=DKIM1; p={senders.key()[1]}"),
    txt("_dmarc.test.example", "v=DMARC1; p=reject; t=y"),
    txt("_dmarc.none.example", "v=DMARC1; p=none"),
    txt("_dmarc.bad.example", "v=DMARC1; p=reject-all"),
    txt("loop.example", "v=spf1 include:loop.example -all"),
])


@pytest.fixture(name="home")
def make_home():
    return scratch("explain")


def explain(home, author, *words, status, client=STRANGER, sender=None,
            signer=None, conf="", octets=None, zone=ZONE):
    """The explanation of a message from this author; `zone` is DNS."""
    message = octets or senders.message(author)
    if signer:
        message = senders.sign(message, signer)
    (home / "message").write_bytes(message)
    (home / "zone").write_text(zone)
    (home / "proxy.conf").write_text(conf)
    done = subprocess.run(
        [DMARCGATECTL, "eval", "--zone", home / "zone", "-c",
         home / "proxy.conf", "--ip", client, "--helo", "x.example",
         "--mail-from", sender or author, *words, home / "message"],
        capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == status, (done.stdout, done.stderr)
    return done.stdout


def section(text, title):
    """The lines of one section."""
    return next(part for part in text.split("\n\n")
                if part.startswith(title)).rstrip("\n").split("\n")[1:]


def changes(text):
    lines = section(text, "What would have changed it")
    assert all(line.startswith("  - ") for line in lines)
    return [line[4:] for line in lines]


OWN = " that is no organizational domain itself"
OVERRIDE = ("An override for this client, or another that holds for it, would "
            "set the policy aside (see proxy.conf(5)).")


def test_the_way_that_spf_went(home):
    text = explain(home, "alice@bank.example", status=0, client=CLIENT)
    assert section(text, "SPF (RFC 7208)") == [
        "  Client 192.0.2.10, judged is the domain of MAIL FROM",
        '  bank.example says "v=spf1 include:_spf.host.example -all"',
        "    include:_spf.host.example leads to _spf.host.example "
        "(RFC 7208 5.2)",
        '  _spf.host.example says "v=spf1 a:none.example '
        'redirect=_n.host.example"',
        "    redirect=_n.host.example leads to _n.host.example (RFC 7208 6.1)",
        '  _n.host.example says "v=spf1 ip4:192.0.2.0/24 ?all"',
        "    ip4:192.0.2.0/24 matches (RFC 7208 5.6)",
        "  Result: pass (matched +include; RFC 7208 2.6.3)"]
    # an include that does not match is no part of it
    text = explain(home, "alice@bank.example", status=2)
    assert section(text, "SPF (RFC 7208)")[1:] == [
        '  bank.example says "v=spf1 include:_spf.host.example -all"',
        "    -all matches (RFC 7208 5.1)",
        "  Result: fail (matched -all; RFC 7208 2.6.4)"]
    # how deep it went until a limit stopped it
    text = explain(home, "alice@bank.example", status=2,
                   sender="alice@loop.example")
    lines = section(text, "SPF (RFC 7208)")
    assert lines.count("    include:loop.example leads to loop.example "
                       "(RFC 7208 5.2)") == 10
    assert lines[-2:] == [
        "    include:loop.example cannot be evaluated (RFC 7208 5.2)",
        "  Result: permerror (more than 10 terms that cause DNS look-ups; "
        "RFC 7208 2.6.7)"]


def test_each_signature_and_why(home):
    message = senders.message("alice@bank.example")
    changed = senders.sign(message, "bank.example").replace(b"Hello", b"Hallo")
    text = explain(home, "alice@bank.example", status=2, signer="forum.example",
                   octets=changed)
    lines = section(text, "DKIM (RFC 6376)")
    assert lines == [
        "  1: pass, d=forum.example s=s1 a=rsa-sha256, key of 2048 bits "
        "(it verifies; RFC 6376 6.1.3)",
        "  2: fail, d=bank.example s=s1 a=rsa-sha256, key of 2048 bits "
        "(the body has been changed; RFC 6376 6.1.3)"]
    assert changes(text)[0] == (
        "It would pass if signature 2, of d=bank.example, passed (it is fail: "
        "the body has been changed).")


def test_a_forged_message(home):
    text = explain(home, "alice@bank.example", status=2,
                   sender="bounce@forum.example")
    assert changes(text) == [
        "It would pass with a DKIM signature that verifies, of d=bank.example "
        f"or a name below it{OWN}.",
        "It would pass with SPF pass for an envelope sender of bank.example or "
        f"a name below it{OWN}.",
        "It would be let through as failed with p=none in the record of "
        "bank.example.",
        "It would be quarantined with p=quarantine or t=y in the record of "
        "bank.example.", OVERRIDE]
    # sp= speaks below, and SPF fails for the right domain
    text = explain(home, "alice@news.bank.example", status=1,
                   sender="alice@bank.example")
    assert changes(text)[1:] == [
        "It would pass if SPF passed for bank.example (it is fail: matched "
        "-all).",
        "It would be let through as failed with sp=none or t=y in the record "
        "of bank.example.",
        "It would be rejected with sp=reject in the record of bank.example.",
        OVERRIDE]


@pytest.mark.parametrize("said, author, before, after, changed", [
    ("DKIM signature that verifies, of d=bank.example or a name below",
     "news.bank.example", 1, 0, {"signer": "bank.example"}),
    ("SPF pass for an envelope sender of bank.example or a name below",
     "news.bank.example", 1, 0,
     {"client": CLIENT, "sender": "alice@bank.example"}),
    ("let through as failed with p=none in", "bank.example", 2, 0,
     {"zone": ZONE.replace("p=reject; sp", "p=none; sp")}),
    ("quarantined with p=quarantine or t=y in", "bank.example", 2, 1,
     {"zone": ZONE.replace("p=reject; sp", "p=quarantine; sp")}),
    ("quarantined with p=quarantine or t=y in", "bank.example", 2, 1,
     {"zone": ZONE.replace("p=reject; sp", "t=y; p=reject; sp")}),
    ("with sp=none or t=y in the record of bank.example", "news.bank.example",
     1, 0, {"zone": ZONE.replace("sp=quarantine", "sp=quarantine; t=y")}),
    ("would be rejected with t=n in the record of test.example",
     "test.example", 1, 2, {"zone": ZONE.replace("; t=y", "")}),
    ("rejected with p=reject in the record of none.example", "none.example",
     0, 2, {"zone": ZONE.replace("p=none", "p=reject")}),
    ("a policy that can be used, or as p=none with a rua= that can",
     "bad.example", 4, 0,
     {"zone": ZONE.replace("reject-all", "reject-all; rua=mailto:a@b.example")}),
    ("An override for this client", "bank.example", 2, 0,
     {"conf": "override o { client = 203.0.113.0/24 action = accept }"}),
    ("one DMARC record at _dmarc.plain.example", "plain.example", 0, 2,
     {"zone": ZONE + txt("_dmarc.plain.example", "v=DMARC1; p=reject")}),
    ("a force rule for plain.example", "plain.example", 0, 2,
     {"conf": 'force f { from = {"plain.example"} policy = reject }'}),
])
def test_what_it_says_is_true(home, said, author, before, after, changed):
    """Each thing that it says would change the verdict, tried."""
    sender = f"alice@{author}"
    text = explain(home, sender, status=before, sender="a@loop.example")
    assert any(said in line for line in changes(text)), changes(text)
    explain(home, sender, status=after,
            **{"sender": "a@loop.example", **changed})


@pytest.mark.parametrize("tag, changed", [
    ("adkim", {"signer": "m.strict.example"}),
    ("aspf", {"sender": "alice@m.strict.example"})])
def test_a_looser_alignment_would_do(home, tag, changed):
    text = explain(home, "alice@strict.example", status=1, **changed)
    assert any(f"It would pass with {tag}=r" in line for line in changes(text))
    explain(home, "alice@strict.example", status=0, **changed,
            zone=ZONE.replace(f"{tag}=s", f"{tag}=r"))


def test_a_strict_alignment(home):
    text = explain(home, "alice@strict.example", status=1,
                   sender="alice@m.strict.example", signer="m.strict.example")
    assert changes(text)[:2] == [
        "It would pass with adkim=r in the record: then signature 1, of "
        "d=m.strict.example, were aligned.",
        "It would pass with aspf=r in the record: then SPF, which passed for "
        "m.strict.example, were aligned."]
    text = explain(home, "alice@strict.example", status=1)
    assert changes(text)[0] == (
        "It would pass with a DKIM signature that verifies, of "
        "d=strict.example itself.")
    # each identifier has its own
    text = explain(home, "alice@strict.example", status=1, sender="a@b.example",
                   zone=ZONE.replace("aspf=s", "aspf=r"))
    assert changes(text)[:2] == [
        "It would pass with a DKIM signature that verifies, of "
        "d=strict.example itself.",
        "It would pass with SPF pass for an envelope sender of strict.example "
        f"or a name below it{OWN}."]


def test_a_policy_that_was_lowered(home):
    text = explain(home, "alice@test.example", status=1)
    assert changes(text)[2:] == [
        "It would be let through as failed with p=none or p=quarantine in the "
        "record of test.example.",
        "It would be rejected with t=n in the record of test.example.",
        OVERRIDE]
    text = explain(home, "alice@none.example", status=0)
    assert changes(text)[2:] == [
        "It would be quarantined with p=quarantine in the record of "
        "none.example.",
        "It would be rejected with p=reject in the record of none.example."]
    text = explain(home, "alice@bad.example", status=4)
    assert changes(text) == [
        "It would be judged with a policy that can be used, or as p=none with "
        "a rua= that can, in the record of bad.example (RFC 9989 4.10.1)."]


def test_an_answer_that_is_missing(home):
    (home / "message").write_bytes(senders.message("alice@bank.example"))
    (home / "proxy.conf").write_text("eval-timeout = 300ms\n")
    done = subprocess.run(
        [DMARCGATECTL, "eval", "--dns", f"127.0.0.1:{free_port()}", "-c",
         home / "proxy.conf", home / "message"],
        capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 3, (done.stdout, done.stderr)
    assert changes(done.stdout) == [
        f"It may be decided with an answer to {question}."
        for question in ("A bank.example", "TXT _dmarc.bank.example",
                         "TXT _dmarc.example")]


def test_rules_of_this_gate(home):
    conf = (f'override lists {{ client = {STRANGER}/32 action = accept }}\n'
            'force brands { from = {"plain.example"} policy = reject }\n')
    text = explain(home, "alice@bank.example", status=0, conf=conf)
    assert changes(text)[2:] == [
        "Without the override lists it would be rejected."]
    text = explain(home, "alice@plain.example", status=2, client=CLIENT,
                   conf=conf)
    assert changes(text)[2:] == [
        "Without the force rule brands it would be let through, and not "
        "judged.", OVERRIDE]
    text = explain(home, "alice@bank.example", status=2,
                   conf="dmarc { mode = monitor }")
    assert changes(text)[-1] == "With mode = enforce the gate would reject it."
    text = explain(home, "alice@bank.example", status=1, sender="a@loop.example",
                   conf="dmarc { reject-mode = evidence }")
    assert ("It would be rejected with reject-mode = policy, or were there more "
            "evidence than DMARC's (RFC 9989 8).") in changes(text)


def test_what_a_pass_rests_on(home):
    text = explain(home, "alice@bank.example", status=0, client=CLIENT)
    assert changes(text) == [
        "It rests on SPF alone; without it, it would fail, and be rejected "
        "(as when somebody forwards it)."]
    text = explain(home, "alice@bank.example", status=0, signer="bank.example")
    assert changes(text) == [
        "It rests on one DKIM signature alone; without it, it would fail, and "
        "be rejected."]
    text = explain(home, "alice@bank.example", status=0, client=CLIENT,
                   signer="bank.example")
    assert changes(text) == [
        "It rests on more than one identifier that is aligned; no change of "
        "one alone would fail it."]


def test_nothing_published_and_nobody_named(home):
    text = explain(home, "alice@plain.example", status=0)
    assert changes(text) == [
        "It would be judged with one DMARC record at _dmarc.plain.example, or "
        "with a force rule for plain.example."]
    for octets, fault in ((b"Subject: x\r\n\r\n", "there is none"),
                          (b"From: a@bank.example\r\nFrom: b@none.example"
                           b"\r\n\r\n", "there are several")):
        for word, status in (("reject", 2), ("tag", 1), ("accept", 0)):
            # what a policy asks for is never made milder
            if fault == "there are several":
                status = 2
            text = explain(home, "alice@none.example", status=status,
                           octets=octets, conf=f"dmarc {{ bad-from = {word} }}")
            assert changes(text) == [
                "First, one From field that names one author without doubt is "
                f"needed ({fault}); nothing passes before."]


def test_the_header_fields_that_the_gate_takes(home):
    """senders.message() has five of them."""
    explain(home, "alice@none.example", status=0,
            conf="limit { header-fields = 5 }")
    assert explain(home, "alice@none.example", status=65,
                   conf="limit { header-fields = 4 }") == ""


def test_a_hostile_message_has_a_clear_result(home):
    """What it costs, make bench says."""
    for case in hostile.cases():
        status, text, _ = hostile.judge(case, home)
        assert status == case.status, (case.name, text[:2000])
        assert case.shows in text, (case.name, text[:2000])
        if status < 64:
            assert "\nVerdict: dmarc=" in text, case.name
            assert "\nWhat would have changed it\n  - " in text, case.name
            assert len(text) < 50000, case.name
