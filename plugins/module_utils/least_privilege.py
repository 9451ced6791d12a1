# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""As whom, and with which capabilities, a run traces. Private to the collection.

Where the kernel can tell tracing from being root (Linux 5.8), it is a process of an account that owns nothing, with the
few capabilities of `ebpf/needs.py`. Elsewhere, and where it is so wanted, it is root.
"""

from __future__ import annotations

import json
import os
import pwd
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

from .commands.hidden_processes import hidden_processes
from .ebpf.kernel import release
from .ebpf.needs import SEES_ALL_PROCESSES, SINCE, TRACING
from .session.giving_up import capability_sets

AUTO, LEAST, ROOT = "auto", "least", "root"
CHOICES = (AUTO, LEAST, ROOT)
OWN = "own"  # not an answer to what is wanted: of a process that was not started by root
ACCOUNT = "nannyapi"
SETTING = Path("/etc/nannyapi/privileges.json")
# Without an account of that name: ids below those of commands, within no range that distributions hand out.
_FIRST, _LAST = 60880, 60899
_BTF = Path("/sys/kernel/btf/vmlinux")


class PrivilegesError(Exception):
    """What was asked for cannot be had on this host; the message is a sentence."""


@dataclass(frozen=True)
class Privileges:
    """`mode`: LEAST or ROOT, and for the latter the `reason`. `missing`: what would be needed and is not held.

    `required`: root is not to trace in its place where that turns out to be impossible.
    """

    mode: str
    reason: Optional[str] = None
    user: int = 0
    account: Optional[str] = None
    keep: tuple[str, ...] = ()
    groups: tuple[int, ...] = ()
    missing: tuple[str, ...] = ()
    required: bool = False

    def describe(self) -> dict[str, Any]:
        """As a result and ebpf_info have it; `capabilities` is null for a process that gave none up."""
        least = self.mode == LEAST
        return {
            "mode": self.mode if os.geteuid() == 0 else OWN,
            "account": (self.account or str(self.user)) if least else _name(os.geteuid()),
            "capabilities": [f"CAP_{name}" for name in self.keep] if least else None,
            "missing": [f"CAP_{name}" for name in self.missing],
            "reason": self.reason,
        }


def decide(wanted: Optional[str] = None, setting: Path = SETTING) -> Privileges:
    """What a run gets that wants AUTO, LEAST or ROOT; None for what this host is set to. Raises PrivilegesError."""
    wanted = wanted or _set_to(setting)
    if wanted == ROOT:
        return Privileges(ROOT, "It was asked for.")
    hidden = hidden_processes()
    keep = tuple(sorted({*TRACING, *((SEES_ALL_PROCESSES,) if hidden.hidden and hidden.group is None else ())}))
    held = set(capability_sets()["permitted"])
    missing = tuple(name for name in keep if name not in held)
    reason = _reason_for_root(missing, wanted)
    if reason:
        if wanted == LEAST:
            raise PrivilegesError(f"Tracing without root was asked for, and cannot be had: {reason}")
        return Privileges(ROOT, reason, missing=missing)
    account = _account()
    user = account.pw_uid if account else _free_number()
    groups = (hidden.group,) if hidden.group is not None else ()
    name = account.pw_name if account else None
    return Privileges(LEAST, None, user, name, keep, groups, required=wanted == LEAST)


def _reason_for_root(missing: tuple[str, ...], wanted: str) -> Optional[str]:
    if release() < SINCE:
        return f"This kernel knows no capabilities for tracing alone; Linux {SINCE[0]}.{SINCE[1]} and later do."
    if os.geteuid() != 0:
        return "This was not started by root, so there is nothing to give up."
    if missing:
        return f"Root does not have {', '.join(f'CAP_{name}' for name in missing)} here, as in a container, say."
    if wanted == AUTO and not _BTF.exists():
        return f"There is no {_BTF}, so that this host compiles for itself what it needs to know of its kernel."
    return None


def _account() -> Optional[pwd.struct_passwd]:
    try:
        found = pwd.getpwnam(ACCOUNT)
    except KeyError:
        return None
    return found if found.pw_uid != 0 else None


def _free_number() -> int:
    """A user id that no account has, and no process."""
    taken = set()
    with os.scandir("/proc") as entries:
        for entry in entries:
            if entry.name.isdigit():
                try:
                    taken.add(entry.stat().st_uid)
                except OSError:
                    continue
    return next((number for number in range(_FIRST, _LAST) if number not in taken and not _has_name(number)), _LAST)


def _has_name(number: int) -> bool:
    return _name(number) != str(number)


def _name(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)


def _set_to(path: Path) -> str:
    """What the role `privileges` wrote. Raises PrivilegesError where somebody else could have."""
    try:
        with path.open(encoding="utf-8") as file:
            status = os.fstat(file.fileno())
            if status.st_uid != 0 or status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
                raise PrivilegesError(f"{path} is not root's own, or others may write it: make it so (0644, root).")
            tracing = json.load(file)["tracing"]
    except FileNotFoundError:
        return AUTO
    except PermissionError:
        return AUTO  # not root: there is nothing to decide
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise PrivilegesError(f"{path} could not be read: {error}. The role privileges writes it.") from error
    if tracing not in CHOICES:
        raise PrivilegesError(f"{path} says {tracing!r:.40} for tracing; it can be {', '.join(CHOICES)}.")
    return str(tracing)
