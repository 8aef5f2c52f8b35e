# SPDX-License-Identifier: BSD-2-Clause
"""Where the parts of tests/e2e are."""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent.parent)]
sys.dont_write_bytecode = True
