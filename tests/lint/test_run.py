# SPDX-License-Identifier: BSD-2-Clause
"""tests/run must count honestly: whatever goes wrong must end as a failure."""

import importlib.machinery
import importlib.util
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent


def load():
    loader = importlib.machinery.SourceFileLoader("tests_run",
                                                  str(ROOT / "tests/run"))
    module = importlib.util.module_from_spec(
        importlib.util.spec_from_loader("tests_run", loader))
    sys.modules["tests_run"] = module
    loader.exec_module(module)
    return module


RUN = load()

TAP = [
    ("1..2\nok 1 - a\nok 2 - b\n# ok - group\n", 2, 0, 0),
    ("1..2\nok 1 - a\nnot ok 2 - b\n# 1 != 2\n# not ok - group\n", 1, 1, 0),
    ("1..3\nok 1 - a\n", 1, 2, 0),                      # it died
    ("1..1\nok 1 - a\n1..1\nnot ok 1 - b\n", 1, 1, 0),  # two groups
    ("1..1\n1..1\nok 1 - b\n", 1, 1, 0),
    ("1..1\nnot ok 1 # SKIP a\n", 0, 0, 1),             # cmocka's way
    ("1..1\nok 1 - a # SKIP why\n", 0, 0, 1),           # TAP's way
    ("1..1\nnot ok 0 - group set-up\n", 0, 2, 0),
    ("1..1\nok 7 - noise\nok 1 - a\nok 2 - noise\n", 1, 0, 0),
    ("1..1\nok 7 - noise\nnot ok 1 - a\n", 0, 1, 0),
    ("", 0, 0, 0),
]


@pytest.mark.parametrize("text, passed, failed, skipped", TAP)
def test_tap(text, passed, failed, skipped):
    outcome = RUN.read_tap("p", text)
    assert (outcome.passed, len(outcome.failures), len(outcome.skips)) == (
        passed, failed, skipped)


def test_a_skip_has_a_name_and_its_reason():
    outcome = RUN.read_tap("p", "1..2\nnot ok 1 # SKIP a\nok 2 - b # SKIP w\n")
    assert outcome.skips == [("p::a", ""), ("p::b", "w")]


@pytest.fixture
def tree(tmp_path):
    """A copy of tests/run above layers of its own."""
    (tmp_path / "tests" / "unit").mkdir(parents=True)
    shutil.copy(ROOT / "tests/run", tmp_path / "tests/run")
    (tmp_path / "tests/skips-allowed").write_text("")
    return tmp_path


def program(tree, name, script):
    """A test program, which tests/run does not know from a compiled one."""
    (tree / f"tests/unit/{name}.c").write_text("")
    path = tree / f"build/tests/unit/{name}"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n" + script)
    path.chmod(0o755)


def run(tree, *layers):
    done = subprocess.run([tree / "tests/run", *(layers or ["unit"])],
                          stdout=subprocess.PIPE, text=True, check=False,
                          env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"})
    last = done.stdout.splitlines()[-1]
    assert (done.returncode == 0) == last.endswith(" 0 failed")
    return last, done.stdout


def test_programs_and_pytest_are_added_up(tree):
    program(tree, "test_a", "echo 1..2; echo ok 1 - a; echo ok 2 - b")
    program(tree, "test_b", "echo 1..1; echo not ok 1 - c; echo why; exit 1")
    (tree / "tests/unit/test_c.py").write_text(
        "def test_good():\n    pass\n\ndef test_bad():\n    assert False\n")
    last, said = run(tree)
    assert last == "3 passed, 2 failed"
    assert "why\n" in said
    assert "failed: tests/unit/test_b::c\n" in said
    assert "failed: tests/unit/test_c::test_bad\n" in said


@pytest.mark.parametrize("script, failure", [
    ("exit 0", "reported no case"),
    ("echo 1..1; echo ok 1 - a; exit 3", "exit status 3"),
    ("echo 1..1; echo ok 1 - a; kill -SEGV $$", "exit status -11"),
    ("echo 1..2; echo ok 1 - a; kill -ABRT $$", "case 2 of 2 never reported"),
])
def test_a_program_that_goes_wrong_has_failed(tree, script, failure):
    program(tree, "test_a", script)
    last, said = run(tree)
    assert last.endswith(" 1 failed") and failure in said


def test_a_program_that_hangs_is_ended(tree):
    text = (tree / "tests/run").read_text()
    (tree / "tests/run").write_text(text.replace(
        "PROGRAM_SECONDS = 120", "PROGRAM_SECONDS = 1"))
    program(tree, "test_a", "echo 1..1; sleep 60 & sleep 60")
    started = time.monotonic()
    last, said = run(tree)
    assert time.monotonic() - started < 30  # what it started is ended too
    assert last == "0 passed, 2 failed" and "took over 1 s" in said


def test_a_program_that_was_not_built_has_failed(tree):
    program(tree, "test_a", "echo 1..1; echo ok 1 - a")
    (tree / "tests/unit/test_b.c").write_text("")
    assert run(tree)[0] == "1 passed, 1 failed"


def test_a_layer_without_tests_has_failed(tree):
    assert run(tree)[0] == "0 passed, 1 failed"
    program(tree, "test_a", "echo 1..1; echo ok 1 - a")
    assert run(tree, "unit", "e2e")[0] == "1 passed, 1 failed"


def test_python_that_cannot_be_collected_has_failed(tree):
    (tree / "tests/unit/test_a.py").write_text("import no_such_module\n")
    assert run(tree)[0] == "0 passed, 1 failed"
    (tree / "tests/unit/test_a.py").write_text("")
    assert run(tree)[0] == "0 passed, 1 failed"


SKIPPING = ("import pytest\n\ndef test_a():\n    pytest.skip('why')\n\n"
            "def test_b():\n    pass\n")


def test_a_skip_has_failed_unless_it_is_allowed_here(tree):
    (tree / "tests/unit/test_a.py").write_text(SKIPPING)
    allowed = tree / "tests/skips-allowed"
    assert run(tree)[0] == "1 passed, 1 failed"
    allowed.write_text("tests/unit/test_a::test_b [no-suites] other\n")
    assert run(tree)[0] == "1 passed, 1 failed"
    allowed.write_text("tests/unit/test_a::* [no-suites] known\n")
    last, said = run(tree)
    assert last == "1 passed, 0 failed"
    assert "skipped: tests/unit/test_a::test_a: why" in said
    # Where the suites are there, their absence is no reason.
    (tree.parent / "shared" / "suites").mkdir(parents=True)
    assert run(tree)[0] == "1 passed, 1 failed"


def test_an_expected_failure_is_a_skip(tree):
    (tree / "tests/unit/test_a.py").write_text(
        "import pytest\n\n@pytest.mark.xfail\ndef test_a():\n    assert 0\n")
    assert run(tree)[0] == "0 passed, 1 failed"


def test_a_bad_line_among_the_allowed_skips_is_refused(tree):
    program(tree, "test_a", "echo 1..1; echo ok 1 - a")
    (tree / "tests/skips-allowed").write_text("tests/* because\n")
    done = subprocess.run([tree / "tests/run", "unit"], capture_output=True,
                          text=True, check=False)
    assert done.returncode != 0 and "bad line" in done.stderr
