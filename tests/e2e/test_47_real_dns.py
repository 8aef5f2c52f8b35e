# SPDX-License-Identifier: BSD-2-Clause
"""DNS of real servers: NSD, which knows its zone, and Unbound, which validates
what a signed one says."""

import pytest

from tests.e2e import senders
from tests.e2e.parts import txt
from tests.e2e.process import free_port
from tests.e2e.senders import BAD, GOOD, message, sign
from tests.e2e.test_46_dns import REJECT, TEMPERROR, asked, judge
from tests.e2e.validator import SignedNsd, Unbound

RECORD = "v=DMARC1; p=reject"

ZONE = senders.zone() + "".join([
    # Policies behind CNAMEs, one of them broken off.
    "_dmarc.alias.example. 300 IN CNAME one.example.\n",
    "one.example. 7 IN CNAME two.example.\n",
    txt("two.example", RECORD),
    f"alias.example. 300 IN A {GOOD}\n",
    "_dmarc.broken.example. 300 IN CNAME gone.example.\n",
    f"broken.example. 300 IN A {GOOD}\n",
    "_dmarc.round.example. 300 IN CNAME _dmarc.round2.example.\n",
    "_dmarc.round2.example. 300 IN CNAME _dmarc.round.example.\n",
    # More than a packet holds.
    txt("_dmarc.large.example", RECORD),
    *(txt("_dmarc.large.example", str(i) * 250) for i in range(9)),
    # Names that exist by a wildcard alone, and an alias of nothing.
    txt("_dmarc.wild.example", "v=DMARC1; p=none; np=reject"),
    "*.wild.example. 300 IN MX 10 mail.wild.example.\n",
    txt("_dmarc.tame.example", "v=DMARC1; p=none; np=reject"),
    "www.tame.example. 300 IN CNAME gone.example.\n",
    txt("_dmarc.bogus.example", "v=DMARC1; p=quarantine; fo=1"),
])

# Sender, exit status, result, and rcode, TTL and records of the policy.
CASES = {
    "a policy": ("reject.example", REJECT, "fail", "NOERROR", 300, 1),
    "behind CNAMEs": ("alias.example", REJECT, "fail", "NOERROR", 7, 1),
    "behind a CNAME to nothing": ("broken.example", 0, "none", "NOERROR", 60,
                                  0),
    "over TCP": ("large.example", REJECT, "fail", "NOERROR", 300, 10),
    "no such name": ("silent.example", 0, "none", "NXDOMAIN", 60, 0),
}


@pytest.fixture(name="unbound", scope="module")
def _unbound():
    """In front of a zone in which one policy is not what was signed."""
    with SignedNsd(ZONE, {"p=quarantine; fo=1": "p=none; fo=1"}) as nsd:
        with Unbound(nsd) as server:
            yield server


@pytest.fixture(name="plain", scope="module")
def _plain():
    with SignedNsd(ZONE) as server:
        yield server


@pytest.fixture(name="server", params=["nsd", "unbound"])
def _server(request):
    return request.getfixturevalue(
        {"nsd": "plain", "unbound": "unbound"}[request.param])


def judge_by(servers, domain, **options):
    return judge(servers, message(f"ceo@{domain}"), sender=f"ceo@{domain}",
                 **options)


@pytest.mark.parametrize("what", CASES)
def test_an_answer_is_what_the_zone_says(server, what):
    domain, status, result, rcode, ttl, records = CASES[what]
    verdict = judge_by([server], domain, status=status)
    assert verdict["dmarc"]["result"] == result
    policy = asked(verdict, f"_dmarc.{domain}")
    assert (policy["rcode"], len(policy["answer"])) == (rcode, records)
    assert ttl - 5 <= policy["ttl"] <= ttl   # Unbound counts down


def test_cnames_in_a_circle_are_a_temperror(server):
    verdict = judge_by([server], "round.example", status=TEMPERROR)
    assert verdict["dmarc"]["result"] == "temperror"


@pytest.mark.parametrize("domain, exists", [
    ("a.wild.example", True), ("www.tame.example", True),
    ("gone.tame.example", False)])
def test_whether_the_author_exists(server, domain, exists):
    verdict = judge_by([server], domain, status=0 if exists else REJECT)
    assert verdict["dmarc"]["author_exists"] is exists


def test_a_server_that_is_not_there_is_passed_over(server):
    class Nobody:
        port = free_port()
    verdict = judge_by([Nobody, server], "reject.example", status=REJECT)
    assert verdict["dmarc"]["result"] == "fail"


def test_what_is_validated_and_what_is_bogus(unbound, plain):
    verdict = judge_by([unbound], "reject.example", settings="trust-ad = yes")
    assert all(each["ad"] for each in verdict["dns"])
    for server, settings in (unbound, ""), (plain, "trust-ad = yes"):
        verdict = judge_by([server], "reject.example", settings=settings)
        assert not any(each["ad"] for each in verdict["dns"])
    verdict = judge_by([unbound], "bogus.example", status=TEMPERROR,
                       settings="trust-ad = yes")
    assert asked(verdict, "_dmarc.bogus.example")["rcode"] == "SERVFAIL"
    assert verdict["dmarc"]["result"] == "temperror"


def test_the_gate_lives_on_what_it_knows(gate, postfix):
    """The server goes away behind the first mail; a second one of the same
    sender is judged as before, one of another sender is not known."""
    def deliver(domain):
        with mx.client(BAD) as client:
            client.ehlo("x.example")
            octets = sign(message(f"a@{domain}"), domain)
            return client.deliver(f"a@{domain}", ["bob@backend.example"],
                                  octets).code

    with SignedNsd(ZONE) as nsd, Unbound(nsd) as server:
        mx = gate(backend=postfix.port, dns=server.port,
                  dmarc={"temperror": "defer"},
                  resolver={"trust-ad": True, "dns-timeout": "300ms",
                            "dns-tries": 1})
        assert deliver("reject.example") == 250
    assert deliver("reject.example") == 250
    assert deliver("quarantine.example") == 451
    first, second, third = mx.wait_verdicts(3)
    assert first["dmarc"]["result"] == second["dmarc"]["result"] == "pass"
    assert not any(each["cached"] for each in first["dns"])
    assert all(each["cached"] and each["ad"] for each in second["dns"])
    assert third["dmarc"]["result"] == "temperror"
