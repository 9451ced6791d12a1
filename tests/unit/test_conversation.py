# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a diagnosis may cost in tokens: old rounds are condensed before new ones are cut, and nothing is exceeded."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_loop import LOOK, SOLVED, TURN, VAGUE, Clock, Recorded, Scripted

from ansible_collections.nannyapi.diagnostics.plugins.module_utils.conversation import Conversation
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.loop import LoopLimits, diagnose
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.model.port import Answer, ModelError

CHARACTERS_A_TOKEN = 4
EVIDENCE = ("command_results", "ebpf_results")


def tokens_of(messages: list[dict[str, str]]) -> int:
    return sum(len(message["content"]) for message in messages) // CHARACTERS_A_TOKEN


@dataclass
class Counting(Scripted):
    """A scripted model that counts tokens as a server does."""

    counts: bool = True

    def ask(self, messages: list[dict[str, str]], timeout: float) -> Answer:
        content = super().ask(messages, timeout).content
        return Answer(content, tokens_of(messages) if self.counts else None, len(content) // 4 if self.counts else None)


def play(
    *script: Any, output: str = "x" * 40_000, counts: bool = True, more: dict[str, Any] | None = None, **limits: Any
) -> tuple[dict[str, Any], Counting]:
    clock = Clock()
    model = Counting(list(script), clock, counts=counts)
    result = diagnose(
        issue="slow",
        system_information={},
        capabilities={},
        model=model,
        collect=Recorded(clock, output),
        limits=LoopLimits(**limits),
        progress=lambda event: None,
        clock=clock,
        **(more or {}),
    )
    for request in model.asked:
        for message in request[::2]:
            TURN.validate(json.loads(message["content"]))
    return result, model


def evidence_of(request: list[dict[str, str]]) -> list[dict[str, Any]]:
    turns = [json.loads(message["content"]) for message in request if message["role"] == "user"]
    return [turn for turn in turns if "command_results" in turn]


def test_what_fits_is_sent_as_it_is() -> None:
    _result, model = play(LOOK, LOOK, VAGUE)
    first, second = evidence_of(model.asked[-1])
    assert len(first["command_results"][0]["output"]) == len(second["command_results"][0]["output"]) == 40_000


def test_old_rounds_are_condensed_before_new_ones_are_cut() -> None:
    result, model = play(LOOK, LOOK, LOOK, VAGUE, request_tokens=28_000)
    *old, newest = evidence_of(model.asked[-1])
    assert len(newest["command_results"][0]["output"]) == 40_000
    assert len(old[0]["command_results"][0]["output"]) < 12_000
    assert any("condensed" in note for note in old[0]["notes"])
    kept = old[0]["command_results"][0]
    marked = sum(len(line) for line in kept["output"].splitlines() if line.startswith("[…")) + 2
    assert kept["characters_left_out"] + len(kept["output"]) - marked == 40_000
    assert [len(each["output"]) for each in result["command_results"]] == [40_000] * 3


def test_the_oldest_goes_first() -> None:
    _result, model = play(LOOK, LOOK, LOOK, VAGUE, request_tokens=29_000)
    sizes = [len(each["command_results"][0]["output"]) for each in evidence_of(model.asked[-1])]
    assert sizes[0] < sizes[1] == sizes[2] == 40_000


def test_a_request_that_is_too_large_with_one_round_alone_has_that_one_cut() -> None:
    _result, model = play(LOOK, VAGUE, request_tokens=6_000)
    (newest,) = evidence_of(model.asked[-1])
    assert 3_000 < len(newest["command_results"][0]["output"]) < 24_000
    assert any("no more tokens" in note for note in newest["notes"])
    assert newest["command_results"][0]["characters_left_out"] > 0


def test_where_the_tokens_suffice_for_one_turn_alone_it_is_the_last() -> None:
    result, model = play(LOOK, LOOK, LOOK, LOOK, LOOK, SOLVED, tokens=60_000, rounds=9)
    assert result["ended"] == "token_limit"
    assert "tokens of this diagnosis are used up" in json.loads(model.asked[-1][-1]["content"])["last_turn"]
    usage = result["usage"]
    assert usage["prompt_tokens"] + usage["completion_tokens"] <= 60_000
    assert len(result["rounds"]) >= 1


def test_a_model_that_concludes_at_the_limit_of_tokens_has_concluded() -> None:
    result, _model = play(LOOK, VAGUE, tokens=20_000)
    assert (result["ended"], result["resolution"], result["error"]) == ("token_limit", VAGUE, None)


def test_no_tokens_at_all_end_it_with_a_sentence() -> None:
    result, model = play(VAGUE, tokens=100)
    assert (result["ended"], result["resolution"], model.asked) == ("token_limit", None, [])
    assert "do not suffice" in result["error"]


def test_tokens_of_servers_that_count_none_are_estimated() -> None:
    result, model = play(LOOK, LOOK, LOOK, LOOK, LOOK, VAGUE, tokens=60_000, counts=False, rounds=9)
    assert result["ended"] == "token_limit"
    assert sum(map(tokens_of, model.asked)) <= 60_000


def test_the_estimate_follows_what_the_server_counts() -> None:
    conversation = Conversation(None, 10_000)
    messages = [{"role": "user", "content": "x" * 6_000}]
    assert conversation.estimate(messages) > 2_000
    conversation.answered(messages, Answer("{}", prompt_tokens=1_000, completion_tokens=5))
    assert conversation.estimate(messages) < 1_020
    assert conversation.spent == 1_005


def test_a_model_that_says_much_is_shortened_before_the_diagnosis_ends() -> None:
    commands = [
        {"id": f"c{number}", "command": f"echo {number} {'long ' * 138}", "description": ""} for number in range(16)
    ]

    def look(number: int) -> dict[str, Any]:
        named = [{**each, "id": f"r{number}{each['id']}"} for each in commands]
        return {"response_type": "diagnostic", "reasoning": "why " * 4_700, "commands": named, "ebpf_programs": []}

    result, model = play(*map(look, range(20)), VAGUE, rounds=20)
    assert (result["ended"], result["resolution"]) == ("round_limit", VAGUE)
    assert all(tokens_of(request) <= 100_000 for request in model.asked)
    *old, newest = [message["content"] for message in model.asked[-1] if message["role"] == "assistant"]
    assert len(newest) > 19_000
    assert len(old[0]) < 3_000
    assert "characters left out here" in old[0]


def test_what_a_single_request_may_not_exceed_is_said_where_nothing_else_is_limited() -> None:
    result, _model = play(VAGUE, request_tokens=5)
    assert result["ended"] == "token_limit"
    assert "more than 5 tokens, which is as much as one may" in result["error"]


def test_the_prompt_that_is_counted_with_a_request_spoils_no_estimate() -> None:
    @dataclass
    class Prompted(Counting):
        def ask(self, messages: list[dict[str, str]], timeout: float) -> Answer:
            answer = super().ask(messages, timeout)
            return Answer(answer.content, (answer.prompt_tokens or 0) + self.overhead // 4, answer.completion_tokens)

    clock = Clock()
    model = Prompted([LOOK, LOOK, VAGUE], clock, overhead=8_000)
    result = diagnose(
        issue="slow",
        system_information={},
        capabilities={},
        model=model,
        collect=Recorded(clock, "x" * 8_000),
        limits=LoopLimits(tokens=40_000),
        progress=lambda event: None,
        clock=clock,
    )
    assert (result["ended"], len(result["rounds"])) == ("resolution", 2)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 60_000), st.integers(500, 40_000), st.integers(1, 5), st.booleans(), st.text(max_size=200))
def test_no_limit_is_exceeded(tokens: int, request_tokens: int, rounds: int, counts: bool, output: str) -> None:
    result, model = play(
        *[LOOK] * rounds, VAGUE, output=output * 200, counts=counts, tokens=tokens, request_tokens=request_tokens
    )
    assert sum(map(tokens_of, model.asked)) <= tokens
    assert all(tokens_of(request) <= request_tokens for request in model.asked)
    assert result["resolution"] == VAGUE or result["error"] or result["ended"] == "token_limit"


@pytest.mark.parametrize("output", ["x" * 50_000, "ü€" * 25_000, "short"])
def test_no_more_bytes_of_evidence_are_shown_than_are_allowed_and_the_end_is_said(output: str) -> None:
    most = 20_000
    result, model = play(LOOK, output=output, rounds=40, evidence_bytes=most)
    turns = [json.loads(request[-1]["content"]) for request in model.asked]
    shown = 0
    for said in turns[1 : len(result["rounds"]) + 1]:
        shown += len(json.dumps({name: said[name] for name in EVIDENCE}, ensure_ascii=False).encode())
        assert said["remaining"]["evidence_bytes"] == most - shown
    assert most - 3_000 < shown <= most
    assert turns[0]["limits"]["evidence_bytes"] == most
    assert "As much evidence" in turns[len(result["rounds"])]["last_turn"]
    assert (result["ended"], result["command_results"][-1]["output"]) == ("evidence_limit", output)


def test_bytes_of_evidence_that_were_shown_before_count_when_it_is_gone_on_with() -> None:
    states: list[str] = []

    def keep(state: dict[str, Any]) -> None:
        states.append(json.dumps(state))

    told: dict[str, Any] = {"output": "x" * 10_000, "rounds": 20, "evidence_bytes": 20_000}
    failed = ModelError("It failed.", "failed")
    assert play(LOOK, failed, more={"checkpoint": keep}, **told)[0]["ended"] == "model_error"
    result, model = play(LOOK, more={"resumed": json.loads(states[-1])}, **told)
    assert (result["ended"], len(result["rounds"])) == ("evidence_limit", 2)
    assert json.loads(model.asked[0][-1]["content"])["remaining"]["evidence_bytes"] < 10_000
