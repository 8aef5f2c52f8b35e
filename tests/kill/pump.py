# SPDX-License-Identifier: BSD-2-Clause
"""A client that does nothing but send messages that the policy rejects, as
fast as it gets its answers, and writes down the ids that it hears.

One message is two trips: commands are pipelined, as they are by MTAs."""

import re
import threading
import time

from tests.e2e.senders import BAD, message
from tests.e2e.smtp import Closed, encode
from tests.kill import victims

REJECTED = re.compile(r"5\.7\.1 DMARC (\S+):")


def expect(client, code):
    """The next reply; a gate that is ending says 421 instead."""
    reply = client.reply()
    if reply.code == 421:
        raise Closed()
    assert reply.code == code, reply
    return reply


class Pump(threading.Thread):
    """Runs until it is told to stop, through every loss of its connection."""

    def __init__(self, gate, domain):
        super().__init__(daemon=True)
        self.gate = gate
        author = f"alice@{domain}"
        self.content = encode(message(author))
        self.commands = (f"MAIL FROM:<{author}>\r\n"
                         "RCPT TO:<bob@backend.example>\r\nDATA\r\n").encode()
        self.heard = []     # ids, in order
        self.fault = None
        self.worker = None  # who serves it, while it waits for the reply to
        self.is_over = False  # a message, and so for its verdict line

    def run(self):
        while not self.is_over:
            try:
                self._connect()
            except (OSError, Closed):
                time.sleep(0.001)
            except Exception as fault:  # pylint: disable=broad-except
                self.fault = fault
                return
            self.worker = None

    def stop(self):
        """Wait for its end, and raise what went wrong."""
        self.is_over = True
        self.join()
        if self.fault is not None:
            raise self.fault

    def _connect(self):
        with self.gate.client(BAD, greet=False) as client:
            expect(client, 220)
            client.send(b"EHLO mx.long.example\r\n")
            expect(client, 250)
            worker = victims.find(self.gate.workers(), self.gate.port,
                                  client.socket.getsockname()[1])
            while not self.is_over:
                self._send_one(client, worker)

    def _send_one(self, client, worker):
        client.send(self.commands)
        for code in 250, 250, 354:
            expect(client, code)
        client.send(self.content)
        self.worker = worker
        reply = expect(client, 550)
        self.worker = None
        self.heard.append(REJECTED.match(reply.text)[1])
