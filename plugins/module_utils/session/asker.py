# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""On whose behalf this process runs, as far as that can be known. Private to the collection."""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Optional

_UNSET = 4294967295  # of /proc/PID/loginuid and sessionid: nobody logged in (linux/audit.h, AUDIT_UID_UNSET)
_ANCESTORS = 64
_LONGEST = 200


def who_asked(told: Optional[Mapping[str, Any]] = None) -> dict[str, Any]:
    """The user, and the login that this descends from; what is not known is left out.

    `uid`, `user`: of this process. `auid`, `login`, `ses`: the kernel's audit login and session, which no process can
    change afterwards. `sudo_user`: as sudo says. `ssh_client`: the address that the connection came from, as an
    ancestor's environment says. `told`: what the controller says of itself, under `controller`.
    """
    asked: dict[str, Any] = {"uid": os.geteuid(), "user": _name(os.geteuid())}
    login = _number("loginuid")
    if login is not None:
        asked.update(auid=login, login=_name(login))
    session = _number("sessionid")
    if session is not None:
        asked["ses"] = session
    asked["sudo_user"] = os.environ.get("SUDO_USER")
    asked["ssh_client"] = _ssh_client()
    asked["controller"] = {str(key): str(value)[:_LONGEST] for key, value in (told or {}).items() if value}
    return {key: value for key, value in asked.items() if value not in (None, "", {})}


def _name(uid: int) -> Optional[str]:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return None


def _number(what: str) -> Optional[int]:
    try:
        number = int(Path(f"/proc/self/{what}").read_text())
    except (OSError, ValueError):  # a kernel without auditing
        return None
    return None if number == _UNSET else number


def _ssh_client() -> Optional[str]:
    """The client's address; sudo drops it from the environment, so those of the ancestors are looked at."""
    for environment in _environments():
        if environment.startswith(b"SSH_CONNECTION="):
            address = environment.partition(b"=")[2].split(b" ")[0]
            return address.decode("ascii", "replace")[:_LONGEST]
    return None


def _environments() -> Iterator[bytes]:
    """The variables of this process and its ancestors, the nearest first, as they were when each was started."""
    pid = os.getpid()
    for _generation in range(_ANCESTORS):
        if pid <= 1:
            return
        with suppress(OSError):
            yield from Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        try:
            # Behind the name, which is in parentheses and may hold anything, come the state and the parent.
            pid = int(Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[1])
        except (OSError, ValueError, IndexError):
            return
