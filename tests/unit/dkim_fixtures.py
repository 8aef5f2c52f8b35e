#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Write messages for test_dmarc_dkim.c, signed now, with keys made now.

    dkim_fixtures.py DIRECTORY

Each message is NAME.eml; "zone" holds the key records, a name and a text in
each line. Canonicalization and RSA are those of Debian's python3-dkim, which
also verifies what it knows how to; the tags of each signature are ours.
"""

import base64
import hashlib
import subprocess
import sys
from pathlib import Path

import dkim
import nacl.signing
from dkim.canonicalization import CanonicalizationPolicy
from dkim.crypto import (HASH_ALGORITHMS, RSASSA_PKCS1_v1_5_sign,
                         parse_pem_private_key)

NOW = 1_800_000_000  # what the test takes for the time
DOMAIN = "signer.example"

HEADER = [("From", " Alice <alice@signer.example>"),
          ("To", " bob@backend.example"),
          ("Subject", " A  message\r\n\tthat is folded"),
          ("Message-ID", " <1@signer.example>")]
BODY = b"Hello,\r\n\r\n white  space \t\r\nand a dot:\r\n.\r\n\r\n\r\n"

ZONE = {}


class Rsa:
    """An RSA key; its record has it as SubjectPublicKeyInfo."""

    def __init__(self, bits, exponent=65537):
        made = subprocess.run(
            ["openssl", "genpkey", "-algorithm", "RSA",
             "-pkeyopt", f"rsa_keygen_bits:{bits}",
             "-pkeyopt", f"rsa_keygen_pubexp:{exponent}"],
            check=True, capture_output=True).stdout
        self.private = parse_pem_private_key(made)
        der = subprocess.run(["openssl", "pkey", "-pubout", "-outform", "DER"],
                             input=made, check=True, capture_output=True)
        self.public = base64.b64encode(der.stdout).decode()
        self.record = f"v=DKIM1; k=rsa; p={self.public}"

    def sign(self, algorithm, text):
        digest = HASH_ALGORITHMS[algorithm.encode()](text)
        return RSASSA_PKCS1_v1_5_sign(digest, self.private)


class Ed25519:
    """RFC 8463: the key is 32 octets, what is signed the SHA-256 digest."""

    def __init__(self):
        self.private = nacl.signing.SigningKey.generate()
        self.public = base64.b64encode(self.private.verify_key.encode()).decode()
        self.record = f"v=DKIM1; k=ed25519; p={self.public}"

    def sign(self, _, text):
        return self.private.sign(hashlib.sha256(text).digest()).signature


def published(selector, key, record=None):
    """A key under a selector, with its usual record or another."""
    ZONE[f"{selector}._domainkey.{DOMAIN}"] = record or key.record
    return selector, key


def signature(header, body, selected, **tags):
    """The value of a DKIM-Signature for header and body. Tags are given by
    name; None leaves one out; order and the rest are the usual ones."""
    selector, key = selected
    value = {"v": "1", "a": "rsa-sha256", "c": "relaxed/relaxed", "d": DOMAIN,
             "s": selector, "h": "from:to:subject"}
    if isinstance(key, Ed25519):
        value["a"] = "ed25519-sha256"
    value.update(tags)
    policy = CanonicalizationPolicy.from_c_value(
        value["c"] and value["c"].encode())  # None: simple/simple
    hashed = policy.canonicalize_body(body)
    if tags.get("l") is not None:
        hashed = hashed[:int(tags["l"])]
    digest = hashlib.sha1 if value["a"] == "rsa-sha1" else hashlib.sha256
    value.setdefault("bh", base64.b64encode(digest(hashed).digest()).decode())
    text = " " + "; ".join(f"{name}={word}" for name, word in value.items()
                           if word is not None) + ";\r\n\tb="
    signed = select(header, value["h"]) + [("DKIM-Signature", text)]
    octets = b""
    for name, word in policy.canonicalize_headers(
            [(n.encode(), w.encode() + b"\r\n") for n, w in signed]):
        octets += name + b":" + word
    made = key.sign(value["a"], octets[:-2])  # its own line end is not hashed
    return text + base64.b64encode(made).decode()


def select(header, names):
    """RFC 6376 5.4.2: the last field of a name that is left, for each."""
    left, chosen = list(header), []
    for name in names.split(":"):
        for field in reversed(left):
            if field[0].strip().lower() == name.strip().lower():
                chosen.append(field)
                left.reverse()
                left.remove(field)
                left.reverse()
                break
    return chosen


def message(header, body):
    return b"".join(f"{name}:{value}\r\n".encode()
                    for name, value in header) + b"\r\n" + body


def write(name, header, body=BODY):
    (DIRECTORY / f"{name}.eml").write_bytes(message(header, body))


def sign(name, selected, body=BODY, header=None, **tags):
    """A message with one signature; its header."""
    header = header or HEADER
    signed = [("DKIM-Signature", signature(header, body, selected, **tags))]
    write(name, signed + header, body)
    return signed + header


def check(header, body, verdict):
    """python3-dkim must agree: it shows that what we sign is signed."""
    def txt(name, timeout=5):
        return ZONE[name.decode().rstrip(".")].encode()

    assert dkim.verify(message(header, body), dnsfunc=txt) is verdict


def plain(rsa, ed25519):
    """Signatures as they are in mail."""
    check(sign("rsa2048", rsa), BODY, True)
    check(sign("simple", rsa, c="simple/simple"), BODY, True)
    check(sign("ed25519", ed25519), BODY, True)
    sign("header-only-c", rsa, c="relaxed")
    sign("no-c", rsa, c=None)
    sign("spaced", rsa, h="From : To :\r\n\t Subject")
    sign("oversigned", rsa, h="from:from:to:subject:subject:reply-to")
    several = HEADER + [("Received", " from a"), ("received", " from b"),
                        ("RECEIVED", "\tfrom c")]
    for c in ("simple", "relaxed"):
        sign(f"bottom-up-{c}", rsa, header=several, c=f"{c}/{c}",
             h="from:received:Received:subject:received:received:cc")
        sign(f"obs-{c}", rsa, c=f"{c}/{c}", header=[
            (name + " \t", value) for name, value in HEADER])
    header = sign("bottom-up-turned", rsa, header=several,
                  h="from:received:received")
    write("bottom-up-turned", header[:-2] + [header[-1], header[-2]])
    sign("identity", rsa, i="=41lice@mail.signer.example")
    sign("dated", rsa, t=str(NOW - 60), x=str(NOW + 3600))
    sign("q", rsa, q="foo/bar:dns/txt")
    sign("b-spaced", rsa)
    text = (DIRECTORY / "b-spaced.eml").read_bytes()
    at = text.index(b"\tb=") + 3
    (DIRECTORY / "b-spaced.eml").write_bytes(
        text[:at] + b"\r\n " + text[at:at + 40] + b"\r\n\t" + text[at + 40:])
    for c in ("simple", "relaxed"):
        sign(f"empty-{c}", rsa, body=b"", c=f"{c}/{c}")
        sign(f"blank-{c}", rsa, body=b"\r\n\r\n", c=f"{c}/{c}")
        header = sign(f"no-line-end-{c}", rsa, body=b"one\r\ntwo \r\n",
                      c=f"{c}/{c}")
        write(f"no-line-end-{c}", header, b"one\r\ntwo ")
        sign(f"long-{c}", rsa, c=f"{c}/{c}",
             body=b"".join(b"line %d  of many\t\r\n\r\n" % i
                           for i in range(3000)))
    two = [("DKIM-Signature", signature(HEADER, BODY, ed25519)),
           ("DKIM-Signature", signature(HEADER, BODY, rsa))]
    write("two", two + HEADER)


def changed(rsa):
    """What was changed on the way, or is not what was signed."""
    header = sign("broken-body", rsa)
    check(header, BODY + b"x\r\n", False)
    write("broken-body", header, BODY.replace(b"dot", b"dog"))
    write("broken-header", [(n, w.replace("message", "massage"))
                            for n, w in header])
    write("second-from", [("From", " mallory@other.example")] + sign(
        "oversigned-from", rsa, h="from:from:to"))
    write("oversigned-from", sign("oversigned-from", rsa, h="from:from:to"))
    broken = ("DKIM-Signature", signature(HEADER, b"other\r\n", rsa))
    write("one-of-two", [broken] + header)
    header = sign("l", rsa, l="6")
    sign("l-all", rsa, c="simple/simple",
         l=str(len(BODY.rstrip(b"\r\n")) + 2))
    sign("utf8", rsa, d="m\u00fcnchen.example")
    write("l-more", header, BODY[:6] + b"\r\nappended\r\n")
    write("l-too-long", sign("l-too-long", rsa, l="9999"))


def keys(rsa, small):
    """Keys that are weak, gone, or not for this."""
    sign("rsa1024", small[1024])
    sign("rsa1020", small[1020])
    sign("rsa512", small[512])
    sign("exponent", small["exponent"])
    sign("sha1", rsa, a="rsa-sha1")
    records = {
        "revoked": "v=DKIM1; p=", "no-p": "v=DKIM1; k=rsa",
        "version": f"v=DKIM2; p={rsa[1].public}",
        "type": f"k=ed25519; p={rsa[1].public}",
        "sha1-only": f"h=sha1; p={rsa[1].public}",
        "service": f"s=tlsrpt; p={rsa[1].public}",
        "twice-p": f"p={rsa[1].public}; p={rsa[1].public}",
        "not-base64": "p=*", "not-der": "p=AAAA",
        "bare": f"p={rsa[1].public};",
        "star": f"v=DKIM1; h=sha1:sha256; s=foo:*; t=y; n=x; "
                f"p={rsa[1].public[:40]} {rsa[1].public[40:]}",
        "domain-only": f"t=y:s; p={rsa[1].public}",
        "full": f"p={rsa[1].public}; n=" + "x" * (1020 - 5 - 392),
        "over": f"p={rsa[1].public}; n=" + "x" * (1022 - 5 - 392),
        "far-over": f"p={rsa[1].public}; n=" + "x" * 4000,
        "utf8": f"n=\u00e4; p={rsa[1].public}",
    }
    assert len(records["full"]) <= 1024 < len(records["over"]) + 5
    records["full"] += "x" * (1024 - len(records["full"]))
    records["over"] += "x" * (1025 - len(records["over"]))
    for name, record in records.items():
        sign("key-" + name, published(name, rsa[1], record))
    sign("key-domain-only-below", ("domain-only", rsa[1]),
         i="@mail.signer.example")
    sign("key-none", ("none", rsa[1]))
    sign("key-dead", ("dead", rsa[1]))
    sign("key-several", ("several", rsa[1]))
    sign("key-no-keys", ("no-keys", rsa[1]))
    for name in "beside", "twin", "withdrawn":
        sign("key-" + name, published(name, rsa[1]))


def tags(rsa):
    """Signatures that are malformed: to refuse them takes no cryptography."""
    usual = {"v": "1", "a": "rsa-sha256", "c": "relaxed/relaxed", "d": DOMAIN,
             "s": rsa[0], "h": "from:to", "bh": "AAAA", "b": "AAAA"}
    for name, more in {
            "v2": {"v": "2"}, "no-v": {"v": None}, "no-a": {"a": None},
            "md5": {"a": "rsa-md5"}, "no-d": {"d": None}, "no-s": {"s": None},
            "no-b": {"b": None}, "empty-b": {"b": ""}, "no-bh": {"bh": None},
            "bad-bh": {"bh": "a*b"}, "bad-d": {"d": "signer..example"},
            "literal-d": {"d": "1.2.3.4"}, "no-h": {"h": None},
            "no-from": {"h": "to:subject"}, "bad-h": {"h": "from:t o"},
            "bad-c": {"c": "nowsp"}, "bad-i": {"i": "signer.example"},
            "other-i": {"i": "@other.example"},
            "qp-i": {"i": "a=@signer.example"},
            "end-i": {"i": "@signer.example="}, "empty-i": {"i": ""},
            "bad-l": {"l": "1x"}, "huge-l": {"l": "99999999999999999999"},
            "bad-q": {"q": "foo/txt"}, "bad-x": {"x": "soon"},
            "t-over-x": {"t": str(NOW), "x": str(NOW)},
            "twice": {"d ": DOMAIN}, "bang": {"!cd": "x"}}.items():
        text = "; ".join(f"{tag}={word}" for tag, word
                         in {**usual, **more}.items() if word is not None)
        write("tag-" + name, [("DKIM-Signature", " " + text)] + HEADER)
    write("tag-none", [("DKIM-Signature", "")] + HEADER)


def times(rsa):
    """t= and x=, against the test's time, not today's."""
    sign("time-expired", rsa, x=str(NOW - 301))
    sign("time-future", rsa, t=str(NOW + 301))
    sign("time-just", rsa, t=str(NOW - 400), x=str(NOW - 299))
    sign("time-old", rsa, t="1500000000", x="1500000001000")
    no_from = [field for field in HEADER if field[0] != "From"]
    sign("missing-from", rsa, header=no_from)


def covering(rsa):
    """Signatures that sign other signatures."""
    def second(name, first):
        header = [("DKIM-Signature", first)] + HEADER
        made = signature(header, BODY, rsa, h="from:dkim-signature")
        write(name, [("DKIM-Signature", made)] + header)

    second("covers-expired", signature(HEADER, BODY, rsa, x=str(NOW - 9999)))
    second("covers-sha1", signature(HEADER, BODY, rsa, a="rsa-sha1"))
    second("covers-malformed", " v=1; garbage")


def hostile(rsa):
    """What costs time, or memory, or the heap."""
    made = signature(HEADER, BODY, rsa)
    one = ("DKIM-Signature", made)
    lengths = [("DKIM-Signature", made.replace("; h=", f"; l={i}; h="))
               for i in range(990)]
    write("thousand", [one] * 990 + HEADER)
    write("forty", [one] * 40 + HEADER)
    write("thousand-lengths", lengths + HEADER, BODY + b"x " * 500000)
    write("forty-lengths", lengths[:40] + HEADER, BODY + b"x " * 500000)
    write("sixteen-lengths", lengths[:16] + HEADER, BODY + b"x " * 500000)
    write("names", [("DKIM-Signature", signature(
        HEADER, BODY, rsa, h="from:to:" + ":".join(["x"] * 4000)))] + HEADER)
    write("names-101", [("DKIM-Signature", signature(
        HEADER, BODY, rsa, h=":".join(["from"] + ["x"] * 100)))] + HEADER)
    write("names-100", [("DKIM-Signature", signature(
        HEADER, BODY, rsa, h=":".join(["from"] + ["x"] * 99)))] + HEADER)
    write("names-long", [("DKIM-Signature", signature(
        HEADER, BODY, rsa, h="from:" + ":".join(["x" * 50] * 90)))] + HEADER)
    write("huge", [("DKIM-Signature", signature(
        HEADER, BODY, rsa, z="x" * 9000))] + HEADER)
    write("many-tags", [("DKIM-Signature", signature(
        HEADER, BODY, rsa, **{f"x{i}": "1" for i in range(70)}))] + HEADER)
    # h= uses up every field, itself too, and names one more
    for n in range(1, 9):
        fields = [("From", " a@signer.example")] + [
            (f"X-{i}", " y") for i in range(n)]
        names = ":".join(["from", "dkim-signature"] +
                         [f"x-{i}" for i in range(n)] + ["more", "more"])
        made = signature(fields, BODY, rsa, h=names)
        write(f"exhaust-{n}", [("DKIM-Signature", made)] + fields)
    fields = HEADER + [(f"X-{i}", " " + "y" * 900) for i in range(250)]
    write("sixteen-full", [("DKIM-Signature", signature(
        fields, BODY, rsa, h="from:" + ":".join(f"x-{i}" for i in range(99)))
        )] * 16 + fields)
    write("header-too-large", [one] + HEADER + [
        (f"X-{i}", " " + "y" * 990) for i in range(300)])
    fields = HEADER + [(f"X-{i}", " " + "y" * 990) for i in range(900)]
    write("sixteen-over-a-megabyte", [("DKIM-Signature", signature(
        fields, BODY, rsa, h="from:" + ":".join(f"x-{i}" for i in range(99)))
        )] * 16 + fields)
    sign("word", rsa, body=b"y" * 70000 + b"\r\n")
    sign("word-just", rsa, body=b"y" * 65536 + b"\r\n")


def main():
    DIRECTORY.mkdir(parents=True, exist_ok=True)
    rsa = published("rsa2048", Rsa(2048))
    ed25519 = published("ed25519", Ed25519())
    small = {bits: published(f"rsa{bits}", Rsa(bits))
             for bits in (1024, 1020, 512)}
    small["exponent"] = published("exponent", Rsa(1024, 2**64 + 13))
    plain(rsa, ed25519)
    changed(rsa)
    keys(rsa, small)
    tags(rsa)
    times(rsa)
    covering(rsa)
    hostile(rsa)
    ZONE["rsa2048._domainkey.xn--mnchen-3ya.example"] = rsa[1].record
    zone = "".join(f"{name}\t{text}\n" for name, text in ZONE.items())
    (DIRECTORY / "zone").write_text(zone, encoding="utf-8")


DIRECTORY = Path(sys.argv[1])

if __name__ == "__main__":
    main()
