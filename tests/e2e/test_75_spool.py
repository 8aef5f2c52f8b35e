# SPDX-License-Identifier: BSD-2-Clause
"""The spool of a running gate: full disks, rotation, readers, and what others
do to its files."""

import json
import os
import signal
import subprocess
import time

import pytest

from tests.e2e.gate import DMARCGATECTL
from tests.e2e.senders import BAD, GOOD, message, zone

ALICE, CEO = "alice@reject.example", "ceo@reject.example"
BOB = ["bob@backend.example"]


@pytest.fixture(name="mx")
def _mx(gate, postfix):
    return gate(backend=postfix.port, zone=zone())


def deliver(mx, address=GOOD, author=ALICE):
    """The reply to one mail."""
    with mx.client(address) as client:
        client.ehlo()
        return client.deliver(author, BOB, message(author))


def shown(mx, *words):
    """What `dmarcgatectl log` prints: lines, parsed, and what it complains
    of."""
    said = subprocess.run([DMARCGATECTL, "log", "--json", "--spool", mx.spool,
                           *words], text=True, capture_output=True,
                          timeout=30, check=False)
    assert said.returncode == 0, said.stderr
    return [json.loads(line) for line in said.stdout.splitlines()], said.stderr


def limit(mx, octets):
    """How large files of the workers may get. Who may say so: their user."""
    who = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]
    for pid in mx.workers():
        subprocess.run([*(who if os.geteuid() == 0 else []), "prlimit",
                        f"--pid={pid}", f"--fsize={octets}:"], check=True,
                       timeout=10)


def fill(mx):
    """No octet more into the log from now on."""
    limit(mx, (mx.spool / "verdict.log").stat().st_size)


def make_room(mx):
    limit(mx, "unlimited")


def segments(mx):
    return sorted(path.name for path in mx.spool.glob("verdict-*"))


def wait_until(claim, what, seconds=15):
    deadline = time.monotonic() + seconds
    while not claim():
        assert time.monotonic() < deadline, f"in vain: {what}"
        time.sleep(0.02)


def test_a_full_disk_costs_lines_and_no_mail(mx):
    assert deliver(mx).code == 250
    fill(mx)
    assert deliver(mx).code == 250
    assert deliver(mx, BAD, CEO).code == 550
    wait_until(lambda: any("lost=2" in event for event in
                           mx.events("spool-lost")), "their number")
    make_room(mx)
    assert deliver(mx).code == 250
    lines, said = shown(mx)
    assert len(lines) == 2
    assert "2 verdict lines" in said


def test_spool_full_defer_takes_no_mail_without_a_line(gate, postfix):
    mx = gate(backend=postfix.port, zone=zone(), top={"spool-full": "defer"})
    assert deliver(mx).code == 250
    fill(mx)
    assert deliver(mx, BAD, CEO).code == 550  # it finds that out
    reply = deliver(mx)
    assert reply.code == 451 and reply.enhanced == "4.3.1"
    assert len(postfix.wait_mail("bob", 1)) == 1
    make_room(mx)
    # One more at most: its line is written, and that finds out; so does the
    # worker by itself within a second.
    deferred = []
    while (reply := deliver(mx)).code == 451:
        deferred.append("spool-full")
    assert reply.code == 250 and len(deferred) <= 1
    lines, _ = shown(mx)
    assert [line["action"] for line in lines if line["rule"] != "spool-full"
            ] == ["relay", "relay"]
    assert [line["rule"] for line in lines[1:-1]] == deferred


def test_rotation_by_size_loses_nothing(gate, postfix):
    mx = gate(backend=postfix.port, zone=zone(),
              spool={"rotate-size": "4k", "compress": True})
    sent = 0
    while len(mx.events("spool-rotated")) < 3:
        assert deliver(mx, BAD, CEO).code == 550
        sent += 1
    mx.wait_event("spool-compressed", 2)
    lines, said = shown(mx)
    assert len(lines) == sent and said == ""
    assert len({line["id"] for line in lines}) == sent
    head = json.loads((mx.spool / "verdict.log").read_text().split("\n")[0])
    assert head["v"] == 1 and len(head["segment"]) == 36
    assert head["previous"] in segments(mx)[-1]


def test_a_registered_reader_is_waited_for(gate, postfix):
    mx = gate(backend=postfix.port, zone=zone(), spool={"rotate-size": "4k"})
    assert deliver(mx, BAD, CEO).code == 550
    first, _ = shown(mx, "--reader", "archive")
    assert len(first) == 1
    sent = 1
    while len(mx.events("spool-rotated")) < 3:
        assert deliver(mx, BAD, CEO).code == 550
        sent += 1
    assert not mx.events("spool-compressed")
    assert len(segments(mx)) == 3
    rest, _ = shown(mx, "--reader", "archive")
    assert len(rest) == sent - 1
    mx.wait_event("spool-compressed", 2, 20)
    # The last of them is passed once nobody can write to it any more.
    wait_until(lambda: shown(mx, "--reader", "archive") == ([], "")
               and len(mx.events("spool-compressed")) == 3, "the third")
    assert len(shown(mx)[0]) == sent


def test_a_log_cut_from_outside_is_noticed(mx):
    for _ in range(3):
        assert deliver(mx, BAD, CEO).code == 550
    with open(mx.spool / "verdict.log", "r+b") as log:
        log.truncate(0)
    assert "lost=" in mx.wait_event("spool-truncated")[0]
    mx.wait_event("spool-rotated")
    wait_until(lambda: deliver(mx, BAD, CEO).code == 550
               and len(shown(mx)[0]) >= 1, "lines are written again")


@pytest.mark.parametrize("is_deleted", [False, True])
def test_a_log_moved_by_others_is_replaced(mx, is_deleted):
    assert deliver(mx, BAD, CEO).code == 550
    log = mx.spool / "verdict.log"
    if is_deleted:
        log.unlink()
    else:
        log.rename(mx.spool / "verdict.log.1")
    mx.wait_event("spool-moved")
    wait_until(log.exists, "a new log")
    wait_until(lambda: deliver(mx, BAD, CEO).code == 550
               and log.read_bytes().count(b'"action"') > 0,
               "lines go to the new log")
    lines, _ = shown(mx)
    assert len(lines) >= 1


def test_a_reload_takes_other_sizes(mx):
    assert deliver(mx, BAD, CEO).code == 550
    mx.configure(spool={"directory": str(mx.spool), "rotate-size": "4k"})
    mx.reload()
    while not mx.events("spool-rotated"):
        assert deliver(mx, BAD, CEO).code == 550
    mx.signal(signal.SIGHUP)
    mx.wait_event("reloaded", 2)
    assert deliver(mx, BAD, CEO).code == 550
