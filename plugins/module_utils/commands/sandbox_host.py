# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private to the collection: what a host has for a sandbox, and the account that commands run under."""

from __future__ import annotations

import grp
import os
import pwd
import subprocess
from dataclasses import dataclass

from .programs import ENVIRONMENT, find

# Within no range that distributions or systemd hand out by themselves (man 5 login.defs, systemd's UIDS-GIDS).
_FIRST, _LAST = 60900, 60999


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


@dataclass(frozen=True)
class HiddenProcesses:
    """Whether /proc shows each account its own processes only, and the group that is excepted."""

    hidden: bool = False
    group: int | None = None


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


def account() -> int:
    """A user and group id that nobody has; of an account that exists, processes and files could be touched."""
    for number in range(_FIRST, _LAST):
        try:
            pwd.getpwuid(number)
        except KeyError:
            try:
                grp.getgrgid(number)
            except KeyError:
                return number
    return _LAST


def hidden_processes() -> HiddenProcesses:
    """What the mount of /proc says about it (man 5 proc, hidepid and gid)."""
    try:
        with open("/proc/self/mounts", encoding="utf-8", errors="replace") as opened:
            mounts = [line.split() for line in opened]
    except OSError:
        return HiddenProcesses()
    options = next((mount[3].split(",") for mount in mounts if len(mount) > 3 and mount[1] == "/proc"), [])
    values = dict(option.split("=", 1) for option in options if "=" in option)
    if values.get("hidepid", "0") in ("0", "off"):
        return HiddenProcesses()
    group = values.get("gid", "0")
    return HiddenProcesses(True, int(group) if group.isdigit() and group != "0" else None)


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
