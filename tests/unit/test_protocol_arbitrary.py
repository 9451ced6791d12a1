# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Property-based: whatever a model writes is a reply or a sentence for it, never another exception."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.nannyapi.diagnostics.plugins.module_utils.protocol import (
    Diagnostic,
    Parsed,
    ReplyError,
    parse_reply,
)

SEEDS = [
    case["reply"]
    for name in ("accepted.yaml", "refused.yaml")
    for case in yaml.safe_load((Path(__file__).parent / "cases" / "replies" / name).read_text("utf-8"))
    if "reply" in case
]

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
keys = st.sampled_from(
    [
        "response_type",
        "reasoning",
        "commands",
        "ebpf_programs",
        "id",
        "command",
        "description",
        "name",
        "type",
        "target",
        "duration",
        "filters",
        "comm",
        "pid",
        "root_cause",
        "resolution_plan",
        "confidence",
        "ebpf_evidence",
    ]
)
near_replies = st.recursive(
    anything | st.sampled_from(["diagnostic", "resolution", "kprobe", "tracepoint", "kprobe:f", "a:b", "a/b", "High"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=6),
    max_leaves=20,
)
typed = st.fixed_dictionaries({"response_type": st.sampled_from(["diagnostic", "resolution"])}).flatmap(
    lambda base: st.dictionaries(keys, near_replies, max_size=6).map(lambda more: {**more, **base})
)


def outcome(text: str) -> Parsed | str:
    """Either a reply or the sentence; anything else fails the test as the exception that it is."""
    try:
        parsed = parse_reply(text)
    except ReplyError as error:
        sentence = str(error)
        assert sentence
        assert len(sentence) < 4_000
        sentence.encode("utf-8")
        return sentence
    json.dumps(parsed.reply.model_dump(exclude_none=True)).encode("utf-8")
    if isinstance(parsed.reply, Diagnostic):
        ids = [command.id for command in parsed.reply.commands]
        assert len(set(ids)) == len(ids) <= 16
        assert len(ids) + len(parsed.reply.ebpf_programs) > 0
        assert all(program.duration > 0 for program in parsed.reply.ebpf_programs)
    return parsed


@settings(max_examples=400, deadline=None)
@given(st.text(alphabet=st.characters(exclude_categories=[])))
def test_arbitrary_text(text: str) -> None:
    outcome(text)


@settings(max_examples=400, deadline=None)
@given(st.lists(st.sampled_from([*'{}[]",:\\', "response_type", "null", "1e9", "NaN", "\ud800", " ", "```json\n"])))
def test_arbitrary_pieces_of_json(pieces: list[str]) -> None:
    outcome("".join(pieces))


@settings(max_examples=400, deadline=None)
@given(anything)
def test_arbitrary_json(value: Any) -> None:
    outcome(json.dumps(value))


@settings(max_examples=1_000, deadline=None)
@given(typed)
def test_arbitrary_members_of_the_contract(reply: dict[str, Any]) -> None:
    outcome(json.dumps(reply))


@settings(max_examples=1_000, deadline=None)
@given(st.sampled_from(SEEDS), st.data())
def test_mutated_replies(seed: str, data: st.DataObject) -> None:
    text = seed
    for _step in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(text)))
        end = data.draw(st.integers(start, min(len(text), start + 40)))
        put = data.draw(
            st.sampled_from(["", text[start:end] * 2, '"', "{", "}", "[", ",", "NaN", "\\", "\x00", "9" * 50])
        )
        text = text[:start] + put + text[end:]
    outcome(text)
