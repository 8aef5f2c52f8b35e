# SPDX-License-Identifier: BSD-2-Clause
"""Domains that send mail in the tests, with their keys and DNS records.

GOOD is the one address that every domain's SPF allows; BAD is nobody's. Each
POLICY.example publishes the policy of its name: reject.example, …
"""

import functools
import subprocess

import dkim

from tests.e2e.parts import txt

GOOD, BAD, GOOD6 = "192.0.2.10", "203.0.113.66", "2001:db8::10"
POLICIES = ("reject", "quarantine", "none")


@functools.cache
def key():
    """One RSA-2048 key for all: its PEM, and the p= of its DNS record."""
    pem = subprocess.run(["openssl", "genrsa", "2048"], check=True,
                         capture_output=True).stdout
    public = subprocess.run(["openssl", "rsa", "-pubout"], input=pem,
                            check=True, capture_output=True).stdout.decode()
    return pem, "".join(line for line in public.splitlines()
                        if not line.startswith("-"))


def zone():
    """DNS records of all sending domains, for a zone file."""
    lines = []
    for policy in POLICIES:
        name = f"{policy}.example."
        lines += [f"{name} 300 IN A {GOOD}\n",
                  txt(name, f"v=spf1 ip4:{GOOD} ip6:{GOOD6} -all"),
                  txt(f"_dmarc.{name}", f"v=DMARC1; p={policy}; "
                      f"rua=mailto:dmarc@{policy}.example"),
                  txt(f"s1._domainkey.{name}", f"v=DKIM1; k=rsa; p={key()[1]}")]
    lines += ["silent.example. 300 IN A 192.0.2.10\n",
              "10.2.0.192.in-addr.arpa. 300 IN PTR mail.reject.example.\n",
              f"mail.reject.example. 300 IN A {GOOD}\n"]
    return "".join(lines)


def message(author, body="Hello.\r\n", fields=()):
    """The octets of a message, with one From field and further `fields`."""
    lines = [f"From: <{author}>", "To: <bob@backend.example>",
             "Subject: a test", "Date: Sat, 21 Nov 2026 12:00:00 +0000",
             f"Message-ID: <1@{author.split('@')[-1]}>", *fields]
    return "\r\n".join(lines + ["", body]).encode()


def sign(octets, domain):
    """The message with a DKIM-Signature of the domain's on top."""
    return dkim.sign(octets, b"s1", domain.encode(), key()[0],
                     include_headers=[b"from", b"to", b"subject", b"date",
                                      b"message-id"]) + octets
