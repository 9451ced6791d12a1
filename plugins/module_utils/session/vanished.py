# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs that were begun, have no end on record, and cannot have one any more. Private to the collection.

A process that is killed writes nothing more. Who begins the next run looks for such, so that it need not be concluded
from what is missing.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, Optional

_BEGUN, _OVER = "_started", ("_ended", "_vanished")
KINDS = ("diagnosis", "collection", "trace", "preflight")


def birth() -> dict[str, Any]:
    """By what this process is known, also when its number has gone to another one.

    `boot`: the kernel's id of this boot. `pid_namespace`: in which its number holds. `start`: in ticks since the boot.
    """
    return {"boot": _boot(), "pid_namespace": _namespace(), "start": _start(os.getpid())}


def vanished(lines: Iterable[bytes]) -> list[dict[str, Any]]:
    """The beginnings, in `lines` of the log, of runs that have no end and whose process is known to be gone."""
    begun: dict[tuple[Any, Any], dict[str, Any]] = {}
    for line in lines:
        # Most lines are about something else, and need not be read.
        if not any(f'"action": "{kind}_'.encode() in line for kind in KINDS):
            continue
        with suppress(ValueError, KeyError, TypeError, AttributeError):  # half a line, or somebody else's
            entry = json.loads(line)
            action = entry["action"]
            if action.endswith(_BEGUN):
                begun[entry["diagnosis_id"], entry["pid"]] = entry
            elif action.endswith(_OVER):
                begun.pop((entry["diagnosis_id"], entry.get("process") or entry["pid"]), None)
    return [entry for entry in begun.values() if _gone(entry)]


def _gone(entry: dict[str, Any]) -> bool:
    born = entry.get("process_birth")
    if not isinstance(born, dict) or not isinstance(entry.get("pid"), int):
        return False
    if born.get("boot") != _boot():
        return True
    # Of a process of another container nothing is known.
    return born.get("pid_namespace") == _namespace() and born.get("start") != _start(entry["pid"])


def _boot() -> Optional[str]:
    with suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    return None


def _namespace() -> Optional[str]:
    with suppress(OSError):
        return os.readlink("/proc/self/ns/pid")
    return None


def _start(pid: int) -> Optional[int]:
    with suppress(OSError, ValueError, IndexError):
        # Behind the name, which is in parentheses and may hold anything; the 22nd field of proc(5), 20th from there.
        return int(Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[19])
    return None
