# SPDX-License-Identifier: BSD-2-Clause
"""Gates that break a promise: the same killing must show it in the books."""

import sys

from tests.e2e.gate import BUILD
from tests.e2e.process import ROOT
from tests.kill import books
from tests.kill.stage import TIMES
from tests.kill.test_10_worker import killed

sys.path.insert(0, str(ROOT / "tests"))

from mutate import Edit, plant  # noqa: E402

DELIVERY, DRIVER = "proxy/delivery.c", "proxy/driver.c"
OUTCOME = "proxy/outcome.c"
REPLY = "buf_append(&session->out[SIDE_CLIENT], buf_span(&session->final));\n"
SPOOLED = ("\t" + REPLY + "\tbuf_reset(&session->final);\n")

# It says 250 to the end of data when it begins to hand the message on.
EARLY_YES = [
    Edit(DELIVERY, "\tsession_enter(session, PHASE_DELIVERY);\n",
         "\tsession_enter(session, PHASE_DELIVERY);\n"
         "\tbuf_append(&session->out[SIDE_CLIENT],\n"
         '\t\t   SPAN_LIT("250 2.0.0 Ok\\r\\n"));\n'),
    Edit(OUTCOME, SPOOLED,
         "\tif (session->delivery.envelope == NULL)\n\t" + SPOOLED),
]

# It writes the verdict line behind the reply; and takes its time, so that it is
# surely killed between the two.
LATE_LINE = [
    Edit(OUTCOME, SPOOLED, "\tbuf_reset(&session->final);\n"),
    Edit(OUTCOME, "\tsession_act(session, (struct session_action){\n"
         "\t\t\t\t     .act = ACT_SPOOL,",
         "\t" + REPLY + "\tsession_act(session, (struct session_action){\n"
         "\t\t\t\t     .act = ACT_SPOOL,"),
    Edit(DRIVER, "#include <stdlib.h>\n",
         "#include <stdlib.h>\n#include <sys/socket.h>\n#include <unistd.h>\n"),
    Edit(DRIVER, "\t\tspool(driver, action->octets);\n",
         "\t\t{\n"
         "\t\t\tstruct buf *out = session_output(driver->session,\n"
         "\t\t\t\t\t\t\t SIDE_CLIENT);\n"
         "\t\t\tsend(driver->links[SIDE_CLIENT]->conn.fd,\n"
         "\t\t\t     buf_span(out).p, out->n, MSG_NOSIGNAL);\n"
         "\t\t\tbuf_reset(out);\n"
         "\t\t\tsleep(10);\n"
         "\t\t}\n"
         "\t\tspool(driver, action->octets);\n"),
]


def test_an_early_yes_loses_messages():
    program = plant(BUILD, "early-yes", "dmarcgate", *EARLY_YES)
    result = killed("data", program=ROOT / program, is_alone=True)
    books.enter("planted: early 250", "data", result, is_planted=True)
    assert result.saw["2xx"] == result.lost == TIMES


def test_a_late_line_is_missing():
    program = plant(BUILD, "late-line", "dmarcgate", *LATE_LINE)
    result = killed("heard", program=ROOT / program, is_alone=True)
    books.enter("planted: late verdict", "heard", result, is_planted=True)
    assert result.lost == 0
    missing = [fault for fault in result.faults
               if fault.endswith("and its verdicts say []")]
    assert len(missing) == len(result.faults) == TIMES
