# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads the labelled resolutions of cases/grounding and holds the checker's verdicts against the labels."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from ansible_collections.nannyapi.diagnostics.plugins.module_utils.grounding.check import claims_of, index_of
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.grounding.claim import Claim

CASES = Path(__file__).parent / "cases" / "grounding"
_MARK = re.compile(r"\{([+-])([^{}|]*)\|([^{}|]*)\}")


@dataclass(frozen=True)
class Label:
    """A claim as a person judged it: its place in the text, and the keys, or why it is not borne out."""

    start: int
    end: int
    text: str
    supported: bool
    told: str


@dataclass
class Score:
    """How many labelled claims were judged as the person judged them; `wrong` says which were not."""

    supported: int = 0
    doubted: int = 0
    unsupported: int = 0
    found: int = 0
    wrong: list[str] = field(default_factory=list)

    @property
    def found_share(self) -> float:
        """Of the claims without support, those that were found."""
        return self.found / self.unsupported

    @property
    def doubted_share(self) -> float:
        """Of the claims with support, those that were doubted."""
        return self.doubted / self.supported


def resolutions(name: str) -> Iterator[tuple[str, list[tuple[str, list[Label]]]]]:
    """Recording, and of each field text and labels: of all resolutions in a file of cases."""
    for recording, texts in yaml.safe_load((CASES / f"{name}.yml").read_text("utf-8")).items():
        for both in texts:
            yield recording, [unmarked(text) for text in both.split(" || ")]


def unmarked(marked: str) -> tuple[str, list[Label]]:
    """A text without its labels, and the labels with their places in it."""
    text, labels, position = "", [], 0
    for mark in _MARK.finditer(marked):
        text += marked[position : mark.start()]
        labels.append(Label(len(text), len(text) + len(mark[2]), mark[2], mark[1] == "+", mark[3]))
        text += mark[2]
        position = mark.end()
    return text + marked[position:], labels


@cache
def recorded(name: str) -> dict[str, Any]:
    """A recording."""
    evidence: dict[str, Any] = json.loads((CASES / "evidence" / f"{name}.json").read_text("utf-8"))
    return evidence


@cache
def _index(name: str) -> Any:
    return index_of(recorded(name))


def score(name: str) -> Score:
    """The checker's verdicts on a file of cases.

    A claim that the checker doubts where no label is counts as a supported one that was doubted, unless it stands in a
    sentence with an unsupported one.
    """
    result = Score()
    for recording, fields in resolutions(name):
        claims: list[Claim] = []
        for text, labels in fields:
            claims = claims_of(text, _index(recording), recorded(recording)["issue"], claims)
            _compare(result, f"{recording}: {text}", text, labels, [claim for claim in claims if not claim.supported])
    return result


def _compare(result: Score, where: str, text: str, labels: list[Label], doubts: list[Claim]) -> None:
    for label in labels:
        hit = [claim for claim in doubts if claim.start < label.end and label.start < claim.end]
        if label.supported:
            result.supported += 1
            result.doubted += bool(hit)
        else:
            result.unsupported += 1
            result.found += bool(hit)
        if bool(hit) == label.supported:
            why = f" ({hit[0].text!r}: {hit[0].reason})" if hit else ""
            result.wrong.append(f"{'doubted' if hit else 'missed'} {label.text!r} [{label.told}]{why} in {where}")
    for claim in doubts:
        labelled = any(claim.start < label.end and label.start < claim.end for label in labels)
        if not labelled and not _beside_a_wrong_one(claim.start, text, labels):
            result.supported += 1
            result.doubted += 1
            result.wrong.append(f"doubted, without a label, {claim.text!r} ({claim.reason}) in {where}")


def _beside_a_wrong_one(position: int, text: str, labels: list[Label]) -> bool:
    start = max(text.rfind(". ", 0, position), 0)
    end = text.find(". ", position)
    return any(not label.supported and start <= label.start <= (end if end >= 0 else len(text)) for label in labels)
