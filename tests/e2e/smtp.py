# SPDX-License-Identifier: BSD-2-Clause
"""A strict little SMTP client: octets out, replies in, nothing smoothed over.

    with Client(port, address="192.0.2.10") as client:
        client.ehlo("mx.sender.example")
        reply = client.deliver("alice@sender.example", ["bob@backend.example"],
                               b"From: ...\\r\\n\\r\\nText\\r\\n")
        assert reply.code == 250

It refuses a server that breaks RFC 5321: a bare CR or LF, a line over 512
octets, a code that changes within a reply, an enhanced code of another class,
or a reply that nothing asked for. With `address` each connection starts with
a PROXY header, so that a test comes from a documentation address.
"""

import ipaddress
import re
import socket
import struct

REPLY_LINE_MAX = 512  # RFC 5321 4.5.3.1.5, with its CR LF


class ProtocolError(AssertionError):
    """The server did what SMTP does not allow."""


class Closed(Exception):
    """The server closed the connection."""


class Reply:
    """code, lines (the texts, without code), and the first one's enhanced
    code, "" if it has none."""

    def __init__(self, code, lines):
        self.code = code
        self.lines = lines
        found = re.match(r"([245]\.\d{1,3}\.\d{1,3})(?: |$)", lines[0])
        self.enhanced = found[1] if found else ""
        self.text = "\n".join(lines)
        if self.enhanced and self.enhanced[0] != str(code)[0]:
            raise ProtocolError(f"{self}: the enhanced code has another class")

    def __repr__(self):
        return f"{self.code} {self.text}"


def proxy_v1(address, port=4242, to="203.0.113.25", to_port=25):
    """A PROXY header of version 1; address None is UNKNOWN."""
    if address is None:
        return b"PROXY UNKNOWN\r\n"
    if ":" in address and ":" not in to:
        to = "2001:db8::25"
    family = "TCP6" if ":" in address else "TCP4"
    return f"PROXY {family} {address} {to} {port} {to_port}\r\n".encode()


def proxy_v2(address, port=4242, to="203.0.113.25", to_port=25, tlvs=b""):
    """A PROXY header of version 2; address None is LOCAL."""
    signature = b"\r\n\r\n\0\r\nQUIT\n"
    if address is None:
        return signature + struct.pack("!BBH", 0x20, 0, len(tlvs)) + tlvs
    if ":" in address and ":" not in to:
        to = "2001:db8::25"
    addresses = (ipaddress.ip_address(address).packed
                 + ipaddress.ip_address(to).packed
                 + struct.pack("!HH", port, to_port))
    family = 0x21 if ":" in address else 0x11
    return (signature + struct.pack("!BBH", 0x21, family,
                                    len(addresses) + len(tlvs))
            + addresses + tlvs)


def encode(message):
    """A message's octets as DATA sends them: dots doubled at the start of a
    line, the end appended. A message is empty or ends in CR LF."""
    if message and not message.endswith(b"\r\n"):
        raise ValueError("a message ends in CR LF")
    stuffed = message.replace(b"\r\n.", b"\r\n..")
    if stuffed.startswith(b"."):
        stuffed = b"." + stuffed
    return stuffed + b".\r\n"


class Client:
    """One connection; the banner has been read, and must be 220, unless
    greet is False."""

    def __init__(self, port, address=None, version=2, host="127.0.0.1",
                 timeout=20, greet=True):
        self.timeout = timeout
        self.pending = b""
        self.socket = socket.create_connection((host, port), timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if address is not None:
            make = {1: proxy_v1, 2: proxy_v2}[version]
            self.send(make(address))
        self.banner = self.expect(220) if greet else None
        self.extensions = {}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # --- octets ---

    def send(self, octets):
        """Octets as they are. Sending into a closed connection is no error
        here: what the server said before is still to be read."""
        try:
            self.socket.sendall(octets)
        except (BrokenPipeError, ConnectionResetError):
            pass

    def close(self):
        """Close without a word."""
        self.socket.close()

    def abort(self):
        """Close with a reset, as a client that crashes."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                               struct.pack("ii", 1, 0))
        self.socket.close()

    def finish_sending(self):
        """Half-close: the server reads the end of our octets."""
        self.socket.shutdown(socket.SHUT_WR)

    # --- replies ---

    def _line(self):
        while b"\n" not in self.pending:
            if len(self.pending) >= REPLY_LINE_MAX:
                raise ProtocolError(f"line too long: {self.pending!r}")
            try:
                octets = self.socket.recv(65536)
            except ConnectionResetError:
                octets = b""
            if not octets:
                if self.pending:
                    raise ProtocolError(f"closed inside {self.pending!r}")
                raise Closed()
            self.pending += octets
        line, self.pending = self.pending.split(b"\n", 1)
        if (not line.endswith(b"\r") or b"\r" in line[:-1] or b"\0" in line
                or len(line) >= REPLY_LINE_MAX):
            raise ProtocolError(f"not a reply line: {line!r}")
        return line[:-1]

    def reply(self):
        """The next reply; Closed if the connection ended instead."""
        lines, code = [], None
        while True:
            line = self._line()
            found = re.fullmatch(rb"([2-5][0-5][0-9])(?:([ -])(.*))?", line,
                                 re.S)
            if not found or (code is not None and int(found[1]) != code):
                raise ProtocolError(f"not a reply: {lines} {line!r}")
            code = int(found[1])
            lines.append((found[3] or b"").decode("utf-8"))
            if found[2] != b"-":
                return Reply(code, lines)

    def expect(self, code):
        """The next reply, which must have this code."""
        reply = self.reply()
        assert reply.code == code, f"expected {code}, got {reply}"
        return reply

    def expect_end(self):
        """The server must close now, without another word."""
        try:
            reply = self.reply()
        except Closed:
            return
        raise ProtocolError(f"expected the end, got {reply}")

    # --- commands ---

    def command(self, line):
        """One command line, without pipelining, and its reply."""
        if self.pending:
            raise ProtocolError(f"nothing asked for {self.pending!r}")
        octets = line if isinstance(line, bytes) else line.encode("utf-8")
        self.send(octets + b"\r\n")
        return self.reply()

    def ehlo(self, name="mx.sender.example"):
        """EHLO, which must succeed; the keywords with their parameters are in
        extensions afterwards."""
        reply = self.command(f"EHLO {name}")
        assert reply.code == 250, f"EHLO: {reply}"
        self.extensions = dict(
            (line.split(" ", 1) + [""])[:2] for line in reply.lines[1:])
        return reply

    def mail(self, sender, parameters=""):
        return self.command(f"MAIL FROM:<{sender}>{parameters}")

    def rcpt(self, recipient, parameters=""):
        return self.command(f"RCPT TO:<{recipient}>{parameters}")

    def content(self, message):
        """DATA, which must be let in, and the message; the final reply."""
        reply = self.command("DATA")
        assert reply.code == 354, f"DATA: {reply}"
        self.send(encode(message))
        return self.reply()

    def chunks(self, parts):
        """A message in chunks, all said at once; the replies to them."""
        octets = b""
        for part in parts[:-1]:
            octets += b"BDAT %d\r\n" % len(part) + part
        octets += b"BDAT %d LAST\r\n" % len(parts[-1]) + parts[-1]
        self.send(octets)
        return [self.reply() for _ in parts]

    def deliver(self, sender, recipients, message, parameters=""):
        """One mail; the final reply, or the first one that refused it."""
        reply = self.mail(sender, parameters)
        for recipient in recipients:
            if reply.code != 250:
                return reply
            reply = self.rcpt(recipient)
        return self.content(message) if reply.code == 250 else reply

    def quit(self):
        """QUIT; the server says 221 and closes."""
        reply = self.command("QUIT")
        assert reply.code == 221, f"QUIT: {reply}"
        self.expect_end()
        self.close()
