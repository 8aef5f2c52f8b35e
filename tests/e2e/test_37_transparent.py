# SPDX-License-Identifier: BSD-2-Clause
"""The gate as a router between three hosts, by the rules of contrib/nftables:
the server sees the client's own address, and with the gate down nothing passes.
"""

import contextlib
import os
import re
import signal
import subprocess
import uuid

import pytest

from tests.e2e.gate import DMARCGATE, DMARCGATECTL
from tests.e2e.process import ROOT, Process, scratch
from tests.e2e.rights import OwnUser, no_tproxy
from tests.e2e.smtp import proxy_v1, proxy_v2

RULES = ROOT / "contrib/nftables/dmarcgate.nft"
README = ROOT / "contrib/nftables/README.md"
CLIENT = {4: "192.0.2.10", 6: "2001:db8:2::10"}
SERVER = {4: "203.0.113.25", 6: "2001:db8:1::25"}
GATE = "192.0.2.1"
CAP_NET_RAW = 1 << 13
SECONDS_MAX = 20

pytestmark = pytest.mark.skipif(bool(no_tproxy()), reason=no_tproxy())

# It sends a message, behind a header that a balancer would send; what it hears
# is printed.
CLIENT_PROGRAM = """
import smtplib, sys

class Client(smtplib.SMTP):
    def _get_socket(self, host, port, timeout):
        made = super()._get_socket(host, port, timeout)
        made.sendall(bytes.fromhex(header))
        return made

host, port, seconds, header = sys.argv[1:]
try:
    client = Client(host, int(port), "client.example", timeout=int(seconds))
    print(client.sendmail("x@none.example", ["bob@backend.example"],
                          b"From: x@none.example\\r\\n\\r\\nhello\\r\\n"))
    client.quit()
except (OSError, smtplib.SMTPException) as fault:
    print(type(fault).__name__, fault)
"""


def run(*words):
    subprocess.run([str(word) for word in words], check=True, timeout=20,
                   capture_output=True)


class Network:
    """client -- gate -- server, each a namespace."""

    def __init__(self):
        tag = uuid.uuid4().hex[:6]
        self.names = {host: f"dg-{tag}-{host}"
                      for host in ("client", "gate", "server")}

    def inside(self, host, *words):
        return ["ip", "netns", "exec", self.names[host], *words]

    def __enter__(self):
        for name in self.names.values():
            run("ip", "netns", "add", name)
        for host, addresses in (("client", CLIENT), ("server", SERVER)):
            self._link(host, addresses)
        gate = self.names["gate"]
        for setting in ("net.ipv4.ip_forward=1",
                        "net.ipv6.conf.all.forwarding=1"):
            run("ip", "netns", "exec", gate, "sysctl", "-qw", setting)
        # As the README says, and the rules as they are.
        for line in re.findall(r"^    (ip .*)$", README.read_text(), re.M):
            run(*self.inside("gate", *line.split()))
        run(*self.inside("gate", "nft", "-f", RULES))
        return self

    def _link(self, host, addresses):
        name, gate = self.names[host], self.names["gate"]
        run("ip", "link", "add", "up0", "netns", name, "type", "veth",
            "peer", "name", f"to-{host}", "netns", gate)
        for version, address in addresses.items():
            router = re.sub(r"\d+$", "1", address)
            bits = 24 if version == 4 else 64
            nodad = ["nodad"] if version == 6 else []
            run("ip", "-n", name, "addr", "add", f"{address}/{bits}", "dev",
                "up0", *nodad)
            run("ip", "-n", gate, "addr", "add", f"{router}/{bits}", "dev",
                f"to-{host}", *nodad)
        for space, device in (name, "up0"), (name, "lo"), (gate, "lo"), (
                gate, f"to-{host}"):
            run("ip", "-n", space, "link", "set", device, "up")
        for version, address in addresses.items():
            run("ip", "-n", name, f"-{version}", "route", "add", "default",
                "via", re.sub(r"\d+$", "1", address))

    def __exit__(self, *_):
        for name in self.names.values():
            with contextlib.suppress(subprocess.CalledProcessError):
                run("ip", "netns", "del", name)

    def send(self, version, seconds=10):
        """What a client hears that sends a message to the server."""
        return self.send_to(SERVER[version], 25, b"", seconds)

    def send_to(self, host, port, header, seconds=10):
        """The same, to anywhere, and behind a PROXY header."""
        return subprocess.run(
            self.inside("client", "/usr/bin/python3", "-c", CLIENT_PROGRAM,
                        host, str(port), str(seconds), header.hex()),
            text=True, stdout=subprocess.PIPE, timeout=60,
            check=True).stdout.strip()


CONF = """
hostname = "gate.example"
user = "{user.name}"
workers = 1
body-directory = "{home}/bodies"
listen "0.0.0.0:2525" {{ transparent = yes }}
listen "[::]:2525" {{ transparent = yes }}
backend "mta" {{
    address = {{"original-destination"}}
    identity = "transparent"
}}
route "*" {{ backend = "mta" }}
resolver {{ zone-file = "{home}/zone" }}
spool {{ directory = "{home}/spool" }}
"""


@pytest.fixture
def network():
    with Network() as made:
        yield made


@contextlib.contextmanager
def running(network, host, words, file, ready):
    process = Process(network.inside(host, *[str(word) for word in words]),
                      file)
    try:
        process.wait_for(lambda: ready in process.text(), 20)
        yield process
    finally:
        process.stop()


@contextlib.contextmanager
def gate_running(network, edit=lambda text: text):
    home = scratch("transparent")
    user = OwnUser(home)
    for name in "bodies", "spool":
        (home / name).mkdir()
        os.chown(home / name, user.uid, user.uid)
    (home / "zone").write_text("")
    (home / "proxy.conf").write_text(edit(CONF.format(home=home, user=user)))
    with running(network, "gate",
                 [*user.words, DMARCGATE, "-c", home / "proxy.conf"],
                 home / "events", " started ") as gate:
        yield gate


@contextlib.contextmanager
def servers_running(network):
    """A sink on each address; what they print says where mail came from."""
    home = scratch("servers")
    with contextlib.ExitStack() as stack:
        yield {version: stack.enter_context(running(
            network, "server",
            [DMARCGATECTL, "sink", "--listen",
             f"[{address}]:25" if version == 6 else f"{address}:25"],
            home / f"v{version}", address))
            for version, address in SERVER.items()}


def test_the_server_sees_the_client(network):
    with servers_running(network) as servers, gate_running(network) as gate:
        for version in 4, 6:
            assert network.send(version) == "{}", gate.text()
            servers[version].wait_for(
                lambda: CLIENT[version] in servers[version].text(), 10,
                "name the client")


def test_with_the_gate_down_nothing_passes(network):
    with servers_running(network) as servers:
        for version in 4, 6:
            assert "timed out" in network.send(version, 2)
            assert CLIENT[version] not in servers[version].text()
        with gate_running(network):
            assert network.send(4) == "{}"
            servers[4].wait_for(
                lambda: CLIENT[4] in servers[4].text(), 10, "name the client")
            said = servers[4].text()
        # Neither the kernel of the gate's host nor the server says a word.
        assert "timed out" in network.send(4, 2)
        assert servers[4].text() == said


@pytest.mark.parametrize("version", [4, 6])
def test_a_client_cannot_come_to_a_server_of_the_other_family(network,
                                                              version):
    other = {4: f"[{SERVER[6]}]:25", 6: f"{SERVER[4]}:25"}[version]

    def edit(text):
        return text.replace("original-destination", other)

    with servers_running(network) as servers, \
            gate_running(network, edit) as gate:
        said = network.send(version)
        assert "421" in said and "4.3.0" in said, said
        gate.wait_for(lambda: " identity-refused " in gate.text())
        for server in servers.values():
            assert "client.example" not in server.text()


def test_a_gate_does_not_call_itself(network):
    with gate_running(network) as gate:
        said = subprocess.run(
            network.inside("client", "/usr/bin/python3", "-c",
                           "import socket; s = socket.create_connection(("
                           "'192.0.2.1', 2525), 10); print(s.recv(100))"),
            text=True, stdout=subprocess.PIPE, timeout=60, check=True).stdout
        assert "421 4.3.2" in said
        gate.wait_for(lambda: re.search(
            r" refused client=192\.0\.2\.10 destination=192\.0\.2\.1:2525 "
            r'reason="the original destination is the gate itself"',
            gate.text()))


def children(gate, name):
    """What /proc says of the gate's processes of a name, each as a dict."""
    pids = subprocess.run(["pgrep", "-P", str(gate.pid)], text=True,
                          check=True, stdout=subprocess.PIPE).stdout.split()
    return [dict(line.split(":\t", 1) for line in
                 open(f"/proc/{pid}/status", encoding="ascii").read()
                 .splitlines() if ":\t" in line)
            for pid in pids if open(f"/proc/{pid}/comm", encoding="ascii")
            .read().startswith(name)]


def rights(status):
    """Those it has, may take, and would hand on."""
    return [int(status[name], 16)
            for name in ("CapEff", "CapPrm", "CapInh", "CapAmb")]


def test_workers_keep_one_right_only(network):
    """What IP_TRANSPARENT needs and no more, and nobody else keeps any."""
    with gate_running(network) as gate:
        worker, = children(gate, "dmarcgate-w")
        assert rights(worker) == [CAP_NET_RAW, CAP_NET_RAW, 0, 0]
        assert worker["NoNewPrivs"] == "1"
        assert set(worker["Uid"].split()) != {"0"}
        keeper, = children(gate, "dmarcgate-keep")
        assert rights(keeper) == [0, 0, 0, 0]


def test_to_be_connected_to_needs_no_right_of_a_worker(network):
    """The listening socket is the master's work."""
    def edit(text):
        return text.replace('"transparent"', '"proxy-v2"')

    with gate_running(network, edit) as gate:
        worker, = children(gate, "dmarcgate-w")
        assert rights(worker) == [0, 0, 0, 0]


# --- clients that a balancer speaks for ---


@pytest.fixture
def balanced(network):
    """A server, and a gate that is told of clients by a balancer."""
    def edit(text):
        return (text.replace(" transparent = yes ",
                             ' proxy-from = {"192.0.2.0/24"} ')
                .replace("original-destination", f"{SERVER[4]}:25"))

    with servers_running(network) as servers, \
            gate_running(network, edit) as gate:
        yield servers[4], gate


@pytest.mark.parametrize("header", [proxy_v1(None), proxy_v2(None)])
def test_a_header_that_names_nobody_leads_nowhere(network, balanced, header):
    """UNKNOWN and LOCAL: to come from the balancer's own address, or from the
    gate's, would lend a right to whoever that is."""
    server, gate = balanced
    said = server.text()
    heard = network.send_to(GATE, 2525, header)
    assert "421" in heard and "4.3.0" in heard, heard
    gate.wait_for(lambda: " identity-refused " in gate.text())
    assert server.text() == said


@pytest.mark.parametrize("make", [proxy_v1, proxy_v2])
def test_the_server_sees_the_client_that_a_header_names(network, balanced,
                                                        make):
    server, _ = balanced
    assert network.send_to(GATE, 2525, make("192.0.2.77")) == "{}"
    server.wait_for(lambda: "192.0.2.77" in server.text(), 10,
                    "name the client")


# --- reloads ---


def reload(gate, edit, event):
    """SIGHUP with another proxy.conf, until that is logged once more."""
    conf = gate.output.parent / "proxy.conf"
    before = gate.text().count(f" {event} ")
    conf.write_text(edit(conf.read_text()))
    gate.signal(signal.SIGHUP)
    gate.wait_for(lambda: gate.text().count(f" {event} ") > before,
                  SECONDS_MAX, f"log {event}")


def listening(network):
    """The listening sockets on the gate's host, by the kernel's numbers of
    them."""
    return sorted(subprocess.run(
        network.inside("gate", "ss", "-Hltne"), text=True, check=True,
        stdout=subprocess.PIPE).stdout.splitlines())


def test_a_reload_that_is_refused_leaves_the_sockets_as_they_were(network):
    """It would have one less intercept, and one more there is, but for its
    last word."""
    def edit(text):
        return (text.replace(" transparent = yes ", " ", 1)
                + 'listen "0.0.0.0:2626" { transparent = yes }\n'
                'psl-file = "/does/not/exist"\n')

    with servers_running(network) as servers, gate_running(network) as gate:
        before = listening(network)
        assert len(before) == 2
        reload(gate, edit, "reload-refused")
        assert listening(network) == before
        for version in 4, 6:
            assert network.send(version) == "{}"
            servers[version].wait_for(
                lambda: CLIENT[version] in servers[version].text(), 10)


def test_a_reload_can_turn_it_on(network):
    """The socket stays; what it takes is another matter from then on."""
    with servers_running(network) as servers, gate_running(network) as gate:
        reload(gate, lambda text: text.replace(
            " transparent = yes ", ' proxy-from = {"10.0.0.0/8"} '),
            "reloaded")
        assert network.send(4, 2) != "{}"
        reload(gate, lambda text: text.replace(
            ' proxy-from = {"10.0.0.0/8"} ', " transparent = yes "),
            "reloaded")
        assert network.send(4) == "{}"
        servers[4].wait_for(lambda: CLIENT[4] in servers[4].text(), 10)
