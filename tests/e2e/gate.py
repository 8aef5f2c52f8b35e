# SPDX-License-Identifier: BSD-2-Clause
"""dmarcgate under test: a proxy.conf, a process, its events and verdicts.

    with Gate(backend=postfix.port, zone=ZONE,
              dmarc={"mode": "monitor"}) as gate:
        with gate.client("192.0.2.10") as client:
            ...
        verdict, = gate.wait_verdicts(1)

The programs are taken from the folder in DMARCGATE_BUILD, or build/.
"""

import gzip
import json
import os
import pwd
import re
import signal
import subprocess
import time
from pathlib import Path

from tests.e2e.process import ROOT, Process, free_port, scratch
from tests.e2e.smtp import Client

BUILD = (ROOT / os.environ.get("DMARCGATE_BUILD", "build")).resolve()
DMARCGATE = BUILD / "dmarcgate"
DMARCGATECTL = BUILD / "dmarcgatectl"

SANITIZER = re.compile(r"(Address|Leak|Thread|Memory|UndefinedBehavior)"
                       r"Sanitizer|: runtime error: ")


def conf_text(settings):
    """proxy.conf from a dict: a dict within it is a block, and a key that is
    a pair is a block with a title. None leaves a setting out."""
    lines = []
    for key, value in settings.items():
        if isinstance(value, dict):
            word = key if isinstance(key, str) else f'{key[0]} "{key[1]}"'
            body = "".join(f"\t{line}\n"
                           for line in conf_text(value).splitlines())
            lines.append(f"{word} {{\n{body}}}\n")
        elif value is not None:
            lines.append(f"{key} = {_conf_value(value)}\n")
    return "".join(lines)


def _conf_value(value):
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, (list, tuple)):
        return "{" + ", ".join(_conf_value(each) for each in value) + "}"
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


class Gate:
    """A running dmarcgate.

    port        takes connections that begin with a PROXY header
    plain_port  takes all others
    backend     port or "host:port" of the backend named "mta"
    zone        text of a zone file that is all of DNS; or
    dns         port of a name server
    backends, routes, overrides
                further blocks by title; a route "*" leads to "mta" unless
                routes are given
    listen, backend_settings, dmarc, quarantine, resolver, limit, spool
                settings of the blocks of that name
    top         settings outside blocks
    text        more lines, as they are
    program     another build of the gate
    """

    def __init__(self, backend, zone="", dns=None, identity="xclient",
                 listen=None, backend_settings=None, backends=None,
                 routes=None, overrides=None, dmarc=None, quarantine=None,
                 resolver=None, limit=None, spool=None, top=None, text="",
                 start=True, program=DMARCGATE):
        self.home = scratch("gate")
        self.port, self.plain_port = free_port(), free_port()
        self.spool = self._own("spool")
        self.conf = self.home / "proxy.conf"
        self.program = program
        self.process = None
        (self.home / "zone").write_text(zone, "utf-8")
        answers = ({"zone-file": str(self.home / "zone")} if dns is None
                   else {"servers": [f"127.0.0.1:{dns}"],
                         "dns-timeout": "1s"})
        self.settings = {
            "hostname": "gate.example",
            "user": "nobody" if os.geteuid() == 0 else None,
            "workers": 1,
            "body-directory": str(self._own("bodies")),
            "drain-timeout": "5s",
            **(top or {}),
            ("listen", f"127.0.0.1:{self.port}"):
                {"proxy-from": ["127.0.0.0/8"], **(listen or {})},
            ("listen", f"127.0.0.1:{self.plain_port}"): listen or {},
            ("backend", "mta"):
                {"address": [_endpoint(backend)], "identity": identity,
                 **(backend_settings or {})},
            **{("backend", name): value
               for name, value in (backends or {}).items()},
            **{("route", domain): value
               for domain, value in (routes or {"*": {"backend": "mta"}}
                                     ).items()},
            **{("override", name): value
               for name, value in (overrides or {}).items()},
            "dmarc": dmarc or {},
            "quarantine": quarantine or {},
            "limit": limit or {},
            "resolver": {**answers, **(resolver or {})},
            "spool": {"directory": str(self.spool), **(spool or {})},
        }
        self.conf.write_text(conf_text(self.settings) + text, "utf-8")
        if start:
            self.start()

    def _own(self, name):
        """A directory that the gate may write into, whoever it becomes."""
        directory = self.home / name
        directory.mkdir()
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            os.chown(directory, nobody.pw_uid, nobody.pw_gid)
        return directory

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is None:
            self.stop()
        else:
            self.process.kill()

    def launch(self):
        """Start it, and wait for nothing."""
        self.process = Process([self.program, "-c", self.conf],
                               self.home / "events")

    def start(self):
        """Start it and wait until every listener is ready, and all of its
        processes are there."""
        before = 0 if self.process is None else len(self.events("listening"))
        self.serving = self.settings["workers"]
        self.launch()
        try:
            self.process.wait_for(
                lambda: len(self.events("listening")) >= before + 2, 20)
            self.process.wait_for(self.keepers, 20, "have a keeper")
        except RuntimeError:
            self.process.kill()
            raise

    def stop(self, seconds=20):
        """SIGTERM. It must end by itself, with status 0, and have printed
        nothing that a sanitizer says."""
        if self.process is None or self.process.status is not None:
            return
        status = self.process.stop(seconds)
        assert not SANITIZER.search(self.process.text()), self.process.text()
        assert status == 0, f"exit status {status}:\n{self.process.text()}"

    def check(self):
        """What `dmarcgate -t` says: status, stdout, stderr."""
        return subprocess.run([DMARCGATE, "-t", "-c", self.conf], text=True,
                              stdin=subprocess.DEVNULL, capture_output=True,
                              timeout=30, check=False)

    def signal(self, number):
        """To the master."""
        self.process.signal(number)

    def workers(self):
        """The process ids of its workers; those that drain are among them."""
        return self._children("dmarcgate-w")

    def keepers(self):
        """The process ids of those who look after the spool."""
        return self._children("dmarcgate-keep")

    def _children(self, name):
        pid = self.process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text()
        return [int(child) for child in children.split()
                if _name_of(child).startswith(name)]

    def configure(self, text=None, **changes):
        """Write proxy.conf anew, with other settings: top-level ones by their
        word (- is _), or blocks of one (dmarc={...}); None leaves one out."""
        for word, value in changes.items():
            self.settings[word.replace("_", "-")] = value
        self.conf.write_text(conf_text(self.settings) + (text or ""), "utf-8")

    def reload(self, seconds=20):
        """SIGHUP, and wait until the new workers serve, and those of before
        take no connection any more."""
        before = len(self.events("reloaded"))
        drained, serving = len(self.events("draining")), self.serving
        self.signal(signal.SIGHUP)
        self.wait_event("reloaded", before + 1, seconds)
        self.wait_event("draining", drained + serving, seconds)
        self.serving = self.settings["workers"]

    def kill_worker(self):
        """kill -9 of one worker."""
        os.kill(self.workers()[0], signal.SIGKILL)

    def client(self, address="192.0.2.10", **options):
        """A client that comes from a documentation address."""
        return Client(self.port, address, **options)

    def plain_client(self, **options):
        """A client that comes from 127.0.0.1."""
        return Client(self.plain_port, **options)

    def events(self, name=""):
        """Lines of its event log, all or those of one event, as written:
        TIME SEVERITY NAME key=value ..."""
        lines = [line for line in self.process.text().split("\n")[:-1]]
        return [line for line in lines
                if not name or line.split(" ")[2:3] == [name]]

    def wait_event(self, name, count=1, seconds=10):
        """events(name) once there are count of them."""
        self.process.wait_for(lambda: len(self.events(name)) >= count,
                              seconds, f"log {count} {name}")
        return self.events(name)

    def verdicts(self):
        """The verdict lines so far, over all segments, parsed; a line that is
        no record is an error."""
        verdicts = []
        for file in sorted(self.spool.glob("verdict-*")) + [
                self.spool / "verdict.log"]:
            lines = _octets_of(file).split(b"\n")
            assert lines[-1] == b"", f"a torn line: {lines[-1]!r}"
            verdicts += [json.loads(line) for line in lines[:-1]]
        assert all(verdict["v"] == 1 for verdict in verdicts)
        return [verdict for verdict in verdicts if "action" in verdict]

    def wait_verdicts(self, count, seconds=10):
        """verdicts() once there are count of them, and not more."""
        deadline = time.monotonic() + seconds
        while len(self.verdicts()) < count and time.monotonic() < deadline:
            time.sleep(0.02)
        verdicts = self.verdicts()
        assert len(verdicts) == count, (
            f"{len(verdicts)} verdicts, not {count}:\n{self.process.text()}")
        return verdicts


def _endpoint(backend):
    return f"127.0.0.1:{backend}" if isinstance(backend, int) else backend


def _octets_of(file):
    """Of a segment; nothing of one that is compressed or deleted just now."""
    try:
        octets = file.read_bytes()
    except FileNotFoundError:
        return b""
    return gzip.decompress(octets) if file.suffix == ".gz" else octets


def _name_of(pid):
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except (FileNotFoundError, ProcessLookupError):
        return ""
