# SPDX-License-Identifier: BSD-2-Clause
"""A backend that takes whatever RFC 3030 allows, and keeps it octet for octet.

    lenient.py ADDRESS[,ADDRESS] FOLDER CERTIFICATE KEY

Port 2541 wants a PROXY header, 2543 none. Of each message it writes
FOLDER/N.eml, and prints a line of JSON: who sent it, and from what address.
"""

import asyncio
import ipaddress
import itertools
import json
import os
import re
import ssl
import struct
import sys
from pathlib import Path

ADDRESSES = sys.argv[1].split(",")
FOLDER, CERTIFICATE, KEY = sys.argv[2:]
V2_SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
KEYWORDS = ("PIPELINING", "SIZE 60000000", "8BITMIME", "SMTPUTF8", "CHUNKING",
            "BINARYMIME", "ENHANCEDSTATUSCODES")
numbers = itertools.count(1)


async def client_by_proxy(reader):
    """The client's address, from a PROXY header of either version; None: it
    is whoever has connected."""
    start = await reader.readexactly(12)
    if start == V2_SIGNATURE:
        _, _, size = struct.unpack("!BBH", await reader.readexactly(4))
        rest = await reader.readexactly(size)
        if size == 0:
            return None  # LOCAL
        return str(ipaddress.ip_address(rest[:(size - 4) // 2]))
    return (start + await reader.readline()).split()[2].decode()


class Session:
    """One connection."""

    def __init__(self, reader, writer, is_behind_proxy):
        self.reader, self.writer = reader, writer
        self.is_behind_proxy = is_behind_proxy
        self.client = writer.get_extra_info("peername")[0]
        self.is_secured = False
        self.reset()

    def reset(self):
        self.sender, self.content = None, b""

    async def run(self):
        try:
            if self.is_behind_proxy:
                self.client = (await client_by_proxy(self.reader)
                               or self.client)
            self.say("220 lenient.example ESMTP")
            while line := await self.reader.readline():
                verb = re.split(rb"[ \r\n:]", line)[0].upper().decode()
                await getattr(self, f"do_{verb}", self.unknown)(line)
                if verb == "QUIT":
                    break
        except (ConnectionError, asyncio.IncompleteReadError, ssl.SSLError):
            pass
        self.writer.close()

    def say(self, line):
        self.writer.write(line.encode() + b"\r\n")

    async def unknown(self, _):
        self.say("500 5.5.1 what?")

    async def do_EHLO(self, _):
        words = [*KEYWORDS, *([] if self.is_secured else ["STARTTLS"])]
        for word in words:
            self.say(f"250-{word}")
        self.say("250 HELP")

    async def do_STARTTLS(self, _):
        self.say("220 2.0.0 go on")
        await self.writer.start_tls(context)
        self.is_secured = True

    async def do_MAIL(self, line):
        self.reset()
        self.sender = re.search(rb"<(.*?)>", line)[1].decode()
        self.say("250 2.1.0 sender ok")

    async def do_RCPT(self, _):
        self.say("250 2.1.5 recipient ok")

    async def do_RSET(self, _):
        self.reset()
        self.say("250 2.0.0 forgotten")

    async def do_NOOP(self, _):
        self.say("250 2.0.0 fine")

    async def do_VRFY(self, _):
        self.say("252 2.5.0 perhaps")

    async def do_QUIT(self, _):
        self.say("221 2.0.0 bye")

    async def do_DATA(self, _):
        self.say("354 go on")
        lines = []
        while (line := await self.reader.readline()) != b".\r\n":
            if not line:
                return
            lines.append(line[1:] if line.startswith(b".") else line)
        self.keep(b"".join(lines))

    async def do_BDAT(self, line):
        words = line.split()
        self.content += await self.reader.readexactly(int(words[1]))
        if len(words) > 2:
            self.keep(self.content)
        else:
            self.say("250 2.0.0 chunk")

    def keep(self, content):
        number = next(numbers)
        part = Path(FOLDER, f"{number}.part")
        part.write_bytes(content)
        part.rename(part.with_suffix(".eml"))
        print(json.dumps({"sender": self.sender, "client": self.client}),
              flush=True)
        self.reset()
        self.say(f"250 2.0.0 message {number}")


async def serve(port, is_behind_proxy):
    async def session(reader, writer):
        await Session(reader, writer, is_behind_proxy).run()

    server = await asyncio.start_server(session, ADDRESSES, port,
                                        limit=1 << 26)
    await server.serve_forever()


async def main():
    await asyncio.gather(serve(2541, True), serve(2543, False))


context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
context.load_cert_chain(CERTIFICATE, KEY)
os.umask(0o022)
asyncio.run(main())
