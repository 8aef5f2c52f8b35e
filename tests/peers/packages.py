# SPDX-License-Identifier: BSD-2-Clause
"""The peers' programs: Postfix, Exim and OpenSMTPD of Debian, Haraka of npm.

Debian's conflict with each other, and with a mail server that this machine may
run. So each is unpacked into a folder of its own below build/peers, and runs
as if it were installed there (see as-installed), with users that nobody else
has. They are fetched once, by apt-get and npm; after that no network is needed.
"""

import fcntl
import os
import shutil
import subprocess
from pathlib import Path

from tests.e2e.parts import PartsMissing, debs_of
from tests.e2e.process import ROOT

PEERS = ROOT / "build" / "peers"
PACKAGES = {"postfix": "postfix", "exim": "exim4-daemon-heavy",
            "opensmtpd": "opensmtpd"}
# Any later one wants a newer Node.js than Debian 12 has.
HARAKA = "Haraka@3.1.1"
NPM_SECONDS = 300

# name, id: users that the packages would make when they are installed, and
# the one that mail is delivered by.
USERS = (("opensmtpd", 941), ("opensmtpq", 942), ("vmail", 943),
         ("Debian-exim", 944), ("postfix", 945), ("postdrop", 946))
VMAIL, EXIM, POSTFIX, POSTDROP = 943, 944, 945, 946


def fetch():
    """Have all of them there. Quick when they are."""
    PEERS.mkdir(parents=True, exist_ok=True)
    with open(PEERS / "lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for name, package in PACKAGES.items():
            _once(name, package, _unpack)
        _once("haraka", HARAKA, _install)


def root(name):
    """The folder of a peer's package."""
    return PEERS / name


def haraka():
    """The program of Haraka."""
    return PEERS / "haraka" / "node_modules" / "Haraka" / "bin" / "haraka"


def _once(name, package, make):
    done = PEERS / f"{name}.done"
    if not done.exists() or done.read_text() != package:
        shutil.rmtree(PEERS / name, ignore_errors=True)
        print(f"peers: fetching {package}", flush=True)
        make(PEERS / name, package)
        done.write_text(package)


def _unpack(folder, package):
    folder.mkdir()
    for deb in debs_of([package]):
        subprocess.run(["dpkg", "-x", deb, folder], check=True)
    # Here / has a link of that name, and so must what is laid over it.
    if (folder / "lib").is_dir():
        shutil.copytree(folder / "lib", folder / "usr/lib", symlinks=True,
                        dirs_exist_ok=True)
        shutil.rmtree(folder / "lib")
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink():
            path.chmod(path.stat().st_mode & 0o777)  # nothing runs as others
    _add_users(folder / "etc")
    folder.chmod(0o755)


def _add_users(etc):
    etc.mkdir(exist_ok=True)
    for file, line in (("passwd", "{0}:x:{1}:{1}::/nonexistent:/bin/false\n"),
                       ("group", "{0}:x:{1}:\n")):
        (etc / file).write_text(Path("/etc", file).read_text() + "".join(
            line.format(*user) for user in USERS))


def _install(folder, package):
    folder.mkdir()
    if shutil.which("npm") is None:
        raise PartsMissing(f"the tests need {package}, and there is no npm to "
                           "fetch it with: run `make deps`")
    done = subprocess.run(
        ["npm", "install", "--prefix", folder, "--omit=optional",
         "--omit=dev", "--ignore-scripts", "--no-package-lock", "--no-audit",
         "--no-fund", package], stdin=subprocess.DEVNULL, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
        timeout=NPM_SECONDS, env={**os.environ, "CI": "1"})
    if done.returncode != 0 or not haraka().exists():
        raise PartsMissing(f"the tests need {package} in {folder}, and npm "
                           "cannot install it. Is there a network? It said:\n"
                           f"{done.stdout}")


if __name__ == "__main__":
    fetch()
