# SPDX-License-Identifier: BSD-2-Clause
"""The ground the other tests stand on: do the real parts run here?"""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import dns.message
import dns.query
import dns.rcode
import pytest

from tests.e2e import parts, process
from tests.e2e.gate import Gate
from tests.e2e.smtp import Client, encode, proxy_v1, proxy_v2

MESSAGE = (b"From: Alice <alice@sender.example>\r\n"
           b"Subject: a test\r\n"
           b"\r\n"
           b".a line that starts with a dot\r\n")


def swaks(port, *words):
    return subprocess.run(
        ["swaks", "--server", f"127.0.0.1:{port}", "--from",
         "alice@sender.example", "--to", "bob@backend.example", *words],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60,
        check=False)


def test_postfix_takes_a_mail_by_swaks(postfix):
    said = swaks(postfix.port, "--header", "Subject: from swaks")
    assert said.returncode == 0, said.stdout + said.stderr
    mail, = postfix.wait_mail("bob")
    assert b"Subject: from swaks\n" in mail


def test_postfix_believes_xclient(postfix):
    said = swaks(postfix.port, "--xclient", "ADDR=192.0.2.10 NAME=mx.example")
    assert said.returncode == 0, said.stdout + said.stderr
    mail, = postfix.wait_mail("bob")
    assert b"mx.example [192.0.2.10]" in mail


def test_postfix_offers_xclient_only_where_told(postfix):
    with Client(postfix.port) as client:
        client.ehlo()
        assert "XCLIENT" in client.extensions
    with Client(postfix.bare_port) as client:
        client.ehlo()
        assert "XCLIENT" not in client.extensions


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize("address", ["192.0.2.10", "2001:db8::10"])
def test_postfix_believes_a_proxy_header(postfix, version, address):
    with Client(postfix.proxy_port, address, version) as client:
        client.ehlo()
        reply = client.deliver("alice@sender.example", ["bob@backend.example"],
                               MESSAGE)
        assert reply.code == 250
        client.quit()
    mail, = postfix.wait_mail("bob")
    assert f"[{'IPv6:' if ':' in address else ''}{address}]" in mail.decode()
    assert mail.endswith(b"\n\n.a line that starts with a dot\n")


def test_postfix_relays_for_neighbours_but_not_for_strangers(postfix):
    # What makes a lost client identity dangerous.
    with Client(postfix.port) as client:
        client.ehlo()
        client.mail("alice@sender.example")
        assert client.rcpt("someone@elsewhere.example").code == 250
    with Client(postfix.proxy_port, "192.0.2.10") as client:
        client.ehlo()
        client.mail("alice@sender.example")
        reply = client.rcpt("someone@elsewhere.example")
        assert (reply.code, reply.enhanced) == (554, "5.7.1")


def test_postfix_lets_nothing_leave_this_machine(postfix):
    with Client(postfix.port) as client:
        client.ehlo()
        client.deliver("alice@sender.example", ["x@elsewhere.example"], MESSAGE)
    log = postfix.wait_log("to=<x@elsewhere.example>")
    assert "status=sent (relayed)" in log  # discard's word for it


def test_postfix_knows_its_users(postfix):
    with Client(postfix.port) as client:
        client.ehlo()
        client.mail("alice@sender.example")
        assert client.rcpt("nobody@backend.example").code == 550
        assert client.rcpt("bob@quarantine.example").code == 250


def test_postfix_survives_being_killed():
    if os.geteuid() != 0:
        pytest.skip("Postfix's master only runs as root")
    with parts.Postfix(users=["mallory"]) as own:
        own.kill()
        assert not process.can_connect(own.port)
        own.start()
        with Client(own.port) as client:
            client.ehlo()
            reply = client.deliver("a@sender.example",
                                   ["mallory@backend.example"], MESSAGE)
            assert reply.code == 250
        assert len(own.wait_mail("mallory")) == 1


def ask(server, name, kind, over):
    question = dns.message.make_query(name, kind, use_edns=0, payload=1232)
    return over(question, "127.0.0.1", 5, port=server.port)


@pytest.mark.parametrize("over", [dns.query.udp, dns.query.tcp])
def test_nsd_answers(nsd, over):
    value = "v=DKIM1; p=" + "A" * 600 + '"\\'
    server = nsd('sender.example 300 IN TXT "v=spf1 -all"\n'
                 + parts.txt("s1._domainkey.sender.example", value))
    answer = ask(server, "sender.example.", "TXT", over)
    assert answer.answer[0][0].strings == (b"v=spf1 -all",)
    answer = ask(server, "s1._domainkey.sender.example.", "TXT", over)
    assert b"".join(answer.answer[0][0].strings) == value.encode()
    assert (ask(server, "nowhere.example.", "A", over).rcode()
            == dns.rcode.NXDOMAIN)


def test_nsd_serves_another_zone_when_told(nsd):
    server = nsd("a.example 300 IN A 192.0.2.1\n")
    server.replace("a.example 300 IN A 192.0.2.2\n")
    answer = ask(server, "a.example.", "A", dns.query.udp)
    assert answer.answer[0][0].address == "192.0.2.2"


def test_nsd_refuses_what_is_no_zone():
    with pytest.raises(ValueError):
        parts.Nsd("a.example 300 IN A not-an-address\n")


def test_tools_run():
    for name in "smtp-source", "smtp-sink", "haproxy":
        assert parts.tool(name).exists()
    said = subprocess.run([parts.tool("haproxy"), "-v"], check=True,
                          env=parts.environment(), stdout=subprocess.PIPE)
    assert b"HAProxy version 2" in said.stdout


def group_members(leader):
    """Process ids of a group, but for the dead that nobody has waited for."""
    members = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, _, group = stat.read_text().rpartition(")")[2].split()[:3]
            if int(group) == leader and state != "Z":
                members.append(int(stat.parent.name))
    return members


STARTED = {
    "nsd": "from tests.e2e.parts import Nsd\n"
           "started = Nsd(''); started.start()\n",
    "postfix": "from tests.e2e.parts import Postfix\n"
               "started = Postfix(); started.start()\n",
    "gate": "from tests.e2e.gate import Gate\n"
            "started = Gate(backend=1)\n",
}


@pytest.mark.parametrize("name", STARTED)
def test_what_a_killed_test_started_ends_too(name):
    if name == "postfix" and os.geteuid() != 0:
        pytest.skip("Postfix's master only runs as root")
    starter = subprocess.Popen(
        [sys.executable, "-c",
         "import sys, time; sys.path.insert(0, '.')\n" + STARTED[name] +
         "print(started.process.pid, flush=True); time.sleep(60)"],
        cwd=process.ROOT, stdout=subprocess.PIPE, text=True,
        start_new_session=True, env={**os.environ, "KEEP_SCRATCH": ""})
    leader = int(starter.stdout.readline())
    assert len(group_members(leader)) > 1
    os.killpg(starter.pid, signal.SIGKILL)
    starter.wait()
    deadline = time.monotonic() + 10
    while group_members(leader) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not group_members(leader)


def test_what_a_killed_test_left_is_removed(directory):
    ghost = subprocess.Popen(["true"])
    ghost.wait()
    left = directory.parent / f"{process.SCRATCH_PREFIX}{ghost.pid}-x-y"
    left.mkdir()
    assert process.scratch("another").exists()
    assert directory.exists() and not left.exists()


def test_a_gate_that_is_refused_says_why():
    with pytest.raises(RuntimeError, match="no-such-setting"):
        Gate(backend=1, top={"no-such-setting": 1})


def test_a_gate_that_ends_badly_is_noticed():
    running = Gate(backend=1)
    running.signal(signal.SIGKILL)
    with pytest.raises(AssertionError, match="exit status -9"):
        running.stop()


def test_what_a_sanitizer_says_is_noticed():
    running = Gate(backend=1)
    with open(running.process.output, "a", encoding="ascii") as events:
        events.write("==1==ERROR: AddressSanitizer: heap-use-after-free\n")
    with pytest.raises(AssertionError, match="heap-use-after-free"):
        running.stop()


def test_a_verdict_line_that_is_torn_is_noticed(gate):
    running = gate(backend=1)
    (running.spool / "verdict.log").write_bytes(b'{"v":1,"action":"relay"}\n')
    assert len(running.verdicts()) == 1
    (running.spool / "verdict.log").write_bytes(b'{"v":1,"acti')
    with pytest.raises(AssertionError, match="torn"):
        running.verdicts()


def test_free_ports_are_free(port):
    with socket.create_server(("127.0.0.1", port)):
        assert process.free_port() != port


def test_the_client_encodes_what_data_wants():
    assert encode(b"") == b".\r\n"
    assert encode(b".\r\n..\r\na.\r\n") == b"..\r\n...\r\na.\r\n.\r\n"
    assert proxy_v1("192.0.2.10") == (
        b"PROXY TCP4 192.0.2.10 203.0.113.25 4242 25\r\n")
    assert proxy_v2(None) == b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0"
    assert proxy_v2("192.0.2.10")[12:16] == b"\x21\x11\0\x0c"
