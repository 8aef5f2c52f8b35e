# SPDX-License-Identifier: BSD-2-Clause
"""DNS that is slow, wrong, hostile or half there: what cannot be known is a
temporary error, never a fail and never "there is no policy"."""

import json
import resource
import struct
import subprocess
import time

import dns.message
import dns.reversename
import pytest

from tests.e2e import senders
from tests.e2e.hostile_dns import (Rounds, Server, Zone, answer, name_of,
                                   type_of, wire)
from tests.e2e.gate import DMARCGATECTL
from tests.e2e.process import scratch
from tests.e2e.senders import BAD, GOOD

POLICY = "_dmarc.reject.example"
RECORD = '"v=DMARC1; p=reject"'
TEMPERROR = 3   # what eval ends with
REJECT = 2

ZONE = Zone({
    ("reject.example", "A"): [(300, GOOD)],
    ("reject.example", "TXT"): [(300, f'"v=spf1 ip4:{GOOD} -all"')],
    (POLICY, "TXT"): [(300, RECORD)],
})


@pytest.fixture(name="served")
def _served():
    """Start a server by its answers: served(answers)."""
    started = []

    def start(answers, kind=Server, **settings):
        started.append(kind(answers, **settings))
        return started[-1]

    yield start
    for server in started:
        server.__exit__()


def judge(servers, octets=None, status=None, sender="ceo@reject.example",
          address=BAD, settings=""):
    """The verdict of eval, by these servers."""
    home = scratch("dns")
    (home / "message").write_bytes(octets or senders.message(sender))
    listed = ", ".join(f'"127.0.0.1:{server.port}"' for server in servers)
    (home / "proxy.conf").write_text(
        f"resolver {{ servers = {{{listed}}} dns-tries = 1 "
        f"dns-timeout = 400ms {settings} }}\n")
    done = subprocess.run(
        [DMARCGATECTL, "eval", "--json", "-c", home / "proxy.conf",
         "--ip", address, "--helo", "x.example", "--mail-from", sender,
         home / "message"], capture_output=True, text=True, check=False,
        timeout=60)
    if status is not None:
        assert done.returncode == status, (done.stdout, done.stderr)
    return json.loads(done.stdout)


def asked(verdict, name=POLICY, kind="TXT"):
    """What the verdict says of one question."""
    one, = [each for each in verdict["dns"]
            if (each["name"], each["type"]) == (name, kind)]
    return one


def policy_by(make):
    """Answers that are the zone's, but for the policy."""
    return lambda question, is_tcp=False: (
        make(question, is_tcp) if name_of(question) == POLICY
        else ZONE(question))


# --- what is no answer ---


def raw(question, data, count=1, name=b"\xc0\x0c", kind=16):
    """A response with one record of these very octets."""
    octets = wire(answer(question))
    at = 12 + len(question.question[0].name.to_wire()) + 4
    return (octets[:6] + struct.pack("!HHH", count, 0, 0) + octets[12:at]
            + name + struct.pack("!HHIH", kind, 1, 300, len(data)) + data)


def other_id(question):
    octets = wire(answer(question, rcode="NXDOMAIN"))
    return bytes([octets[0] ^ 1]) + octets[1:]


def other_question(question):
    other = dns.message.make_query("_dmarc.other.example", "TXT")
    other.id = question.id
    return answer(other, f"_dmarc.other.example 300 TXT {RECORD}")


def late(question, _is_tcp):
    """Behind the time-out; a lie, since it is a lie that must not count."""
    time.sleep(0.6)
    return [answer(question, rcode="NXDOMAIN")]


def chain(question, length):
    names = [POLICY] + [f"n{i}.example" for i in range(length)]
    return answer(question, *[f"{a} 300 CNAME {b}."
                              for a, b in zip(names, names[1:])],
                  f"{names[-1]} 300 TXT {RECORD}")


def pointers(question):
    """16 KB of pointers, each to the one before, and thousands of names that
    are the last of them."""
    octets = wire(answer(question))
    at = 12 + len(question.question[0].name.to_wire()) + 4
    head = octets[12:at] + b"\xc0\x0c" + struct.pack("!HHIH", 99, 1, 1, 16000)
    place, chained = 12, b""
    for i in range(8000):
        chained += struct.pack("!H", 0xc000 | place)
        place = 12 + len(head) + 2 * i
    name = struct.pack("!H", 0xc000 | place)
    records = (name + struct.pack("!HHIH", 16, 1, 1, 0)) * 4000
    return (octets[:6] + struct.pack("!HHH", 4001, 0, 0) + head + chained
            + records)


FAILURES = {
    # what the server sends -> rcode of the verdict
    "nothing": (lambda q, t: [], "time-out"),
    "no policy, too late": (late, "time-out"),
    "SERVFAIL": (lambda q, t: [answer(q, rcode="SERVFAIL")], "SERVFAIL"),
    "REFUSED": (lambda q, t: [answer(q, rcode="REFUSED")], "REFUSED"),
    "NOTIMP": (lambda q, t: [answer(q, rcode="NOTIMP")], "NOTIMP"),
    "FORMERR": (lambda q, t: [answer(q, rcode="FORMERR")], "FORMERR"),
    "a referral": (lambda q, t: [answer(
        q, authority=["example 300 NS ns.example."])], "referral"),
    "the policy of another id": (lambda q, t: [other_id(q)], "time-out"),
    "another question": (lambda q, t: [other_question(q)], "time-out"),
    "a question again": (lambda q, t: [q.to_wire()], "malformed answer"),
    "half a header": (lambda q, t: [wire(answer(q))[:7]], "time-out"),
    "a header alone": (lambda q, t: [wire(answer(q))[:12]], "time-out"),
    "records that are not there": (
        lambda q, t: [raw(q, b"\x02ab", count=9)], "malformed answer"),
    "a string beyond its record": (
        lambda q, t: [raw(q, b"\xffab")], "malformed answer"),
    "a name that points to itself": (
        lambda q, t: [raw(q, b"\x02ab", name=struct.pack(
            "!H", 0xc000 | (12 + len(POLICY) + 2 + 4)))], "malformed answer"),
    "a name that points ahead": (
        lambda q, t: [raw(q, b"\x02ab", name=b"\xff\xff")],
        "malformed answer"),
    "a CNAME of itself": (
        lambda q, t: [answer(q, f"{POLICY} 300 CNAME {POLICY}.")],
        "CNAME chain too long"),
    "CNAMEs in a circle": (
        lambda q, t: [answer(q, f"{POLICY} 300 CNAME a.example.",
                             "a.example 300 CNAME b.example.",
                             f"b.example 300 CNAME {POLICY}.")],
        "CNAME chain too long"),
    "twenty CNAMEs": (lambda q, t: [chain(q, 20)], "CNAME chain too long"),
    "truncated, and no TCP": (
        lambda q, t: [] if t else [answer(q, flags="TC")], "time-out"),
    "truncated, also over TCP": (
        lambda q, t: [answer(q, flags="TC")], "truncated"),
    "200 records over TCP": (
        lambda q, t: [answer(q, *[f'{POLICY} 300 TXT "{i}"'
                                  for i in range(200)])] if t
        else [answer(q, flags="TC")], "too many records"),
    "64 KB of pointers over TCP": (
        lambda q, t: [pointers(q)] if t else [answer(q, flags="TC")],
        "too many records"),
}


@pytest.mark.parametrize("what", FAILURES)
def test_no_answer_is_a_temperror(served, what):
    make, rcode = FAILURES[what]
    verdict = judge([served(policy_by(make))], status=TEMPERROR)
    assert verdict["dmarc"]["result"] == "temperror"
    assert verdict["disposition"] == "none"
    assert asked(verdict)["rcode"] == rcode


@pytest.mark.parametrize("what", FAILURES)
def test_another_server_has_the_answer(served, what):
    lying = served(policy_by(FAILURES[what][0]))
    verdict = judge([lying, served(ZONE)], status=REJECT)
    assert verdict["dmarc"]["result"] == "fail"
    assert asked(verdict)["answer"] == ["v=DMARC1; p=reject"]
    assert lying.count(POLICY) >= 1


@pytest.mark.parametrize("what", ["nothing", "SERVFAIL", "malformed"])
def test_spf_and_dkim_that_are_not_known_are_no_fail(served, what):
    """An identifier that could still be aligned is open: RFC 9989 5.3.6."""
    failing = {"nothing": lambda q: [],
               "SERVFAIL": lambda q: [answer(q, rcode="SERVFAIL")],
               "malformed": lambda q: [raw(q, b"\xffab")]}[what]
    octets = senders.sign(senders.message("ceo@reject.example"),
                          "reject.example")
    for name in "reject.example", "s1._domainkey.reject.example":
        verdict = judge([served(
            lambda q, is_tcp, name=name: failing(q)
            if (name_of(q), type_of(q)) == (name, "TXT") else ZONE(q))],
            octets, status=TEMPERROR)
        part = (verdict["spf"] if name == "reject.example"
                else verdict["dkim"][0])
        assert part["result"] == "temperror"
        assert verdict["disposition"] == "none"


def test_a_hostile_answer_costs_little(served):
    """64 KB of pointers to pointers once took 1.7 s of CPU."""
    server = served(policy_by(FAILURES["64 KB of pointers over TCP"][0]))
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    judge([server], status=TEMPERROR)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert (POLICY, "TXT", True) in server.questions
    assert after.ru_utime - before.ru_utime < 0.5


# --- answers that take some care ---


def test_a_forgery_before_the_answer_is_passed_over(served):
    verdict = judge([served(policy_by(
        lambda q, t: [other_id(q), other_question(q), b"", b"x" * 11,
                      *ZONE(q)]))], status=REJECT)
    assert asked(verdict)["rcode"] == "NOERROR"


@pytest.mark.parametrize("octets", [600, 1400, 60000])
def test_large_answers_come_over_tcp(served, octets):
    """A record among others that fill a packet, up to 64 KB."""
    junk = " ".join(['"' + "x" * 250 + '"'] * (octets // 251))
    server = served(policy_by(
        lambda q, t: [answer(q, f"{POLICY} 300 TXT {junk}",
                             f"{POLICY} 300 TXT {RECORD}")]
        if t or octets < 1232 else [answer(q, flags="TC")]))
    verdict = judge([server], status=REJECT)
    assert "v=DMARC1; p=reject" in asked(verdict)["answer"]
    assert ((POLICY, "TXT", True) in server.questions) == (octets > 1232)


@pytest.mark.parametrize("records", [
    [f"{POLICY} 300 TXT {RECORD}", f'{POLICY} 7 TXT "other"'],
    [f"{POLICY} 7 CNAME p.example.", f"p.example 300 TXT {RECORD}"],
    [f"{POLICY} 300 CNAME p.example.", "p.example 7 CNAME q.example.",
     f"q.example 300 TXT {RECORD}"],
    [f"q.example 300 TXT {RECORD}", "p.example 300 CNAME q.example.",
     f"{POLICY} 7 CNAME p.example."],
])
def test_the_smallest_ttl_counts(served, records):
    # As rrsets of their own: one TTL each.
    verdict = judge([served(policy_by(lambda q, t: [answer(q, *records)]))],
                    status=REJECT)
    assert asked(verdict)["ttl"] == 7


def test_a_cname_without_its_end_is_followed(served):
    def make(question, _is_tcp):
        if name_of(question) == POLICY:
            return [answer(question, f"{POLICY} 50 CNAME p.example.",
                           flags="AA")]
        if name_of(question) == "p.example":
            return [answer(question, f"p.example 300 TXT {RECORD}")]
        return ZONE(question)

    server = served(make)
    verdict = judge([server], status=REJECT)
    assert asked(verdict)["ttl"] == 50
    assert server.count("p.example") == 1


def test_no_such_name_behind_a_cname_is_about_the_target(served):
    """The author's name is an alias of nothing: it exists, sp= applies and
    not np=."""
    author = "www.reject.example"
    records = '"v=DMARC1; p=none; sp=none; np=reject"'

    def make(question, _is_tcp):
        if (name_of(question), type_of(question)) == (author, "A"):
            return [answer(question, f"{author} 300 CNAME gone.example.",
                           rcode="NXDOMAIN")]
        if name_of(question) == POLICY:
            return [answer(question, f"{POLICY} 300 TXT {records}")]
        return ZONE(question)

    verdict = judge([served(make)], status=0, sender=f"a@{author}")
    assert verdict["dmarc"]["author_exists"] is True
    assert verdict["dmarc"]["policy"] == "none"
    assert asked(verdict, author, "A")["rcode"] == "NOERROR"
    # Without the alias it is np=.
    verdict = judge([served(lambda q, t: ZONE(q) if name_of(q) == author
                            else make(q, t))], status=REJECT,
                    sender=f"a@{author}")
    assert verdict["dmarc"]["author_exists"] is False


def test_an_answer_is_validated_if_the_server_is_trusted(served):
    server = served(policy_by(
        lambda q, t: [answer(q, f"{POLICY} 300 TXT {RECORD}", flags="AD")]))
    assert asked(judge([server]))["ad"] is False
    verdict = judge([server], settings="trust-ad = yes")
    assert asked(verdict)["ad"] is True
    assert asked(verdict, "reject.example", "A")["ad"] is False


# --- for how long ---

KEPT = {
    # settings, what is answered -> how often it is asked for two messages
    "by its TTL": ("", ZONE, 1),
    "a TTL of 0, for ttl-min": (
        "ttl-min = 1h", lambda q: [answer(q, f"{POLICY} 0 TXT {RECORD}")], 1),
    "not longer than ttl-max": ("ttl-max = 1s", ZONE, 2),
    "nothing, by its SOA": (
        "", lambda q: [answer(q, rcode="NXDOMAIN", authority=[
            ". 60 SOA ns. host. 1 1 1 1 60"])], 1),
    "nothing, not longer than negative-ttl-max": (
        "negative-ttl-max = 0", lambda q: [answer(
            q, rcode="NXDOMAIN", authority=[
                ". 60 SOA ns. host. 1 1 1 1 60"])], 2),
    "a failure, for failure-ttl": (
        "failure-ttl = 5m", lambda q: [answer(q, rcode="SERVFAIL")], 1),
    "no failure, without it": (
        "failure-ttl = 0", lambda q: [answer(q, rcode="SERVFAIL")], 2),
    "not what cache-size has no room for": (
        "cache-size = 64k", lambda q: [answer(q, *[
            f'{POLICY} 300 TXT "{i:03}{"x" * 247}" "{"x" * 250}"'
            for i in range(126)])], 2),
}


@pytest.mark.parametrize("what", KEPT)
def test_for_how_long_answers_are_kept(served, gate, postfix, what):
    settings, make, count = KEPT[what]

    def fit(question, is_tcp):
        response, = make(question)
        return [response if is_tcp or len(wire(response)) <= 1232
                else answer(question, flags="TC")]

    server = served(policy_by(fit))
    words = dict([settings.split(" = ")] if settings else [])
    mx = gate(backend=postfix.port, dns=server.port, resolver=words,
              top={"name-timeout": 0})
    for _ in range(2):
        with mx.client(GOOD) as client:
            client.ehlo("x.example")
            assert client.deliver(
                "ceo@reject.example", ["bob@backend.example"],
                senders.message("ceo@reject.example")).code == 250
        time.sleep(1.1)   # longer than ttl-max
    mx.wait_verdicts(2)
    assert len([asked for asked in server.questions if asked == (
        POLICY, "TXT", what.endswith("room for"))]) == count


# --- how many questions, and when ---


def labels(name, count):
    return ".".join(name.split(".")[-count:])


def test_discovery_takes_one_round_trip(served):
    """All names of the author's walk and of the signer's, whether the author
    exists, SPF and the key: the server answers none before it has been asked
    for all."""
    author = "a.b.c.d.e.f.g.h.reject.example"
    signer = "s.t.reject.example"
    wanted = {(f"_dmarc.{name}", "TXT") for domain in (author, signer)
              for name in [domain, *(labels(domain, n) for n in range(
                  1, min(8, domain.count(".") + 1)))]}
    assert len(wanted) == 8 + 2
    wanted |= {(author, "A"), (author, "TXT"),
               (f"s1._domainkey.{signer}", "TXT")}
    zone = Zone({(f"s1._domainkey.{signer}", "TXT"):
                 [(300, " ".join(f'"{part}"' for part in
                                 ("v=DKIM1; p=", senders.key()[1][:200],
                                  senders.key()[1][200:])))],
                 (author, "TXT"): [(300, '"v=spf1 -all"')],
                 (author, "A"): [(300, GOOD)],
                 (POLICY, "TXT"): [(300, RECORD)]})
    server = served(zone, Rounds, expected=wanted)
    verdict = judge([server], senders.sign(senders.message(f"x@{author}"),
                                           signer),
                    status=0, sender=f"x@{author}")
    assert verdict["dmarc"]["result"] == "pass"
    assert verdict["dkim"][0]["aligned"]
    assert server.rounds == 1
    assert len(server.questions) == len(wanted)


def test_the_gate_asks_in_one_round_trip(served, gate, postfix):
    """What it wants to know of the client, the sender and the author, though
    it learns of them one after the other."""
    author = "news.lists.reject.example"
    wanted = {(f"_dmarc.{labels(author, n)}", "TXT") for n in range(1, 5)}
    wanted |= {(author, "A"), ("reject.example", "TXT")}
    server = served(ZONE, Rounds, expected=wanted)
    mx = gate(backend=postfix.port, dns=server.port, top={"name-timeout": 0},
              resolver={"dns-timeout": "10s"})
    with mx.client(GOOD) as client:
        client.ehlo("x.example")
        assert client.deliver("a@reject.example", ["bob@backend.example"],
                              senders.message(f"a@{author}")).code == 250
    verdict, = mx.wait_verdicts(1)
    assert verdict["dmarc"]["result"] == "pass"
    assert server.rounds == 1
    assert wanted <= {asked[:2] for asked in server.questions}


def greedy():
    """A message that asks for all it can: of eight authors, and the signatures
    of twenty domains."""
    authors = [f"<a@a.b.c.d.e.f.g.o{i}>" for i in range(7)]
    signatures = "".join(
        f"DKIM-Signature: v=1; a=rsa-sha256; d={i}.reject.example; s=s;\r\n"
        f" h=from; bh={'A' * 43}=; b=AAAA\r\n" for i in range(20))
    return (signatures + f"From: {', '.join(authors)},\r\n"
            " <ceo@reject.example>\r\n\r\nHello.\r\n").encode()


def test_questions_of_a_message_are_capped(served):
    """What a message wastes is its own loss: the author's record is looked up
    all the same, and what it would ask beyond is a temporary error."""
    sender = "a.b.c.d.e.f.greedy.example"
    names = ["unknown"] + [f"m{i}" for i in range(9)]
    terms = " ".join(f"mx:{name}.%{{d}}" for name in ["%{p}"] + names[1:])
    zone = Zone({
        **ZONE.records,
        (sender, "TXT"): [(300, f'"v=spf1 {terms} -all"')],
        (dns.reversename.from_address(BAD).to_text(True), "PTR"): [
            (300, f"p{k}.{sender}.") for k in range(10)],
        **{(f"{name}.{sender}", "MX"): [
            (300, f"10 x{k}.{name}.{sender}.") for k in range(10)]
           for name in names}})
    server = served(zone)
    verdict = judge([server], greedy(), REJECT, f"x@{sender}")
    assert verdict["spf"]["result"] == "fail"
    assert len(server.questions) > 220
    server = served(zone)
    verdict = judge([server], greedy(), REJECT, f"x@{sender}",
                    settings="questions = 200")
    assert verdict["spf"]["result"] == "temperror"
    assert len(server.questions) == 200
