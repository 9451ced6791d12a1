# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private to the collection: holds a resolution against what was collected.

Deterministic, by rules alone. What is looked up: numbers with their units, names, addresses, ports, processes and their
pids, paths, errors, quotes and cited results in `root_cause` and `ebpf_evidence`. What cannot be looked up (why
something happened, what to do) is not judged. docs/grounding.md says what counts as borne out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .claim import Claim, Reading
from .facts import Index
from .names import read_names
from .negations import read_negations
from .numbers import read_numbers
from .outputs import add_command, add_system
from .text import sentences
from .traces import add_trace

FIELDS = ("root_cause", "ebpf_evidence")
MAX_CLAIMS = 200
"""Claims that are looked up in one field."""

_EARLIER = 12
_LONGEST_CLAIM = 200
_LONGEST_TEXT = 20_000


def index_of(evidence: dict[str, Any]) -> Index:
    """`evidence`: `command_results`, `ebpf_results` of all rounds, and `system_information` where it is known."""
    index = Index()
    for result in evidence.get("command_results") or []:
        if isinstance(result, dict):
            add_command(index, result)
    results = evidence.get("ebpf_results")
    for key, result in results.items() if isinstance(results, dict) else ():
        if isinstance(result, dict):
            add_trace(index, str(key), result)
    told = evidence.get("system_information")
    if isinstance(told, dict):
        add_system(index, told)
    index.finish()
    return index


def claims_of(text: str, index: Index, issue: str = "", before: Sequence[Claim] = ()) -> list[Claim]:
    """The claims of a text, each looked up, in order; `before` are those of what was said before it."""
    found: list[Claim] = []
    words = frozenset(word.strip(".,:;!?\"'()").lower() for word in issue.split())
    for sentence in sentences(text[:_LONGEST_TEXT], index):
        reading = Reading(sentence, index, words, (*before, *found)[-_EARLIER:])
        read_negations(reading)
        read_names(reading)
        read_numbers(reading)
        found += sorted(reading.claims, key=lambda claim: claim.start)
        if len(found) >= MAX_CLAIMS:
            break
    return found[:MAX_CLAIMS]


def ground(resolution: dict[str, Any], evidence: dict[str, Any]) -> dict[str, Any]:
    """What of a resolution was found in the evidence, and what was not.

    `evidence` as for `index_of`, with `issue`. Gives `{"supported": [{"claim", "in", "by": [keys]}], "unsupported":
    [{"claim", "in", "reason"}]}`; `in` is the field. The same claim in the same field is listed once.
    """
    index = index_of(evidence)
    supported: dict[tuple[str, str], dict[str, Any]] = {}
    unsupported: dict[tuple[str, str], dict[str, Any]] = {}
    claims: list[Claim] = []
    for field in FIELDS:
        claims = claims_of(str(resolution.get(field) or ""), index, str(evidence.get("issue") or ""), claims)
        for claim in claims:
            text = claim.text[:_LONGEST_CLAIM]
            if claim.supported:
                supported.setdefault((field, text), {"claim": text, "in": field, "by": list(claim.by)})
            else:
                unsupported.setdefault((field, text), {"claim": text, "in": field, "reason": claim.reason})
    return {"supported": list(supported.values()), "unsupported": list(unsupported.values())}
