# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Replies as data: what is accepted and as what, what is refused and with which words."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.nannyapi.diagnostics.plugins.module_utils.protocol import (
    Diagnostic,
    ReplyError,
    Resolution,
    parse_reply,
)

CASES = Path(__file__).parent / "cases" / "replies"


def cases(name: str) -> list[Any]:
    return [pytest.param(case, id=case["name"]) for case in yaml.safe_load((CASES / name).read_text("utf-8"))]


def text_of(case: dict[str, Any]) -> str:
    if "repeat" not in case:
        return str(case["reply"])
    before, part, times, after = case["repeat"]
    return str(before + part * times + after + "}" * case.get("close", 0))


@pytest.mark.parametrize("case", cases("accepted.yaml"))
def test_a_reply_with_one_meaning_is_read_as_it(case: dict[str, Any]) -> None:
    parsed = parse_reply(text_of(case))
    assert len(parsed.notes) == case.get("notes", 0)
    if "resolution" in case:
        assert isinstance(parsed.reply, Resolution)
        assert parsed.reply.model_dump() == {"response_type": "resolution", **case["resolution"]}
        return
    assert isinstance(parsed.reply, Diagnostic)
    assert [each.model_dump() for each in parsed.reply.commands] == case.get("commands", [])
    programs = [each.model_dump(exclude_none=True) for each in parsed.reply.ebpf_programs]
    assert programs == case.get("programs", [])


@pytest.mark.parametrize("case", cases("refused.yaml"))
def test_a_reply_without_one_meaning_is_refused_with_words_for_the_model(case: dict[str, Any]) -> None:
    started = time.process_time()
    with pytest.raises(ReplyError) as refused:
        parse_reply(text_of(case))
    sentence = str(refused.value)
    for part in case["says"]:
        assert part in sentence
    assert sentence.endswith(".")
    assert len(sentence) < 2_000
    assert time.process_time() - started < 30


def test_ids_of_earlier_rounds_are_not_given_again() -> None:
    text = '{"response_type": "diagnostic", "commands": [{"id": "a", "command": "df"}, "uptime"]}'
    parsed = parse_reply(text, taken_ids={"a", "a_2", "command_2"})
    assert isinstance(parsed.reply, Diagnostic)
    assert [command.id for command in parsed.reply.commands] == ["a_3", "command_3"]


def test_limits_of_a_round_are_those_that_are_given() -> None:
    text = '{"response_type": "diagnostic", "commands": ["a", "b", "c"]}'
    with pytest.raises(ReplyError, match="has 3 entries; at most 2 are run"):
        parse_reply(text, max_commands=2)


def test_what_was_cut_off_is_never_completed() -> None:
    whole = '{"response_type": "diagnostic", "commands": [{"id": "a", "command": "rm -rf /tmp/x"}, {"command": "df"}]}'
    parse_reply(whole)
    for end in range(len(whole)):
        with pytest.raises(ReplyError):
            parse_reply(whole[:end])
