# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private to the collection: what a host has for a sandbox, and the accounts that commands run under."""

from __future__ import annotations

import grp
import itertools
import os
import pwd
import subprocess
import threading
from dataclasses import dataclass

from .programs import ENVIRONMENT, find

# Within no range that distributions or systemd hand out by themselves (man 5 login.defs, systemd's UIDS-GIDS).
FIRST, LAST = 60900, 60999


@dataclass(frozen=True)
class Tools:
    """Paths of the programs, and what this bubblewrap can do."""

    starter: tuple[str, ...]
    setpriv: str
    prlimit: str
    shell: str
    dbus_proxy: str | None
    version: str
    perms: bool
    size: bool


def find_tools() -> Tools | str:
    """The programs, or what is missing, as part of a sentence."""
    found = {name: find(name) for name in ("bwrap", "setpriv", "prlimit", "sh", "choom", "xdg-dbus-proxy")}
    missing = [name for name in ("bwrap", "setpriv", "prlimit", "sh") if found[name] is None]
    if missing:
        packages = {"bwrap": "bubblewrap", "setpriv": "util-linux", "prlimit": "util-linux"}
        return " and ".join(f"{name} ({packages.get(name, name)})" for name in missing) + " is not installed"
    bwrap, choom = str(found["bwrap"]), found["choom"]
    try:
        version, told = _said(bwrap, "--version"), _said(bwrap, "--help")
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{bwrap} could not be run ({error})"
    # Whoever eats the host's memory from within is the first whom the kernel ends for it.
    starter = (*((choom, "-n", "1000", "--") if choom else ()), bwrap)
    return Tools(
        starter,
        str(found["setpriv"]),
        str(found["prlimit"]),
        str(found["sh"]),
        found["xdg-dbus-proxy"],
        version.split()[-1] if version.split() else "unknown",
        "--perms" in told,
        "--size" in told,
    )


class Accounts:
    """User and group ids that nobody has: no account, and no process when this was made.

    Each command gets one of its own: of whoever has the same id, files, memory and root directory could be reached by
    way of /proc.
    """

    def __init__(self) -> None:
        taken = _owners_of_processes()
        free = [number for number in range(FIRST, LAST + 1) if number not in taken and not _has_name(number)]
        self.free = itertools.cycle(free[2:] or [LAST])
        self.kept = free[:2] or [LAST, FIRST]
        self.lock = threading.Lock()

    def keep(self) -> tuple[int, int]:
        """Two that are never taken."""
        return self.kept[0], self.kept[-1]

    def take(self) -> int:
        """The next one; after a hundred commands the first of them is over."""
        with self.lock:
            return next(self.free)


def bus_account() -> int | None:
    """The user id for the system bus, which turns away ids without a name; nobody's, where there is such an account.

    With it goes a group of this sandbox's own, so that other processes of that account are out of reach.
    """
    try:
        return pwd.getpwnam("nobody").pw_uid
    except KeyError:
        return None


def _has_name(number: int) -> bool:
    for look_up in (pwd.getpwuid, grp.getgrgid):
        try:
            look_up(number)
        except KeyError:
            continue
        return True
    return False


def _owners_of_processes() -> set[int]:
    found = set()
    with os.scandir("/proc") as entries:
        for entry in entries:
            if entry.name.isdigit():
                try:
                    found.add(entry.stat().st_uid)
                except OSError:
                    continue
    return found


def _said(*words: str) -> str:
    ran = subprocess.run(
        words,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=10,
        check=False,
        env={**ENVIRONMENT, "PATH": os.environ.get("PATH", ENVIRONMENT["PATH"])},
    )
    return ran.stdout.decode("utf-8", "replace")
