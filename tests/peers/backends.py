# SPDX-License-Identifier: BSD-2-Clause
"""The mail servers behind the gate, each on the host "backend".

Each delivers whatever is for backend.example into one folder and logs who sent
it. What of its configuration concerns the gate is that of contrib/mta. What
they share is Backend; what is a fact of the server is its own:

    services   {identity: port}: how it can be told of the client
    added      names of the fields that it puts on top, topmost first
    copies     whether every recipient gets a file of its own
    takes_tls  whether its STARTTLS leads to TLS
    spool      its mailbox
"""

import contextlib
import json
import os
import re
import shutil
import sys
from pathlib import Path

from tests.e2e.parts import POSTFIX_SERVICES
from tests.e2e.process import ROOT, Process, scratch
from tests.e2e.smtp import Client
from tests.peers import packages, snippets
from tests.peers.network import BACKEND, BACKEND6, GATE_INSIDE

AS_INSTALLED = ROOT / "tests" / "peers" / "as-installed"
SECONDS_MAX = 30
MESSAGE_ID = re.compile(rb"^Message-ID: <([^>]+)@", re.M)


class Backend:
    """One of them; the others say how it is laid out and started."""

    name = ""
    services = {}
    added = ()
    copies = True
    takes_tls = True
    host, address = "backend", BACKEND
    probed_from, probed_as = "gate", "transparent"

    def __init__(self, network, certificate):
        self.network = network
        self.home = scratch(self.name)
        self.chain = shutil.copy(certificate.chain, self.home)
        self.key = shutil.copy(certificate.key, self.home)
        # Nobody answers there, and the kernel says so at once.
        self._write("etc/resolv.conf", "nameserver 127.0.0.1\n")
        self.spool = self._own("mail", packages.VMAIL)
        self.extensions = {}
        self.process = None
        self.known = {}

    def _own(self, name, user, group=None):
        path = self.home / name
        path.mkdir(parents=True, exist_ok=True)
        os.chown(path, user, user if group is None else group)
        return path

    def _write(self, name, text, mode=0o644):
        path = self.home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
        path.chmod(mode)

    def jailed(self, command):
        """The command, run as if the package were installed."""
        return [*self.network.on(self.host), "unshare", "--mount",
                "--propagation", "private", AS_INSTALLED,
                self.package(), self.home, *command]

    def package(self):
        """The folder that its package was unpacked into."""
        return packages.root(self.name)

    def start(self):
        self.lay_out()
        self.process = Process(self.command(), self.home / "output",
                               env=self.environment())
        self.process.wait_for(self._answers, SECONDS_MAX)

    def environment(self):
        return {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}

    def _answers(self):
        """Asked as dmarcgate would be, with no word of a client."""
        with contextlib.suppress(OSError), \
                self.network.inside(self.probed_from):
            with Client(self.services[self.probed_as], host=self.address,
                        timeout=5) as probe:
                probe.ehlo("gate.example")
                self.extensions = probe.extensions
                probe.quit()
                return True
        return False

    def stop(self):
        if self.process is not None:
            self.process.stop()

    def log(self):
        return self.process.text()

    # --- what it did ---

    def files(self):
        """Paths of the messages delivered so far."""
        return self.spool.glob("new/*")

    def delivered(self):
        """{name in the Message-ID: [octets]} of what has been delivered, its
        lines ended by CR LF."""
        found = {}
        for path in self.files():
            key = path, path.stat().st_size
            if key not in self.known:
                self.known[key] = self.octets_of(path)
            name = MESSAGE_ID.search(self.known[key])
            found.setdefault(name[1].decode() if name else path.name,
                             []).append(self.known[key])
        return found

    def octets_of(self, path):
        """As it was received: a mailbox of this system has its lines end by
        LF alone."""
        return re.sub(rb"\r?\n", b"\r\n", path.read_bytes())

    def clients_of(self, sender):
        """The addresses that its log has beside mail from a sender."""
        raise NotImplementedError


def by_session(log, opening, naming):
    """{sender: {address}}: `opening` finds (session, address) in the log,
    `naming` finds (session, sender)."""
    addresses = dict(re.findall(opening, log, re.M))
    found = {}
    for session, sender in re.findall(naming, log, re.M):
        found.setdefault(sender, set()).add(addresses.get(session, "nobody"))
    return found


# --- Postfix ------------------------------------------------------------------

POSTFIX_MAIN = """\
compatibility_level = 3.6
maillog_file = {home}/log
maillog_file_prefixes = {home}
myhostname = {hostname}
mydestination =
inet_interfaces = all
alias_maps =
alias_database =
local_recipient_maps =
virtual_mailbox_domains = {domains}
virtual_mailbox_base = {home}
virtual_mailbox_maps = static:mail/
virtual_minimum_uid = 1
virtual_uid_maps = static:{vmail}
virtual_gid_maps = static:{vmail}
virtual_mailbox_limit = 0
message_size_limit = 60000000
smtpd_peername_lookup = no
smtputf8_enable = yes
queue_minfree = 0
default_process_limit = 50
"""

class Postfix(Backend):
    """Debian's Postfix 3.7."""

    name = "postfix"
    services = {"xclient": 2501, "proxy-v1": 2502, "proxy-v2": 2502,
                "transparent": 2503}
    added = ("Return-Path", "X-Original-To", "Delivered-To", "Received")
    domains = "backend.example"
    hostname = "mx.backend.example"

    def main(self):
        """Lines of main.cf that are its own."""
        return (snippets.read("postfix/main.cf")
                + f"mynetworks = 127.0.0.0/8\n"
                f"smtpd_tls_security_level = may\n"
                f"smtpd_tls_cert_file = {self.chain}\n"
                f"smtpd_tls_key_file = {self.key}\n")

    def master(self):
        """Lines of master.cf that are its own."""
        return snippets.adapted(
            "postfix/master.cf", ("127.0.0.1:10025", "2501"),
            ("127.0.0.1:10026", "2502"), ("127.0.0.1:10027", "2504"),
            ("xclient_hosts=127.0.0.1", f"xclient_hosts={GATE_INSIDE}")
        ) + "2503 inet n - n - - smtpd\n"

    def lay_out(self):
        self._write("etc/postfix/main.cf", POSTFIX_MAIN.format(
            home=self.home, vmail=packages.VMAIL, domains=self.domains,
            hostname=self.hostname) + self.main())
        self._write("etc/postfix/master.cf", self.master() + POSTFIX_SERVICES)
        # The queue and the rest of what its package's installation makes.
        self._write("begin", "\n".join((
            "#!/bin/sh", "set -e", "cd /var/spool/postfix",
            "mkdir -p active bounce corrupt defer deferred flush hold "
            "incoming private saved trace public maildrop pid",
            "chown postfix active bounce corrupt defer deferred flush hold "
            "incoming private saved trace",
            "chmod 700 active bounce corrupt defer deferred flush hold "
            "incoming private saved trace",
            "chown postfix:postdrop public maildrop",
            "chmod 710 public", "chmod 730 maildrop",
            "mkdir -p /var/lib/postfix", "chown postfix /var/lib/postfix",
            "exec /usr/lib/postfix/sbin/master -d", "")), 0o755)

    def command(self):
        return self.jailed([self.home / "begin"])

    def log(self):
        path = self.home / "log"
        return path.read_text("utf-8", "replace") if path.exists() else ""

    def clients_of(self, sender):
        return by_session(
            self.log(), r"smtpd\[\d+\]: (\w+): client=\S*\[([^\]]+)\]",
            r"qmgr\[\d+\]: (\w+): from=<([^>]*)>").get(sender, set())


# --- Exim ---------------------------------------------------------------------

EXIM_CONF = """\
primary_hostname = {hostname}
spool_directory = /var/spool/exim4
log_file_path = {home}/log/%slog
keep_environment =
host_lookup =
rfc1413_query_timeout = 0s
deliver_drop_privilege = true
smtp_accept_max_per_connection = 10000
smtp_accept_queue_per_connection = 0
check_spool_space = 0
check_spool_inodes = 0
acl_smtp_rcpt = rcpt
{main}
begin acl
rcpt:
  accept
begin routers
{routers}
begin transports
{transports}
begin authenticators
{authenticators}
"""


class Exim(Backend):
    """Debian's exim4-daemon-heavy 4.96."""

    name = "exim"
    services = {"proxy-v1": 2511, "proxy-v2": 2511, "transparent": 2513}
    added = ("Received",)
    hostname = "mx.backend.example"
    routers = """\
all:
  driver = accept
  transport = maildir
"""
    transports = """\
maildir:
  driver = appendfile
  directory = {self.spool}
  maildir_format
"""

    authenticators = ""

    def main(self):
        """Lines of the main section that are its own."""
        told, bare = self.services["proxy-v1"], self.services["transparent"]
        return snippets.adapted(
            "exim/exim.conf",
            ("127.0.0.1.10025",
             f"<; 0.0.0.0.{told} ; 0.0.0.0.{bare} ; ::0.{bare}"),
            ("{10025}{127.0.0.1}", f"{{{told}}}{{{GATE_INSIDE}}}")
        ) + (f"tls_advertise_hosts = *\ntls_certificate = {self.chain}\n"
             f"tls_privatekey = {self.key}\n")

    def lay_out(self):
        for path in self.spool, self.key:
            os.chown(path, packages.EXIM, packages.EXIM)
        self._own("log", packages.EXIM)
        self._write("etc/exim4/exim4.conf", EXIM_CONF.format(
            home=self.home, hostname=self.hostname, main=self.main(),
            routers=self.routers, transports=self.transports.format(self=self),
            authenticators=self.authenticators))
        self._write("begin", "\n".join((
            "#!/bin/sh", "set -e",
            "install -d -o Debian-exim -g Debian-exim /var/spool/exim4 "
            "/run/exim4", "exec /usr/sbin/exim4 -bdf -q1h", "")), 0o755)

    def command(self):
        return self.jailed([self.home / "begin"])

    def log(self):
        return "".join(path.read_text("utf-8", "replace") for path in
                       sorted((self.home / "log").glob("*log")))

    def clients_of(self, sender):
        found = re.findall(rf" <= {re.escape(sender)} H=.*?\[([^\]]+)\]",
                           self.log())
        return set(found)


# --- OpenSMTPD ----------------------------------------------------------------

OPENSMTPD_CONF = """\
pki gate cert "{self.chain}"
pki gate key "{self.key}"
{gate}
listen on 0.0.0.0 port 2523 tls pki gate hostname mx.backend.example
listen on :: port 2523 tls pki gate hostname mx.backend.example
table users {{ "@" = vmail }}
action "in" maildir "{self.spool}" virtual <users>
match from any for domain "backend.example" action "in"
"""


class OpenSmtpd(Backend):
    """Debian's OpenSMTPD 6.8. It offers STARTTLS, and then ends every
    handshake with an internal error, whoever asks and whatever its key."""

    name = "opensmtpd"
    services = {"proxy-v2": 2521, "transparent": 2523}
    takes_tls = False
    added = ("Return-Path", "Delivered-To", "Received")

    def lay_out(self):
        gate = snippets.adapted(
            "opensmtpd/smtpd.conf", ("127.0.0.1 port 10025",
                                     "0.0.0.0 port 2521 tls pki gate hostname "
                                     "mx.backend.example"))
        self._write("etc/smtpd.conf", OPENSMTPD_CONF.format(self=self,
                                                            gate=gate))

    def command(self):
        return self.jailed(["/usr/sbin/smtpd", "-d"])

    def clients_of(self, sender):
        return by_session(
            self.log(), r"^(\w+) smtp connected address=\[?([^\s\]]+)",
            r"^(\w+) smtp envelope evpid=\w+ from=<([^>]*)>"
        ).get(sender, set())


# --- Haraka -------------------------------------------------------------------

# Beside what is for the gate.
HARAKA_FILES = {
    "tls.ini": "key={key}\ncert={chain}\n",
    "host_list": "backend.example\n",
    "loglevel": "INFO\n",
    "me": "mx.backend.example\n",
}
HARAKA_OUTPUT = ("[message]\nhelo=ready\nclose=bye\n"
                 "[uuid]\nbanner_chars=6\n")


class Haraka(Backend):
    """Haraka 3.1 of npm, with its own plug-ins alone. Twice: whom it expects
    a PROXY header from is a matter of their address alone."""

    name = "haraka"
    services = {"proxy-v1": 2531, "xclient": 2533, "transparent": 2533}
    added = ("Received",)
    copies = False

    def __init__(self, network, certificate):
        super().__init__(network, certificate)
        (self.home / "nothing").mkdir()
        self.other = None

    def lay_out(self):
        to_proxy = ("hosts[]=127.0.0.1", f"hosts[]={GATE_INSIDE}")
        for port, hosts, plugin in (
                (2531, to_proxy, "# xclient"),
                (2533, ("hosts[]=127.0.0.1", "hosts[]="), "xclient")):
            for name, text in {**HARAKA_FILES, **self._of_gate(
                    port, hosts, plugin)}.items():
                self._write(f"{port}/config/{name}", text.format(
                    key=self.key, chain=self.chain))

    @staticmethod
    def _of_gate(port, hosts, plugin):
        """What contrib/mta has, {name: text}."""
        return {
            "smtp.ini": snippets.adapted(
                "haraka/smtp.ini", ("127.0.0.1:10025",
                                    f"{BACKEND}:{port},[{BACKEND6}]:{port}")
            ) + "nodes=0\n",
            "connection.ini": snippets.adapted(
                "haraka/connection.ini", hosts) + HARAKA_OUTPUT,
            "plugins": snippets.adapted(
                "haraka/plugins", ("# xclient\n", f"{plugin}\n")
            ) + "tls\nrcpt_to.in_host_list\nqueue/test\n",
            "xclient.hosts": snippets.adapted(
                "haraka/xclient.hosts", ("\n127.0.0.1\n",
                                         f"\n{GATE_INSIDE}\n")),
        }

    def command(self, port=2533):
        return self.jailed(["node", packages.haraka(), "-c",
                            self.home / str(port)])

    def package(self):
        """None: npm has installed it where it lies."""
        return self.home / "nothing"

    def environment(self):
        return {**super().environment(), "TMPDIR": str(self.spool)}

    def start(self):
        super().start()
        self.other = Process(self.command(2531), self.home / "output-proxy",
                             env=self.environment())
        self.other.wait_for(lambda: "Listening on" in self.other.text(),
                            SECONDS_MAX)

    def stop(self):
        super().stop()
        if self.other is not None:
            self.other.stop()

    def log(self):
        return "".join(process.text() for process in (self.process, self.other)
                       if process is not None)

    def files(self):
        return self.spool.glob("mail_*.eml")

    def octets_of(self, path):
        return path.read_bytes()

    def clients_of(self, sender):
        return by_session(
            self.log(),
            r"\[([0-9A-F-]+)(?:\.\d+)?\] \[core\] disconnect ip=(\S+)",
            r"\[([0-9A-F-]+)\.\d+\] \[core\] sender <([^>]*)>"
        ).get(sender, set())


# --- ours ---------------------------------------------------------------------

class Lenient(Backend):
    """What the others lack: a server that takes BINARYMIME (lenient.py)."""

    name = "lenient"
    services = {"proxy-v1": 2541, "proxy-v2": 2541, "transparent": 2543}
    copies = False

    def lay_out(self):
        pass

    def command(self):
        return [*self.network.on(self.host), sys.executable,
                Path(__file__).with_name("lenient.py"),
                f"{BACKEND},{BACKEND6}", self.spool, self.chain, self.key]

    def files(self):
        return self.spool.glob("*.eml")

    def octets_of(self, path):
        return path.read_bytes()

    def clients_of(self, sender):
        said = [json.loads(line) for line in self.log().splitlines()
                if line.startswith("{")]
        return {line["client"] for line in said if line["sender"] == sender}


ALL = (Postfix, Exim, OpenSmtpd, Haraka, Lenient)
