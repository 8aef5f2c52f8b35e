# SPDX-License-Identifier: BSD-2-Clause
"""Programs that show mail, asked whom a message says it is from.

Each takes the octets of a message and gives the domains of its From field, or
none where it shows no address. They are as different as readers are: Python's
email package by its old functions (as they are, and as they were before they
became strict), by its new policy, and with encoded words decoded first, as
careless programs do; GMime (Evolution, notmuch, Geary); Mail::Address of Perl;
and Dovecot's parser (the ENVELOPE that IMAP clients show) by
Email::Address::XS.
"""

import email
import email.errors
import email.header
import email.policy
import email.utils
import subprocess
from pathlib import Path

import gi

gi.require_version("GMime", "3.0")
from gi.repository import GMime  # noqa: E402

GMime.init()

ADDRESSES = Path(__file__).with_name("addresses.pl")


def domain_of(address):
    """What stands behind the last "@"; nothing if there is none."""
    return address.rpartition("@")[2].strip() if "@" in address else ""


def domains_of(addresses):
    return {domain_of(address) for address in addresses} - {""}


def text_of(body):
    """Octets that Python has escaped are UTF-8, or are shown as unknown."""
    return body.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def from_bodies(octets):
    """The bodies of the From fields, by Python's idea of a header."""
    message = email.message_from_bytes(octets)
    return [text_of(body) for name, body in message.raw_items()
            if name.lower() == "from"]


# Python 3.11.2 with fixes, as in Debian, is strict unless told otherwise; what
# went before it is not, and cannot be.
try:
    email.utils.parseaddr("", strict=False)
    LENIENT = {"strict": False}
except TypeError:
    LENIENT = {}


def python_strict(octets):
    return domains_of(address for _, address
                      in email.utils.getaddresses(from_bodies(octets)))


def python_first(octets):
    """email.utils.parseaddr() of the first field: how most scripts do it."""
    return domains_of(email.utils.parseaddr(body, **LENIENT)[1]
                      for body in from_bodies(octets)[:1])


def python_all(octets):
    return domains_of(
        address for _, address
        in email.utils.getaddresses(from_bodies(octets), **LENIENT))


def decoded_first(octets):
    """How many scripts do it that want to show the name: wrongly."""
    try:
        return domains_of(
            email.utils.parseaddr(str(email.header.make_header(
                email.header.decode_header(body))), **LENIENT)[1]
            for body in from_bodies(octets)[:1])
    except (LookupError, ValueError, email.errors.MessageError):
        return set()


def python_new(octets):
    """The new policy. Where it fails, as it does, it shows nothing."""
    try:
        message = email.message_from_bytes(octets, policy=email.policy.default)
        return {text_of(address.domain)
                for field in message.get_all("From", [])
                for address in field.addresses} - {""}
    except (AttributeError, IndexError, TypeError, UnboundLocalError,
            ValueError):
        return set()


def gmime(octets):
    stream = GMime.StreamMem.new_with_buffer(octets)
    message = GMime.Parser.new_with_stream(stream).construct_message(None)
    if message is None:
        return set()
    return domains_of(_mailboxes(message.get_from()))


def _mailboxes(addresses):
    found = []
    for i in range(addresses.length()):
        address = addresses.get_address(i)
        if isinstance(address, GMime.InternetAddressGroup):
            found += _mailboxes(address.get_members())
        else:
            found.append(address.get_addr() or "")
    return found


READERS = {"python-strict": python_strict,
           "python-first": python_first, "python-all": python_all,
           "python-new": python_new, "decoded-first": decoded_first,
           "gmime": gmime}


def perl(messages):
    """For each message what Mail::Address shows, and what Dovecot does."""
    bodies = [(from_bodies(octets) or [""])[0] for octets in messages]
    lines = "".join(body.encode().hex() + "\n" for body in bodies)
    done = subprocess.run(["perl", ADDRESSES], input=lines, text=True, check=True,
                          capture_output=True, timeout=300)
    for line in done.stdout.splitlines():
        yield tuple(domains_of(bytes.fromhex(each).decode("utf-8", "replace")
                               for each in column.split())
                    for column in line.split("\t"))
