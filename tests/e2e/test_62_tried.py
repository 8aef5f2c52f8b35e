# SPDX-License-Identifier: BSD-2-Clause
"""Whatever dmarcgatectl eval says would have changed the verdict is tried.

Many situations are made from records, rules and settings, each by each; every
line that is printed under "What would have changed it" must be one that is
known here, is done, and must come out as it says."""

import itertools
import random
import re
import subprocess

import pytest

from tests.e2e import senders
from tests.e2e.gate import DMARCGATECTL
from tests.e2e.parts import txt
from tests.e2e.process import scratch

HOME, STRANGER = "192.0.2.10", "203.0.113.66"
STATUS = {"let through": 0, "let through as failed": 0,
          "let through, and not judged": 0, "treated as on-fail-none says": 0,
          "quarantined": 1, "rejected": 2}

RECORDS = ["p=none", "p=reject", "p=reject; t=y", "p=none; t=y",
           "p=quarantine; pct=30", "p=reject; pct=0", "p=none; pct=0",
           "p=reject; pct=30; t=y", "p=foo; rua=mailto:d@a.example",
           "p=reject; sp=none", "p=none; np=reject; aspf=s", None]

OTHERS = ["", "reject-mode = evidence ", "honour-pct = yes ",
          "on-fail-none = tag ", "reject-mode = evidence honour-pct = yes "]

NET = f"client = {STRANGER}/32"
RULES = [[],
         [("override", "o1", NET + " action = accept")],
         [("override", "o1", NET + " action = quarantine"),
          ("override", "o2", NET + " action = accept")],
         [("override", "o1", NET + " action = reject")],
         [("override", "o1", 'from = {"b.example"} action = reject'),
          ("override", "o2", 'from = {"a.example"} action = quarantine')],
         [("force", "f1", 'from = {"a.example"} policy = quarantine'),
          ("force", "f2", 'from = {"a.example"} policy = reject')],
         [("force", "f1", 'from = {"a.example"} policy = reject'),
          ("override", "o1", NET + " action = accept")]]

SITUATIONS = 40

FROMS = ["x@a.example", "x@sub.a.example", "x@a.example, y@b.example"]


class Situation:
    """One message in one world, and what eval says of it."""

    def __init__(self, home, record, settings="", rules=(), author=FROMS[0],
                 client=STRANGER, sender="x@other.example", ident=None,
                 signer=None, more=""):
        self.args = dict(record=record, settings=settings, rules=rules,
                         author=author, client=client, sender=sender,
                         ident=ident, signer=signer, more=more)
        self.home = home

    def but(self, **changed):
        return Situation(self.home, **{**self.args, **changed})

    def judge(self):
        """(status, lines of what would have changed it)"""
        a, home = self.args, self.home
        zone = "".join(
            [txt(f"_dmarc.{name}", f"v=DMARC1; {record}") for name, record in
             (("a.example", a["record"]), ("b.example", "p=none")) if record]
            + [txt(name, f"v=spf1 ip4:{HOME} -all")
               for name in ("a.example", "m.a.example", "other.example")]
            + [txt("s1._domainkey.a.example", f"v=DKIM1; p={senders.key()[1]}"),
               "m.a.example. 300 IN A 192.0.2.1\n", a["more"]])
        message = senders.message("FROM").replace(
            b"<FROM>", a["author"].encode())
        if a["signer"]:
            message = senders.sign(message, a["signer"])
        (home / "message").write_bytes(message)
        (home / "zone").write_text(zone)
        (home / "conf").write_text(
            f"dmarc {{ {a['settings']} }}\n"
            + "".join(f"{kind} {name} {{ {text} }}\n"
                      for kind, name, text in a["rules"]))
        done = subprocess.run(
            [DMARCGATECTL, "eval", "--zone", home / "zone", "-c", home / "conf",
             "--ip", a["client"], "--helo", "x.example", "--mail-from",
             a["sender"], *(["--id", a["ident"]] if a["ident"] else []),
             home / "message"],
            capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode < 5, done.stderr
        lines = done.stdout.partition("What would have changed it\n")[2]
        return done.returncode, [line[4:] for line in lines.splitlines()]

    def without(self, name):
        return self.but(rules=[rule for rule in self.args["rules"]
                               if rule[1] != name])


def id_that_is(situation, is_in, pct):
    """An id at the first or the last place: found by asking."""
    for i in range(2000):
        digest = 2166136261
        for octet in str(i).encode():
            digest = (digest ^ octet) * 16777619 % 2**32
        if (digest % 100 < pct) == is_in:
            return situation.but(ident=str(i))
    raise AssertionError("no such id")


def trials(situation, line):
    """What the line says, as (changed situation, status that it names)."""
    a = situation.args
    if m := re.fullmatch(r"It would be (.*?) with (.*) in the record of "
                         r"a\.example\.", line):
        return [(situation.but(record=f"{tags}; {a['record']}"), STATUS[m[1]])
                for tags in m[2].split(" or ")]
    if m := re.fullmatch(r"Without the (?:override|force rule) (\w+) it would "
                         r"be (.*?)( as well)?\.", line):
        return [(situation.without(m[1]), STATUS[m[2]])]
    if m := re.fullmatch(r"(In|Outside of) the sample of pct=(\d+) it would be "
                         r"(.*)\.", line):
        return [(id_that_is(situation, m[1] == "In", int(m[2])),
                 STATUS[m[3]])]
    if line.startswith("It would be rejected with reject-mode = policy"):
        return [(situation.but(settings=a["settings"].replace(
            "evidence", "policy")), 2)]
    if line.startswith("An override for this client"):
        return [(situation.but(rules=[
            ("override", "new", f"client = {a['client']} action = accept"),
            *a["rules"]]), 0)]
    if line.startswith("It would pass with a DKIM signature that verifies"):
        return [(situation.but(signer="a.example"), 0)]
    if line.startswith("It would pass with aspf=r in the record"):
        return [(situation.but(record=f"aspf=r; {a['record']}"), 0)]
    if line.startswith("It would pass with SPF pass for an envelope sender of"):
        sender = (a["author"].split(",")[0] if "or a name" not in line
                  else "x@a.example")
        return [(situation.but(
            client=HOME, sender=sender, more=a["more"] + txt(
                sender[2:], f"v=spf1 ip4:{HOME} -all")
            if sender != "x@a.example" else a["more"]), 0)]
    if line.startswith("It would pass if SPF passed"):
        return [(situation.but(client=HOME), 0)]
    if m := re.match(r"It rests on (SPF|one DKIM signature) alone; without it, "
                     r"it would (fail, and be (.*?)|not pass|be undecided)"
                     r"( \(as when somebody forwards it\))?\.$", line):
        gone = (situation.but(sender="x@nothing.example") if m[1] == "SPF"
                else situation.but(signer=None))
        return [(gone, STATUS[m[3]] if m[3] else None)]
    if "It would be judged with one DMARC record" in line:
        return [(situation.but(record="p=reject"), None)]
    if "Each of the author domains must pass" in line:
        return []
    raise AssertionError(f"nobody knows how to try: {line}")


def try_all(situation):
    """Number of things tried."""
    before, lines = situation.judge()
    count = 0
    for line in lines:
        is_for_all = "Each of the author" not in lines[0]
        for changed, status in trials(situation, line):
            if not is_for_all and line.startswith("It would pass"):
                continue  # the other author must pass, too
            after, _ = changed.judge()
            count += 1
            assert status is None or after == status, (
                situation.args, before, line, changed.args, after)
            assert line.endswith("as well.") or after != before or (
                line.startswith(("It would pass", "It rests", "It would be "
                                 "judged", "Without the "))), (
                situation.args, before, line, after)
    return count


def some(seed):
    """(record, settings, rules), some of all that there are."""
    return random.Random(seed).sample(
        list(itertools.product(RECORDS, OTHERS, RULES)), SITUATIONS)


@pytest.mark.parametrize("author", FROMS)
def test_what_fails(author):
    home = scratch("tried")
    count = sum(try_all(Situation(home, record, settings, rules, author))
                for record, settings, rules in some(author))
    print(f"tried: {count} things said of a failure, from {author}")
    assert count >= SITUATIONS


@pytest.mark.parametrize("changed", [
    {"client": HOME, "sender": "x@a.example"}, {"signer": "a.example"},
    {"client": HOME, "sender": "x@m.a.example"}, {"ident": "sampled.1"}],
    ids=["spf", "dkim", "spf-below", "sampled"])
def test_what_passes_or_is_out_of_a_sample(changed):
    home = scratch("tried")
    count = sum(try_all(Situation(home, record, settings, rules, **changed))
                for record, settings, rules in some(str(changed)))
    print(f"tried: {count} things said of {changed}")
    assert count >= SITUATIONS
