# SPDX-License-Identifier: BSD-2-Clause
"""Each time-out and each limit of conf.def has a test that proves it.

A setting of conf.def whose type is a time, a rate, a size or a number, or that
stands in limit { }, must have its row here; a row must name tests that there
are, and one of these must name the setting. Some of them must play in process
and some on the wire; most scripts of tests/replay do both. What RFC 5321 4.5.3
has of sizes and times has rows of its own.
"""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent

# Setting: tests, each a script of tests/replay (its number), or
# FILE::NAME.
PROOFS = {
    # Sizes.
    "message-size": ["036", "037", "341", "342"],
    "header-size": ["038"],
    "limit command-line": ["480", "021"],
    "limit header-fields": ["481"],
    "limit line-length": ["482"],
    "limit recipients": ["026"],
    "hops-max": ["502"],
    # Time-outs of the client: behind the banner, between commands in each
    # state, within a command, within a message.
    "greeting-timeout": ["450"],
    "client-timeout": ["137", "358", "451", "452", "453", "454"],
    "command-time": ["456", "457", "458", "459"],
    "tls-timeout": ["305"],
    "data-timeout": ["455", "138", "357"],
    "data-time": ["139", "359", "462"],
    "data-rate": ["460", "461", "462", "578"],
    "data-rate-time": ["460", "461"],
    # Time-outs of the backend: connect, banner, EHLO, XCLIENT, STARTTLS, the
    # handshake, the proof of PROXY; EHLO, MAIL, RCPT and RSET of the client;
    # DATA, its content, its end; the content and the end of BDAT.
    "backend connect-timeout": ["084", "465", "575", "576"],
    "backend reply-timeout": ["118", "466", "467", "468", "469"],
    "backend data-reply-timeout": ["470"],
    "backend data-block-timeout": ["471", "494"],
    "backend final-timeout": ["117", "472", "577"],
    "backend connections": ["425", "426"],
    "backend retry-after": ["421"],
    # Of others.
    "eval-timeout": ["066"],
    "name-timeout": ["087"],
    "resolver dns-timeout": ["tests/unit/test_proxy_resolver.c::"
                             "a_try_ends_within_its_time",
                             "tests/e2e/test_10_main_job.py::"
                             "test_dead_dns_is_a_temperror_not_a_fail"],
    "resolver cache-size": [
        "tests/unit/test_proxy_resolver_kept.c::it_is_counted",
        "tests/e2e/test_46_dns.py::test_for_how_long_answers_are_kept"],
    "resolver ttl-min": [
        "tests/unit/test_proxy_resolver_kept.c::"
        "ttls_are_kept_within_their_bounds",
        "tests/e2e/test_46_dns.py::test_for_how_long_answers_are_kept"],
    "resolver ttl-max": [
        "tests/unit/test_proxy_resolver_kept.c::"
        "ttls_are_kept_within_their_bounds",
        "tests/e2e/test_46_dns.py::test_for_how_long_answers_are_kept"],
    "resolver negative-ttl-max": [
        "tests/unit/test_proxy_resolver_kept.c::"
        "ttls_are_kept_within_their_bounds",
        "tests/e2e/test_46_dns.py::test_for_how_long_answers_are_kept"],
    "resolver failure-ttl": [
        "tests/unit/test_proxy_resolver_kept.c::"
        "nothing_and_failures_are_not_kept_if_so_set",
        "tests/e2e/test_46_dns.py::test_for_how_long_answers_are_kept"],
    "resolver questions": [
        "tests/e2e/test_46_dns.py::test_questions_of_a_message_are_capped",
        "tests/unit/test_dmarc_eval.c::"
        "t17_spf_leaves_questions_for_the_author"],
    "drain-timeout": ["tests/e2e/test_70_reload.py::"
                      "test_drain_timeout_cuts_off_what_does_not_end"],
    # Limits of a session.
    "limit errors": ["022"],
    "limit unknown-commands": ["475"],
    "limit junk-commands": ["476", "477"],
    "limit refused-recipients": ["478"],
    "limit messages": ["479"],
    # Limits of the gate.
    "limit connections": [
        "tests/e2e/test_35_limits.py::test_connections_of_one_worker",
        "tests/unit/test_proxy_door.c::too_many_sessions_are_told_421"],
    "limit connections-total": [
        "tests/e2e/test_35_limits.py::test_connections_of_the_whole_gate",
        "tests/unit/test_proxy_door.c::too_many_of_all_workers_are_told_421"],
    "limit connections-per-address": [
        "tests/e2e/test_35_limits.py::test_connections_of_an_address",
        "tests/unit/test_proxy_door.c::too_many_of_one_address_are_told_421"],
    "limit connections-per-network": [
        "tests/e2e/test_35_limits.py::test_connections_of_a_network",
        "tests/unit/test_proxy_door.c::too_many_of_one_network_are_told_421"],
    "limit connection-rate": [
        "tests/e2e/test_35_limits.py::test_rate_of_connections",
        "tests/unit/test_proxy_door.c::who_comes_too_often_is_told_421"],
    "limit message-rate": ["492"],
    "limit limit-loopback": [
        "tests/e2e/test_35_limits.py::test_loopback_and_exempt_networks",
        "tests/unit/test_proxy_door.c::"
        "loopback_is_not_limited_unless_asked_for"],
    "limit exempt": [
        "493", "tests/e2e/test_35_limits.py::"
        "test_loopback_and_exempt_networks"],
    "memory": ["490", "491", "tests/e2e/test_35_limits.py::test_memory"],
    "body-disk": ["161", "tests/e2e/test_30_failures.py::test_no_room_is_452"],
}

# These have a measure, but nothing that a peer does comes to it.
NO_LIMITS = {
    "workers", "backend probe-interval", "body-memory", "resolver dns-tries",
    "spool rotate-size", "spool rotate-time", "spool keep", "spool keep-size",
}

# What cannot be shown in process: that a process ends.
NOT_IN_PROCESS = {"drain-timeout"}

# RFC 5321 4.5.3.1: sizes that must be taken, at least.
SIZES = {
    "4.5.3.1.1 local-part": ["579", "580"],
    "4.5.3.1.2 domain": ["579", "580"],
    "4.5.3.1.3 path": ["579", "580"],
    "4.5.3.1.4 command line": ["579", "480", "580"],
    "4.5.3.1.5 reply line": ["579", "580"],
    "4.5.3.1.6 text line": ["579", "482"],
    "4.5.3.1.7 message content": ["579", "036"],
    "4.5.3.1.8 recipients buffer": ["579"],
    "4.5.3.1.9 code when exceeded": ["037", "480", "482"],
    "4.5.3.1.10 too many recipients": ["026"],
}

# RFC 5321 4.5.3.2: the setting, and how many minutes it has to be at least;
# none for the first, for which a client of ours waits all the while.
TIMES = {
    "4.5.3.2.1 initial 220": ("backend connect-timeout", 0),
    "4.5.3.2.2 MAIL": ("backend reply-timeout", 5),
    "4.5.3.2.3 RCPT": ("backend reply-timeout", 5),
    "4.5.3.2.4 DATA initiation": ("backend data-reply-timeout", 2),
    "4.5.3.2.5 data block": ("backend data-block-timeout", 3),
    "4.5.3.2.6 data termination": ("backend final-timeout", 10),
    "4.5.3.2.7 server": ("client-timeout", 5),
}

MEASURES = {"TIME", "RATE", "SIZE", "COUNT", "WORKERS"}


def measured():
    """The settings that have to have a row, as "word" or "section word", each
    with its name in C."""
    text = (ROOT / "proxy/conf.def").read_text("utf-8")
    rows = re.findall(r'^SETTING\((\w+), (\w+), "([\w-]+)", (\w+),', text,
                      re.M)
    return {word if section == "TOP" else f"{section.lower()} {word}": member
            for section, member, word, kind in rows
            if kind in MEASURES or section == "LIMIT"}


def script(number):
    found = list(ROOT.glob(f"tests/replay/{number}-*.replay"))
    assert len(found) == 1, f"script {number}: there are {len(found)}"
    return found[0].read_text("utf-8")


def test_every_measure_has_its_proof():
    settings = set(measured())
    assert len(settings) > 40
    assert settings - set(PROOFS) - NO_LIMITS == set()
    assert (set(PROOFS) | NO_LIMITS) - settings == set()


@pytest.mark.parametrize("setting", PROOFS)
def test_each_proof_is_there(setting):
    names = setting.split(" ")[-1], measured()[setting]
    texts = []
    for proof in PROOFS[setting]:
        if proof.isdigit():
            texts.append(script(proof))
            continue
        file, name = proof.split("::")
        texts.append((ROOT / file).read_text("utf-8"))
        assert name in texts[-1], proof
    # One of them speaks of the setting.
    assert any(name in text for name in names for text in texts), setting


def in_process_only():
    rows = (ROOT / "tests/wire/in-process-only").read_text("utf-8")
    return set(re.findall(r"^(\d+)-", rows, re.M))


@pytest.mark.parametrize("setting", PROOFS)
def test_in_process_and_on_the_wire(setting):
    proofs = PROOFS[setting]
    scripts = {proof for proof in proofs if proof.isdigit()}
    assert setting in NOT_IN_PROCESS or scripts or any(
        proof.startswith("tests/unit/") for proof in proofs)
    assert scripts - in_process_only() or any(
        proof.startswith("tests/e2e/") for proof in proofs)


def presets():
    text = (ROOT / "proxy/conf.def").read_text("utf-8")
    return {
        (section, word): preset for section, word, preset in re.findall(
            r'^SETTING\((\w+), \w+, "([\w-]+)", \w+, "([^"]*)",', text, re.M)}


@pytest.mark.parametrize("size", SIZES)
def test_sizes_of_rfc_5321(size):
    for number in SIZES[size]:
        assert script(number)
        assert number not in in_process_only()


@pytest.mark.parametrize("time", TIMES)
def test_times_of_rfc_5321(time):
    setting, minutes = TIMES[time]
    *section, word = setting.split(" ")
    preset = presets()[(section[0].upper() if section else "TOP", word)]
    assert setting in PROOFS
    assert minutes == 0 or int(re.fullmatch(r"(\d+)m", preset)[1]) >= minutes


def test_the_table_in_readme_has_the_defaults():
    defaults = presets()
    readme = (ROOT / "README.md").read_text("utf-8")
    part = readme[readme.index("## Limits and time-outs"):]
    rows = re.findall(r"^\|[^|]*\| `(limit\.)?([\w-]+)`[^|]*\| (\S+) \|",
                      part[:part.index("## Install")], re.M)
    assert len(rows) > 25
    for limit, word, preset in rows:
        sections = ("LIMIT",) if limit else ("TOP", "BACKEND")
        assert preset in [defaults.get((section, word))
                          for section in sections], word
