# SPDX-License-Identifier: BSD-2-Clause
"""contrib/install-deps.sh, with an apt of our own that only says what it
would do: it must never break a machine that handles mail."""

import os
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parent.parent.parent / (
    "contrib/install-deps.sh")

# What each stand-in does with its arguments in "$*"; $HERE is its folder.
STAND_INS = {
    "dpkg-query": 'eval last=\\${$#}\n'
                  'grep -qx "$last" "$HERE/installed" && printf installed',
    "apt-get": 'echo "apt-get $*" >>"$HERE/calls"\n'
               'case "$*" in\n'
               '*update) exit "$(cat "$HERE/update")" ;;\n'
               '-s*) cat "$HERE/plan"; exit "$(cat "$HERE/simulate")" ;;\n'
               '*) [ "$(cat "$HERE/install")" = 0 ] || exit 100\n'
               '   "$SCRIPT" --list >"$HERE/installed" ;;\n'
               "esac",
    "apt-cache": 'cat "$HERE/show"',
    "id": "echo 0",
}


@pytest.fixture
def machine(tmp_path):
    """A Debian with everything but mandoc, and an apt that can get it."""
    for name, body in STAND_INS.items():
        path = tmp_path / name
        path.write_text(f"#!/bin/sh\nHERE={tmp_path}\nSCRIPT={SCRIPT}\n"
                        f"{body}\n")
        path.chmod(0o755)
    everything = subprocess.run([SCRIPT, "--list"], check=True, text=True,
                                stdout=subprocess.PIPE).stdout
    files = {"installed": everything.replace("mandoc\n", ""), "calls": "",
             "plan": "Inst mandoc (1.14 Debian)\nConf mandoc (1.14 Debian)\n",
             "show": "Package: mandoc\nProvides: man-browser\n\n",
             "update": "0", "simulate": "0", "install": "0",
             "lists/x_Packages.lz4": "", "lists/partial/x": ""}
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def install(machine, *words):
    done = subprocess.run(
        [SCRIPT, *words], capture_output=True, text=True, check=False,
        env={"PATH": f"{machine}:{os.environ['PATH']}",
             "APT_LISTS": str(machine / "lists")})
    return done.returncode, done.stdout + done.stderr


def calls(machine):
    return (machine / "calls").read_text()


def test_with_everything_there_it_says_one_line_and_leaves_apt_alone(machine):
    status, said = install(machine, "lint")
    assert (status, said.count("\n")) == (0, 1)
    assert calls(machine) == ""


def test_it_installs_what_is_missing_and_says_what(machine):
    status, said = install(machine)
    assert status == 0, said
    assert "missing: mandoc\n" in said and "will install: mandoc\n" in said
    assert "--no-install-recommends --no-remove install mandoc\n" in (
        calls(machine))
    assert "update" not in calls(machine)


def refuses(machine, complaint):
    status, said = install(machine)
    assert status != 0 and complaint in said, said
    assert "-y" not in calls(machine)


def test_it_refuses_to_remove_anything(machine):
    with open(machine / "plan", "a", encoding="ascii") as plan:
        plan.write("Remv exim4-daemon-light [4.96]\n")
    refuses(machine, "would remove packages, so nothing was done: exim4")


def test_it_refuses_to_purge_anything(machine):
    (machine / "plan").write_text("Purg exim4 [4.96]\n")
    refuses(machine, "would remove packages")


def test_it_refuses_a_mail_server(machine):
    (machine / "plan").write_text("Inst mandoc (1)\nInst nullmailer (1)\n")
    (machine / "show").write_text(
        "Package: mandoc\nProvides: man-browser\n\n"
        "Package: nullmailer\nProvides: x, mail-transport-agent (= 1)\n\n")
    refuses(machine, "would install a mail server, so nothing was done: "
                     "nullmailer")


def test_it_refuses_a_plan_that_it_cannot_read(machine):
    (machine / "plan").write_text("")
    refuses(machine, "no plan")


def test_it_refuses_what_it_cannot_tell_from_a_mail_server(machine):
    (machine / "plan").write_text("Inst mandoc (1)\nInst mystery (1)\n")
    refuses(machine, "does not know all of: mandoc mystery")


def test_it_updates_when_there_are_no_lists(machine):
    (machine / "lists/x_Packages.lz4").unlink()
    assert install(machine)[0] == 0
    assert calls(machine).count("update") == 1


def test_it_updates_when_the_lists_are_old(machine):
    os.utime(machine / "lists/partial", (1, 1))
    assert install(machine)[0] == 0
    assert calls(machine).count("update") == 1


def test_without_a_network_it_says_so(machine):
    (machine / "lists/x_Packages.lz4").unlink()
    (machine / "update").write_text("100")
    (machine / "simulate").write_text("100")
    (machine / "plan").write_text("E: Unable to locate package mandoc\n")
    status, said = install(machine)
    assert status != 0 and "is there a network?" in said
    assert "E: Unable to locate package mandoc" in said


def test_what_cannot_be_fetched_is_tried_once_more_after_an_update(machine):
    (machine / "install").write_text("100")
    status, said = install(machine)
    assert status != 0 and "is there a network?" in said
    assert calls(machine).count("update") == 1
    assert calls(machine).count("-y") == 2


def test_a_word_it_does_not_know_is_refused(machine):
    status, said = install(machine, "everything")
    assert status == 64 and "usage:" in said
