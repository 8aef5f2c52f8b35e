# SPDX-License-Identifier: BSD-2-Clause
"""Messages and records made to cost as much as they can: what dmarcgatectl
eval is asked to judge, for the test that each has a clear result and for the
bench that says what it costs."""

import os
import statistics
import subprocess
from dataclasses import dataclass

import dkim

from tests.e2e.gate import DMARCGATECTL
from tests.e2e.parts import txt
from tests.e2e.senders import key

CLIENT = "203.0.113.66"
CPU_MS_MAX = 50
WIDE = "header-size = 16M\n"
HEAD = (b"From: Alice <alice@sender.example>\r\n"
        b"To: bob@backend.example\r\nSubject: hostile\r\n"
        b"Date: Sat, 21 Nov 2026 12:00:00 +0000\r\n"
        b"Message-ID: <1@sender.example>\r\n")
BODY = b"Hello.\r\n" * 100
POLICY = txt("_dmarc.sender.example.", "v=DMARC1; p=reject")


@dataclass
class Case:
    """A message, what DNS says, and a text that the explanation shows, or the
    complaint where the header is refused (status 65)."""

    name: str
    message: bytes
    shows: str
    zone: str = ""
    status: int = 2
    conf: str = ""


def plain():
    return HEAD + b"\r\n" + BODY


def sign(message, domain=b"sender.example", selector=b"s1", names=None):
    """A DKIM-Signature field that verifies with the one key."""
    return dkim.sign(message, selector, domain, key()[0],
                     canonicalize=(b"relaxed", b"relaxed"),
                     include_headers=names or [b"from", b"subject"])


def key_record(domain="sender.example", selector="s1"):
    return txt(f"{selector}._domainkey.{domain}.",
               f"v=DKIM1; k=rsa; p={key()[1]}")


def signatures(count, domains=64):
    """So many that verify, of many strangers' domains in turn."""
    made = [sign(plain(), b"d%d.example" % i) for i in range(domains)]
    return b"".join(made[i % domains] for i in range(count)) + plain()


def signature_cases():
    keys = "".join(key_record(f"d{i}.example") for i in range(64))
    yield Case("1,000 DKIM-Signatures", signatures(1000),
               "more than 1000 fields", status=65, conf=WIDE)
    yield Case("990 DKIM-Signatures", signatures(990),
               "958 more are neither verified nor listed", keys, conf=WIDE)
    own = sign(plain()).replace(b"h=from : subject",
                                b"h=from" + b":x" * 3999)
    assert b":x:x" in own
    yield Case("h= of 4,000 names", own + plain(),
               "1: policy (a signature over 8192 octets", key_record())


    # as many as one signature has room for
    few = (b"DKIM-Signature: v=1; a=rsa-sha256; d=sender.example; s=s1;"
           b" bh=" + b"A" * 43 + b"=; b=AAAA; h=from" + b":x" * 3999 + b"\r\n")
    assert len(few) <= 8192
    yield Case("h= of 4,000 names, in 8 KB", few + plain(),
               "1: policy, d=sender.example", key_record())


def large_headers():
    yield Case("a 1 MB header", b"X-Large: " + b"y" * 1000 * 1000 + b"\r\n"
               + plain(), "header-size", status=65)
    large = (b"".join(b"X-Large: " + b"y  " * 350 + b"\r\n"
                      for _ in range(950)) + plain())
    yield Case("a 1 MB header, of 950 fields, signed", sign(
        large, names=[b"from", b"subject"] + [b"x-large"] * 90) + large,
        "pass, d=sender.example", key_record(), 0, WIDE)
    folded = (b"X-Large: " + b"\r\n ".join([b"y  " * 24] * 14000)
              + b"\r\n" + plain())
    yield Case("a 1 MB header, of one field, signed 6 times", b"".join(
        sign(folded, b"d%d.example" % i, names=[b"from", b"x-large"])
        for i in range(6)) + folded,
        "4: policy", "".join(
            key_record(f"d{i}.example") for i in range(6)), 2, WIDE)
    several = (b"From: " + b",\r\n ".join(
        b"u%d <u@d%d.example>" % (i, i) for i in range(40000)) + b"\r\n\r\n")
    yield Case("a From of 1 MB", several, "names too many domains", "", 2, WIDE)


def fan_out(domain, depth):
    """Ten includes, each of ten includes, and so on."""
    if depth == 0:
        return txt(f"{domain}.", "v=spf1 -all")
    return txt(f"{domain}.", "v=spf1 " + " ".join(
        f"include:i{i}.{depth}.example" for i in range(10)) + " -all")


def chains():
    """As many sets as there may be, and more."""
    for count in 50, 300:
        sets = b"".join(
            b"ARC-Seal: i=%d; a=rsa-sha256; cv=%s; d=sender.example; s=s1;"
            b" b=AAAA\r\nARC-Message-Signature: i=%d; a=rsa-sha256;"
            b" d=sender.example; s=s1; h=from:subject; bh=%s=; b=AAAA\r\n"
            b"ARC-Authentication-Results: i=%d; mx.example; dmarc=pass\r\n"
            % (i, b"pass" if i > 1 else b"none", i, b"A" * 43, i)
            for i in range(count, 0, -1))
        yield Case(f"{count} ARC sets", sets + plain(), "ARC (RFC 8617)\n  fail",
                   key_record(), 2, WIDE)


def record_cases():
    includes = fan_out("sender.example", 6) + "".join(
        fan_out(f"i{i}.{depth}.example", depth - 1)
        for depth in range(6, 0, -1) for i in range(10))
    yield Case("SPF, fan-out 10, depth 6", plain(),
               "more than 10 terms that cause DNS look-ups", includes)
    long = "v=spf1 " + "a:x.example " * 5300 + "-all"
    yield Case("SPF, 64 KB of TXT", plain(), "the SPF record is too long",
               txt("sender.example.", long))
    yield Case("SPF, 32 KB of TXT", plain(), "Result: fail",
               txt("sender.example.",
                   "v=spf1 " + "ip4:192.0.2.1 " * 2300 + "-all"))
    macros = " ".join(["exists:" + "%{l1r+-}" * 60 + ".x.example"] * 10)
    yield Case("SPF, ten names of 60 macros", plain(), "Result: ",
               txt("sender.example.", f"v=spf1 {macros} -all"))
    yield Case("DMARC, 64 KB of TXT", plain(), "Policy: p=reject",
               txt("_dmarc.sender.example.", "v=DMARC1; p=reject; "
                   + "x=y; " * 12800))
    yield Case("a DKIM key, 64 KB of TXT", sign(plain()) + plain(), "permerror",
               txt("s1._domainkey.sender.example.",
                   "v=DKIM1; k=rsa; p=" + "QUJD" * 16000))


def cases():
    yield Case("(nothing hostile)", sign(plain()) + plain(), "it verifies",
               key_record(), 0)
    yield from signature_cases()
    yield from large_headers()
    yield from chains()
    yield from record_cases()


def judge(case, home):
    """Run it: exit status, all it printed, and ms of CPU time."""
    (home / "message").write_bytes(case.message)
    (home / "zone").write_text(
        case.zone + ("" if "_dmarc.sender" in case.zone else POLICY))
    (home / "proxy.conf").write_text(case.conf)
    with open(home / "output", "wb") as output:
        child = subprocess.Popen(
            [DMARCGATECTL, "eval", "--zone", home / "zone", "-c",
             home / "proxy.conf", "--ip", CLIENT, "--helo", "x.example",
             "--mail-from", "a.b.c@sender.example", home / "message"],
            stdout=output, stderr=output)
        _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    return (child.returncode, (home / "output").read_text("utf-8", "replace"),
            1000 * (usage.ru_utime + usage.ru_stime))


def report(home, runs=5):
    """Print what each costs."""
    print("CPU-ms of dmarcgatectl eval, from its start to its end\n"
          " median (max)  hostile message                              exit",
          flush=True)
    for case in cases():
        done = [judge(case, home) for _ in range(runs)]
        status, text, _ = done[0]
        cpu = [ms for _, _, ms in done]
        end = text.index(case.shows) + len(case.shows)
        shown = text[text.rindex("\n", 0, end) + 1 if "\n" in text[:end]
                     else 0:].splitlines()[0]
        shown = shown.replace(f"dmarcgatectl: {home}/message: ", "").strip()
        over = f"OVER {CPU_MS_MAX} ms: " if max(cpu) > CPU_MS_MAX else ""
        print(f"{statistics.median(cpu):>7.1f} ({max(cpu):.1f})  {case.name:44} "
              f"{status:>4}  {over}{shown[:76]}", flush=True)
