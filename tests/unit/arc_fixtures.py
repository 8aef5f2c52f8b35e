#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Write messages with ARC chains for test_dmarc_arc.c, sealed now, with keys
made now.

    arc_fixtures.py DIRECTORY

Each message is NAME.eml; "zone" holds the key records, a name and a text in
each line. The signer is that of dkim_fixtures.py; the sets are composed here
(RFC 8617 5.1), not by what is tested.
"""

import base64
import hashlib
import sys
from pathlib import Path

from dkim.canonicalization import CanonicalizationPolicy
from dkim_fixtures import Ed25519, Rsa, message, select

HEADER = [("From", " Boss <boss@victim.example>"),
          ("To", " bob@backend.example"),
          ("Subject", " A  message\r\n\tthat is folded"),
          ("Message-ID", " <1@victim.example>")]
BODY = b"Hello,\r\n\r\n white  space \t\r\nand a dot:\r\n.\r\n\r\n\r\n"

AAR, AMS, SEAL = ("ARC-Authentication-Results", "ARC-Message-Signature",
                  "ARC-Seal")
GOOD = "dmarc=pass header.from=victim.example"
BAD = "dmarc=fail header.from=victim.example"

ZONE = {}
KEYS = {}


def publish(domain, key, record=None):
    """A key under the selector s, with its usual record or another."""
    ZONE[f"s._domainkey.{domain}"] = key.record if record is None else record
    KEYS[domain] = key


def tag_list(tags):
    return " " + "; ".join(f"{name}={value}" for name, value in tags.items()
                           if value is not None) + ";\r\n\tb="


def sign(key, policy, fields):
    """b= for fields, of which the last is the signature itself."""
    octets = b""
    for name, value in policy.canonicalize_headers(
            [(n.encode(), v.encode() + b"\r\n") for n, v in fields]):
        octets += name + b":" + value
    return base64.b64encode(key.sign("rsa-sha256", octets[:-2])).decode()


def algorithm(key):
    return "ed25519-sha256" if isinstance(key, Ed25519) else "rsa-sha256"


def message_signature(header, body, domain, instance, tags):
    value = {"i": instance, "a": algorithm(KEYS[domain]),
             "c": "relaxed/relaxed", "d": domain, "s": "s",
             "h": "from:to:subject"}
    value.update(tags)
    policy = CanonicalizationPolicy.from_c_value(value["c"].encode())
    hashed = policy.canonicalize_body(body)
    if "l" in value:
        hashed = hashed[:int(value["l"])]
    value.setdefault("bh", base64.b64encode(
        hashlib.sha256(hashed).digest()).decode())
    text = tag_list(value)
    signed = select(header, value["h"]) + [(AMS, text)]
    return text + sign(KEYS[domain], policy, signed)


def sets_of(header):
    """The fields of the chain in the order in which a seal covers them: that
    in which they were added, and these sets are added on top."""
    return [field for field in reversed(header) if field[0].startswith("ARC-")]


def seal(header, domain, results=GOOD, body=BODY, ams=None, tags=None):
    """The header with one more set on top."""
    instance = sum(name == SEAL for name, _ in header) + 1
    header = [(AAR, f" i={instance}; {domain}; {results}")] + header
    header = [(AMS, message_signature(header, body, domain, instance,
                                      ams or {}))] + header
    value = {"i": instance, "a": algorithm(KEYS[domain]),
             "cv": "none" if instance == 1 else "pass",
             "d": domain, "s": "s", "t": 1_700_000_000}
    value.update(tags or {})
    text = tag_list(value)
    policy = CanonicalizationPolicy.from_c_value(b"relaxed/relaxed")
    made = sign(KEYS[domain], policy, sets_of(header) + [(SEAL, text)])
    return [(SEAL, text + made)] + header


def chain(*domains, header=None, **given):
    header = header or HEADER
    for domain in domains:
        header = seal(header, domain, **given)
    return header


def changed(header, name, before, after, nth=0):
    """The nth field of that name, from the top, with another text in it."""
    at = [i for i, field in enumerate(header) if field[0] == name][nth]
    assert before in header[at][1], (name, before)
    return (header[:at] + [(name, header[at][1].replace(before, after, 1))]
            + header[at + 1:])


def without(header, name, nth=0):
    at = [i for i, field in enumerate(header) if field[0] == name][nth]
    return header[:at] + header[at + 1:]


def write(name, header, body=BODY):
    (DIRECTORY / f"{name}.eml").write_bytes(message(header, body))


def good_chains():
    write("none", HEADER)
    write("pass1", chain("one.example"))
    write("pass3", chain("one.example", "two.example", "three.example"))
    write("rsa", chain("rsa.example", "one.example"))
    write("simple", chain("one.example", ams={"c": "simple/simple"}))
    write("upper", chain("one.example", tags={"d": "ONE.example"}))
    later = changed(chain("one.example"), "Subject", " A", " [list] A")
    write("old-broken", chain("two.example", "three.example", header=later))
    eleven = ("one.example", "two.example") * 5 + ("one.example",)
    write("eleven", chain(*eleven))
    write("eleven-broken", chain(*eleven[1:], header=later))
    write("fifty", chain(*("one.example", "two.example") * 25))
    write("sixty-keys", many_sealers())
    write("heavy", chain(*["one.example"] * 50, results=GOOD + " (" +
                         "word " * 600 + ")",
                         ams={"h": "from:" + ":".join([AAR] * 49)}))
    write("own-in-h", chain("one.example", "two.example",
                            ams={"h": "from:" + ":".join([AMS] * 3)}))
    write("length", chain("one.example", ams={"l": "10"}),
          BODY + b"more\r\n")
    write("no-from", chain("one.example", ams={"h": "to:subject"}))
    write("surplus", [("Subject", " Another")] + chain("one.example"))


def many_sealers():
    """Every set with another key, and every message signature with one more:
    of the seals that is 50, of the signatures that are looked at 10."""
    header = HEADER
    for i in range(50):
        publish(f"n{i}.example", Ed25519())
        publish(f"m{i}.example", KEYS[f"n{i}.example"])
        header = seal(header, f"n{i}.example", ams={"d": f"m{i}.example"})
    return header


def broken_sets():
    two = chain("one.example", "two.example")
    write("body", two, BODY + b"more\r\n")
    write("header", changed(two, "Subject", " A", " B"))
    write("oversigned", [("From", " Eve <eve@evil.example>")] +
          chain("one.example", ams={"h": "from:from:to:subject"}))
    for name, field, nth in (("aar1", AAR, 1), ("ams1", AMS, 1),
                             ("seal1", SEAL, 1), ("aar2", AAR, 0)):
        write(name, changed(two, field, ".example", "-x.example", nth))
    false = changed(chain("one.example"), SEAL, "t=17", "t=16")
    write("false-seal1", seal(false, "two.example"))
    write("without-aar", without(two, AAR, 1))
    write("without-ams", without(two, AMS, 0))
    write("without-seal", without(two, SEAL, 1))
    write("gap", without(without(without(two, AAR, 1), AMS, 1), SEAL, 1))
    write("repeated", [two[0]] + two)
    write("no-instance", changed(two, AMS, "i=2; ", ""))
    write("instance-0", changed(two, SEAL, "i=2; ", "i=0; "))
    write("instance-51", changed(two, AAR, "i=2; ", "i=51; "))
    write("instance-100", changed(two, AAR, "i=2; ", "i=100; "))
    write("no-aar-semicolon", changed(two, AAR, "i=2; ", "i=2 "))


def broken_seals():
    write("cv-fail", seal(chain("one.example"), "two.example",
                          tags={"cv": "fail"}))
    write("cv-pass-first", chain("one.example", tags={"cv": "pass"}))
    write("cv-none-second", chain("one.example", "two.example",
                                  tags={"cv": "none"}))
    write("cv-absent", chain("one.example", tags={"cv": None}))
    write("seal-h", chain("one.example", tags={"h": "from"}))
    write("seal-in-h", chain("one.example", "two.example",
                             ams={"h": "from:arc-seal"}))
    write("expired", chain("one.example", ams={"x": "1700000000"}))
    write("sha1", chain("one.example", ams={"a": "rsa-sha1"}))
    write("long-h", chain("one.example", ams={"h": ":".join(["from"] * 101)}))
    write("l-beyond", chain("one.example", ams={"l": "9999"},
                            body=BODY))
    for name in ("revoked", "absent", "dead"):
        write(f"key-{name}", chain("one.example", f"{name}.example"))


def vouching():
    """What sealers say of the author."""
    one, two = "one.example", "two.example"
    write("vouch1", chain(one))
    write("vouch2", seal(chain(one), two, results=BAD))
    write("vouch-none", chain(one, results=BAD))
    write("vouch-new-from", changed(
        chain(one, ams={"h": "to:subject"}), "From", "victim", "careful"))
    write("vouch-other", chain(
        one, results="dmarc=pass header.from=other.example"))
    write("vouch-twice", chain(
        one, results="dmarc=fail header.from=victim.example; " + GOOD))
    write("vouch-quoted", chain(
        one, results='spf=pass smtp.mailfrom="x; ' + GOOD +
        '"@evil.example; dmarc=fail header.from=victim.example'))
    write("vouch-comment", chain(
        one, results="dmarc=fail (dmarc=pass; (" + GOOD + ")) "
        "header.from=victim.example"))
    write("vouch-dkim", chain(
        one, results="dkim=pass header.d=mail.victim.example"))
    write("vouch-dkim-other", chain(
        one, results="dkim=pass header.d=victim.example.evil.example"))
    write("vouch-spf", chain(
        one, results="spf=pass smtp.mailfrom=boss@victim.example"))
    write("vouch-strict", chain(
        one, header=changed(HEADER, "From", "victim", "strict"),
        results="dkim=pass header.d=mail.strict.example"))
    write("vouch-garbled", chain(one, results=GOOD + "; spf=pass ("))
    write("vouch-remote", chain(
        one, results="arc=none smtp.remote-ip=\"2001:db8::1a\"; " + GOOD))
    write("vouch-length", chain(one, ams={"l": "10"}), BODY + b"more\r\n")
    write("vouch-no-from", chain(one, ams={"h": "to:subject"}))
    write("vouch-surplus", [("Content-Type", " text/html")] + chain(
        one, header=HEADER + [("Content-Type", " text/plain")],
        ams={"h": "from:to:subject:content-type"}))


def main():
    for domain in ("one.example", "two.example", "three.example",
                   "dead.example", "absent.example"):
        publish(domain, Ed25519())
    publish("rsa.example", Rsa(2048))
    publish("revoked.example", Ed25519(), "v=DKIM1; k=ed25519; p=")
    for name in ("absent", "dead"):
        del ZONE[f"s._domainkey.{name}.example"]
    good_chains()
    broken_sets()
    broken_seals()
    vouching()
    (DIRECTORY / "zone").write_text(
        "".join(f"{name}\t{text}\n" for name, text in ZONE.items()))


if __name__ == "__main__":
    DIRECTORY = Path(sys.argv[1])
    DIRECTORY.mkdir(parents=True, exist_ok=True)
    main()
