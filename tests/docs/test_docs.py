# SPDX-License-Identifier: BSD-2-Clause
"""What is written about the programs must agree with the programs."""

import os
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
BUILD = (ROOT / os.environ.get("DMARCGATE_BUILD", "build")).resolve()

MANUALS = sorted([*ROOT.glob("conf/*.[1-8]"), *BUILD.glob("conf/*.[1-8]")])
WANTED = ["dmarcgate-verdict.5", "dmarcgate.8", "dmarcgatectl.1",
          "proxy.conf.5"]


def said(*command):
    return subprocess.run(command, cwd=ROOT, check=True, text=True,
                          stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE).stdout


@pytest.mark.parametrize("name", WANTED)
def test_each_manual_is_there(name):
    assert name in [manual.name for manual in MANUALS]


@pytest.mark.parametrize("manual", MANUALS, ids=lambda manual: manual.name)
def test_mandoc_finds_no_fault(manual):
    done = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", manual],
                          stdout=subprocess.PIPE, text=True, check=False)
    # That other manuals are not installed here is no fault.
    faults = [line for line in done.stdout.splitlines()
              if "referenced manual not found" not in line]
    assert not faults, "\n".join(faults)


def test_the_commented_proxy_conf_is_what_the_table_gives():
    made = said(BUILD / "dmarcgatectl", "config", "example")
    assert (ROOT / "conf/proxy.conf").read_text("utf-8") == made


@pytest.mark.parametrize("name", ["minimal.conf", "demo.conf"])
def test_each_configuration_passes_the_gate_s_own_check(name, tmp_path):
    text = (ROOT / "conf" / name).read_text("utf-8")
    # The demo makes its zone when it runs.
    zone = tmp_path / "zone"
    zone.write_text("sender.example. 60 A 192.0.2.1\n", "utf-8")
    file = tmp_path / name
    file.write_text(text.replace("build/demo/zone", str(zone)), "utf-8")
    assert said(BUILD / "dmarcgate", "-t", "-c", file)


def test_the_commented_proxy_conf_has_only_settings_that_there_are(tmp_path):
    """Each line taken out of its comment: what may be missing then is what
    the examples point at, not a word."""
    text = (ROOT / "conf/proxy.conf").read_text("utf-8")
    file = tmp_path / "proxy.conf"
    file.write_text(re.sub(r"^(\s*)#(?!#)", r"\1", text, flags=re.M), "utf-8")
    done = subprocess.run([BUILD / "dmarcgatectl", "config", "check", "-c",
                           file], cwd=ROOT, stdin=subprocess.DEVNULL,
                          text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr


def targets():
    """The Makefile's targets that are no files."""
    text = (ROOT / "Makefile").read_text("utf-8").replace("\\\n", " ")
    return re.search(r"^\.PHONY:(.*)$", text, re.M)[1].split()


def test_make_help_names_every_target_that_is_for_people():
    listed = [line.split()[0] for line in said("make", "help").splitlines()]
    inner = {"FORCE", "manuals", "tests", "fuzzers", "benches", "lint-now"}
    assert sorted(listed) == sorted(set(targets()) - inner)


def test_readme_names_only_targets_that_there_are():
    named = re.findall(r"`make ([a-z0-9-]+)",
                       (ROOT / "README.md").read_text("utf-8"))
    assert named and not set(named) - set(targets())


def test_readme_names_only_files_that_there_are():
    links = re.findall(r"\]\(([^)#:]+)\)",
                       (ROOT / "README.md").read_text("utf-8"))
    assert not [link for link in links if not (ROOT / link).exists()]


def test_the_unit_leaves_the_capabilities_that_the_master_keeps():
    kept = re.search(r"kept\[\] = \{(.*?)\}",
                     (ROOT / "proxy/privilege.c").read_text("utf-8"), re.S)[1]
    unit = (ROOT / "contrib/systemd/dmarcgate.service").read_text("utf-8")
    bound = re.search(r"^CapabilityBoundingSet=(.*)$", unit, re.M)[1]
    assert sorted(bound.split()) == sorted(re.findall(r"CAP_\w+", kept))


def test_the_manual_has_every_keyword_of_ehlo_once():
    """Those of the two tables in smtp/extension.h."""
    header = (ROOT / "smtp/extension.h").read_text("utf-8")
    keywords = re.findall(r'X\((?:\w+, )?"([A-Z0-9-]+)",', header)
    assert {"LIMITS", "REQUIRETLS", "BURL", "X-EXPS"} <= set(keywords)
    part = (BUILD / "conf/dmarcgate.8").read_text("utf-8")
    part = part.partition(".Ss Keywords of EHLO")[2].partition("\n.Ss")[0]
    assert re.findall(r"^\.It (.*)$", part, re.M) == keywords
