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
KINDS = ("supported", "unsupported")
MAX_CLAIMS = 200
"""Claims that are looked up in one field."""

_EARLIER = 12
_LONGEST_CLAIM = 200
_LONGEST_REASON = 300
_LONGEST_TEXT = 20_000
_MOST_KEYS = 6


def index_of(evidence: dict[str, Any]) -> Index:
    """Takes in the evidence.

    `evidence`: `command_results` and `ebpf_results` of all rounds; `system_information`, `ebpf_capabilities` where they
    are known.
    """
    index = Index()
    for result in evidence.get("command_results") or []:
        if isinstance(result, dict):
            add_command(index, result)
    results = evidence.get("ebpf_results")
    for key, result in results.items() if isinstance(results, dict) else ():
        if isinstance(result, dict):
            add_trace(index, str(key), result)
    told, capabilities = evidence.get("system_information"), evidence.get("ebpf_capabilities")
    if isinstance(told, dict):
        add_system(index, told, capabilities)
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


class Checker:
    """Holds resolutions against one and the same evidence."""

    def __init__(self, evidence: dict[str, Any]) -> None:
        """`evidence`: as for `index_of`, with the `issue`."""
        self._index = index_of(evidence)
        self._issue = str(evidence.get("issue") or "")

    def check(self, resolution: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
        """What of a resolution was found in the evidence, and what was not.

        Gives `{"supported": [{"claim", "in", "by": [keys]}], "unsupported": [{"claim", "in", "reason"}]}`; `in` is the
        field. What was said in the same words in the same field is listed once.
        """
        supported: dict[tuple[str, str], dict[str, Any]] = {}
        unsupported: dict[tuple[str, str], dict[str, Any]] = {}
        claims: list[Claim] = []
        for field in FIELDS:
            claims = claims_of(str(resolution.get(field) or ""), self._index, self._issue, claims)
            for claim in claims:
                text = claim.text[:_LONGEST_CLAIM]
                if claim.supported:
                    supported.setdefault((field, text), {"claim": text, "in": field, "by": list(claim.by[:_MOST_KEYS])})
                else:
                    reason = claim.reason[:_LONGEST_REASON]
                    unsupported.setdefault((field, text), {"claim": text, "in": field, "reason": reason})
        return {"supported": list(supported.values()), "unsupported": list(unsupported.values())}


def ground(resolution: dict[str, Any], evidence: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """What a Checker says of one resolution."""
    return Checker(evidence).check(resolution)


def bounded(grounding: dict[str, Any], most: int) -> dict[str, Any]:
    """*grounding* with at most so many claims of each kind; `left_out` counts the others."""
    before = grounding.get("left_out", {})
    kept = {**grounding, **{kind: grounding[kind][:most] for kind in KINDS}}
    left_out = {kind: before.get(kind, 0) + max(0, len(grounding[kind]) - most) for kind in KINDS}
    left_out = {kind: number for kind, number in left_out.items() if number}
    return {**kept, "left_out": left_out} if left_out else kept
