# SPDX-License-Identifier: BSD-2-Clause
"""What our engines of DKIM and SPF cost beside the libraries: a signed message
of 10 KB; a record of an include, an mx, and networks."""

import subprocess

from tests.bench.mails import signed, zone
from tests.e2e.gate import BUILD
from tests.e2e.parts import txt

CLIENT = "192.0.2.10"


def measure(rig, _):
    """No rows: bench_engines prints what it has found."""
    home = rig.home
    (home / "engine-message").write_bytes(signed(10))
    (home / "engine-zone").write_text(zone("".join([
        txt("spf.example.", "v=spf1 mx:mail.example include:_spf.example "
            "-all"),
        txt("_spf.example.", "v=spf1 ip4:198.51.100.0/24 ip4:203.0.113.0/24 "
            f"ip6:2001:db8::/32 ip4:{CLIENT} ~all"),
        "mail.example. 300 IN MX 10 a.mail.example.\n",
        "mail.example. 300 IN MX 20 b.mail.example.\n",
        "a.mail.example. 300 IN A 198.51.100.1\n",
        "b.mail.example. 300 IN A 198.51.100.2\n"])))
    subprocess.run([BUILD / "tests" / "bench" / "bench_engines",
                    home / "engine-message", home / "engine-zone", CLIENT,
                    "spf.example"], check=True, timeout=300)
    return ()
