# SPDX-License-Identifier: BSD-2-Clause
"""The bench's own instruments tell the truth: what goes wrong is counted and
shown and makes the load fail, what goes right is in the figures once, and a
wait is counted from when the message arrived."""

import json
import socket
import socketserver
import subprocess
import threading
import time
import xml.etree.ElementTree as xml

import pytest

from tests.bench import plot
from tests.bench.rig import LOAD, SINK, Run
from tests.bench.rows import Row, compare, write_json
from tests.e2e.process import Process, can_connect, free_port, scratch

MESSAGE = b"From: <a@a.example>\n\n.dots\n..\nend\n"
REPLIES = {b"EHLO": b"250 me\r\n", b"MAIL": b"250 ok\r\n",
           b"RCPT": b"250 ok\r\n", b"DATA": b"354 go\r\n",
           b".": b"250 ok\r\n", b"QUIT": b"221 bye\r\n"}


class Talk(socketserver.StreamRequestHandler):
    """A server that answers as it is told: None closes, a function is
    called."""

    def handle(self):
        self.wfile.write(self.server.replies.get("banner", b"220 me\r\n"))
        is_data, lines = False, []
        for line in self.rfile:
            word = line.strip()[:4].upper()
            if is_data and line != b".\r\n":
                lines.append(line)
                continue
            reply = self.server.replies.get(b"." if is_data else word, b"")
            if is_data:
                self.server.messages.append(b"".join(lines))
                lines = []
            is_data = word == b"DATA" and reply.startswith(b"354")
            if callable(reply):
                reply = reply()
            if reply is None:
                return
            self.wfile.write(reply)


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = daemon_threads = True
    request_queue_size = 128


@pytest.fixture
def server():
    """Start one with these replies in place of the usual ones."""
    running = []

    def start(replies=None):
        made = Server(("127.0.0.1", 0), Talk)
        made.replies, made.messages = {**REPLIES, **(replies or {})}, []
        threading.Thread(target=made.serve_forever, daemon=True).start()
        running.append(made)
        return made
    yield start
    for each in running:
        each.shutdown()
        each.server_close()


def load(port, *words, mail=""):
    """(exit status, report)."""
    path = scratch("load") / "message"
    path.write_bytes(MESSAGE)
    done = subprocess.run([LOAD, f"--port={port}", f"--mail=file={path}{mail}",
                           *words], stdout=subprocess.PIPE, timeout=120,
                          check=False)
    return done.returncode, json.loads(done.stdout)


def port_of(server):
    return server.server_address[1]


@pytest.mark.parametrize("words", [(), ("--kept",), ("--pipeline",),
                                   ("--kept", "--pipeline")])
def test_messages_arrive_once_and_whole(server, words):
    there = server()
    status, said = load(port_of(there), "--messages=30", "--sessions=3", *words)
    assert (status, said["messages"], said["accepted"]) == (0, 30, 30)
    assert said["errors"] == said["refused"] == {}
    assert said["connections"] == (3 if "--kept" in words else 30)
    assert there.messages == [b"From: <a@a.example>\r\n\r\n..dots\r\n...\r\n"
                              b"end\r\n"] * 30
    assert 0 < said["dot_us"]["p50"] <= said["transaction_us"]["max"]


@pytest.mark.parametrize("at,reply,error", [
    ("banner", b"421 busy\r\n", "banner: 421 busy"),
    (b"EHLO", b"502 what\r\n", "EHLO: 502 what"),
    (b"MAIL", b"451 later\r\n", "MAIL: 451 later"),
    (b"RCPT", b"251 elsewhere\r\n", "RCPT: 251 elsewhere"),
    (b"DATA", b"250 no\r\n", "DATA: 250 no"),
    (b".", b"550 bad\r\n", "final dot: 550 bad"),
    (b".", None, "final dot: the connection was closed"),
    (b"QUIT", b"250 ok\r\n", "QUIT: 250 ok"),
    (b"MAIL", b"hello\r\n", "MAIL: not a reply"),
    (b"MAIL", b"250-x\r\n" * 800, "MAIL: not a reply"),
])
def test_what_is_not_as_it_must_be_is_an_error(server, at, reply, error):
    status, said = load(port_of(server({at: reply})), "--messages=4",
                        "--sessions=2")
    assert status == 1
    assert said["errors"] == {error: 4}
    lost = 0 if at == b"QUIT" else 4
    assert (said["failed"], said["accepted"]) == (lost, 4 - lost)


def test_nobody_there_is_an_error():
    status, said = load(free_port(), "--messages=4", "--kept")
    assert status == 1 and sum(said["errors"].values()) == 20
    assert list(said["errors"]) == ["connect: Connection refused"]


def test_a_refusal_that_is_expected_is_counted_by_its_code(server):
    there = server({b".": b"550 5.7.1 no\r\n"})
    status, said = load(port_of(there), "--messages=6", mail=",expect=550")
    assert (status, said["accepted"]) == (0, 0)
    assert said["refused"] == {"550": 6} and said["errors"] == {}


def test_a_mix_has_its_shares_and_each_its_own_code(server):
    there = server()
    path = scratch("load") / "other"
    path.write_bytes(b"From: <b@b.example>\n\nother\n")
    status, said = load(port_of(there), "--messages=40",
                        f"--mail=file={path},weight=3,expect=550")
    assert (status, said["accepted"], said["failed"]) == (1, 10, 30)
    assert said["errors"] == {"final dot: 250 ok": 30}


def test_a_stall_is_in_the_latency_of_all_who_wait(server):
    """100 a second for a second, by one session; the first answer takes half
    a second, in which some fifty more arrive."""
    stalls = iter([0.5])

    def answer():
        time.sleep(next(stalls, 0))
        return b"250 ok\r\n"
    status, said = load(port_of(server({b".": answer})), "--rate=100",
                        "--even", "--seconds=1", "--sessions=1", "--kept")
    assert status == 0 and said["messages"] in (99, 100)
    assert said["queued"] >= 40
    assert said["transaction_us"]["max"] >= 500_000
    assert said["transaction_us"]["p90"] >= 200_000
    # From the dot it is one message, whatever waits behind it.
    assert said["dot_us"]["p90"] < 200_000


def test_the_sink_takes_what_is_torn_and_tells_nobody_an_end_that_is_none():
    port, proxy_port = free_port(), free_port()
    sink = Process([SINK, port, proxy_port], scratch("sink") / "output")
    sink.wait_for(lambda: can_connect(port) and can_connect(proxy_port))
    with socket.create_connection(("127.0.0.1", proxy_port), 10) as peer:
        replies = peer.makefile("rb")
        # PROXY v2, LOCAL, no addresses: no banner before it.
        peer.sendall(b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0")
        assert replies.readline().startswith(b"220 ")
        peer.sendall(b"DATA\r\n")
        assert replies.readline().startswith(b"354 ")
        for piece in (b"x\n.\nNOOP\r\n", b"\r\n.", b"x\r", b"\n.\r\r", b"\n.",
                      b"\r", b"\nQUIT\r\n"):
            peer.sendall(piece)
            time.sleep(0.02)
        assert replies.readline().startswith(b"250 ")
        assert replies.readline().startswith(b"221 ")
        assert replies.readline() == b""
    sink.stop()


def runs(*cpu):
    return [Run(ms, 100.0, {}) for ms in cpu]


def test_a_ratio_is_the_median_of_what_the_turns_gave():
    """Not that of the sums: a turn in which the machine was slow counts no
    more than another."""
    row = compare("new", "new", 1.75, runs(0.3, 30, 0.4), runs(0.2, 10, 0.4))
    assert (row.value, row.low, row.high) == (pytest.approx(1.5),
                                              pytest.approx(1.0), 3.0)
    assert row.is_met is True
    assert compare("new", "", 1.4, runs(3), runs(2)).is_met is False
    assert compare("new", "", None, runs(3), runs(2)).is_met is None


MACHINE = {"date": "2026-11-29T12:00:00Z", "cpu": "a <fast> one", "cpus": 2,
           "kernel": "6.1", "commit": "abc"}


def test_results_are_json_and_a_picture_of_each_target(tmp_path):
    rows = [compare("new", "new & shiny", 1.75, runs(3), runs(2)),
            Row("dot-p50", "later", -0.1, "ms", 0.3),
            Row("large", "memory", 9000, "KiB", 320),
            Row("2-new", "no target", 1.0),
            Row("peer-milters", "not there", None, "ms"),
            Row("peer-rspamd", "a peer", 4.9, "ms")]
    write_json(tmp_path / "bench.json", rows, MACHINE)
    plot.write(tmp_path / "bench.svg", rows, MACHINE)
    said = json.loads((tmp_path / "bench.json").read_text())
    assert [row["is_met"] for row in said["rows"]] == [
        True, True, False, None, None, None]
    picture = xml.parse(tmp_path / "bench.svg")
    words = {each.text for each in picture.iter(
        "{http://www.w3.org/2000/svg}text")}
    assert {"new & shiny", "later", "memory", "a peer"} <= words
    marks = [each for each in picture.iter("{http://www.w3.org/2000/svg}line")
             if each.get("class") == "mark"]
    assert len(marks) == 3
    for box in picture.iter("{http://www.w3.org/2000/svg}rect"):
        assert 0 <= float(box.get("width")) <= plot.WIDTH
