# SPDX-License-Identifier: BSD-2-Clause
"""A signed zone at an NSD, and an Unbound that asks it and validates."""

import socket
import subprocess

import dns.exception
import dns.message
import dns.query

from tests.e2e.parts import Nsd, environment, fetch
from tests.e2e.process import Process, free_port, scratch

UNBOUND_CONF = """\
server:
    interface: 127.0.0.1@{port}
    do-daemonize: no
    chroot: ""
    username: ""
    directory: "{home}"
    pidfile: ""
    use-syslog: no
    logfile: ""
    do-not-query-localhost: no
    module-config: "validator iterator"
    trust-anchor-file: "{home}/anchor"
stub-zone:
    name: "."
    stub-addr: 127.0.0.1@{nsd}
remote-control:
    control-enable: no
"""


class SignedNsd(Nsd):
    """An NSD whose zone is signed; `changed` maps text to other text, put in
    after the signing, which makes it bogus."""

    def __init__(self, zone, changed=None):
        self.changed = changed or {}
        super().__init__(zone)

    def _ldns(self, program, *words):
        return subprocess.run([self.root / "usr/bin" / program, *words],
                              env=environment(), cwd=self.home, check=True,
                              capture_output=True, text=True).stdout

    def _write(self, zone):
        super()._write(zone)
        key = self._ldns("ldns-keygen", "-k", "-a", "ECDSAP256SHA256",
                         ".").strip()
        self.anchor = (self.home / f"{key}.key").read_text("ascii")
        self._ldns("ldns-signzone", "-o", ".", "-f", "signed", "zone", key)
        text = (self.home / "signed").read_text("utf-8")
        for old, new in self.changed.items():
            assert text.count(old) == 1, (old, text)
            text = text.replace(old, new)
        (self.home / "zone").write_text(text, "utf-8")


class Unbound:
    """A validating resolver in front of a SignedNsd."""

    def __init__(self, nsd):
        self.home = scratch("unbound")
        self.port = free_port()
        (self.home / "anchor").write_text(nsd.anchor)
        (self.home / "unbound.conf").write_text(UNBOUND_CONF.format(
            home=self.home, port=self.port, nsd=nsd.port))
        self.process = Process(
            [fetch() / "usr/sbin/unbound", "-d", "-c",
             self.home / "unbound.conf"],
            self.home / "output", env=environment())
        self.process.wait_for(self._answers, 15)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stop()

    def _answers(self):
        question = dns.message.make_query(".", "SOA")
        try:
            dns.query.udp(question, "127.0.0.1", 2, port=self.port)
        except (dns.exception.Timeout, socket.error):
            return False
        return True
