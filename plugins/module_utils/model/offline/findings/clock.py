# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private to the collection: a clock that nobody sets, where the issue made us look."""

from __future__ import annotations

from ..categories import NETWORK
from ..evidence import Evidence
from .finding import FAIR, Finding


def find(evidence: Evidence) -> list[Finding]:
    """A clock that is not synchronised."""
    if "NTPSynchronized=no" not in evidence.lines("clock"):
        return []
    return [
        Finding(
            NETWORK,
            "The clock of this host is not synchronised",
            FAIR,
            seen=["`timedatectl show` says NTPSynchronized=no."],
            plan=["Start time synchronisation: `timedatectl set-ntp true`, or chronyd; then check `chronyc tracking`."],
            subjects=["clock", "time", "certificate"],
        )
    ]


def ruled_out(evidence: Evidence) -> list[str]:
    """What was looked at and is in order."""
    return ["the clock is synchronised"] if "NTPSynchronized=yes" in evidence.lines("clock") else []
