# SPDX-License-Identifier: BSD-2-Clause
"""Play one script of tests/replay against a running dmarcgate.

As in process (tests/replay/play.c): when something new is said, all that was
heard must have been expected. Between two groups the world settles (see
world.py), so that what should not come has come, and nothing waits for time to
pass. What TCP cannot show is left out: how octets were cut into pieces, and
sometimes which way a connection was closed (see party.py).
"""

import json
import re
import select
import socket
import time

from tests.wire import certificates, nameserver
from tests.wire import script as scripts
from tests.wire.party import (Connection, Knocks, Listener, Party, Probe,
                              deadline, family_of, parse_endpoint)
from tests.wire.script import Script, matches
from tests.wire.world import (DMARCGATE, LISTEN, OTHERS, SYN_SENT, Gate,
                              Sockets, Trouble, enter_network, new_home)

PROBE_US = 60 * 1000000     # between two probes of a backend, unless it says
ASIDE_US = 7 * 1000000      # so that none falls together with a time-out
STEP_US = 10 * 1000000      # of time that passes: one deadline after the other
BLOCKED_SECONDS = 0.05      # … without any change: nobody reads on
SHOWN_MAX = 300
UNITS_US = {"ms": 1000, "s": 1000000, "m": 60000000, "h": 3600000000}
NAMES = {"client": "c", "backend": "b", "divert": "d"}

# Listeners beside the script's own: what a script says of its client may need
# another one, which in process is nobody's concern.
V6_LISTENER = ("2001:db8::25", 25)
PROXY_LISTENER = ("198.51.100.25", 26)
EXTRA_LISTENERS = """
listen "[2001:db8::25]:25" { }
listen "198.51.100.25:26" { proxy-from = {"192.0.2.0/24"} }
"""


class Mismatch(Exception):
    """The gate did something else than the script says."""


def show(text):
    shown = bytes(text[:SHOWN_MAX]).decode("utf-8", "backslashreplace")
    return f'"{shown}"' + (" …" if len(text) > SHOWN_MAX else "")


class Play:
    def __init__(self, path):
        self.script = Script(path)
        self.is_narrow = any(words.endswith("stalls")
                             for name in NAMES
                             for words in self.script.directives(name))
        enter_network(self.script, self.is_narrow)
        self.parties = {letter: Party(letter) for letter in "cbd"}
        listen = re.findall(r'listen "([^"]+)"', self.script.conf)
        self.backends = self._backends()
        self.listeners = self._make_listeners()
        self.knocks = Knocks()
        self.sockets = Sockets(
            {PROXY_LISTENER[1], *(parse_endpoint(each)[1] for each in listen)},
            {parse_endpoint(each.address)[1] for each in self.listeners})
        self.probes = []
        self.probe_us = self._probe_interval()
        self.probed_us = 0
        self.is_probing = False
        self.others = []           # their connections, of both ends
        self.others_due = 0        # connections for them, not accepted yet
        self.left = []             # connections that the parties have done with
        self.origin = ("192.0.2.10", 4242)
        self.target = parse_endpoint(listen[0])
        self.proxied = None
        self.has_started = False
        self.is_listening = False
        self.events_seen = 0
        self.verdicts_seen = 0
        self.line = None
        self.dns = None
        if self.script.directives("dns"):
            self.dns = nameserver.NameServer(self.script.zone)
        self.gate = Gate(self.script, EXTRA_LISTENERS, new_home(),
                         nameserver.CONF if self.dns else None)

    # --- the backends ---

    def _backends(self):
        """(name, addresses) of each backend of proxy.conf: of a host name
        those that the zone has."""
        return [(name, [endpoint
                        for text in re.findall(r'"([^" ]+)', addresses)
                        for endpoint in nameserver.endpoints(
                            text, self.script.zone)])
                for name, addresses in re.findall(
                    r'backend "([^"]+)" \{[^}]*?address = \{([^}]*)\}',
                    self.script.conf)]

    def _probe_interval(self):
        found = re.search(r"probe-interval = (\d+)([smh])", self.script.conf)
        return int(found[1]) * UNITS_US[found[2]] if found else PROBE_US

    def _make_listeners(self):
        diverted = self._connects("d", self.script.lines)
        return [Listener(address, self.parties[
                    "d" if address in diverted else "b"])
                for address in dict.fromkeys(
                    address for _, addresses in self.backends
                    for address in addresses)]

    def _keywords(self, address):
        """What a backend offers to a probe."""
        for name, addresses in self.backends:
            for words in self.script.directives("offers"):
                if address in addresses and words.split()[0] == name:
                    return [word.replace("=", " ").encode()
                            for word in words.split()[1:]]
        return []

    def _probe_all(self):
        """Each address of each backend is asked once, whenever it is time:
        connections that are made then are no session's."""
        self.is_probing = True
        due = sum(len(addresses) for _, addresses in self.backends)
        until = deadline()
        while (len(self.probes) < due
               or not all(probe.is_over for probe in self.probes)):
            if time.monotonic() > until:
                raise Trouble(f"{due} probes are due, "
                              f"{len(self.probes)} have come")
            self.pump(10)
        self.probes.clear()
        self.settle()   # the round ends when the gate has seen the last close
        self.probed_us = self.gate.now_us
        self.is_probing = False

    # --- what moves ---

    def pump(self, wait_ms=0):
        """Whatever can be said or heard now. True if something was heard."""
        self._wait(wait_ms)
        has_moved = self._take_knocks()
        if self.dns:
            has_moved |= self.dns.serve()
        for listener in self.listeners:
            while connection := listener.accept():
                self._add(listener, connection)
                has_moved = True
        for probe in self.probes:
            if not probe.is_over:
                probe.go_on()
        for party in self.parties.values():
            for connection in party.connections:
                has_moved |= self._move(party, connection)
        for connection in self.left + self.others:
            connection.receive()
        return has_moved

    def _wait(self, wait_ms):
        if wait_ms == 0:
            return
        poller = select.poll()
        poller.register(self.knocks.sock, select.POLLIN)
        for listener in self.listeners:
            if listener.sock is not None:
                poller.register(listener.sock, select.POLLIN)
        for party in self.parties.values():
            for connection in party.connections:
                if connection.sock is not None and not connection.end:
                    poller.register(
                        connection.sock,
                        (0 if party.is_stalled else select.POLLIN)
                        | (select.POLLOUT if connection.unsaid else 0))
        poller.poll(wait_ms)

    def _take_knocks(self):
        has_moved = False
        for endpoint in self.knocks.endpoints():
            for listener in self.listeners:
                if parse_endpoint(listener.address) != endpoint:
                    continue
                if listener.refusals > 0:
                    unmade = Connection(None, listener.address)
                    unmade.end = "refused"
                    listener.refusals -= 1
                    if listener.refusals == 0:
                        listener.open()
                elif listener.is_hanging:
                    unmade = Connection(None, listener.address)
                else:
                    continue
                listener.party.connections.append(unmade)
                has_moved = True
        return has_moved

    def _add(self, listener, connection):
        if self.is_probing:
            self.probes.append(Probe(connection,
                                     self._keywords(listener.address)))
        elif self.others_due > 0:
            self.others_due -= 1
            self.others.append(connection)
            connection.say(b"220 another\r\n")
        else:
            listener.party.connections.append(connection)

    def _move(self, party, connection):
        if connection.end:
            return False
        if connection.sock is None:
            port = parse_endpoint(connection.address)[1]
            if not any(state == SYN_SENT and remote == port for
                       state, remote, _, _ in self.sockets.of_gate()):
                connection.end = "given up"
            return connection.end is not None
        connection.send()
        return not party.is_stalled and connection.receive()

    def settle(self):
        """Until the gate sleeps, and nothing is under way to it or from it,
        or what is stays where it is since nobody takes it."""
        until = deadline()
        before, since = None, time.monotonic()
        is_asleep = True
        while time.monotonic() < until:
            has_moved = self.pump(0 if is_asleep else 1)
            is_asleep = self.gate.is_asleep()
            now = (sorted(self.sockets.all()), self.gate.log_size())
            if has_moved or not is_asleep or now != before:
                before, since = now, time.monotonic()
                continue
            is_under_way = any(
                unread or unsent
                for state, _, unread, unsent in now[0] if state != LISTEN)
            if (not is_under_way
                    or time.monotonic() > since + BLOCKED_SECONDS):
                return
        raise Trouble("the gate does not come to rest")

    # --- what is said ---

    def _need_client(self):
        if not self.has_started:
            self._connect()
            self.settle()

    def _connect(self):
        self.has_started = True
        sock = socket.socket(family_of(self.origin[0]), socket.SOCK_STREAM)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(self.origin)
        sock.settimeout(5)
        sock.connect(self.target)
        client = Connection(sock)
        self.parties["c"].connections.append(client)
        if self.proxied:
            client.unsaid += self.proxied
            client.send()

    def _say(self):
        self.parties[self.line.side].say(self.line.text)

    # --- what is heard ---

    def _fail(self, expected, found):
        raise Mismatch(f"{self.line.where}: expected {expected}, "
                       f"but {found}")

    def _await(self, is_there):
        """It should be there; give it time all the same."""
        until = deadline()
        while not is_there() and time.monotonic() < until:
            self.pump(10)

    def _next(self, party):
        """The next thing a party hears; a stalled one reads it for that."""
        def is_there():
            next_heard = party.peek()
            if party.is_stalled and party.current and (
                    not next_heard or next_heard[0] == "half a line"):
                party.current.receive()
            return next_heard and (next_heard[0] != "half a line"
                                   or party.current.end)

        self._await(is_there)
        return party.peek()

    def _begin_tls(self, party):
        connection = party.current
        if connection is None or connection.heard[:1] not in (b"", b"\x16"):
            self._fail("TLS to begin", "there came "
                       f"{show(connection.heard) if connection else 'none'}")
        if party.is_silent:
            connection.is_deaf = True
            connection.heard.clear()
            return
        if party.is_tls_bad:
            connection.spoil()
            return
        connection.secure(*certificates.context(party.letter == "c"))
        self._await(lambda: connection.is_secured or connection.end)
        if not connection.is_secured:
            self._fail("TLS to stand", "it does not")

    def _hear(self):
        party = self.parties[self.line.side]
        if self.line.text == b"[tls]":
            self._begin_tls(party)
            return
        while True:
            found = self._next(party)
            if found is None:
                self._fail(show(self.line.text), "nothing came")
            if self._fits(party, *found):
                party.take()
                party.is_skipping = False
                return
            if not party.is_skipping:
                self._fail(show(self.line.text),
                           f"there came {found[0]} {show(found[1])}")
            party.take()

    def _fits(self, party, kind, text):
        if kind == "half a line":
            return False
        if kind == "line" or text.startswith(b"[connect"):
            return matches(self.line.text, text)
        return party.current.ended_by(self.line.text.decode())

    def _hear_octets(self):
        party = self.parties[self.line.side]
        wanted = self.line.text
        self._await(lambda: party.current and not party.current.is_connect_new
                    and len(party.current.heard) >= len(wanted))
        heard = party.current.heard if party.current else b""
        if not heard.startswith(wanted):
            self._fail(show(wanted), f"there came {show(heard)}")
        del heard[:len(wanted)]

    def _see_event(self):
        self._await(lambda: len(self.gate.events()) > self.events_seen)
        event = (self.gate.events()[self.events_seen:] or ["none"])[0]
        if " " not in show(self.line.text):
            event = event.split(" ")[0]  # its name alone
        if not matches(self.line.text, event):
            self._fail(f"the event {show(self.line.text)}", f"it is {event}")
        self.events_seen += 1

    def _see_verdict(self):
        verdicts = self.gate.verdicts()
        if self.line.text == b"none":
            if verdicts:
                self._fail("no verdict line", f"there is {verdicts[-1]}")
            return
        self.verdicts_seen = len(verdicts)
        if not verdicts:
            self._fail("a verdict line", "there is none")
        path, pattern = self.line.text.split(b"=", 1)
        if path == b"id":
            # On the wire a session's id is another in each play.
            pattern = re.sub(rb"^r\d+", b"*", pattern)
        value = find_in_json(verdicts[-1], path.decode())
        if value is None or not matches(pattern, value):
            self._fail(f"{show(self.line.text)} in the verdict line",
                       f"it is {value}: {verdicts[-1]}")

    def _finish_listening(self):
        """Something new begins: nothing may be left of what went before."""
        if not self.is_listening:
            return
        self.is_listening = False
        self.settle()
        for party in self.parties.values():
            if party.is_skipping:
                while party.peek():
                    party.take()
                # What a stalled party was sent still lies in the kernel.
                party.is_skipping = party.is_stalled
            elif party.peek():
                self._fail(f"nothing more for {party.letter}",
                           f"there came {show(party.peek()[1])}")
        events = self.gate.events()
        if len(events) > self.events_seen:
            self._fail("no event", f"it is {events[self.events_seen]}")
        if len(self.gate.verdicts()) > self.verdicts_seen:
            self._fail("a look at the verdict line", "there is "
                       + self.gate.verdicts()[-1])

    # --- directives ---

    def _direct(self):
        word, _, what = self.line.text.decode().partition(" ")
        act = {"more": self._do_more, "wait": self._do_wait,
               "drain": self._do_drain, "from": self._do_from,
               "to": self._do_to, "dns": self._do_dns,
               "others": self._do_others,
               "offers": lambda what: None,
               **{name: lambda what, side=side: self._do_party(side, what)
                  for name, side in NAMES.items()}}.get(word)
        if act is None:
            raise Trouble(f"{self.line.where}: there is no such directive on "
                          "the wire: list this script in "
                          "tests/wire/in-process-only")
        act(what)

    def _do_more(self, _):
        self._finish_session()
        self._connect()

    def _do_wait(self, what):
        self._need_client()
        found = re.fullmatch(r"(\d+)(ms|s|m)", what)
        until = self.gate.now_us + int(found[1]) * UNITS_US[found[2]]
        self.settle()
        while self.gate.now_us < until:
            probe_us = self.probed_us + self.probe_us
            self._pass_time(min(until, self.gate.now_us + STEP_US, probe_us)
                            - self.gate.now_us)
            if self.gate.now_us == probe_us:
                self._probe_all()
            self.settle()

    def _pass_time(self, us):
        self.gate.pass_time(us)
        self.gate.wake()

    def _do_drain(self, _):
        self._need_client()
        self.settle()
        self.gate.terminate()
        self._await(lambda: self.gate.has_logged("draining"))

    def _do_dns(self, what):
        {"holds": self.dns.hold, "answers": self.dns.answer}[what]()

    def _do_others(self, what):
        """Clients whose session has its connection to the backend, with which
        nothing happens; or they are gone, and it as well."""
        word, _, count = what.partition(" ")
        if word == "leave":
            for connection in self.others:
                connection.reset()
            self.others.clear()
            self.settle()
            return
        count, _, recipient = count.partition(" ")
        self.others_due = int(count)
        for _ in range(int(count)):
            sock = socket.socket()
            sock.bind((OTHERS, 0))
            sock.settimeout(5)
            sock.connect(self.target)
            if recipient:
                sock.sendall(b"EHLO other.example\r\nMAIL FROM:<>\r\n"
                             b"RCPT TO:<%s>\r\n" % recipient.encode())
            self.others.append(Connection(sock))
        self._await(lambda: self.others_due == 0)
        self.settle()

    def _do_from(self, what):
        host, port, *proxied = what.split()
        if not proxied:
            self.origin = (host, int(port))
            if ":" in host:
                self.target = V6_LISTENER
            return
        to_host, to_port = self.target
        self.target = PROXY_LISTENER
        self.proxied = (f"PROXY TCP4 {host} {to_host} {port} {to_port}\r\n"
                        .encode())

    def _do_to(self, what):
        host, port = what.split()
        self.target = (host, int(port))

    def _do_party(self, side, what):
        party = self.parties[side]
        if what in ("stalls", "reads on"):
            party.is_stalled = what == "stalls"
        elif what in ("closes", "resets"):
            self._hang_up(party, what == "resets")
        elif what in ("spoils tls", "does tls"):
            party.is_tls_bad = what == "spoils tls"
        elif what != "refuses" and (party.letter == "c" or party.current
                                    or party.is_silent):
            party.is_silent = what == "hangs"   # in a handshake
        else:
            listener = self._next_connected(party)
            {"refuses": listener.refuse, "hangs": listener.hang,
             "answers": listener.answer}[what]()

    def _next_connected(self, party):
        """Where the gate will next connect to, as the script says."""
        at = self.script.lines.index(self.line)
        refused = [line for line in self.script.lines[:at]
                   if line.text == self.line.text]
        connects = self._connects(party.letter, self.script.lines[at:])
        # Of several "refuses" in a row each is about one connect.
        before = self.script.lines[at - len(refused):at]
        skipped = len(refused) if before == refused and refused else 0
        listeners = [each for each in self.listeners
                     if each.party is party]
        if not connects:
            return listeners[0]
        return next(each for each in listeners
                    if each.address == connects[skipped])

    @staticmethod
    def _connects(letter, lines):
        """The addresses of a party that are connected to, in order."""
        return [line.text.decode()[:-1].split(" ")[1] for line in lines
                if line.side == letter
                and line.text.startswith(b"[connect ")]

    def _hang_up(self, party, is_reset):
        self._need_client()
        self.settle()
        connection = party.current
        if connection is None or connection.is_connect_new:
            if party.letter != "c":
                raise Trouble(f"{party.letter} is not connected")
            return
        if is_reset:
            connection.reset()
        else:
            connection.is_closing = True
            connection.send()
        # A client that has closed still reads; a backend does not.
        if is_reset or party.letter != "c":
            party.connections.pop(0)
        if not is_reset and party.letter != "c":
            self.left.append(connection)

    # --- the whole ---

    def _finish_session(self):
        """The script is over, or another client comes: this one goes."""
        self.is_listening = True
        self._finish_listening()
        client = self.parties["c"].current
        if client is not None and client.end is None:
            client.is_closing = True
            client.send()
        self._await(self._is_over)
        if not self._is_over():
            raise Mismatch("the client is gone, the session is not: "
                           f"{self.sockets.of_gate()}")
        events = self.gate.events()
        if len(events) > self.events_seen:
            raise Mismatch("an event at the end: "
                           f"{events[self.events_seen]}")
        self.left.clear()

    def _is_over(self):
        """Whether no connection of the session is left. Its ends of them are
        closed in turn, so that the gate need not wait for that."""
        for party in self.parties.values():
            for connection in list(party.connections):
                while not connection.end and connection.receive():
                    pass
                if connection.end:
                    connection.reset()
                    party.connections.remove(connection)
        for connection in self.left:
            if connection.sock is not None and (
                    connection.end or not connection.receive()
                    and connection.end):
                connection.reset()
        self.left = [each for each in self.left if each.sock is not None]
        return not any(state != LISTEN for state, *_ in
                       self.sockets.of_gate())

    def _play_line(self):
        kind = self.line.kind
        is_heard = kind not in (scripts.SAID, scripts.DIRECTIVE)
        if not is_heard:
            self._finish_listening()
        if kind != scripts.DIRECTIVE:
            self._need_client()
        if is_heard and not self.is_listening:
            self.settle()
        self.is_listening |= is_heard
        {scripts.SAID: self._say, scripts.HEARD: self._hear,
         scripts.HEARD_OCTETS: self._hear_octets,
         scripts.SKIPPED: self._skip, scripts.EVENT: self._see_event,
         scripts.VERDICT: self._see_verdict,
         scripts.DIRECTIVE: self._direct}[kind]()

    def _skip(self):
        self.parties[self.line.side].is_skipping = True

    def run(self):
        try:
            self._probe_all()
            self.gate.process.wait_for(
                lambda: self.gate.has_logged("started"))
            self._pass_time(ASIDE_US)
            for self.line in self.script.lines:
                self._play_line()
            self._finish_session()
            self.gate.stop()
        finally:
            self.gate.process.kill()


_ESCAPE = re.compile(r'\\(["\\])|\\')


class _Raw(str):
    """A number as it is written."""


def find_in_json(line, path):
    """What a dotted path leads to: a string's inside, with the escapes that
    JSON need not have; anything else as it is written. None: nothing."""
    kept = _ESCAPE.sub(lambda found: found[0] if found[1] else r"\\", line)
    value = json.loads(kept, parse_int=_Raw, parse_float=_Raw)
    try:
        for step in path.split("."):
            value = value[step] if isinstance(value, dict) else value[int(step)]
    except (KeyError, IndexError, ValueError, TypeError):
        return None
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def play(path):
    """What was wrong, or None; and what the gate has logged."""
    if not DMARCGATE.exists():
        return f"{DMARCGATE} is not built", ""
    playing = None
    try:
        playing = Play(path)
        playing.run()
        return None, playing.gate.process.text()
    except (Mismatch, Trouble, scripts.BadScript, RuntimeError,
            OSError) as fault:
        where = playing.line.where if playing and playing.line else path
        said = playing.gate.process.text() if playing else ""
        return f"{fault}\n(at {where})", said
