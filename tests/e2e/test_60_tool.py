# SPDX-License-Identifier: BSD-2-Clause
"""dmarcgatectl as people use it: sink, log, eval, config, help."""

import gzip
import json
import os
import re
import signal
import subprocess
import time

import pytest

from tests.e2e import senders
from tests.e2e.gate import DMARCGATECTL
from tests.e2e.parts import txt
from tests.e2e.process import ROOT, Process, free_port, scratch
from tests.e2e.smtp import Client, proxy_v1, proxy_v2


def run(*words, stdin="", status=0):
    """stdout of a command that ends with this status."""
    done = subprocess.run([DMARCGATECTL, *words], input=stdin, text=True,
                          capture_output=True, check=False, timeout=60)
    assert done.returncode == status, (done.stdout, done.stderr)
    if 64 <= status:
        assert done.stderr.count("\n") >= 1 and not done.stdout
    return done.stdout


# --- sink ------------------------------------------------------------------


class Sink(Process):
    def __init__(self, *words):
        self.home = scratch("sink")
        super().__init__([DMARCGATECTL, "sink", "--listen", "127.0.0.1:0",
                          "--directory", self.home, *words],
                         self.home / "output")
        self.wait_for(lambda: "listening on" in self.text())
        self.port = int(self.text().split("listening on ")[1]
                        .split()[0].rsplit(":")[-1])

    def mail(self, number):
        """Envelope and octets of a mail, counted from 1."""
        envelope = json.loads((self.home / f"{number:06}.json").read_text())
        assert envelope["number"] == number
        octets = (self.home / f"{number:06}.eml").read_bytes()
        assert envelope["octets"] == len(octets)
        return envelope, octets


@pytest.fixture
def sink():
    started = []

    def start(*words):
        started.append(Sink(*words))
        return started[-1]

    yield start
    for each in started:
        each.stop()


MESSAGE = b"From: <a@a.example>\r\n\r\n.\r\n..\r\nBody\r\n"


def test_a_mail_as_it_was_sent(sink):
    taker = sink()
    with Client(taker.port) as client:
        client.ehlo("mx.sender.example")
        assert {"PIPELINING", "SIZE", "8BITMIME", "SMTPUTF8", "DSN",
                "ENHANCEDSTATUSCODES", "XCLIENT"} <= set(client.extensions)
        client.send(b"MAIL FROM:<alice@sender.example> SIZE=40 BODY=8BITMIME"
                    b"\r\nRCPT TO:<bob@backend.example> NOTIFY=NEVER\r\n"
                    b"RCPT TO:<\"e v\"@backend.example>\r\nDATA\r\n")
        assert [client.reply().code for _ in range(4)] == [250, 250, 250, 354]
        client.send(MESSAGE.replace(b"\r\n.", b"\r\n..") + b".\r\n")
        assert client.expect(250).text.startswith("2.0.0 Ok: mail 1")
    envelope, octets = taker.mail(1)
    assert octets == MESSAGE
    assert envelope["client"]["via"] == "direct"
    assert envelope["client"]["ip"] == "127.0.0.1"
    assert envelope["helo"] == "mx.sender.example" and envelope["extended"]
    assert envelope["from"] == {"address": "alice@sender.example",
                                "parameters": ["SIZE=40", "BODY=8BITMIME"]}
    assert envelope["recipients"] == [
        {"address": "bob@backend.example", "parameters": ["NOTIFY=NEVER"]},
        {"address": '"e v"@backend.example', "parameters": []}]
    # and for people
    shown = taker.text()
    assert "client  127.0.0.1 port " in shown and "(direct)" in shown
    assert "from    <alice@sender.example> SIZE=40" in shown
    assert "\n\nFrom: <a@a.example>\n\n.\n..\nBody\n----\n" in shown
    assert taker.stop() == 0


def test_a_mail_octet_by_octet(sink):
    taker = sink("--proxy", "--quiet")
    header = proxy_v2("192.0.2.10")
    with Client(taker.port, greet=False) as client:
        for octet in (header + b"EHLO a.example\r\nMAIL FROM:<a@a.example>\r\n"
                      b"RCPT TO:<b@b.example>\r\nDATA\r\n"
                      + MESSAGE.replace(b"\r\n.", b"\r\n..") + b".\r\n"):
            client.send(bytes([octet]))
        codes = [client.reply().code for _ in range(6)]
    assert codes == [220, 250, 250, 250, 354, 250]
    envelope, octets = taker.mail(1)
    assert octets == MESSAGE and envelope["client"]["ip"] == "192.0.2.10"


def test_the_client_it_is_told_of(sink):
    taker = sink("--proxy", "--quiet")
    for number, header in enumerate([proxy_v1("192.0.2.10"),
                                     proxy_v2("2001:db8::10")], 1):
        with Client(taker.port, greet=False) as client:
            client.send(header)
            client.expect(220)
            client.ehlo("a.example")
            client.deliver("", ["b@b.example"], MESSAGE)
        envelope, _ = taker.mail(number)
        assert envelope["client"]["via"] == "proxy"
        assert envelope["client"]["port"] == 4242
        assert envelope["from"]["address"] == ""
        assert envelope["client"]["ip"] == ["192.0.2.10",
                                            "2001:db8::10"][number - 1]
    with Client(taker.port, greet=False) as client:
        client.send(b"EHLO no.proxy.example\r\n")
        client.expect_end()
    assert "---- mail" not in taker.text()


def test_xclient(sink):
    taker = sink("--quiet")
    with Client(taker.port) as client:
        client.ehlo("gate.example")
        assert client.command("XCLIENT FOO=1").code == 501
        client.command("XCLIENT ADDR=IPV6:2001:db8::7 PORT=99 NAME=[TEMPUNAVAIL]"
                       " HELO=mx.sender.example LOGIN=al+2Bice")
        assert client.command("MAIL FROM:<>").code == 503
        client.ehlo("mx.sender.example")
        client.deliver("a@a.example", ["b@b.example"], b"")
    envelope, octets = taker.mail(1)
    assert octets == b""
    assert envelope["client"] == {
        "via": "xclient", "ip": "2001:db8::7", "port": 99, "name": None,
        "name_is_temporary": True, "helo": "mx.sender.example",
        "login": "al+ice"}


def test_what_the_sink_refuses(sink):
    taker = sink("--quiet")
    with Client(taker.port) as client:
        client.command("HELO a.example")
        client.command("MAIL FROM:<a@a.example>")
        client.command("RCPT TO:<b@b.example>")
        client.command("DATA")
        client.send(b"a\nb\r\n.\r\n")
        assert client.reply().code == 550
        assert client.command("RCPT TO:<b@b.example>").code == 503
        assert client.command("FROB").code == 500
    assert not list(taker.home.glob("*.eml"))


def test_several_at_once_and_a_count(sink):
    taker = sink("--quiet", "--count", "3")
    clients = [Client(taker.port) for _ in range(3)]
    for client in clients:
        client.ehlo("a.example")
        client.command("MAIL FROM:<a@a.example>")
        client.command("RCPT TO:<b@b.example>")
        client.command("DATA")
    for client in reversed(clients):
        client.send(MESSAGE + b"." + b"\r\n")
        client.expect(250)
        client.close()
    taker.child.wait(10)
    assert taker.stop() == 0
    assert len(list(taker.home.glob("*.json"))) == 3


# --- log -------------------------------------------------------------------


def line(number, **changes):
    """A verdict line in short."""
    record = {"v": 1, "time": f"2026-11-21T12:00:{number:02}.123456Z",
              "id": f"id{number}", "client": {"ip": "192.0.2.10"},
              "envelope": {"from": "alice@sender.example",
                           "rcpt": ["bob@backend.example"]},
              "header_from": "sender.example",
              "spf": {"result": "softfail", "domain": "sender.example"},
              "dkim": [], "dmarc": {"result": "fail", "policy": "reject"},
              "action": "reject", "otherwise": None,
              "reply": "550 5.7.1 DMARC"}
    return json.dumps({**record, **changes}, separators=(",", ":")) + "\n"


def uuid(number):
    return f"00000000-0000-4000-8000-{number:012}"


def head(number, previous=None):
    """The first line of a segment, which follows on another unless told."""
    if previous is None and number > 1:
        previous = number - 1
    return json.dumps({"v": 1, "segment": uuid(number),
                       "opened": f"2026-11-21T11:00:{number:02}.000000Z",
                       "previous": previous and uuid(previous),
                       "gate": "mx.example"}, separators=(",", ":")) + "\n"


def end(number):
    """Its last line."""
    return json.dumps({"v": 1, "end": uuid(number),
                       "closed": "2026-11-21T13:00:00.000000Z"},
                      separators=(",", ":")) + "\n"


def rotated(spool, number):
    return spool / (f"verdict-20261121T1100{number:02}.000000Z-"
                    f"{uuid(number)}.log")


def compress(path):
    path.with_name(path.name + ".gz").write_bytes(
        gzip.compress(path.read_bytes()))
    path.unlink()


def rotate(spool, number):
    """The live segment gets its name, and the next one takes its place."""
    new = spool / ".new"
    new.write_text(head(number + 1))
    os.link(spool / "verdict.log", rotated(spool, number))
    new.rename(spool / "verdict.log")
    return rotated(spool, number)


def run_log(spool, *words):
    """stdout and stderr of a log that is all well."""
    done = subprocess.run([DMARCGATECTL, "log", "--json", "--spool", spool,
                           *words], capture_output=True, text=True,
                          check=True, timeout=60)
    return done.stdout, done.stderr


def test_log_in_words_and_raw():
    spool = scratch("log")
    path = spool / "verdict.log"
    path.write_text(
        line(1)
        + line(2, action="relay", otherwise="reject", dkim=[
            {"result": "fail", "domain": "a.example"},
            {"result": "pass", "domain": "b.example"}],
            envelope={"from": "", "rcpt": ["a@b", "c@d", "e@f", "g@h"]})
        + line(3, header_from="x\x1b[2J"))
    words = run("log", "--spool", spool).splitlines()
    assert words[0] == (
        "2026-11-21T12:00:01Z reject 192.0.2.10 from=sender.example "
        "dmarc=fail(p=reject) spf=softfail(sender.example) dkim=none "
        "<alice@sender.example> -> <bob@backend.example> "
        '"550 5.7.1 DMARC" id=id1')
    assert "relay(otherwise reject)" in words[1]
    assert "dkim=pass(b.example)/2" in words[1]
    assert "<> -> <a@b> <c@d> +2" in words[1]
    assert "from=x\\u001b[2J" in words[2] and len(words) == 3
    assert run("log", "--json", "--spool", path) == path.read_text()
    configured = spool / "proxy.conf"
    configured.write_text(f'spool {{ directory = "{spool}" }}\n')
    assert run("log", "-c", configured) == "\n".join(words) + "\n"


def test_log_passes_over_torn_lines():
    spool = scratch("log")
    torn = line(2)[:100]
    (spool / "verdict.log").write_text(
        line(1) + torn + line(3) + torn + "\n" + "\n" + line(4) + torn)
    out, err = run_log(spool)
    assert out == line(1) + line(3) + line(4)
    assert "3 torn or foreign lines" in err


def test_log_goes_through_all_segments():
    spool = scratch("log")
    rotated(spool, 1).write_text(head(1) + line(1) + line(2) + end(1))
    rotated(spool, 2).write_text(head(2) + line(3) + end(2))
    # nobody has closed it, and its last line waits for an LF
    rotated(spool, 3).write_text(head(3) + line(4) + line(5)[:-1])
    (spool / "verdict.log").write_text(head(4) + line(6))
    every = "".join(line(number) for number in range(1, 7))
    assert run_log(spool) == (every, "")
    compress(rotated(spool, 1))
    assert run_log(spool) == (every, "")
    words = run("log", "--spool", spool).splitlines()
    assert [each.split("id=")[1] for each in words] == [
        f"id{number}" for number in range(1, 7)]
    # one of them alone
    one = rotated(spool, 1)
    assert run_log(one.with_name(one.name + ".gz")) == (line(1) + line(2), "")
    assert run_log(rotated(spool, 2)) == (line(3), "")


def test_log_says_what_is_missing():
    spool = scratch("log")
    rotated(spool, 1).write_text(head(1) + line(1) + end(1))
    rotated(spool, 3).write_text(head(3) + line(3) + end(3))
    compress(rotated(spool, 3))
    damaged = spool / (rotated(spool, 3).name + ".gz")
    damaged.write_bytes(damaged.read_bytes()[:-9])
    lost = json.dumps({"v": 1, "lost": 7, "since": "2026-11-21T12:00:00.0Z",
                       "until": "2026-11-21T12:00:00.0Z"},
                      separators=(",", ":")) + "\n"
    (spool / "verdict.log").write_text(head(4) + lost + line(4))
    out, err = run_log(spool)
    assert out == line(1) + line(3) + line(4)
    assert err.splitlines() == [
        f"dmarcgatectl: {spool}: at least one segment is missing before "
        f"{damaged.name}",
        f"dmarcgatectl: {spool}: {damaged.name} is damaged behind octet "
        f"{len(head(3) + line(3) + end(3))}",
        f"dmarcgatectl: {spool}: 7 verdict lines could not be written"]


class Follower(Process):
    def __init__(self, spool, *words):
        super().__init__([DMARCGATECTL, "log", "--json", "--follow", "--spool",
                          spool, *words], scratch("follow") / "output")

    def expect(self, text):
        self.wait_for(lambda: text in self.text(), what=f"show {text!r}")

    def stays_at(self, text):
        """It shows this and, for a while, nothing more."""
        self.expect(text)
        time.sleep(0.4)
        assert self.text() == text


@pytest.fixture(name="follow")
def make_follow():
    started = []

    def follow(*words):
        started.append(Follower(*words))
        return started[-1]

    yield follow
    for each in started:
        each.kill()


def append(path, text):
    with open(path, "a", encoding="utf-8") as file:
        file.write(text)


def test_log_follow(follow):
    spool = scratch("log")
    path = spool / "verdict.log"
    follower = follow(spool)  # before there is a file
    append(path, head(1) + line(1))
    follower.expect(line(1))
    # a line is shown when it is whole
    append(path, line(2)[:50])
    follower.stays_at(line(1))
    append(path, line(2)[50:])
    follower.expect(line(1) + line(2))
    # who still writes to the old segment is heard first
    old = rotate(spool, 1)
    append(path, line(4))
    follower.stays_at(line(1) + line(2))
    append(old, line(3) + end(1))
    follower.expect(line(2) + line(3) + line(4))
    # compressed and deleted while it is read
    old = rotate(spool, 2)
    append(path, line(6))
    append(old, line(5) + end(2))
    compress(old)
    old.with_name(old.name + ".gz").unlink()
    follower.expect(line(4) + line(5) + line(6))
    # cut to nothing and written anew
    path.write_text("")
    follower.expect("verdict.log was truncated")
    append(path, line(7))
    follower.expect(line(7))
    assert follower.stop() == 0


def test_log_follow_when_the_file_is_taken_away(follow):
    spool = scratch("log")
    path = spool / "verdict.log"
    path.write_text(head(1) + line(1))
    follower = follow(spool)
    follower.expect(line(1))
    path.rename(spool / "verdict.log.1")
    append(spool / "verdict.log.1", line(2))
    append(path, line(3))
    follower.expect(line(2))
    follower.expect("verdict.log was moved or deleted before its end")
    follower.expect(line(3))
    follower.signal(signal.SIGINT)
    follower.child.wait(10)
    assert follower.stop() == 0


def test_log_follow_only_what_is_new(follow):
    spool = scratch("log")
    path = spool / "verdict.log"
    rotated(spool, 1).write_text(head(1) + line(1) + end(1))
    path.write_text(head(2) + line(2) + line(3)[:30])
    follower = follow(spool, "--new")
    follower.stays_at("")
    append(path, line(3)[30:] + line(4))
    follower.stays_at(line(4))


# --- log: registered readers -------------------------------------------------


def registered(spool, name):
    """The segment and offset where a reader is."""
    segment, offset = (spool / "readers" / name).read_text().split()
    return segment, int(offset)


def test_log_reader_goes_on_where_it_ended():
    spool = scratch("log")
    path = spool / "verdict.log"
    path.write_text(head(1) + line(1) + line(2) + line(3)[:40])
    reader = "--reader", "report-1"
    assert run_log(spool, *reader) == (line(1) + line(2), "")
    assert registered(spool, "report-1") == (
        uuid(1), len(head(1) + line(1) + line(2)))
    assert run_log(spool, *reader) == ("", "")
    append(path, line(3)[40:])
    assert run_log(spool, *reader, "--new") == (line(3), "")
    # not past a segment that others may still write to
    old = rotate(spool, 1)
    append(path, line(5))
    assert run_log(spool, *reader) == ("", "")
    append(old, line(4) + end(1))
    compress(old)
    assert run_log(spool, *reader) == (line(4) + line(5), "")
    assert registered(spool, "report-1") == (uuid(2), len(head(2) + line(5)))
    # its segment is gone
    old = rotate(spool, 2)
    append(path, line(6))
    old.unlink()
    out, err = run_log(spool, *reader)
    assert out == line(6)
    assert f"segment {uuid(2)}, where reading had ended, is gone" in err
    # another one has its own place, or none
    assert run_log(spool, "--reader", "new", "--new") == ("", "")
    append(path, line(7))
    assert run_log(spool, "--reader", "new") == (line(7), "")


def test_log_reader_is_forgotten():
    spool = scratch("log")
    (spool / "verdict.log").write_text(head(1) + line(1))
    for _ in range(2):
        assert run_log(spool, "--reader", "a") == (line(1), "")
        assert run_log(spool, "--forget", "a") == ("", "")
        assert not list((spool / "readers").iterdir())
    run("log", "--spool", spool, "--forget", "a", status=66)
    run("log", "--spool", spool, "--reader", "../a", status=64)
    run("log", "--spool", spool / "verdict.log", "--reader", "a", status=64)
    (spool / "readers" / "a").write_text("nonsense\n")
    run("log", "--spool", spool, "--reader", "a", status=74)


def test_log_reader_is_registered_before_it_reads(follow):
    spool = scratch("log")
    follower = follow(spool, "--reader", "a")
    place = spool / "readers" / "a"
    follower.wait_for(place.exists, what="register")
    assert place.read_text() == "- 0\n"


def test_log_reader_that_follows(follow):
    """Ended in order it has had each line once; killed, at least once."""
    spool = scratch("log")
    path = spool / "verdict.log"
    path.write_text(head(1))
    shown, written = "", ""
    for number in range(1, 9):
        follower = follow(spool, "--reader", "a")
        for each in (line(2 * number), line(2 * number + 1)):
            append(path, each)
            follower.expect(each)
            written += each
        follower.wait_for(
            lambda: registered(spool, "a")[1] == path.stat().st_size,
            what="register")
        if number % 2:
            assert follower.stop() == 0
        else:
            follower.kill()
        shown += follower.text()
    assert shown == written


def test_log_reader_that_is_killed(follow):
    """However far it had come: what was not registered is given again."""
    spool = scratch("log")
    path = spool / "verdict.log"
    every = [line(number, id=f"id{number}.") for number in range(60000)]
    path.write_text(head(1) + "".join(every))
    shown = []
    for part in (1, 2, 3):
        follower = follow(spool, "--reader", "a")
        follower.wait_for(
            lambda: (spool / "readers" / "a").exists()
            and registered(spool, "a")[1] > part * path.stat().st_size // 5,
            what="come that far")
        follower.kill()
        shown.append(follower.text().splitlines(keepends=True))
        # the last one may be cut
        if shown[-1] and not shown[-1][-1].endswith("\n"):
            shown[-1].pop()
    shown.append(run_log(spool, "--reader", "a")[0].splitlines(keepends=True))
    numbers = {text: number for number, text in enumerate(every)}
    reached = 0
    assert shown[0]
    for part in filter(None, shown):  # the one before may have come far
        begun = numbers[part[0]]
        assert begun <= reached  # nothing left out
        assert part == every[begun:begun + len(part)]
        reached = begun + len(part)
    assert reached == len(every)


def test_log_reader_that_cannot_be_registered_for_a_while(follow):
    """It goes on, says so once, and tries again."""
    spool = scratch("log")
    path, place = spool / "verdict.log", spool / "readers" / "a"
    path.write_text(head(1))
    follower = follow(spool, "--reader", "a")
    follower.wait_for(lambda: place.exists()
                      and registered(spool, "a")[1] == path.stat().st_size,
                      what="register")
    place.unlink()
    place.mkdir()  # no file can take its place
    said = "dmarcgatectl: reader a: Is a directory\n"
    append(path, line(1))
    follower.stays_at(line(1) + said)
    append(path, line(2))
    follower.stays_at(line(1) + said + line(2))
    place.rmdir()
    follower.wait_for(place.exists, what="register")
    assert registered(spool, "a")[1] == path.stat().st_size
    # and to its end
    place.unlink()
    place.mkdir()
    append(path, line(3))
    follower.stays_at(line(1) + said + line(2) + line(3) + said)
    assert follower.stop() == 74
    place.rmdir()


def traced():
    """The environment of what strace runs: leaks cannot be looked for then,
    as that needs a trace of its own."""
    options = os.environ.get("ASAN_OPTIONS", "")
    return {**os.environ, "ASAN_OPTIONS": f"{options}:detect_leaks=0"}


def log_with_a_fault(spool, call, *words, only=()):
    """A log for which each call of that name gives an error."""
    name = call.split(":")[0]
    return subprocess.run(
        ["strace", "-f", "-o", "/dev/null", "-e", f"trace={name}", *only,
         "-e", f"inject={call}", DMARCGATECTL, "log", "--json", "--spool",
         spool, *words],
        env=traced(), capture_output=True, text=True, check=False, timeout=60)


def test_log_finds_no_end_in_a_restless_directory():
    """Better none than all that is old as if it were new."""
    spool = scratch("log")
    (spool / "verdict.log").write_text(head(1) + line(1))
    for words in ("--new",), ("--new", "--reader", "a"):
        # verdict.log seems to go away whenever it was listed, for a time
        done = log_with_a_fault(
            spool, "newfstatat:error=ENOENT:when=1..300", *words,
            only=("-P", "verdict.log"))
        assert (done.returncode, done.stdout) == (66, "")
        assert "Resource temporarily unavailable" in done.stderr
        assert not (spool / "readers").exists()


def test_log_reader_is_not_ahead_of_the_disk():
    """Its position is kept only behind lines that are on the disk."""
    spool = scratch("log")
    reader = "--reader", "a"
    (spool / "verdict.log").write_text(head(1))
    assert run_log(spool, *reader) == ("", "")
    append(spool / "verdict.log", line(1))
    for _ in range(2):
        done = log_with_a_fault(spool, "fdatasync:error=EIO", *reader)
        assert done.returncode == 74 and done.stdout == line(1)
        assert "verdict.log: Input/output error" in done.stderr
        assert registered(spool, "a") == (uuid(1), len(head(1)))
    done = log_with_a_fault(spool, "fdatasync:error=EROFS", *reader)
    assert (done.returncode, done.stdout) == (0, line(1))
    assert registered(spool, "a") == (uuid(1), len(head(1) + line(1)))


def test_log_reader_is_not_ahead_of_its_output():
    spool = scratch("log")
    (spool / "verdict.log").write_text(head(1) + line(1))
    trace = spool / "trace"
    with open(spool / "output", "w", encoding="utf-8") as output:
        subprocess.run(
            ["strace", "-s100", "-o", trace, "-e", "trace=fsync,write",
             DMARCGATECTL, "log", "--json", "--spool", spool, "--reader", "a"],
            env=traced(), stdout=output, check=True, timeout=60)
    calls = trace.read_text()
    position = calls.rindex(f'"{uuid(1)} ')  # as it is written
    assert "fsync(1) " in calls[calls.index("write(1, "):position]


def test_log_without_a_log():
    run("log", "--spool", "/nonexistent", status=66)
    run("log", "--spool", scratch("log"), status=66)
    run("log", "surplus", status=64)


# --- eval ------------------------------------------------------------------


@pytest.fixture(scope="module", name="zone_file")
def make_zone_file():
    path = scratch("eval") / "zone"
    path.write_text(senders.zone())
    return path


@pytest.fixture(name="write")
def make_write():
    home = scratch("eval")

    def write(octets, name="message"):
        (home / name).write_bytes(octets)
        return home / name

    return write


def judge(zone_file, *words, status=0, stdin=""):
    return json.loads(run("eval", "--json", "--zone", zone_file, *words,
                          status=status, stdin=stdin))


def test_eval_says_the_disposition(zone_file, write):
    for policy, status in [("reject", 2), ("quarantine", 1), ("none", 0)]:
        forged = write(senders.message(f"alice@{policy}.example"))
        verdict = judge(zone_file, "--ip", senders.BAD, "--helo", "x.example",
                        "--mail-from", f"alice@{policy}.example", forged,
                        status=status)
        assert verdict["dmarc"]["result"] == "fail"
        assert verdict["dmarc"]["policy"] == policy
        assert verdict["disposition"] == policy
        assert verdict["spf"]["result"] == "fail"
        assert verdict["action"] == {"reject": "reject", "quarantine": "tag",
                                     "none": "relay"}[policy]


def test_eval_by_spf_and_by_dkim(zone_file, write):
    plain = senders.message("alice@reject.example")
    verdict = judge(zone_file, "--ip", senders.GOOD, "--helo", "x.example",
                    "--mail-from", "<alice@reject.example>", write(plain))
    assert verdict["spf"]["aligned"] and verdict["dmarc"]["result"] == "pass"
    assert verdict["envelope"]["from"] == "alice@reject.example"
    signed = senders.sign(plain, "reject.example")
    verdict = judge(zone_file, write(signed))
    assert verdict["spf"]["result"] == "none" and verdict["client"]["ip"] is None
    assert verdict["dkim"][0]["result"] == "pass"
    assert verdict["dkim"][0]["aligned"] and verdict["dkim"][0]["bits"] == 2048
    assert verdict["dmarc"]["org_domain"] == "reject.example"
    # The same with LF, as files have it, and by standard input.
    unix = signed.replace(b"\r\n", b"\n")
    assert judge(zone_file, write(unix))["dkim"][0]["result"] == "pass"
    assert judge(zone_file, "-", stdin=unix.decode())["dkim"][0]["result"] == \
        "pass"


def test_eval_of_the_null_sender(zone_file, write):
    verdict = judge(zone_file, "--ip", senders.GOOD, "--helo",
                    "reject.example", "--mail-from", "<>",
                    write(senders.message("alice@reject.example")))
    assert verdict["envelope"]["from"] == ""
    assert verdict["spf"]["domain"] == "reject.example"
    assert verdict["spf"]["scope"] == "mfrom" and verdict["spf"]["aligned"]


def test_eval_explains_itself(zone_file, write):
    text = run("eval", "--zone", zone_file, "--ip", senders.BAD, "--helo",
               "x.example", "--mail-from", "alice@reject.example",
               write(senders.message("alice@reject.example")), status=2)
    for words in ("TXT  _dmarc.reject.example: \"v=DMARC1; p=reject",
                  "SPF (RFC 7208)", "Result: fail", "has no signature",
                  "Author domain reject.example; the name exists",
                  "tree walk (RFC 9989 4.10)", "Policy: p=reject, applied as "
                  "reject", "dmarc=fail, disposition reject, decided by RFC "
                  "9989", "The gate would reject this message."):
        assert words in text


def test_eval_says_what_the_domain_explains(write):
    """exp= of RFC 7208 6.2, by our own engine; libspf2 must not expand it."""
    zone = write((txt("s.example", "v=spf1 -all exp=why.%{d}")
                  + txt("why.s.example", "%{i} is not ours, see %{L}"))
                 .encode(), "zone")
    words = ["--zone", zone, "--ip", "192.0.2.66", "--helo", "x.example",
             "--mail-from", "a+b@s.example",
             write(senders.message("alice@s.example"))]
    explanation = "192.0.2.66 is not ours, see a%2Bb"
    verdict = json.loads(run("eval", "--json", *words))
    assert verdict["spf"]["result"] == "fail"
    assert verdict["spf"]["reason"] == "matched -all"
    assert verdict["spf"]["explanation"] == explanation
    assert f'The domain explains: "{explanation}"' in run("eval", *words)
    conf = write(b"spf-engine = libspf2\n", "proxy.conf")
    verdict = json.loads(run("eval", "--json", "-c", conf, *words))
    assert verdict["spf"]["result"] == "fail"
    assert verdict["spf"]["explanation"] is None


def test_eval_asks_a_name_server(nsd, write):
    server = nsd(senders.zone())
    verdict = json.loads(run(
        "eval", "--json", "--dns", f"127.0.0.1:{server.port}",
        write(senders.sign(senders.message("alice@none.example"),
                           "none.example"))))
    assert verdict["dmarc"]["result"] == "pass"
    assert not verdict["dns"][0]["cached"]
    text = run("eval", "--dns", f"127.0.0.1:{free_port()}", "-c",
               write(b"eval-timeout = 300ms\n", "proxy.conf"),
               write(senders.message("alice@reject.example")), status=3)
    assert "no answer" in text and "dmarc=temperror" in text


def test_eval_by_a_configuration(zone_file, write):
    conf = write(b'dmarc { mode = monitor on-reject = defer }\n'
                 b'override lists { client = 203.0.113.0/24 action = accept'
                 b' reason = mailing_list }\n', "proxy.conf")
    words = ["-c", conf, "--helo", "x.example", "--mail-from",
             "alice@reject.example",
             write(senders.message("alice@reject.example"))]
    verdict = judge(zone_file, "--ip", senders.BAD, *words)
    assert verdict["override"] == {"name": "lists", "reason": "mailing_list",
                                   "comment": None, "instead_of": "reject"}
    verdict = judge(zone_file, "--ip", "198.51.100.1", *words, status=2)
    assert verdict["override"] is None and verdict["mode"] == "monitor"
    assert not verdict["enforced"] and verdict["action"] == "relay"
    assert verdict["otherwise"] == "defer"


def test_eval_at_another_time(zone_file, write):
    expiring = senders.message("alice@none.example")
    signed = senders.sign(expiring, "none.example")
    verdict = judge(zone_file, "--time", "2000-01-01T00:00:00Z", write(signed))
    assert verdict["time"] == "2000-01-01T00:00:00.000000Z"
    verdict = judge(zone_file, "--time", "86400", write(signed))
    assert verdict["time"] == "1970-01-02T00:00:00.000000Z"


@pytest.mark.parametrize("words, status", [
    ([], 64),
    (["/nonexistent"], 66),
    (["--ip", "x", "/dev/null"], 64),
    (["--mail-from", "<a", "/dev/null"], 64),
    (["--time", "yesterday", "/dev/null"], 64),
    (["--dns", "localhost", "/dev/null"], 64),
    (["--dns", "127.0.0.1", "--zone", "/dev/null", "/dev/null"], 64),
    (["--zone", "/nonexistent", "/dev/null"], 66),
    (["--zone", "/etc/passwd", "/dev/null"], 65),
    (["-c", "/nonexistent", "/dev/null"], 78),
])
def test_eval_of_nothing(words, status):
    run("eval", *words, status=status)


def test_eval_refuses_what_the_gate_refuses(zone_file, write):
    bare = write(b"From: <a@none.example>\r\n\r\na\rb\r\n")
    run("eval", "--zone", zone_file, bare, status=65)
    conf = write(b"line-endings = normalise", "proxy.conf")
    run("eval", "--zone", zone_file, "-c", conf, bare)
    large = write(b"X: " + b"y" * 300000 + b"\r\n\r\n")
    run("eval", "--zone", zone_file, large, status=65)


def keys_of(value):
    """All keys of an object, however deep."""
    if isinstance(value, list):
        return set().union(*map(keys_of, value))
    if not isinstance(value, dict):
        return set()
    return set(value) | keys_of(list(value.values()))


def test_every_key_is_in_the_manual(zone_file, write):
    conf = write(b'override lists { client = 203.0.113.0/24 action = accept }',
                 "proxy.conf")
    message = b"ARC-Seal: i=1; cv=none\r\n" + senders.sign(
        senders.message("alice@reject.example"), "none.example")
    verdict = judge(zone_file, "-c", conf, "--ip", senders.BAD, "--mail-from",
                    "alice@reject.example", write(message))
    assert verdict["override"] and verdict["dkim"] and verdict["dns"]
    assert verdict["arc"]["sets"]
    manual = (ROOT / "conf" / "dmarcgate-verdict.5").read_text("utf-8")
    listed = set()
    for item in re.findall(r"^\.It Cm (.*)$", manual, re.M):
        listed |= set(item.replace(",", " ").split())
    tags = set(verdict["dmarc"]["tags"])
    assert keys_of(verdict) - tags - listed == {"treewalk", "psl"}
    assert listed - keys_of(verdict) == set()


# --- config and help ---------------------------------------------------------


def test_config():
    home = scratch("config")
    bad = home / "bad.conf"
    least = (ROOT / "conf" / "minimal.conf").read_text("utf-8")
    bad.write_text(f"workers = 0\n\nfoo = 1\n{least}")
    done = subprocess.run([DMARCGATECTL, "config", "check", "-c", bad],
                          capture_output=True, text=True, check=False)
    assert done.returncode == 78 and not done.stdout
    faults = done.stderr.splitlines()
    assert faults[0].startswith(f"{bad}:1: workers: expected auto or a number")
    assert faults[1:] == [f"{bad}:3: foo: unknown setting"]
    assert run("config", "check", "-c", "conf/minimal.conf") == ""
    shown = run("config", "show", "-c", "conf/minimal.conf")
    again = home / "again.conf"
    again.write_text(shown)
    assert run("config", "show", "-c", again) == shown
    run("config", "frob", status=64)
    run("config", status=64)
    run("config", "check", "-c", "/nonexistent", status=78)


def test_help():
    listed = run("help")
    assert run("--help") == listed
    for word in "eval", "log", "config", "sink", "help":
        assert f"\n  {word} " in listed
        assert run("help", word) == run(word, "--help")
    assert "usage: dmarcgatectl eval [OPTION ...] MESSAGE" in run("help", "eval")
    run("help", "frob", status=64)
    run("frob", status=64)
    run(status=64)
    run("log", "--spool", status=64)
    run("log", "--json=1", status=64)
    run("log", "--json", "--json", status=64)
    assert run("--version").startswith("dmarcgatectl ")


def test_it_ends_when_nobody_reads():
    spool = scratch("log")
    (spool / "verdict.log").write_text(line(1) * 5000)
    reader, writer = os.pipe()
    os.close(reader)
    child = subprocess.Popen([DMARCGATECTL, "log", "--spool", spool],
                             stdout=writer, stderr=subprocess.DEVNULL)
    os.close(writer)
    assert child.wait(20) in (-signal.SIGPIPE, 74)
