# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private to the collection: from findings to a resolution that claims no more than was seen.

What the issue speaks of comes first; what was found beside it is said to be beside it. The confidence follows from how
surely a finding is a fault and whether it is of the kind that the issue speaks of.
"""

from __future__ import annotations

from dataclasses import dataclass

from .closer import describe
from .evidence import Evidence, Trace, name_of
from .findings.every import findings, ruled_out
from .findings.finding import FAIR, STRONG, Finding

_MOST_CAUSES = 4
_MOST_PLANNED = 3
_MOST_TRACED = 12


@dataclass
class Ranked:
    """A finding and whether the issue speaks of it: of its kind (`fits`), or of its very subject (`named`)."""

    finding: Finding
    fits: bool
    named: bool

    @property
    def order(self) -> tuple[float, ...]:
        """Sorts the likeliest cause first."""
        return (-(self.finding.strength + self.fits + 1.5 * self.named), -self.finding.weight)


def ranked(evidence: Evidence, issue: str, categories: list[str]) -> list[Ranked]:
    """The findings, the likeliest cause of the issue first."""
    words = issue.lower()

    def named(finding: Finding) -> bool:
        return any(len(subject) > 2 and subject.lower() in words for subject in finding.subjects)

    found = [
        Ranked(finding, not categories or finding.category in categories, named(finding))
        for finding in findings(evidence)
    ]
    return sorted(found, key=lambda each: each.order)


def conclude(evidence: Evidence, issue: str, categories: list[str]) -> dict[str, str]:
    """The resolution."""
    found = ranked(evidence, issue, categories)
    sure = [each for each in found if each.finding.strength >= FAIR]
    if sure:
        return _with_cause(evidence, sure)
    return _without_cause(evidence, found)


def _confidence(first: Ranked) -> str:
    related = first.fits or first.named
    if first.finding.strength >= STRONG:
        return "High" if related else "Medium"
    return "Medium" if related else "Low"


def _with_cause(evidence: Evidence, sure: list[Ranked]) -> dict[str, str]:
    first, others = sure[0], sure[1:_MOST_CAUSES]
    related = first.fits or first.named
    opening = "" if related else "Nothing was found of the kind that the issue speaks of; what was found instead: "
    sentences = [f"{opening}{first.finding.cause}.", *describe(evidence, first.finding)]
    sentences += [f"Seen beside it: {each.finding.cause}." for each in others]
    if len(sure) > _MOST_CAUSES:
        sentences.append(f"{len(sure) - _MOST_CAUSES} lesser findings are left out.")
    seen = list(dict.fromkeys(each for one in sure[:_MOST_CAUSES] for each in one.finding.seen))
    if seen:
        sentences.append("Seen in the output of commands: " + " ".join(seen))
    steps = [step for each in sure[:_MOST_PLANNED] for step in each.finding.plan]
    return _resolution(
        " ".join(sentences), steps, _confidence(first), _traced(evidence, [each.finding for each in sure])
    )


def _without_cause(evidence: Evidence, found: list[Ranked]) -> dict[str, str]:
    in_order = ruled_out(evidence)
    sentences = ["No cause was found: what was looked at while this ran gives no sign of a fault."]
    if evidence.traces and not any(trace.attached for trace in evidence.traces):
        sentences = ["No cause was found, and little can be said: no eBPF program could be attached."]
    if in_order:
        sentences.append("Ruled out for that time: " + "; ".join(in_order) + ".")
    if found:
        sentences.append("Perhaps worth a look, though it may be ordinary: ")
        sentences[-1] += "; ".join(each.finding.cause for each in found[:_MOST_CAUSES]) + "."
    unknown = _unknown(evidence)
    if unknown:
        sentences.append("Not known: " + "; ".join(unknown) + ".")
    steps = [
        "Run the diagnosis again while the problem is there; what happens now and then is only seen when it happens.",
        "Name in the issue the process, the host name, the port or the path that is concerned.",
        "Configure a model (NANNYAPI_ENDPOINT, NANNYAPI_MODEL), which can follow what this rule-based one cannot.",
    ]
    return _resolution(" ".join(sentences), steps, "Low", _traced(evidence, [each.finding for each in found]))


def _unknown(evidence: Evidence) -> list[str]:
    """What was asked for and could not be had."""
    reasons: dict[str, list[str]] = {}
    for trace in evidence.traces:
        if not trace.attached:
            reasons.setdefault(name_of(trace.result.get("error"), 300), []).append(name_of(trace.target or trace.key))
    unknown = [f"{', '.join(targets)} (not attached: {reason.rstrip('.')})" for reason, targets in reasons.items()]
    for trace in evidence.traces:
        thinned = trace.result.get("thinned_after_s")
        if isinstance(thinned, (int, float)):
            what = f"{name_of(trace.target or trace.key)} after its first {thinned:.1f} s"
            unknown.append(f"{what} (its events were only counted from then on, for looking at them cost too much)")
    for name, result in evidence.commands.items():
        if result.get("refused"):
            unknown.append(f"{name} (the command was refused)")
        elif result.get("exit_code") == 127:
            unknown.append(f"{name} (`{name_of(str(result.get('command')).partition(' ')[0])}` is not on this host)")
        elif result.get("timed_out"):
            unknown.append(f"{name} (the command did not end in time)")
    return unknown


def _traced(evidence: Evidence, found: list[Finding]) -> str:
    """The evidence from the kernel: that of the findings, then what every other program counted."""
    sentences = list(dict.fromkeys(sentence for finding in found for sentence in finding.traced))[:_MOST_TRACED]
    told = " ".join(sentences)
    sentences += [_counted(trace) for trace in evidence.traces if trace.key not in told]
    return " ".join(sentences) or "No eBPF program was run."


def _counted(trace: Trace) -> str:
    if not trace.attached:
        return f"{trace.key}: {trace.target} was not attached, so nothing is known from it."
    missed = "" if trace.result.get("exact", True) else " at least"
    return f"{trace.key}: {trace.target} fired{missed} {trace.count} times {trace.window}."


def _resolution(cause: str, steps: list[str], confidence: str, traced: str) -> dict[str, str]:
    numbered = "\n".join(f"{number}. {step}" for number, step in enumerate(dict.fromkeys(steps), 1))
    return {
        "response_type": "resolution",
        "root_cause": cause,
        "resolution_plan": numbered,
        "confidence": confidence,
        "ebpf_evidence": traced,
    }
