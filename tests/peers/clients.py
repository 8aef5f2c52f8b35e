# SPDX-License-Identifier: BSD-2-Clause
"""The programs that send, each on the host "client".

send(cell, messages) hands one cell's messages to the program. It may be an MTA
that takes them first and sends them when it likes: whoever waits must look at
the other end. The envelope's sender says what an MTA has to do:
cNUMBER-PORT-SECURITY-VERB@sender.example.

    lacks   {what it cannot do: why}
    added   names of the fields that it puts on top by itself
"""

import re
import smtplib
import subprocess
import threading

from tests.e2e.process import scratch
from tests.e2e.smtp import encode
from tests.peers import backends, packages
from tests.peers.network import GATE_OUTSIDE

SECONDS_MAX = 60
NAME = "client.example"


class NotSent(Exception):
    """The program says that it could not send."""


class Sender:
    """One of them; the others say how."""

    name = ""
    lacks = {}
    added = ()

    def __init__(self, network, _):
        self.network = network
        self.home = scratch(self.name)

    def start(self):
        pass

    def stop(self):
        pass

    def send(self, cell, messages):
        for message in messages:
            self._send_one(cell, message)

    def _file(self, message):
        path = self.home / message.name
        path.write_bytes(message.octets)
        return path

    def _run(self, *command):
        done = subprocess.run(
            [*self.network.on("client"), *map(str, command)], check=False,
            stdin=subprocess.DEVNULL, capture_output=True,
            timeout=SECONDS_MAX)
        if done.returncode != 0:
            raise NotSent(f"{command[0]} ends with {done.returncode}: "
                          f"{(done.stdout + done.stderr)[-500:]!r}")


class Swaks(Sender):
    name = "swaks"
    lacks = {"BDAT": "swaks has no BDAT",
             "smtputf8": "swaks has no SMTPUTF8"}

    def _file(self, message):
        """As it goes over the wire, but for the last line end: swaks would
        mend a header without an empty line."""
        path = self.home / message.name
        path.write_bytes(encode(message.octets)[:-2])
        return path

    def _send_one(self, cell, message):
        self._run("swaks", "--server", GATE_OUTSIDE, "--port", cell.port,
                  "--ehlo", NAME, "--from", cell.sender,
                  "--to", ",".join(message.recipients),
                  "--data", f"@{self._file(message)}", "--no-data-fixup",
                  "--hide-send",
                  *(["--tls"] if cell.security == "STARTTLS" else []))


class Curl(Sender):
    name = "curl"
    lacks = {"BDAT": "curl has no BDAT"}

    def _send_one(self, cell, message):
        recipients = [word for recipient in message.recipients
                      for word in ("--mail-rcpt", recipient)]
        secured = (["--ssl-reqd", "--insecure"]
                   if cell.security == "STARTTLS" else [])
        self._run("curl", "--silent", "--show-error",
                  "--url", f"smtp://{GATE_OUTSIDE}:{cell.port}/{NAME}",
                  "--mail-from", cell.sender, *recipients,
                  "--upload-file", self._file(message), *secured)


def session_of(mail, sender, messages):
    """All messages over one smtplib session that has said EHLO."""
    for message in messages:
        options = {"8bit": ["BODY=8BITMIME"], "smtputf8":
                   ["SMTPUTF8", "BODY=8BITMIME"]}.get(kind_of(message), [])
        try:
            mail.sendmail(sender, message.recipients, message.octets, options)
        except (smtplib.SMTPException, OSError) as fault:
            raise NotSent(f"smtplib: {message.name}: {fault!r}") from None


def kind_of(message):
    name = message.name.split(".")[1]
    return ("smtputf8" if name == "smtputf8"
            else "8bit" if name in ("latin1", "utf8") else "7bit")


class Smtplib(Sender):
    name = "smtplib"
    lacks = {"BDAT": "smtplib has no BDAT"}

    def send(self, cell, messages):
        with self.network.inside("client"):
            try:
                mail = smtplib.SMTP(GATE_OUTSIDE, cell.port, NAME, SECONDS_MAX)
                mail.ehlo()
                if cell.security == "STARTTLS":
                    mail.starttls()
                    mail.ehlo()
            except (smtplib.SMTPException, OSError) as fault:
                raise NotSent(f"smtplib: {fault!r}") from None
            session_of(mail, cell.sender, messages)
            mail.quit()


class SClient(Sender):
    """openssl s_client: a pipe into TLS, so what is said is ours."""

    name = "s_client"
    lacks = {"plain": "s_client speaks TLS only"}

    def send(self, cell, messages):
        pipe = subprocess.Popen(
            [*self.network.on("client"), "openssl", "s_client", "-connect",
             f"{GATE_OUTSIDE}:{cell.port}", "-starttls", "smtp", "-name", NAME,
             "-quiet"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL)
        watch = threading.Timer(SECONDS_MAX, pipe.kill)
        watch.start()
        try:
            # What it shows of its own dialogue comes before the 252.
            self._say(pipe, b"VRFY postmaster\r\n", b"252")
            self._say(pipe, f"EHLO {NAME}\r\n".encode())
            for message in messages:
                self._send_over(pipe, cell, message)
            self._say(pipe, b"QUIT\r\n", b"221")
        except OSError as fault:
            raise NotSent(f"s_client: {fault!r}") from None
        finally:
            watch.cancel()
            pipe.kill()
            pipe.communicate()

    def _send_over(self, pipe, cell, message):
        body = {"8bit": " BODY=8BITMIME", "binary": " BODY=BINARYMIME",
                "smtputf8": " SMTPUTF8 BODY=8BITMIME"}.get(cell.kind, "")
        self._say(pipe, f"MAIL FROM:<{cell.sender}>{body}\r\n".encode())
        for recipient in message.recipients:
            self._say(pipe, f"RCPT TO:<{recipient}>\r\n".encode())
        if cell.verb == "DATA":
            self._say(pipe, b"DATA\r\n", b"354")
            self._say(pipe, encode(message.octets))
            return
        third = len(message.octets) // 3
        for chunk in message.octets[:third], message.octets[third:]:
            self._say(pipe, b"BDAT %d\r\n%s" % (len(chunk), chunk))
        self._say(pipe, b"BDAT 0 LAST\r\n")

    @staticmethod
    def _say(pipe, octets, code=b"250"):
        pipe.stdin.write(octets)
        pipe.stdin.flush()
        heard = []
        while line := pipe.stdout.readline():
            heard.append(line)
            if line[3:4] == b" " and (line[:3] == code or code != b"252"):
                break
        if not heard or heard[-1][:3] != code:
            raise NotSent(f"s_client: {octets[:60]!r}: {heard!r}")


class Mta:
    """What MTAs as clients share: mail is handed to them on the loopback."""

    host, address = "client", "127.0.0.1"
    probed_from, probed_as = "client", "submission"
    services = {"submission": 2600}
    hostname = NAME
    added = ("Received",)

    def used_bdat(self, _sender):
        """Whether mail from a sender went out by BDAT."""
        return False

    def send(self, cell, messages):
        with self.network.inside("client"):
            with smtplib.SMTP(self.address, self.services["submission"],
                              NAME, SECONDS_MAX) as mail:
                mail.ehlo()
                session_of(mail, cell.sender, messages)


class PostfixClient(Mta, backends.Postfix):
    name = "postfix-client"
    lacks = {"BDAT": "Postfix's client has no BDAT"}
    domains = ""

    def package(self):
        return packages.root("postfix")

    def main(self):
        return ("inet_protocols = ipv4\n"
                "mynetworks = 127.0.0.0/8\n"
                "smtpd_client_connection_count_limit = 0\n"
                "sender_dependent_default_transport_maps = "
                "regexp:/etc/postfix/ways\n"
                "smtp_host_lookup = native\n"
                "local_header_rewrite_clients =\n")

    def master(self):
        return ("127.0.0.1:2600 inet n - n - - smtpd\n"
                "secured unix - - n - - smtp\n"
                "  -o smtp_tls_security_level=encrypt\n")

    def lay_out(self):
        super().lay_out()
        self._write("etc/postfix/ways", "".join(
            f"/^c[0-9]+-([0-9]+)-{security}-/ {way}:[{GATE_OUTSIDE}]:$1\n"
            for security, way in (("plain", "smtp"), ("STARTTLS", "secured"))))


class EximClient(Mta, backends.Exim):
    """Exim sends by BDAT whatever the gate lets it; the sender says whether
    it may."""

    name = "exim-client"
    lacks = {}
    routers = f"""\
gate:
  driver = manualroute
  transport = gate
  route_list = * {GATE_OUTSIDE}
  self = send
"""
    transports = """\
gate:
  driver = smtp
  port = ${{sg{{$sender_address_local_part}}{{^c\\\\d+-(\\\\d+)-.*}}{{\\$1}}}}
  helo_data = client.example
  hosts_try_chunking = ${{if match{{$sender_address}}{{-BDAT}}{{*}}{{:}}}}
  hosts_require_tls = ${{if match{{$sender_address}}{{-STARTTLS-}}{{*}}{{:}}}}
  hosts_avoid_tls = ${{if match{{$sender_address}}{{-plain-}}{{*}}{{:}}}}
  tls_try_verify_hosts = :
  hosts_try_dane = :
  utf8_downconvert = 0
"""

    def package(self):
        return packages.root("exim")

    def main(self):
        return (f"local_interfaces = 0.0.0.0.{self.services['submission']}\n"
                "smtp_accept_max = 100\nsmtp_accept_queue = 0\n")

    def used_bdat(self, sender):
        """Its log has a K for what went out by BDAT."""
        log = self.log()
        ids = re.findall(rf"(\S+) <= {re.escape(sender)} ", log)
        sent = [line for line in log.splitlines()
                if any(f"{each} =>" in line for each in ids)]
        return bool(sent) and all(" K " in line for line in sent)


ALL = (Swaks, PostfixClient, SClient, Curl, Smtplib, EximClient)
