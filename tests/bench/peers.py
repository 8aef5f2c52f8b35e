# SPDX-License-Identifier: BSD-2-Clause
"""What does the same job before the queue, measured beside it: Postfix with
OpenDKIM and OpenDMARC, and Postfix with rspamd (spf, dkim and dmarc only).

They are Debian's packages, taken where they are installed; with fetch() they
are downloaded and unpacked into build/parts, as the tests' other parts are, and
nothing of the host is touched. Where they are not there, the bench says so.

Their name server has to be the system's, at port 53: they run in a mount
namespace with a resolv.conf of its own, which needs root, as Postfix does.
"""

import os
import random
import shutil
import statistics
import subprocess
import time
from pathlib import Path

from tests.bench.mails import FORGED, forged, zone
from tests.bench.rig import Run, Server, cpu_ns, die, drive
from tests.bench.rows import Row
from tests.e2e.parts import PARTS, Postfix, debs_of, environment, tool
from tests.e2e.process import can_connect, free_port

PACKAGES = ("opendkim", "opendmarc", "rspamd")
UNPACKED = PARTS / "peers"
MESSAGES, SESSIONS = 400, 20
TURNS_MAX = 3
PSL = "/usr/share/publicsuffix/public_suffix_list.dat"

UNBOUND = """\
server:
  interface: {address}
  do-daemonize: no
  use-syslog: no
  logfile: "{home}/unbound.log"
  username: ""
  chroot: ""
  directory: "{home}"
  pidfile: "{home}/unbound.pid"
  access-control: 127.0.0.0/8 allow
  local-zone: "." static
"""
OPENDKIM = """\
Mode v
Socket inet:{port}@127.0.0.1
InternalHosts {home}/nobody
Nameservers {address}
AlwaysAddARHeader yes
Background no
Syslog no
UMask 002
UserID nobody
"""
OPENDMARC = """\
Socket inet:{port}@127.0.0.1
Background false
RejectFailures true
SPFSelfValidate true
SPFIgnoreResults true
IgnoreHosts {home}/nobody
AuthservID gate.example
TrustedAuthservIDs gate.example
PublicSuffixList {psl}
Syslog false
UserID nobody
"""
RSPAMD = """\
options {{ pidfile = "{home}/rspamd/pid"; filters = "dkim";
  check_all_filters = true; local_addrs = "192.0.2.1";
  dns {{ nameserver = ["{address}"]; timeout = 2s; }}
  dynamic_conf = "{home}/rspamd/dynamic";
  history_file = "{home}/rspamd/history";
  hs_cache_dir = "{home}/rspamd"; url_tld = "{tlds}"; }}
logging {{ type = "file"; filename = "{home}/rspamd/log"; level = "notice"; }}
worker "rspamd_proxy" {{ bind_socket = "127.0.0.1:{port}"; milter = yes;
  timeout = 120s; count = 2; upstream "local" {{ default = yes;
  self_scan = yes; }} }}
modules {{ path = "{home}/rspamd/plugins/"; }}
spf {{ spf_cache_size = 1k; }}
dkim {{ dkim_cache_size = 2k; }}
dmarc {{ actions = {{ quarantine = "add_header"; reject = "reject"; }} }}
actions {{ reject = 15; add_header = 6; }}
metric {{ name = "default"; actions {{ reject = 15; add_header = 6; }} }}
"""


def fetch():
    """Have the packages unpacked; quick when they are."""
    done = UNPACKED / "unpacked"
    if not done.exists():
        debs = debs_of(PACKAGES)
        shutil.rmtree(UNPACKED, ignore_errors=True)
        for deb in debs:
            subprocess.run(["dpkg", "-x", deb, UNPACKED], check=True)
        done.write_text("")


def _find(name):
    """A program, installed or unpacked; None."""
    for folder in (Path("/"), UNPACKED):
        for place in ("usr/sbin", "usr/bin"):
            if (folder / place / name).exists():
                return folder / place / name
    return None


def _environment():
    env = environment()
    libraries = [*UNPACKED.glob("usr/lib/*-linux-gnu*"),
                 *UNPACKED.glob("lib/*-linux-gnu*"),
                 UNPACKED / "usr/lib", UNPACKED / "usr/lib/rspamd"]
    env["LD_LIBRARY_PATH"] += "".join(f":{path}" for path in libraries)
    return env


class Stack:
    """Postfix with milters, in front of the bench's sink."""

    def __init__(self, rig, name):
        self.rig, self.home = rig, rig.home / name
        self.home.mkdir()
        self.home.chmod(0o777)
        self.address = (f"127.77.{random.randrange(1, 255)}."
                        f"{random.randrange(1, 255)}")
        (self.home / "nobody").write_text("192.0.2.1\n")
        (self.home / "resolv.conf").write_text(f"nameserver {self.address}\n")
        self.processes, self.milters = [], []
        self.postfix = None

    def start_dns(self):
        (self.home / "unbound.conf").write_text(
            UNBOUND.format(address=self.address, home=self.home) + "".join(
                f"  local-data: '{line}'\n"
                for line in zone().splitlines()))
        self._start("unbound", tool("unbound"), "-d", "-c",
                    self.home / "unbound.conf")
        self.processes.pop()  # its time is no cost of the stack
        deadline = time.monotonic() + 10
        while not can_connect(53, self.address):
            if time.monotonic() > deadline:
                die("the peers' name server does not answer")
            time.sleep(0.05)

    def _start(self, name, *command):
        """In a mount namespace where the system's resolver is ours."""
        script = 'mount --bind "$1" /etc/resolv.conf; shift; exec "$@"'
        process = self.rig.start(
            name, "/usr/bin/unshare", "--mount", "sh", "-ec", script, "sh",
            self.home / "resolv.conf", *command, env=_environment())
        self.processes.append(process)
        return process

    def start_milter(self, name, text, *words, **more):
        port = free_port()
        conf = self.home / f"{name}.conf"
        conf.write_text(text.format(port=port, home=self.home,
                                    address=self.address, psl=PSL, **more))
        process = self._start(name, _find(name), *words, conf)
        process.wait_for(lambda: can_connect(port), 120)
        self.milters.append(f"inet:127.0.0.1:{port}")

    def start_postfix(self):
        self.postfix = Postfix(settings={
            "virtual_mailbox_domains": "", "relay_domains": "backend.example",
            "relay_transport": f"smtp:[127.0.0.1]:{self.rig.sink_port}",
            "myhostname": "gate.example", "smtpd_milters":
            ", ".join(self.milters), "milter_default_action": "tempfail",
            "default_process_limit": "100", "smtp_tls_security_level": "none"})
        self.postfix.start()
        self.processes.append(self.postfix.process)

    def server(self, name):
        """A client from elsewhere: OpenDMARC's SPF passes whatever comes from
        the loopback."""
        return Server(name, self.postfix.proxy_port, self.postfix.process.pid,
                      words=("--proxy-from=192.0.2.10",))

    def cpu_ns(self):
        """Of all its processes; those that Postfix's master has ended too."""
        return sum(cpu_ns(process.pid) + _reaped_ns(process.pid)
                   for process in self.processes)

    def drained_cpu_ns(self):
        """Once its queue is empty: when a second costs under 5 ms."""
        before = self.cpu_ns()
        for _ in range(120):
            time.sleep(1)
            now = self.cpu_ns()
            if now - before < 5_000_000:
                return now
            before = now
        die("the queue does not become empty")

    def stop(self):
        if self.postfix:
            self.postfix.stop()
        for process in self.processes:
            process.stop()


def _reaped_ns(pid):
    """What its children cost that have ended; in clock ticks of 10 ms."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    ticks = os.sysconf("SC_CLK_TCK")
    return (int(fields[13]) + int(fields[14])) * 1_000_000_000 // ticks


def _start_milters(stack):
    stack.start_milter("opendkim", OPENDKIM, "-f", "-x")
    stack.start_milter("opendmarc", OPENDMARC, "-f", "-c")


def _start_rspamd(stack):
    share = _find("rspamd").parent.parent / "share/rspamd"
    plugins = stack.home / "rspamd/plugins"
    plugins.mkdir(parents=True)
    for name in "dmarc.lua", "spf.lua":
        shutil.copy(share / "plugins" / name, plugins)
    for folder, _, _ in os.walk(stack.home / "rspamd"):
        os.chmod(folder, 0o777)
    stack.start_milter(
        "rspamd", RSPAMD, "-f", "-u", "nobody", "-g", "nogroup",
        f"--var=LUALIBDIR={share}/lualib", f"--var=SHAREDIR={share}",
        f"--var=RULESDIR={share}/rules", "-c",
        tlds=share / "effective_tld_names.dat")


# name: in words, programs, how they are started, what a forged message gets
PEERS = {
    "peer-milters": ("Postfix, OpenDKIM, OpenDMARC",
                     ("opendkim", "opendmarc"), _start_milters, 550),
    "peer-rspamd": ("Postfix, rspamd (spf, dkim, dmarc)", ("rspamd",),
                    _start_rspamd, 554),
}


def _run(rig, stack, name):
    before = stack.drained_cpu_ns()
    said = drive(stack.server(name), rig.mails.good(), sessions=SESSIONS,
                 messages=rig.count(MESSAGES))
    spent = stack.drained_cpu_ns() - before
    return Run(spent / 1e6 / said["messages"], said["rate"], said)


def _check_forged(rig, stack, name, code):
    """Who does not refuse a forged message does not do the job."""
    mail = rig.mails.named(f"forged-{code}", forged(10), **{
        "from": f"alice@{FORGED}", "expect": code})
    drive(stack.server(name), mail, sessions=1, messages=1)


def _measure_one(rig, name):
    what, programs, start, code = PEERS[name]
    missing = [program for program in programs if not _find(program)]
    if missing or os.geteuid() != 0:
        return Row(name, what, None, "ms", note="not installed: " +
                   ", ".join(missing) if missing else "needs root")
    stack = Stack(rig, name)
    try:
        stack.start_dns()
        start(stack)
        stack.start_postfix()
        _check_forged(rig, stack, name, code)
        runs = [_run(rig, stack, name) for _ in range(
            min(rig.turns, TURNS_MAX) + 1)][1:]
    finally:
        stack.stop()
    cpu = [run.cpu_ms for run in runs]
    rate = statistics.median(run.rate for run in runs)
    return Row(name, what, statistics.median(cpu), "ms", None, min(cpu),
               max(cpu), {"cpu_ms": cpu, "rate": rate},
               f"CPU per 10 KB message, new connection; {rate:.0f} messages/s")


def measure(rig, _):
    for name in PEERS:
        yield _measure_one(rig, name)
