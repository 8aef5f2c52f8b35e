# SPDX-License-Identifier: BSD-2-Clause
"""What contrib/mta tells people to write is taken by those it is for: as it is
by the server's own check, where it has one, and by dmarcgate. That it works is
what all other tests here show: their servers run with it (snippets.py)."""

import re
import smtplib
import subprocess
import time

import pytest

from tests.e2e.gate import DMARCGATE
from tests.e2e.process import scratch
from tests.peers import snippets
from tests.peers.matrix import ZONE
from tests.peers.messages import eight_bit
from tests.peers.network import BACKEND, CLIENT, GATE_OUTSIDE
from tests.peers.peergate import PeerGate, listener

SECONDS_MAX = 60
PORT = 2700

# Where each server has its file, what stands around the lines in it, and who
# checks it.
EXIM = "/etc/exim4/snippet.conf"
OPENSMTPD = "/etc/smtpd-snippet.conf"


def run(server, *command):
    """Exit status, and all that it said."""
    done = subprocess.run(
        [str(word) for word in server.jailed(command)], text=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, env=server.environment(), check=False,
        timeout=SECONDS_MAX)
    return done.returncode, done.stdout


def find(servers, name):
    return next(server for server in servers if server.name == name)


def test_postfix_knows_every_setting(servers):
    """postconf warns of a name that nobody uses; -Mf shows services as they
    were understood."""
    postfix = find(servers, "postfix")
    for name in "main.cf", "master.cf":
        postfix._write(f"etc/snippet/{name}",
                       snippets.read(f"postfix/{name}"))
    status, said = run(postfix, "/usr/sbin/postconf", "-c", "/etc/snippet",
                       "-n")
    assert status == 0 and "warning" not in said, said
    assert "smtpd_forbid_bare_newline_exclusions =\n" in said + "\n"
    status, said = run(postfix, "/usr/sbin/postconf", "-c", "/etc/snippet",
                       "-M")
    assert status == 0 and len(said.splitlines()) == 4, said
    assert re.search(r"10025 .* -o smtpd_authorized_xclient_hosts=127\.0\.0\.1",
                     said)


def test_postfix_accepts_what_it_runs_with(servers):
    status, said = run(find(servers, "postfix"), "/usr/sbin/postconf", "-n")
    assert status == 0 and "warning" not in said, said


def test_exim_accepts_its_lines(servers):
    exim = find(servers, "exim")
    exim._write(EXIM[1:], snippets.read("exim/exim.conf"))
    status, said = run(exim, "/usr/sbin/exim4", "-bV", "-C", EXIM)
    assert status == 0 and f"Configuration file is {EXIM}" in said, said
    exim._write(EXIM[1:], "hosts_proxies = 127.0.0.1\n")
    assert run(exim, "/usr/sbin/exim4", "-bV", "-C", EXIM)[0] != 0


def test_opensmtpd_accepts_its_lines(servers):
    opensmtpd = find(servers, "opensmtpd")
    around = 'action "in" mbox\nmatch from any for local action "in"\n'
    check = ("/usr/sbin/smtpd", "-n", "-f", OPENSMTPD)
    opensmtpd._write(OPENSMTPD[1:],
                     snippets.read("opensmtpd/smtpd.conf") + around)
    status, said = run(opensmtpd, *check)
    assert status == 0 and "configuration OK" in said, said
    opensmtpd._write(OPENSMTPD[1:], "listen on lo proxy-v1\n" + around)
    assert run(opensmtpd, *check)[0] != 0


# The ports that each server's file has, as they are written there.
FILES = {"postfix": ("postfix/master.cf", r"^127\.0\.0\.1:(\d+) inet"),
         "exim": ("exim/exim.conf", r"^local_interfaces = 127\.0\.0\.1\.(\d+)"),
         "opensmtpd": ("opensmtpd/smtpd.conf",
                       r"^listen on 127\.0\.0\.1 port (\d+) "),
         "haraka": ("haraka/smtp.ini", r"^listen=127\.0\.0\.1:(\d+)")}


@pytest.mark.parametrize("name", FILES)
def test_dmarcgate_accepts_its_part(servers, name):
    text = snippets.read(f"{name}/proxy.conf")
    conf = scratch("snippet") / "proxy.conf"
    first = re.search(r'^backend "([^"]+)"', text, re.M)[1]
    conf.write_text('listen "127.0.0.1:2525" { }\n' + text
                    + f'route "*" {{ backend = "{first}" }}\n'
                    'resolver { servers = {"127.0.0.1"} }\n'
                    f'spool {{ directory = "{conf.parent}" }}\n')
    done = subprocess.run([DMARCGATE, "-t", "-c", conf], text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          check=False, timeout=SECONDS_MAX)
    assert done.returncode == 0 and "warning" not in done.stdout, done.stdout
    file, pattern = FILES[name]
    assert (re.findall(r'address = "127\.0\.0\.1:(\d+)"', text)
            == re.findall(pattern, snippets.read(file), re.M))
    identities = set(re.findall(r'identity = "([^"]+)"', text))
    assert identities <= set(find(servers, name).services)


def test_postscreen_hands_the_client_on(network, servers):
    """It is no row of the matrix: the same header, at another port."""
    postfix = find(servers, "postfix")
    message = next(eight_bit("postscreen"))
    sender = "postscreen@sender.example"
    with PeerGate(network, zone=ZONE, identity="proxy-v2",
                  text=listener(PORT), backend=f"{BACKEND}:2504"), \
            network.inside("client"), \
            smtplib.SMTP(GATE_OUTSIDE, PORT, "client.example",
                         SECONDS_MAX) as mail:
        mail.sendmail(sender, message.recipients, message.octets,
                      ["BODY=8BITMIME"])
    deadline = time.monotonic() + SECONDS_MAX
    while (message.name not in postfix.delivered()
           and time.monotonic() < deadline):
        time.sleep(0.05)
    assert postfix.delivered()[message.name][0].endswith(message.octets)
    assert postfix.clients_of(sender) == {CLIENT}
    assert f"CONNECT from [{CLIENT}]" in postfix.log()
