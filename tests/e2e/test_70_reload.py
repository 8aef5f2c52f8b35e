# SPDX-License-Identifier: BSD-2-Clause
"""A new configuration without losing anybody, or none at all; workers that
are replaced; a master that dies."""

import os
import signal
import socket
import time

import pytest

from tests.e2e.process import free_port, scratch
from tests.e2e.senders import BAD, GOOD, message, zone
from tests.e2e.smtp import Client, Closed, encode, proxy_v2

ALICE, CEO = "alice@reject.example", "ceo@reject.example"
BOB = ["bob@backend.example"]


@pytest.fixture(name="mx")
def _mx(gate, postfix):
    return gate(backend=postfix.port, zone=zone(), top={"workers": 2})


def wait_until(claim, what, seconds=10):
    deadline = time.monotonic() + seconds
    while not claim():
        assert time.monotonic() < deadline, f"in vain: {what}"
        time.sleep(0.02)


def forge(mx, author=CEO):
    """What the gate says to a forgery now."""
    with mx.client(BAD) as client:
        client.ehlo()
        return client.deliver(CEO, BOB, message(author)).code


def begin(client):
    """A mail up to its 354."""
    assert client.mail(ALICE).code == 250
    assert client.rcpt(BOB[0]).code == 250
    assert client.command("DATA").code == 354


# --- a new configuration ---


def test_a_reload_changes_what_is_enforced(mx):
    assert forge(mx) == 550
    before = mx.workers() + mx.keepers()
    mx.configure(dmarc={"mode": "monitor"})
    mx.reload()
    assert forge(mx) == 250
    wait_until(lambda: not set(before) & set(mx.workers() + mx.keepers()),
               "the processes before the reload end")
    assert len(mx.workers()) == 2 and len(mx.keepers()) == 1
    mx.wait_verdicts(2)
    assert not mx.events("worker-died")


def test_a_mail_under_way_ends_under_the_old_configuration(mx, postfix):
    with mx.client(GOOD) as client:
        client.ehlo()
        begin(client)
        mx.configure(hostname="renamed.example")
        mx.reload()
        with mx.client(GOOD) as other:
            other.ehlo()
            assert other.deliver(ALICE, BOB, message(ALICE)).code == 250
        client.send(encode(message(ALICE)))
        assert client.reply().code == 250
        client.quit()
    assert len(postfix.wait_mail("bob", 2)) == 2
    assert {verdict["gate"] for verdict in mx.wait_verdicts(2)} == {
        "gate.example", "renamed.example"}


def test_who_has_just_come_may_send_the_first_mail(mx, postfix):
    with mx.client(GOOD) as client:
        mx.reload()
        client.ehlo()
        assert client.deliver(ALICE, BOB, message(ALICE)).code == 250
        assert client.mail(ALICE).code == 421
        client.expect_end()
    postfix.wait_mail("bob")


def test_who_owes_a_proxy_header_may_send_the_first_mail_too(mx, postfix):
    """Slowly, too: nobody is cut off before drain-timeout."""
    mx.configure(drain_timeout="30s")
    mx.reload()
    with Client(mx.port, greet=False) as client:
        mx.reload()
        time.sleep(1)
        client.send(proxy_v2(GOOD))
        client.expect(220)
        client.ehlo()
        begin(client)
        octets = encode(message(ALICE))
        for at in range(7):
            client.send(octets[at:at + 1])
            time.sleep(1)
        client.send(octets[7:])
        assert client.reply().code == 250
        client.quit()
    postfix.wait_mail("bob")


def test_who_is_silent_between_mails_is_told(mx, postfix):
    with mx.client(GOOD) as client:
        client.ehlo()
        assert client.deliver(ALICE, BOB, message(ALICE)).code == 250
        mx.reload()
        assert client.expect(421).enhanced == "4.3.2"
        client.expect_end()
    postfix.wait_mail("bob")


def test_drain_timeout_cuts_off_what_does_not_end(mx):
    mx.configure(drain_timeout="1s")
    mx.reload()
    with mx.client(GOOD) as client:
        client.ehlo()
        begin(client)
        before = mx.workers()
        mx.reload()
        with pytest.raises(Closed):
            client.reply()
        wait_until(lambda: not set(before) & set(mx.workers()),
                   "the old workers end")
    assert not mx.verdicts()


def test_listeners_come_and_go(mx):
    more, gone = free_port(), mx.plain_port
    mx.settings[("listen", f"127.0.0.1:{more}")] = {}
    del mx.settings[("listen", f"127.0.0.1:{gone}")]
    mx.configure()
    mx.reload()
    with Client(more):
        pass
    with Client(mx.port, GOOD):
        pass
    wait_until(lambda: _refuses(gone), "nobody listens there any more")


def _refuses(port):
    try:
        socket.create_connection(("127.0.0.1", port), 2).close()
    except ConnectionRefusedError:
        return True
    return False


def test_more_workers_and_fewer(mx):
    for count in 4, 1:
        mx.configure(workers=count)
        before = mx.workers()
        mx.reload()
        wait_until(lambda: not set(before) & set(mx.workers()),
                   "the old workers end")
        assert len(mx.workers()) == count


def test_another_spool(mx, postfix):
    assert forge(mx) == 550
    mx.wait_verdicts(1)
    old, mx.spool = mx.spool, mx._own("spool2")
    mx.configure(spool={"directory": str(mx.spool)})
    mx.reload()
    # Until then one of before may take a connection.
    mx.wait_event("draining", 2)
    assert forge(mx) == 550
    mx.wait_verdicts(1)
    assert (old / "verdict.log").exists()
    wait_until(lambda: len(mx.keepers()) == 1, "one keeper")


def test_a_reload_that_comes_during_another_is_not_lost(mx):
    for number in range(5):
        mx.configure(hostname=f"n{number}.example")
        mx.signal(signal.SIGHUP)
    wait_until(lambda: _serves(mx, "n4.example"), "the last one serves")


def _serves(mx, name):
    with mx.client(GOOD) as client:
        return client.ehlo().lines[0].startswith(name)


def test_nobody_who_comes_while_workers_change_is_kept_waiting(gate, postfix):
    """One client after the other: none comes behind it whose connection would
    wake somebody for it."""
    mx = gate(backend=postfix.port, zone=zone(), top={"workers": 4},
              backend_settings=None)
    for _ in range(40):
        count = len(mx.events("reloaded")) + 1
        mx.signal(signal.SIGHUP)
        while len(mx.events("reloaded")) < count:
            with mx.plain_client(timeout=5):
                pass
        with mx.plain_client(timeout=5):
            pass


# --- one that cannot be served ---


def refuse(mx, *words):
    """SIGHUP must change nothing, and say why in an event that has words."""
    before, count = mx.workers(), len(mx.events("reload-refused"))
    mx.signal(signal.SIGHUP)
    events = mx.wait_event("reload-refused", count + 1)[count:]
    for word in words:
        assert any(word in event for event in events), events
    assert mx.workers() == before
    assert forge(mx) == 550
    assert not mx.events("reloaded")


def test_a_wrong_proxy_conf_leaves_all_as_it_was(mx):
    mx.configure("message-size = \"lots\"\n", dmarc={"mode": "monitor"})
    refuse(mx, f"{mx.conf}:", "message-size", "lots")


def test_a_proxy_conf_that_is_gone_leaves_all_as_it_was(mx):
    mx.conf.unlink()
    refuse(mx, "cannot be read")


def test_an_address_in_use_leaves_all_as_it_was(mx):
    free = free_port()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        mx.settings[("listen", f"127.0.0.1:{free}")] = {}
        mx.settings[("listen",
                     f"127.0.0.1:{taken.getsockname()[1]}")] = {}
        mx.configure()
        refuse(mx, "cannot listen", "in use")
    assert _refuses(free)


@pytest.mark.parametrize("changes, word", [
    ({"user": "nobody-of-that-name"}, "nobody-of-that-name"),
    ({"spool": {"directory": "/proc"}}, "verdict log"),
    ({"spool": {"directory": "/does/not/exist"}}, "/does/not/exist"),
    ({"body_directory": "/proc"}, "bodies"),
    ({"psl_file": "/does/not/exist"}, "/does/not/exist"),
])
def test_what_the_machine_does_not_allow_leaves_all_as_it_was(mx, changes,
                                                             word):
    mx.configure(**changes)
    refuse(mx, word)


@pytest.mark.parametrize("setting, text, fault", [
    ("psl-file", None, "cannot read {}: No such file or directory"),
    ("psl-file", "com\n<html>404\n", "{}:2: expected a rule"),
    ("no-sampling-file", "a.example\n\nb..example\n",
     "{}:3: expected a domain"),
    ("zone-file", "a.example. 300 IN A 192.0.2\n", "{}:1: "),
])
def test_the_check_reads_the_files_that_settings_name(mx, setting, text,
                                                      fault):
    """Who checks before a reload learns then what the reload would refuse."""
    file = mx.home / "named"
    if text is not None:
        file.write_text(text)
    block = {"no-sampling-file": "dmarc", "zone-file": "resolver"}
    mx.configure(**({block[setting]: {setting: str(file)}}
                    if setting in block else {setting: str(file)}))
    done = mx.check()
    assert done.returncode == 1 and not done.stdout
    assert fault.format(file) in done.stderr


def test_a_reload_reads_the_public_suffix_list_anew(gate, postfix):
    """A name that becomes a public suffix: its record no longer speaks for
    the names below it."""
    suffixes = scratch("psl") / "list"
    suffixes.write_text("example\n")
    mx = gate(backend=postfix.port, zone=zone(),
              dmarc={"discovery": "psl", "discovery-compare": True},
              top={"psl-file": str(suffixes)})
    forged = "ceo@Mail.Reject.Example"
    assert forge(mx, forged) == 550
    suffixes.write_text("// nothing in it\n")
    refuse(mx, "not a public suffix list")   # and forges once itself
    suffixes.write_text("example\nreject.example\n")
    assert forge(mx, forged) == 550   # it is read at a reload
    mx.reload()
    assert forge(mx, forged) == 250
    assert [verdict["dmarc"]["org"]["psl"] for verdict in mx.wait_verdicts(4)
            ] == ["reject.example"] * 3 + ["mail.reject.example"]


def test_a_pipe_is_not_waited_for(mx):
    pipe = mx.home / "pipe"
    os.mkfifo(pipe)
    mx.configure(psl_file=str(pipe))
    refuse(mx, "not a plain file")


def test_of_very_many_faults_the_first_are_said(mx):
    mx.configure("".join(f"x{i} = 1\n" for i in range(40)))
    mx.signal(signal.SIGHUP)
    events = mx.wait_event("reload-refused", 11)
    assert "more=30" in events[-1] and "x0" in events[0]


def test_workers_that_cannot_start_leave_all_as_it_was(mx):
    """The probe of a silent backend holds up the start for a while: in it one
    of the new workers is killed."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        new = free_port()
        before = mx.workers()
        mx.settings[("backend", "silent")] = {
            "address": [f"127.0.0.1:{silent.getsockname()[1]}"],
            "identity": "none", "trust-unidentified": True}
        mx.settings[("route", "silent.example")] = {"backend": "silent"}
        mx.settings[("listen", f"127.0.0.1:{new}")] = {}
        mx.settings[("route", "*")] = mx.settings.pop(("route", "*"))
        mx.configure(hostname="refused.example")
        mx.signal(signal.SIGHUP)
        wait_until(lambda: len(mx.workers()) == 4, "the new workers")
        early = socket.create_connection(("127.0.0.1", new), 5)
        os.kill((set(mx.workers()) - set(before)).pop(), signal.SIGKILL)
        assert "could not start" in mx.wait_event("reload-refused")[0]
        with early, pytest.raises(ConnectionResetError):
            early.recv(100)  # none of the refused ones has taken it
    wait_until(lambda: mx.workers() == before, "the new ones end")
    assert _refuses(new) and forge(mx) == 550
    assert len(mx.keepers()) == 1 and not mx.events("reloaded")


def test_a_first_start_that_fails_ends_and_says_why(gate):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        mx = gate(backend=silent.getsockname()[1], zone=zone(), start=False,
                  top={"backend-connect": "mail"})
        mx.launch()
        wait_until(lambda: mx.workers(), "its worker")
        os.kill(mx.workers()[0], signal.SIGKILL)
        assert mx.process.child.wait(20) == 1
        assert mx.events("start-failed")
        mx.process.kill()


def test_generations_are_bounded(mx):
    clients = []
    mx.configure(drain_timeout="60s", workers=1)
    mx.reload()
    while not mx.events("reload-waits"):
        clients.append(mx.client(GOOD))
        clients[-1].ehlo()
        begin(clients[-1])
        count = len(mx.events("reloaded"))
        mx.signal(signal.SIGHUP)
        wait_until(lambda: len(mx.events("reloaded")) > count
                   or mx.events("reload-waits"), "a reload")
        assert len(clients) < 40
    for client in clients:
        client.send(encode(message(ALICE)))
        assert client.reply().code == 250
        client.close()
    mx.wait_event("reloaded", len(clients) + 1)


def test_another_generations_directories_are_let_go(mx):
    mx.spool = mx._own("spool2")
    mx.configure(spool={"directory": str(mx.spool)})
    before = mx.workers() + mx.keepers()
    mx.reload()
    wait_until(lambda: not set(before) & set(mx.workers() + mx.keepers()),
               "the old ones end")
    for pid in mx.workers() + mx.keepers():
        held = [os.readlink(f"/proc/{pid}/fd/{fd}")
                for fd in os.listdir(f"/proc/{pid}/fd")]
        assert str(mx.home / "spool") not in held
        assert str(mx.spool) in held


def test_it_is_served_once_it_is_mended(mx):
    mx.configure("nonsense\n", dmarc={"mode": "monitor"})
    refuse(mx, f"{mx.conf}:", "behind the word")
    mx.configure()
    mx.reload()
    assert forge(mx) == 250


# --- processes that end ---


def test_a_worker_that_dies_in_a_loop_backs_off_and_says_so(mx):
    mx.configure(workers=1)
    mx.reload()
    wait_until(lambda: len(mx.workers()) == 1, "one worker")
    began = time.monotonic()
    for number in range(4):
        wait_until(lambda: len(mx.workers()) == 1, "the next worker")
        os.kill(mx.workers()[0], signal.SIGKILL)
        mx.wait_event("worker-died", number + 1)
    wait_until(lambda: len(mx.workers()) == 1, "the next worker")
    assert time.monotonic() - began >= 1.5  # 0.1 + 0.2 + 0.4 + 0.8
    assert "lives=4" in mx.wait_event("worker-loops", 2)[-1]
    assert forge(mx) == 550


def test_what_a_dead_worker_had_is_counted_no_more(gate, postfix):
    mx = gate(backend=postfix.port, zone=zone(), top={"workers": 1},
              limit={"connections-per-address": 2})
    clients = [mx.client(GOOD), mx.client(GOOD)]
    with mx.client(GOOD, greet=False) as third:
        third.expect(421)
    mx.kill_worker()
    mx.wait_event("started", 2)
    more = [mx.client(GOOD), mx.client(GOOD)]
    for client in clients + more:
        client.close()


def test_a_dead_keeper_is_replaced(mx):
    keeper, = mx.keepers()
    os.kill(keeper, signal.SIGKILL)
    assert "keeper=0" in mx.wait_event("worker-died")[0]
    wait_until(lambda: mx.keepers() not in ([], [keeper]), "another keeper")
    assert forge(mx) == 550


def test_without_a_master_workers_drain(mx, postfix):
    workers, keeper = mx.workers(), mx.keepers()
    with mx.client(GOOD) as client:
        client.ehlo()
        begin(client)
        os.kill(mx.process.pid, signal.SIGKILL)
        mx.process.child.wait()
        wait_until(lambda: _refuses(mx.plain_port), "nobody listens")
        client.send(encode(message(ALICE)))
        assert client.reply().code == 250
        client.quit()
    postfix.wait_mail("bob")
    wait_until(lambda: not any(map(_is_there, workers + keeper)), "they end")
    assert len(mx.verdicts()) == 1
    mx.start()  # on the same ports and spool
    assert forge(mx) == 550


def _is_there(pid):
    try:
        os.kill(pid, 0)
        return open(f"/proc/{pid}/stat").read().split()[2] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False


def test_the_master_keeps_no_more_of_root_than_it_needs(mx):
    if os.geteuid() != 0:
        pytest.skip("there is nothing to give up")
    status = dict(line.split(":\t", 1) for line in open(
        f"/proc/{mx.process.pid}/status").read().splitlines() if ":\t" in line)
    kept = int(status["CapEff"], 16)
    assert kept == int(status["CapPrm"], 16) != 0
    assert bin(kept).count("1") == 7
    for pid in mx.workers() + mx.keepers():
        status = open(f"/proc/{pid}/status").read()
        assert "CapEff:\t0000000000000000" in status
        assert "Uid:\t0" not in status
