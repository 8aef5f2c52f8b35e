# SPDX-License-Identifier: BSD-2-Clause
"""The main job, shown: five messages meet the gate.

Starts `dmarcgatectl sink` as the mail server and `dmarcgate` on port 2525 in
front of it, sends five messages from documentation addresses, and prints of
each the reply that the sender saw, what reached the mail server, and the
verdict line. Ends by itself; with --keep it stays up and says how to go on by
hand. DNS is a zone file made here, with a fresh DKIM key.
"""

import argparse
import json
import os
import shutil
import signal
import sys
import time
from pathlib import Path

import dkim

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT))

from tests.e2e.gate import BUILD, DMARCGATE, DMARCGATECTL  # noqa: E402
from tests.e2e.parts import txt  # noqa: E402
from tests.e2e.process import Process, can_connect  # noqa: E402
from tests.e2e.senders import BAD, GOOD, key  # noqa: E402
from tests.e2e.smtp import Client  # noqa: E402

HOME = ROOT / "build" / "demo"
GATE_PORT, SINK_PORT = 2525, 2526


class Case:
    """One message: what it shows, who sends it, and as whom."""

    def __init__(self, title, address, sender, author, is_signed=False):
        self.title, self.address = title, address
        self.sender, self.author = sender, author
        self.is_signed = is_signed


CASES = [
    Case("genuine, by DKIM: its own signature, through somebody else's server",
         BAD, "bounces@list.example", "alice@signed.example", True),
    Case("genuine, by SPF: from the server that the domain names",
         GOOD, "bob@spf.example", "bob@spf.example"),
    Case("forged, and the domain publishes p=reject",
         BAD, "ceo@bank.example", "ceo@bank.example"),
    Case("forged, and the domain publishes p=quarantine",
         BAD, "shop@shop.example", "shop@shop.example"),
    Case("forged, and the domain publishes p=none: passed on, and noted",
         BAD, "news@club.example", "news@club.example"),
]


def make_zone(public):
    """All of the demo's DNS."""
    spf = f"v=spf1 ip4:{GOOD} -all"
    lines = ["$TTL 300"]
    for domain, policy in [("signed", "reject"), ("spf", "reject"),
                           ("bank", "reject"), ("shop", "quarantine"),
                           ("club", "none")]:
        name = f"{domain}.example."
        lines += [f"{name} A {GOOD}", txt(name, spf),
                  txt(f"_dmarc.{name}", f"v=DMARC1; p={policy}; "
                      f"rua=mailto:dmarc@{domain}.example")]
    lines += [f"list.example. A {BAD}",
              txt("list.example.", f"v=spf1 ip4:{BAD} -all"),
              txt("s1._domainkey.signed.example.",
                  f"v=DKIM1; k=rsa; p={public}")]
    return "\n".join(lines) + "\n"


def make_message(case, number, pem):
    """The octets of a case's message."""
    domain = case.author.split("@")[1]
    message = (f"From: <{case.author}>\r\n"
               f"To: <you@backend.example>\r\n"
               f"Subject: Message {number} of the demo\r\n"
               f"Date: Sat, 21 Nov 2026 12:00:0{number} +0000\r\n"
               f"Message-ID: <{number}@{domain}>\r\n"
               f"\r\n"
               f"Hello, this is {case.author}.\r\n").encode()
    if not case.is_signed:
        return message
    signature = dkim.sign(message, b"s1", domain.encode(), pem,
                          include_headers=[b"from", b"to", b"subject",
                                           b"date", b"message-id"])
    return signature + message


def heading(text):
    print(f"\n\033[1m{text}\033[0m" if sys.stdout.isatty() else f"\n{text}")


def delivered(number):
    """What the sink wrote of its message `number`, counted from 1."""
    found = sorted(HOME.glob("sink/*.json"))
    if len(found) < number:
        return None, None
    octets = found[number - 1].with_suffix(".eml").read_bytes()
    return json.loads(found[number - 1].read_text()), octets


def show_delivered(number):
    envelope, octets = delivered(number)
    recipients = ", ".join(each["address"] for each in envelope["recipients"])
    print(f"  the mail server got: MAIL FROM:<{envelope['from']['address']}> "
          f"RCPT TO:<{recipients}>, client {envelope['client']['ip']}")
    header = octets.decode("utf-8", "replace").split("\r\n\r\n")[0]
    for line in header.split("\r\n"):
        print(f"    | {line}")


def wait_verdict(number, seconds=10):
    path = HOME / "spool" / "verdict.log"
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        lines = path.read_text("utf-8").splitlines() if path.exists() else []
        lines = lines[1:]  # behind the head of the segment
        if len(lines) >= number:
            return lines[number - 1]
        time.sleep(0.02)
    raise SystemExit("demo: the gate wrote no verdict line")


def show(case, number, accepted, pem):
    """Send one message; whether the mail server got it."""
    heading(f"{number}. {case.title}")
    with Client(GATE_PORT, case.address, version=1) as client:
        client.ehlo("mail." + case.sender.split("@")[1])
        reply = client.deliver(case.sender, ["you@backend.example"],
                               make_message(case, number, pem))
        client.command("QUIT")
    print(f"  {case.address} says it is {case.author}")
    print(f"  the sender is told: {reply}")
    if reply.code == 250:
        show_delivered(accepted + 1)
    else:
        print("  the mail server got: nothing")
    print(f"  the verdict line:\n    {wait_verdict(number)}")
    return reply.code == 250


def start():
    for port in GATE_PORT, SINK_PORT:
        if can_connect(port):
            raise SystemExit(f"demo: port {port} of 127.0.0.1 is in use; end "
                             "what listens there and try again")
    shutil.rmtree(HOME, ignore_errors=True)
    for name in "spool", "sink":
        (HOME / name).mkdir(parents=True)
    pem, public = key()
    (HOME / "zone").write_text(make_zone(public))
    sink = Process([DMARCGATECTL, "sink", "--listen", f"127.0.0.1:{SINK_PORT}",
                    "--directory", HOME / "sink", "--quiet"], HOME / "sink.log",
                   cwd=ROOT)
    sink.wait_for(lambda: can_connect(SINK_PORT))
    gate = Process([DMARCGATE, "-c", "conf/demo.conf"], HOME / "gate.log",
                   cwd=ROOT)
    gate.wait_for(lambda: "listening" in gate.text())
    return sink, gate, pem


def keep():
    print(f"""
The gate stays up; Ctrl-C ends it. Try it by hand, in another terminal:

  swaks --server 127.0.0.1:{GATE_PORT} \\
        --proxy "TCP4 {BAD} 198.51.100.25 4242 25" --ehlo mail.bank.example \\
        --from ceo@bank.example --to you@backend.example

  tail -F {HOME.relative_to(ROOT)}/spool/verdict.log
  {BUILD.relative_to(ROOT)}/dmarcgatectl log --follow --spool {HOME.relative_to(ROOT)}/spool

The domains are signed.example, spf.example and bank.example (p=reject),
shop.example (p=quarantine) and club.example (p=none); SPF allows {GOOD}.
DNS is the file {HOME.relative_to(ROOT)}/zone, the configuration conf/demo.conf.
""")
    signal.signal(signal.SIGTERM, signal.getsignal(signal.SIGINT))
    try:
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        print()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--keep", action="store_true",
                        default=os.environ.get("KEEP", "") not in ("", "0"),
                        help="stay up and say how to try it by hand")
    options = parser.parse_args()
    sink, gate, pem = start()
    print(f"dmarcgate listens on 127.0.0.1:{GATE_PORT}; behind it stands a "
          f"mail server on port {SINK_PORT}")
    accepted = 0
    try:
        for number, case in enumerate(CASES, 1):
            accepted += show(case, number, accepted, pem)
        if options.keep:
            keep()
    finally:
        status = gate.stop()
        sink.stop()
    heading(f"{len(CASES)} messages: {accepted} reached the mail server, "
            f"{len(CASES) - accepted} bounced off the gate.")
    if status != 0:
        raise SystemExit(f"demo: dmarcgate ended with status {status}; see "
                         f"{HOME.relative_to(ROOT)}/gate.log")


if __name__ == "__main__":
    main()
