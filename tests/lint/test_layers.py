# SPDX-License-Identifier: BSD-2-Clause
"""layers.py must find each kind of breach, in a tree that has only that one."""

import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
SPDX = "SPDX-License-Identifier: BSD-2-Clause"
C = f"/* {SPDX} */\n"
HEADER = C + """\
/*
 * span: borrowed octets.
 *
 * They are borrowed, so they live as long as their owner. RFC 5321.
 */
#ifndef SMTP_SPAN_H
#define SMTP_SPAN_H
#include <stddef.h>
#endif
"""


def header(name, more=""):
    """A header that keeps every rule, with more lines in it."""
    guard = name.upper().replace("/", "_").replace(".", "_")
    return (HEADER.replace("SMTP_SPAN_H", guard)
            .replace(" span: ", f" {Path(name).stem}: ")
            .replace("#endif", more + "#endif"))


def lint(root, files):
    tree = {"smtp/span.h": HEADER, **files}
    for name, text in tree.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    done = subprocess.run([sys.executable, HERE / "layers.py", root],
                          stdout=subprocess.PIPE, text=True, check=False)
    assert done.returncode == (1 if done.stdout else 0)
    return done.stdout


CLEAN = [
    {},
    {"dmarc/a.c": C + '#include "smtp/span.h"\n'},
    {"proxy/ctl/a.c": C + '#include "smtp/span.h"\n#include <sys/socket.h>\n'},
    {"dmarc/report/a.c": C + "#include <stdio.h>\n"},
    {"smtp/buf.c": C + "#include <stdio.h>\n"},
    {"proxy/ring.c": C + "#include <liburing.h>\n"},
    {"proxy/nameserver.c": C + "#include <ares.h>\n"},
    {"dmarc/crypto.c": C + "#include <openssl/evp.h>\n"},
    {"smtp/a.c": C + "/* strcpy(a, b) */\n"
                 "char *s = \"atoi(1) \\\" strcat(\";\n"},
    {"smtp/a.c": C + "int x = my_strcpy(1) + buf_printf(2) + uri.strlen(3);\n"},
    {"proxy/a.c": C + "int x = strlen(y);\n"},
    {"tests/unit/test_a.c": C + '#include <setjmp.h>\n'
                            '#include "smtp/span.h"\n'},
    {"tests/unit/test_a.c": C + "int x = popen(y);\n"},
    {"tests/run.py": f"#!/usr/bin/python3\n# {SPDX}\n"},
    {"contrib/a.sh": f"#!/bin/sh\n# {SPDX}\n"},
    {"contrib/README.md": "# text\n"},
]


@pytest.mark.parametrize("files", CLEAN)
def test_what_keeps_the_rules_is_left_in_peace(tmp_path, files):
    assert lint(tmp_path, files) == ""


BREACHES = [
    # Includes go one way.
    ({"smtp/a.c": C + '#include "dmarc/b.h"\n',
      "dmarc/b.h": header("dmarc/b.h")},
     'smtp/a.c:2: "dmarc/b.h" lies above smtp'),
    ({"dmarc/a.c": C + '#include "proxy/b.h"\n',
      "proxy/b.h": header("proxy/b.h")}, "lies above dmarc"),
    ({"dmarc/report/a.c": C + '#include "proxy/b.h"\n',
      "proxy/b.h": header("proxy/b.h")}, "lies above dmarc/report"),
    ({"proxy/a.c": C + '#include "proxy/ctl/b.h"\n',
      "proxy/ctl/b.h": header("proxy/ctl/b.h")}, "lies above proxy"),
    ({"smtp/a.h": header("smtp/a.h", '#include "dmarc/b.h"\n'),
      "dmarc/b.h": header("dmarc/b.h")}, 'smtp/a.h:10: "dmarc/b.h" lies above'),
    ({"proxy/a.c": C + '#include "tests/b.h"\n', "tests/b.h": C},
     "is in no layer"),
    ({"smtp/a.c": C + '#include "span.h"\n'}, "is no path from the root"),
    # The pure layers know no I/O.
    ({"smtp/a.c": C + "#include <sys/socket.h>\n"}, "in a pure layer"),
    ({"smtp/a.c": C + "#include <unistd.h>\n"}, "in a pure layer"),
    ({"dmarc/a.c": C + "#include <fcntl.h>\n"}, "in a pure layer"),
    ({"dmarc/a.c": C + "#include <stdio.h>\n"}, "in a pure layer"),
    ({"dmarc/a.c": C + "#include <time.h>\n"}, "in a pure layer"),
    ({"dmarc/a.c": C + "#include <arpa/inet.h>\n"}, "in a pure layer"),
    ({"smtp/buf.c": C + '#include <stdio.h>\nint x = fopen("a");\n'},
     "fopen() in a pure layer"),
    ({"dmarc/a.c": C + 'int x = getenv("a");\n'}, "getenv() in a pure layer"),
    # A library has one owner.
    ({"proxy/a.c": C + "#include <ares.h>\n"}, "belongs to proxy/nameserver.c"),
    ({"proxy/a.c": C + "#include <liburing.h>\n"}, "belongs to proxy/ring.c"),
    ({"proxy/a.c": C + "#include <confuse.h>\n"}, "belongs to proxy/conf.c"),
    ({"dmarc/a.c": C + "#include <libpsl.h>\n"}, "belongs to dmarc/domain.c"),
    ({"proxy/a.c": C + "#include <idn2.h>\n"}, "belongs to dmarc/domain.c"),
    ({"dmarc/a.c": C + "#include <spf2/spf.h>\n"}, "dmarc/spf_libspf2.c"),
    ({"dmarc/a.c": C + "#include <dkim.h>\n"}, "dmarc/dkim_libopendkim.c"),
    ({"proxy/a.c": C + "#include <seccomp.h>\n"}, "proxy/sandbox.c"),
    ({"proxy/a.c": C + "#include <openssl/ssl.h>\n"}, "proxy/tls.c"),
    # Functions that nobody should call.
    *[({"proxy/a.c": C + f"int x = {name}(y);\n"},
       f"proxy/a.c:2: {name}() is forbidden")
      for name in ("strcpy", "strcat", "sprintf", "gets", "strtok", "atoi",
                   "alloca", "setjmp", "system", "popen")],
    ({"proxy/a.c": C + "/* a\n * b */ int x = strcpy (y);\n"}, "proxy/a.c:3:"),
    ({"proxy/a.c": C + "#include <alloca.h>\n"}, "<alloca.h> is forbidden"),
    ({"proxy/a.c": C + "#include <setjmp.h>\n"}, "<setjmp.h> is forbidden"),
    ({"smtp/a.c": C + "int x = strlen(y);\n"}, "strlen() on octets"),
    ({"dmarc/a.c": C + "int x = strncasecmp(y);\n"}, "strncasecmp() on octets"),
    # First lines and contracts.
    ({"smtp/a.c": "int x;\n"}, 'smtp/a.c:1: must start with "/* SPDX'),
    ({"proxy/a.def": "X(1)\n"}, "proxy/a.def:1: must start"),
    ({"tests/a.py": "x = 1\n"}, 'tests/a.py:1: must start with "# SPDX'),
    ({"contrib/a": "#!/bin/sh\n"}, "contrib/a:1: must start"),
    ({".ci/run": "#!/bin/bash\n"}, ".ci/run:1: must start"),
    ({"Makefile": "all:\n"}, "Makefile:1: must start"),
    ({"smtp/a.h": header("smtp/a.h").replace(" a: ", " b: ")},
     "smtp/a.h:2: must open with a contract"),
    ({"smtp/a.h": C + "#ifndef SMTP_A_H\n#define SMTP_A_H\n#endif\n"},
     "must open with a contract"),
    ({"smtp/a.h": header("smtp/a.h").replace(
        "\n *\n * They are borrowed, so they live as long as their owner. "
        "RFC 5321.", "")}, "must open with a contract"),
    ({"smtp/a.h": header("smtp/b.h").replace(" b: ", " a: ")},
     "its guard must be SMTP_A_H"),
    ({"proxy/a.c": C + "\n" * 800}, "over 800 lines"),
]


@pytest.mark.parametrize("files, complaint", BREACHES)
def test_a_breach_is_found(tmp_path, files, complaint):
    said = lint(tmp_path, files)
    assert complaint in said
    assert said.count("\n") == 1, said
