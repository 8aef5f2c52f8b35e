#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""The rules of the house that a compiler does not know.

    tests/lint/layers.py [ROOT]

Prints each breach as FILE:LINE: TEXT and fails if there is one. The tables
below are the rules; each exception stands beside its reason.
"""

import re
import sys
from pathlib import Path

# Includes go one way: a file may include its own layer and those above it in
# this list, never those below. tests/ may include anything.
LAYERS = ("smtp", "dmarc", "dmarc/report", "proxy", "proxy/ctl")

# The pure layers: octets and values in, values out.
PURE = ("smtp", "dmarc")

# What C offers to a pure file: no sockets, clock, files, processes.
PURE_HEADERS = {
    "assert.h", "errno.h", "inttypes.h", "limits.h", "stdalign.h", "stdarg.h",
    "stdbool.h", "stddef.h", "stdint.h", "stdlib.h", "string.h",
}
PURE_EXCEPTIONS = {
    ("smtp/buf.c", "stdio.h"): "vsnprintf",
    ("smtp/ip.c", "arpa/inet.h"): "inet_pton and inet_ntop",
    ("smtp/ip.c", "sys/socket.h"): "AF_INET, for these",
    ("smtp/ip.c", "netinet/in.h"): "struct in_addr, for these",
    ("smtp/scan.c", "immintrin.h"): "SSE2 and AVX2",
    ("smtp/arena.c", "sanitizer/asan_interface.h"): "poisons what is free",
    ("dmarc/domain.c", "stdio.h"): "fmemopen: libpsl reads from a FILE only",
    ("dmarc/spf_libspf2.c", "netinet/in.h"): "libspf2's headers need it",
    ("dmarc/spf_libspf2.c", "sys/types.h"): "libspf2's headers need it",
    ("dmarc/spf_libspf2.c", "arpa/nameser.h"): "libspf2's record types",
    ("dmarc/dkim_libopendkim.c", "sys/types.h"): "dkim.h needs it",
    ("dmarc/dkim_libopendkim.c", "stdio.h"): "dkim.h needs it",
}

# Each library is known to one file; headers by prefix.
OWNERS = {
    "ares": ("proxy/nameserver.c",),
    "liburing": ("proxy/ring.c",),
    "confuse.h": ("proxy/conf.c",),
    "libpsl.h": ("dmarc/domain.c",),
    "idn2.h": ("dmarc/domain.c",),
    "spf2/": ("dmarc/spf_libspf2.c",),
    "dkim": ("dmarc/dkim_libopendkim.c",),
    "opendkim/": ("dmarc/dkim_libopendkim.c",),
    "seccomp.h": ("proxy/sandbox.c",),
    "zlib.h": ("dmarc/report/gzip.c",),
    "openssl/": ("proxy/tls.c", "proxy/tickets.c", "proxy/cryptomem.c",
                 "dmarc/crypto.c"),
}

# Never in C, wherever it stands: they overflow, truncate in silence, keep
# state, cannot report an error, or jump over what must be undone.
FORBIDDEN = {
    "strcpy", "strcat", "strncpy", "strncat", "stpcpy", "sprintf", "vsprintf",
    "gets", "strtok", "atoi", "atol", "atoll", "atof", "alloca", "setjmp",
    "sigsetjmp", "longjmp", "siglongjmp", "tmpnam", "mktemp",
}
# A shell between us and what we run.
FORBIDDEN_BUT_IN_TESTS = {"system", "popen"}
# cmocka.h needs <setjmp.h> itself.
FORBIDDEN_HEADERS = {"alloca.h": "", "setjmp.h": "tests"}

# Never in a pure file, though a header it may include offers them.
IMPURE = {
    "printf", "fprintf", "vprintf", "vfprintf", "puts", "putchar", "perror",
    "fopen", "time", "gettimeofday", "clock_gettime", "getenv", "secure_getenv",
    "setenv", "rand", "srand", "random", "arc4random", "exit",
    "mkstemp",
}
# No str* on octets from the network: these have other ones.
STRING_EXCEPTIONS = {
    "smtp/span.h": "strlen of a literal",
    "dmarc/domain.c": "the texts that libidn2 and libpsl give",
    "dmarc/spf_libspf2.c": "the texts that libspf2 takes and gives",
    "dmarc/dkim_libopendkim.c": "the texts that libopendkim takes and gives",
}

FILE_LINES_MAX = 800
CONTRACT_LINES_MIN = 3
SPDX = "SPDX-License-Identifier: BSD-2-Clause"

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')
CALL = re.compile(r"(?<![\w.>])([a-z]\w*)\s*\(")
STRING_FUNCTION = re.compile(r"^(str|stp|wcs)[a-z_]+$")


class House:
    """The breaches found below one root."""

    def __init__(self, root):
        self.root = Path(root)
        self.breaches = []

    def say(self, name, line, text):
        self.breaches.append(f"{name}:{line}: {text}")

    def inspect(self):
        for folder in ("smtp", "dmarc", "proxy", "tests"):
            for path in sorted((self.root / folder).rglob("*.[ch]")):
                self.inspect_c(path)
            for path in sorted((self.root / folder).rglob("*.def")):
                self.inspect_first_line(path)
        for path in scripts(self.root):
            self.inspect_first_line(path)
        return self.breaches

    def inspect_c(self, path):
        name = path.relative_to(self.root).as_posix()
        text = path.read_text("utf-8")
        self.inspect_first_line(path)
        lines = text.splitlines()
        if len(lines) > FILE_LINES_MAX and not name.startswith("tests/"):
            self.say(name, len(lines), f"over {FILE_LINES_MAX} lines")
        for number, line in enumerate(lines, 1):
            found = INCLUDE.match(line)
            if found:
                self.inspect_include(name, number, found[1], found[2])
        for number, line in enumerate(bare(text).splitlines(), 1):
            if not line.lstrip().startswith("#"):
                self.inspect_calls(name, number, line)
        if name.endswith(".h") and layer_of(name):
            self.inspect_header(name, lines)

    def inspect_first_line(self, path):
        lines = path.read_text("utf-8").splitlines()
        first = lines[1:2] if lines and lines[0].startswith("#!") else lines[:1]
        name = path.relative_to(self.root).as_posix()
        wanted = (f"/* {SPDX} */" if path.suffix in (".c", ".h", ".def")
                  else f"# {SPDX}")
        if first != [wanted]:
            self.say(name, 1, f'must start with "{wanted}"')

    def inspect_include(self, name, number, quote, header):
        if quote == '"':
            self.inspect_own_include(name, number, header)
            return
        for prefix, owners in OWNERS.items():
            if header.startswith(prefix) and layer_of(name) and not any(
                    Path(name).match(owner) for owner in owners):
                self.say(name, number, f"<{header}> belongs to "
                         + " and ".join(owners))
        if header in FORBIDDEN_HEADERS:
            allowed = FORBIDDEN_HEADERS[header]
            if not allowed or not name.startswith(allowed + "/"):
                self.say(name, number, f"<{header}> is forbidden")
        if layer_of(name) in PURE and not self.is_pure_header(name, header):
            self.say(name, number, f"<{header}> in a pure layer")

    @staticmethod
    def is_pure_header(name, header):
        owned = any(header.startswith(prefix) for prefix in OWNERS)
        return (owned or header in PURE_HEADERS
                or (name, header) in PURE_EXCEPTIONS)

    def inspect_own_include(self, name, number, header):
        mine, theirs = layer_of(name), layer_of(header)
        if not (self.root / header).is_file():
            self.say(name, number, f'"{header}" is no path from the root')
        elif mine and not theirs:
            self.say(name, number, f'"{header}" is in no layer')
        elif mine and LAYERS.index(theirs) > LAYERS.index(mine):
            self.say(name, number, f'"{header}" lies above {mine}')

    def inspect_calls(self, name, number, line):
        pure = layer_of(name) in PURE
        for function in CALL.findall(line):
            if function in FORBIDDEN or (
                    layer_of(name) and function in FORBIDDEN_BUT_IN_TESTS):
                self.say(name, number, f"{function}() is forbidden")
            elif pure and function in IMPURE:
                self.say(name, number, f"{function}() in a pure layer")
            elif (pure and STRING_FUNCTION.match(function)
                  and name not in STRING_EXCEPTIONS):
                self.say(name, number, f"{function}() on octets; use a span")

    def inspect_header(self, name, lines):
        """A contract, then the guard that the path gives."""
        module = Path(name).stem
        contract = []
        for line in lines[1:]:
            contract.append(line)
            if "*/" in line:
                break
        if (contract[:1] != ["/*"]
                or not contract[1].startswith(f" * {module}: ")
                or len(contract) - 2 < CONTRACT_LINES_MIN):
            self.say(name, 2, f'must open with a contract, "{module}: ..." '
                     f"and what it promises, on {CONTRACT_LINES_MIN} lines "
                     "or more")
        guard = re.sub(r"[^A-Z0-9]", "_", name.upper())
        if f"#ifndef {guard}" not in lines or f"#define {guard}" not in lines:
            self.say(name, 1, f"its guard must be {guard}")


def scripts(root):
    """Every Python and shell script, and the Makefile."""
    found = []
    for folder in ("tests", "contrib", ".ci"):
        for path in sorted((root / folder).rglob("*")):
            if path.is_file() and is_script(path):
                found.append(path)
    return found + [path for path in [root / "Makefile"] if path.exists()]


def is_script(path):
    if path.suffix in (".py", ".sh"):
        return True
    with open(path, "rb") as file:
        return file.read(2) == b"#!"


def layer_of(name):
    """The layer a file is in, by its path; None if in none."""
    folder = name.rpartition("/")[0]
    return folder if folder in LAYERS else None


def bare(text):
    """C without its comments and the insides of its literals; every line
    stays where it was."""
    def blank(match):
        token = match[0]
        if token.startswith("/"):
            return " " + "\n" * token.count("\n")
        return token[0] + token[-1]
    return re.sub(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"'
                  r"|'(?:\\.|[^'\\\n])*'", blank, text, flags=re.S)


def main():
    root = Path(sys.argv[1] if len(sys.argv) > 1 else ".")
    breaches = House(root).inspect()
    print("".join(f"{breach}\n" for breach in breaches), end="")
    return 1 if breaches else 0


if __name__ == "__main__":
    sys.exit(main())
