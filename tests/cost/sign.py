#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Sign the messages that the dialogues of tests/cost hand over.

    tests/cost/sign.py

Writes their headers (the .header files) and the DNS that judges them
(cost.zone), with a key made for it and then forgotten; `body` stays as it is.
What is written lies in the tree: this need be run only to change a message, and
costs are new ones then.
"""

import base64
import subprocess
from pathlib import Path
from unittest import mock

import dkim

HERE = Path(__file__).resolve().parent
SIGNED_AT = 1795262397  # as Date has it; a stage's clock stands a little later
LARGE = 1 << 20  # octets of a large body, at least: see letter() in dialogue.c

FIELDS = """\
Received: from mail.sender.example (mail.sender.example [192.0.2.10])
	by out.sender.example (Postfix) with ESMTPS id 4F2k1q3XyZz1kq
	for <bob@backend.example>; Sat, 21 Nov 2026 11:59:58 +0000 (UTC)
From: Alice Example <alice@{author}>
To: Bob Example <bob@backend.example>
Cc: Carol Example <carol@backend.example>,
	Dave Example <dave@backend.example>
Subject: {subject}
Date: Sat, 21 Nov 2026 11:59:57 +0000
Message-ID: <20261121115957.4F2k1q3XyZz1kq@sender.example>
In-Reply-To: <20261120080011.17aa0c41@backend.example>
References: <20261119160322.9a1b2c3d@sender.example>
	<20261120080011.17aa0c41@backend.example>
MIME-Version: 1.0
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: 8bit
X-Mailer: Example Mail 7.3 (Linux; x86_64)
List-Unsubscribe: <https://sender.example/leave?id=0123456789abcdef>
"""
SIGNED = [b"from", b"to", b"cc", b"subject", b"date", b"message-id",
          b"in-reply-to", b"references", b"mime-version", b"content-type"]

ZONE = """\
; SPDX-License-Identifier: BSD-2-Clause
; The DNS of tests/cost, as sign.py wrote it. sender.example is honest; what says
; it is from victim.example is not.
$TTL 300
sender.example.              A     192.0.2.10
sender.example.              TXT   "v=spf1 include:_spf.sender.example -all"
_spf.sender.example.         TXT   "v=spf1 ip4:198.18.0.0/15 ip4:192.0.2.0/24 -all"
_dmarc.sender.example.       TXT   "v=DMARC1; p=reject; rua=mailto:d@sender.example"
victim.example.              A     203.0.113.1
victim.example.              TXT   "v=spf1 ip4:203.0.113.1 -all"
_dmarc.victim.example.       TXT   "v=DMARC1; p=reject; rua=mailto:d@victim.example"
client.example.              A     192.0.2.10
10.2.0.192.in-addr.arpa.     PTR   client.example.
s1._domainkey.sender.example. TXT (
{key}
)
"""


def new_key():
    """A private key, and the public one in base64."""
    private = subprocess.run(["openssl", "genrsa", "2048"], check=True,
                             capture_output=True).stdout
    public = subprocess.run(["openssl", "rsa", "-pubout", "-outform", "DER"],
                            input=private, check=True,
                            capture_output=True).stdout
    return private, base64.b64encode(public).decode()


def write_header(name, author, body, private):
    fields = FIELDS.format(author=author, subject=f"What a message costs: {name}")
    message = fields.replace("\n", "\r\n").encode() + b"\r\n" + body
    with mock.patch("time.time", return_value=SIGNED_AT):
        signature = dkim.sign(message, b"s1", b"sender.example", private,
                              canonicalize=(b"relaxed", b"relaxed"),
                              include_headers=SIGNED)
    header = signature.decode().replace("\r\n", "\n") + fields
    (HERE / f"{name}.header").write_text(header, "ascii")


def main():
    private, public = new_key()
    text = "v=DKIM1; k=rsa; p=" + public
    pieces = [text[at:at + 100] for at in range(0, len(text), 100)]
    (HERE / "cost.zone").write_text(ZONE.format(
        key="\n".join(f'\t"{piece}"' for piece in pieces)), "ascii")
    body = (HERE / "body").read_bytes().replace(b"\n", b"\r\n")
    large = body * -(-LARGE // len(body))
    write_header("signed", "sender.example", body, private)
    write_header("large", "sender.example", large, private)
    write_header("forged", "victim.example", body, private)


if __name__ == "__main__":
    main()
