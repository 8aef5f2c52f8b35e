# SPDX-License-Identifier: BSD-2-Clause
"""Real parts for the tests: Debian's Postfix, NSD, Unbound and HAProxy.

As packages they conflict with a mail server that this machine may run, and
would start services. So they are fetched with `apt-get download`, unpacked
into build/parts/root, and run from there on free loopback ports, each with
its own configuration, queue and files; nothing of the host is touched. They
are fetched once: after that no network is needed.

Postfix's master insists on being root. It switches to users that every
Debian has; none is created.
"""

import contextlib
import fcntl
import grp
import os
import pwd
import re
import shutil
import signal
import smtplib
import subprocess
import tempfile
import time
from pathlib import Path

import dns.message
import dns.query

from tests.e2e.process import (ROOT, Process, can_connect, free_port, scratch)

PARTS = ROOT / "build" / "parts"
DEBS = PARTS / "debs"
UNPACKED = PARTS / "root"
PACKAGES = ("postfix", "nsd", "haproxy", "unbound", "ldnsutils")


class PartsMissing(Exception):
    """The parts are not there and cannot be fetched."""


# --- fetching -----------------------------------------------------------------


def fetch():
    """Have the parts unpacked; gives the folder. Quick when they are."""
    PARTS.mkdir(parents=True, exist_ok=True)
    with open(PARTS / "lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = PARTS / "unpacked"
        if done.exists() and done.read_text().split() == list(PACKAGES):
            return UNPACKED
        debs = debs_of(PACKAGES)
        shutil.rmtree(UNPACKED, ignore_errors=True)
        for deb in debs:
            subprocess.run(["dpkg", "-x", deb, UNPACKED], check=True)
        done.write_text("\n".join(PACKAGES) + "\n")
    return UNPACKED


def debs_of(packages):
    """The .deb files of packages and of the libraries they depend on that
    this system does not have."""
    wanted, found = list(packages), {}
    while wanted:
        package = wanted.pop()
        if package not in found:
            found[package] = _fetch_one(package)
            wanted += [library for library in _libraries_of(found[package])
                       if not _is_installed(library)]
    return found.values()


def _fetch_one(package):
    if not _cached(package):
        print(f"parts: fetching {package}", flush=True)
        # Where the system's package lists are missing or too old, private
        # ones do: that needs no root and changes nothing outside build/.
        said = _download(package)
        if not _cached(package):
            private = [f"-oDir::State::lists={PARTS}/lists",
                       f"-oDir::Cache={PARTS}"]
            (PARTS / "lists" / "partial").mkdir(parents=True, exist_ok=True)
            said += _apt(PARTS, *private, "update")
            said += _download(package, *private)
    if not _cached(package):
        raise PartsMissing(
            f"the tests need Debian's package {package}, unpacked into "
            f"{PARTS}, and apt-get cannot download it. Is there a network? "
            f"It said:\n{said}")
    return _cached(package)[-1]


def _cached(package):
    return sorted(DEBS.glob(f"{package}_*.deb"))


def _download(package, *options):
    """By way of a folder that goes away, so that DEBS never holds half a
    file. Gives apt's complaints."""
    DEBS.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=PARTS) as folder:
        said = _apt(folder, *options, "download", package)
        if not said:
            for deb in Path(folder).glob("*.deb"):
                deb.rename(DEBS / deb.name)
    return said


def _apt(folder, *words):
    """Run apt-get; gives its errors."""
    done = subprocess.run(
        ["apt-get", "-q", "-oAcquire::Retries=1", "-oAcquire::http::Timeout=20",
         "-oAPT::Sandbox::User=root", *words],
        cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, check=False)
    return "".join(line + "\n" for line in done.stdout.splitlines()
                   if line.startswith("E:"))


def _libraries_of(deb):
    depends = subprocess.run(["dpkg-deb", "-f", deb, "Depends"], check=True,
                             stdout=subprocess.PIPE, text=True).stdout
    first = [alternatives.split("|")[0].split("(")[0].strip().split(":")[0]
             for alternatives in depends.split(",")]
    return [name for name in first if name.startswith("lib")]


def _is_installed(package):
    said = subprocess.run(["dpkg-query", "-W", "-f${db:Status-Status}",
                           package], stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL, text=True, check=False)
    return said.stdout == "installed"


def environment():
    """The environment in which the unpacked programs find their libraries."""
    libraries = [UNPACKED / "usr/lib/postfix",
                 *UNPACKED.glob("usr/lib/*-linux-gnu*"),
                 *UNPACKED.glob("lib/*-linux-gnu*")]
    return {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8",
            "LD_LIBRARY_PATH": ":".join(map(str, libraries))}


def tool(name):
    """The path of an unpacked program: smtp-source, smtp-sink, haproxy, …"""
    return fetch() / "usr/sbin" / name


# --- Postfix ------------------------------------------------------------------

POSTFIX_USERS = ("alice", "bob", "carol", "dave", "erin", "postmaster")
POSTFIX_DOMAINS = ("backend.example", "quarantine.example")
MAIL_OWNER = "daemon"

# Nothing leaves this machine: whatever is not for our domains is accepted by
# the usual rules (permit_mynetworks, or refused) and then discarded.
MAIN_CF = """\
compatibility_level = 3.6
queue_directory = {home}/queue
data_directory = {home}/data
command_directory = {root}/usr/sbin
daemon_directory = {root}/usr/lib/postfix/sbin
shlib_directory = {root}/usr/lib/postfix
meta_directory = {home}/etc
maillog_file = {home}/log
maillog_file_prefixes = {home}
import_environment = MAIL_CONFIG TZ LANG=C LD_LIBRARY_PATH
export_environment = TZ LANG LD_LIBRARY_PATH
mail_owner = {mail_owner}
setgid_group = {setgid_group}
default_privs = nobody
myhostname = mx.backend.example
mydestination =
mynetworks = 127.0.0.0/8
inet_interfaces = loopback-only
inet_protocols = all
alias_maps =
alias_database =
local_recipient_maps =
virtual_mailbox_domains = {domains}
virtual_mailbox_base = {home}/mail
virtual_mailbox_maps = texthash:{home}/etc/mailboxes
virtual_minimum_uid = 1
virtual_uid_maps = static:{nobody.pw_uid}
virtual_gid_maps = static:{nobody.pw_gid}
virtual_mailbox_limit = 0
message_size_limit = 60000000
smtpd_relay_restrictions = permit_mynetworks, reject_unauth_destination
smtpd_peername_lookup = no
smtpd_client_connection_count_limit = 0
smtpd_client_connection_rate_limit = 0
smtpd_authorized_xclient_hosts = {xclient_hosts}
default_transport = discard:relayed
smtputf8_enable = yes
queue_minfree = 0
"""

MASTER_CF = """\
127.0.0.1:{port} inet n - n - - smtpd
127.0.0.1:{bare_port} inet n - n - - smtpd
  -o smtpd_authorized_xclient_hosts=
127.0.0.1:{proxy_port} inet n - n - - smtpd
  -o smtpd_upstream_proxy_protocol=haproxy
  -o smtpd_authorized_xclient_hosts=
"""

# What every Postfix of the tests has beside its smtpd.
POSTFIX_SERVICES = """\
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
tlsmgr unix - - n 1000? 1 tlsmgr
proxymap unix - - n - - proxymap
proxywrite unix - - n - 1 proxymap
smtp unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
postlog unix-dgram n - n - 1 postlogd
"""


class Postfix:
    """A Postfix that delivers backend.example and quarantine.example into
    Maildirs; use it in a `with` statement.

    port        SMTP; XCLIENT is offered to the hosts in xclient_hosts
    bare_port   SMTP without XCLIENT
    proxy_port  SMTP behind a PROXY v1 or v2 header

    Further users of both domains are named by `users`, other settings of
    main.cf by `settings`."""

    def __init__(self, xclient_hosts="127.0.0.0/8", users=(), settings=None):
        if os.geteuid() != 0:
            raise PartsMissing("Postfix's master only runs as root")
        self.root = fetch()
        self.home = scratch("postfix")
        self.port, self.bare_port = free_port(), free_port()
        self.proxy_port = free_port()
        self.users = (*POSTFIX_USERS, *users)
        self.settings = {"smtpd_authorized_xclient_hosts": xclient_hosts,
                         **(settings or {})}
        self.process = None
        self._lay_out()

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def _lay_out(self):
        nobody, owner = pwd.getpwnam("nobody"), pwd.getpwnam(MAIL_OWNER)
        group = self._setgid_group(owner)
        for name in ("etc", "queue", "queue/pid", "mail", "data"):
            (self.home / name).mkdir(exist_ok=True)
        for name in ("active bounce corrupt defer deferred flush hold incoming"
                     " private saved trace public maildrop").split():
            (self.home / "queue" / name).mkdir(mode=0o700)
            os.chown(self.home / "queue" / name, owner.pw_uid, -1)
        os.chown(self.home / "data", owner.pw_uid, -1)
        os.chown(self.home / "mail", nobody.pw_uid, nobody.pw_gid)
        for name, mode in (("public", 0o710), ("maildrop", 0o730)):
            os.chown(self.home / "queue" / name, owner.pw_uid, group.gr_gid)
            (self.home / "queue" / name).chmod(mode)
        self._configure(nobody, group)

    @staticmethod
    def _setgid_group(owner):
        """Postfix wants a group that no account of its own shares."""
        for name in ("operator", "utmp", "staff", "games"):
            with contextlib.suppress(KeyError):
                group = grp.getgrnam(name)
                if group.gr_gid not in (0, owner.pw_gid):
                    return group
        raise PartsMissing("no group of Debian's that Postfix could use")

    def _configure(self, nobody, group):
        main = MAIN_CF.format(
            home=self.home, root=self.root, mail_owner=MAIL_OWNER,
            setgid_group=group.gr_name, nobody=nobody,
            domains=" ".join(POSTFIX_DOMAINS), xclient_hosts="")
        # The last line for a name is the one that counts, with a warning;
        # so the earlier one goes.
        for name, value in self.settings.items():
            main = re.sub(rf"^{re.escape(name)} = .*\n", "", main, flags=re.M)
            main += f"{name} = {value}\n"
        (self.home / "etc/main.cf").write_text(main)
        (self.home / "etc/master.cf").write_text(MASTER_CF.format(
            port=self.port, bare_port=self.bare_port,
            proxy_port=self.proxy_port) + POSTFIX_SERVICES)
        (self.home / "etc/mailboxes").write_text("".join(
            f"{user}@{domain} {domain}/{user}/\n"
            for domain in POSTFIX_DOMAINS for user in self.users))

    def start(self):
        """Start it, or start it again on the same ports with the same queue."""
        self.process = Process(
            [self.root / "usr/lib/postfix/sbin/master", "-d",
             "-c", self.home / "etc"],
            self.home / "output", env=environment())
        try:
            self.process.wait_for(self._answers, 15)
        except RuntimeError as fault:
            self.stop()
            raise RuntimeError(f"{fault}\n{self.log()}") from None

    def _answers(self):
        with contextlib.suppress(OSError, smtplib.SMTPException):
            with smtplib.SMTP("127.0.0.1", self.bare_port, timeout=5) as probe:
                return probe.noop()[0] == 250
        return False

    def stop(self):
        if self.process is not None:
            self.process.stop()

    def kill(self):
        """End master and all its children at once, as kill -9 does."""
        self.process.kill()

    def log(self):
        """Its log so far."""
        path = self.home / "log"
        return path.read_text("utf-8", "replace") if path.exists() else ""

    def maildir(self, user, domain="backend.example"):
        """The messages delivered to a user, as octets, oldest first."""
        new = self.home / "mail" / domain / user / "new"
        files = sorted(new.glob("*"), key=lambda file: file.stat().st_mtime_ns)
        return [file.read_bytes() for file in files]

    def clear(self):
        """Empty all mailboxes."""
        for file in (self.home / "mail").glob("*/*/new/*"):
            file.unlink()

    def wait_mail(self, user, count=1, domain="backend.example", seconds=10):
        """maildir() once it holds count messages."""
        deadline = time.monotonic() + seconds
        while len(self.maildir(user, domain)) < count:
            if time.monotonic() > deadline:
                raise RuntimeError(
                    f"{user}@{domain} has {len(self.maildir(user, domain))} "
                    f"of {count} messages after {seconds} s:\n{self.log()}")
            time.sleep(0.02)
        return self.maildir(user, domain)

    def wait_log(self, text, seconds=10):
        """Wait until the log holds text; gives the log."""
        deadline = time.monotonic() + seconds
        while text not in self.log():
            if time.monotonic() > deadline:
                raise RuntimeError(f"Postfix did not log {text!r} within "
                                   f"{seconds} s:\n{self.log()}")
            time.sleep(0.02)
        return self.log()


# --- NSD ----------------------------------------------------------------------

NSD_CONF = """\
server:
    server-count: 1
    ip-address: 127.0.0.1@{port}
    username: ""
    chroot: ""
    zonesdir: "{home}"
    database: ""
    pidfile: ""
    zonelistfile: "{home}/zone.list"
    xfrdfile: "{home}/xfrd.state"
    xfrdir: "{home}"
    cookie-secret-file: "{home}/cookies"
    logfile: "{home}/log"
    hide-version: yes
    rrl-ratelimit: 0
    rrl-whitelist-ratelimit: 0
remote-control:
    control-enable: no
zone:
    name: "."
    zonefile: "{home}/zone"
"""

NSD_TOP = """\
$ORIGIN .
$TTL 300
. IN SOA ns.invalid. hostmaster.invalid. {serial} 3600 600 86400 60
. IN NS ns.invalid.
ns.invalid. IN A 127.0.0.1
"""


def txt(name, value, ttl=300):
    """A TXT record's line for a zone file, cut into strings of 255."""
    octets = value.encode() if isinstance(value, str) else value
    strings = [octets[at:at + 255] for at in range(0, len(octets), 255)]
    quoted = " ".join('"' + "".join(_zone_octet(o) for o in s) + '"'
                      for s in strings or [b""])
    return f"{name.rstrip('.')}. {ttl} IN TXT {quoted}\n"


def _zone_octet(octet):
    if octet in b'"\\' or not 32 <= octet < 127:
        return f"\\{octet:03d}"
    return chr(octet)


class Nsd:
    """An authoritative DNS server for the whole tree, over UDP and TCP.

    The zone's text is master file lines; names are taken from the root, so
    `sender.example 300 IN TXT "v=spf1 -all"` is one. Everything else does
    not exist (NXDOMAIN)."""

    def __init__(self, zone):
        self.root = fetch()
        self.home = scratch("nsd")
        self.port = free_port()
        self.serial = 1
        self.process = None
        self._write(zone)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def _write(self, zone):
        (self.home / "zone").write_text(
            NSD_TOP.format(serial=self.serial) + zone, "utf-8")
        (self.home / "nsd.conf").write_text(
            NSD_CONF.format(home=self.home, port=self.port))
        check = subprocess.run(
            [self.root / "usr/sbin/nsd-checkzone", ".", self.home / "zone"],
            env=environment(), stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, check=False)
        if check.returncode != 0:
            raise ValueError(f"the zone is not one: {check.stdout}")

    def start(self):
        self.process = Process(
            [self.root / "usr/sbin/nsd", "-d", "-c", self.home / "nsd.conf"],
            self.home / "output", env=environment())
        self.process.wait_for(lambda: can_connect(self.port), 15)

    def stop(self):
        if self.process is not None:
            self.process.stop()

    def kill(self):
        self.process.kill()

    def replace(self, zone):
        """Serve another zone from now on; returns when it is served."""
        self.serial += 1
        self._write(zone)
        self.process.signal(signal.SIGHUP)
        self.process.wait_for(self._serves_serial, 10, "reload")

    def _serves_serial(self):
        question = dns.message.make_query(".", "SOA")
        answer = dns.query.udp(question, "127.0.0.1", 5, port=self.port)
        return answer.answer[0][0].serial == self.serial

    def log(self):
        path = self.home / "log"
        return path.read_text("utf-8", "replace") if path.exists() else ""
