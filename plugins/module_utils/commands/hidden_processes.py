# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private to the collection: whether /proc shows an account the processes of others."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class HiddenProcesses:
    """Whether /proc shows each account its own processes only, and the group that is excepted."""

    hidden: bool = False
    group: int | None = None


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
