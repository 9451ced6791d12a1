# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private to the collection: every look that is taken at the evidence."""

from __future__ import annotations

from collections.abc import Callable

from ..evidence import Evidence
from . import calls, clock, connects, listeners, load, memory, names, opens, processes, restarts, starts, storage, tcp
from .finding import Finding

FINDERS: tuple[Callable[[Evidence], list[Finding]], ...] = (
    connects.find,
    listeners.find,
    names.find,
    tcp.find,
    restarts.find,
    starts.find,
    processes.find,
    opens.find,
    storage.find,
    load.find,
    calls.find,
    memory.find,
    clock.find,
)

_RULED_OUT: tuple[Callable[[Evidence], list[str]], ...] = (
    connects.ruled_out,
    listeners.ruled_out,
    names.ruled_out,
    tcp.ruled_out,
    restarts.ruled_out,
    starts.ruled_out,
    processes.ruled_out,
    opens.ruled_out,
    storage.ruled_out,
    load.ruled_out,
    calls.ruled_out,
    memory.ruled_out,
    clock.ruled_out,
)


def findings(evidence: Evidence) -> list[Finding]:
    """All that was found, in no order."""
    return [finding for find in FINDERS for finding in find(evidence)]


def ruled_out(evidence: Evidence) -> list[str]:
    """What was looked at and is in order, as parts of a sentence."""
    return list(dict.fromkeys(sentence for look in _RULED_OUT for sentence in look(evidence)))
