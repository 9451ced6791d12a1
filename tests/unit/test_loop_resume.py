# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A diagnosis that is ended anywhere goes on from what it had kept, and collects no complete round again."""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass, field
from typing import Any, Optional

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_loop import INVENTED, LOOK, SOLVED, Clock, Recorded

from ansible_collections.nannyapi.diagnostics.plugins.module_utils.loop import LoopLimits, diagnose
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.loop_state import StateError
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.model.port import Answer, ModelError

LOOK_AT = [{**LOOK, "commands": [{"id": f"net{number}", "command": f"ss -tn{number}"}]} for number in range(9)]


class Killed(BaseException):
    """The process is gone."""


@dataclass
class ByTurn:
    """A model without a memory: what it says follows from how many turns it is shown, as with a server."""

    script: list[Any]
    clock: Clock
    name: str = "scripted"
    overhead: int = 0
    asked: list[list[dict[str, str]]] = field(default_factory=list)
    timeouts: list[float] = field(default_factory=list)

    def ask(self, messages: list[dict[str, str]], timeout: float) -> Answer:
        self.asked.append([dict(message) for message in messages])
        self.timeouts.append(timeout)
        self.clock.now += min(1.0, timeout)
        line = self.script[min(len(messages) // 2, len(self.script) - 1)]
        if isinstance(line, BaseException):
            raise line
        return Answer(line if isinstance(line, str) else json.dumps(line), 100, 10, "episode-1")


@dataclass
class Host:
    """A diagnosis that can be killed: what outlives it is the last state it had kept, as JSON."""

    script: list[Any]
    limits: LoopLimits = field(default_factory=LoopLimits)
    clock: Clock = field(default_factory=Clock)
    kept: Optional[str] = None
    checkpoints: int = 0

    def __post_init__(self) -> None:
        self.model = ByTurn(self.script, self.clock)
        self.collect = Recorded(self.clock)

    def run(self, kill_at: Optional[int] = None, kill_in_round: Optional[int] = None, **more: Any) -> dict[str, Any]:
        """`kill_at`: the checkpoint, counted from 1, after which it is killed; `kill_in_round`: amid collecting it."""
        self.checkpoints = 0

        def checkpoint(state: dict[str, Any]) -> None:
            self.kept = json.dumps(state)
            self.checkpoints += 1
            if self.checkpoints == kill_at:
                raise Killed

        def collect(commands: list[dict[str, Any]], programs: list[dict[str, Any]], until: float) -> dict[str, Any]:
            collected = self.collect(commands, programs, until)
            if len(self.collect.rounds) == kill_in_round:
                raise Killed
            return collected

        return diagnose(
            issue="the application cannot connect",
            system_information={"host": "db1"},
            capabilities={"probe_types": {}},
            model=self.model,
            collect=collect,
            limits=self.limits,
            progress=lambda event: None,
            clock=self.clock,
            checkpoint=checkpoint,
            resumed=json.loads(self.kept) if self.kept is not None else None,
            **more,
        )

    def collected(self) -> list[str]:
        return [command["id"] for commands, _programs, _until in self.collect.rounds for command in commands]


def without_times(result: dict[str, Any]) -> dict[str, Any]:
    rounds = [{**each, "started": "", "duration_s": 0, "model_s": 0} for each in result["rounds"]]
    return {**result, "rounds": rounds}


SCRIPT = [LOOK_AT[0], "no JSON", LOOK_AT[1], LOOK_AT[2], INVENTED, SOLVED]
WHOLE = Host(SCRIPT)
EXPECTED = without_times(WHOLE.run())


def test_a_state_is_kept_at_the_beginning_after_each_answer_each_round_and_at_the_end() -> None:
    assert WHOLE.checkpoints == 1 + len(WHOLE.model.asked) + len(WHOLE.collect.rounds) + 1
    assert len(WHOLE.model.asked) == 6


@pytest.mark.parametrize("kill_at", range(1, WHOLE.checkpoints + 1))
def test_killed_after_any_checkpoint_it_ends_the_same_and_asks_and_collects_nothing_twice(kill_at: int) -> None:
    host = Host(SCRIPT)
    with pytest.raises(Killed):
        host.run(kill_at=kill_at)
    assert without_times(host.run()) == EXPECTED
    assert host.collected() == ["net0", "net1", "net2"]
    assert len(host.model.asked) == len(WHOLE.model.asked)
    assert host.clock.now == WHOLE.clock.now


@pytest.mark.parametrize("kill_in_round", [1, 2, 3])
def test_a_round_that_was_cut_off_is_collected_again_and_no_other(kill_in_round: int) -> None:
    host = Host(SCRIPT)
    with pytest.raises(Killed):
        host.run(kill_in_round=kill_in_round)
    assert without_times(host.run()) == EXPECTED
    ids = ["net0", "net1", "net2"]
    assert host.collected() == [*ids[:kill_in_round], *ids[kill_in_round - 1 :]]
    assert len(host.model.asked) == len(WHOLE.model.asked)


@pytest.mark.parametrize("turn", range(6))
def test_a_request_whose_answer_was_lost_is_sent_again_as_it_was(turn: int) -> None:
    host = Host([*SCRIPT[:turn], Killed()])
    with pytest.raises(Killed):
        host.run()
    host.model.script = SCRIPT
    assert without_times(host.run()) == EXPECTED
    lost, again = host.model.asked[turn], host.model.asked[turn + 1]
    assert [without_seconds(message) for message in lost] == [without_seconds(message) for message in again]
    assert len(host.model.asked) == len(WHOLE.model.asked) + 1


def without_seconds(message: dict[str, str]) -> Any:
    if message["role"] != "user":
        return message["content"]
    turn = json.loads(message["content"])
    turn.get("remaining", {}).pop("seconds", None)
    return turn


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.sampled_from([*LOOK_AT[:3], "no JSON", "", "\ud800", INVENTED]), max_size=6),
    st.lists(st.integers(1, 6), max_size=5),
)
def test_however_often_it_is_killed_it_ends_as_if_it_never_was(script: list[Any], kills: list[int]) -> None:
    whole, host = Host([*script, SOLVED]), Host([*script, SOLVED])
    expected = without_times(whole.run())
    for kill_at in kills:
        try:
            host.run(kill_at=kill_at)
        except Killed:
            continue
    # Replies that cannot be used are counted anew in each run, so it may come further than a single one.
    if expected["ended"] != "unusable_replies":
        assert without_times(host.run()) == expected
    assert len(host.collect.rounds) == len(json.loads(host.kept or "{}").get("rounds", []))


def test_a_model_that_failed_is_asked_again_with_what_was_collected() -> None:
    host = Host([LOOK_AT[0], ModelError("The server says 503.", "failed")])
    assert host.run()["ended"] == "model_error"
    host.model.script = [LOOK_AT[0], SOLVED]
    result = host.run()
    assert (result["ended"], result["error"], result["resolution"]) == ("resolution", None, SOLVED)
    assert host.collected() == ["net0"]


def test_replies_that_could_not_be_used_are_mended_anew() -> None:
    host = Host(["no", "no", "no"])
    assert host.run()["ended"] == "unusable_replies"
    host.model.script = ["no", "no", "no", SOLVED]
    assert host.run()["resolution"] == SOLVED


def test_what_was_used_counts_against_the_limits() -> None:
    host = Host([LOOK_AT[0], LOOK_AT[1], SOLVED], limits=LoopLimits(rounds=2, seconds=200))
    with pytest.raises(Killed):
        host.run(kill_at=3)
    host.clock.now += 10_000  # the time in which nothing ran does not count
    result = host.run()
    assert json.loads(host.kept or "")["spent_s"] == 1 + 10 + 1 + 10 + 1
    assert (result["ended"], len(result["rounds"])) == ("round_limit", 2)


def test_more_rounds_than_before_let_it_go_on_after_the_limit() -> None:
    host = Host([LOOK_AT[0], ModelError("It failed.", "failed")], limits=LoopLimits(rounds=1))
    assert host.run()["ended"] == "model_error"
    assert "last_turn" in json.loads(host.model.asked[-1][-1]["content"])
    host.model.script, host.limits = [LOOK_AT[0], LOOK_AT[1], SOLVED], LoopLimits(rounds=3)
    result = host.run()
    assert (result["ended"], host.collected()) == ("resolution", ["net0", "net1"])
    sent = json.loads(host.model.asked[2][-1]["content"])
    assert "last_turn" not in sent
    assert sent["remaining"]["rounds"] == 2


def test_more_time_than_before_runs_what_there_was_no_time_for() -> None:
    host = Host([LOOK_AT[0], ModelError("It failed.", "failed")], limits=LoopLimits(seconds=3))
    assert host.run()["ended"] == "model_error"
    assert host.collected() == []
    host.model.script, host.limits = [LOOK_AT[0], SOLVED], LoopLimits(seconds=300)
    assert host.run()["ended"] == "resolution"
    assert host.collected() == ["net0"]
    assert len(host.model.asked) == 3


def test_where_the_time_is_used_up_there_is_time_for_a_last_turn() -> None:
    host = Host([LOOK_AT[0], ModelError("Slow.", "timeout")], limits=LoopLimits(seconds=20))
    host.run()
    host.clock.now += 5
    host.kept = json.dumps({**json.loads(host.kept or ""), "spent_s": 500})
    host.model.script = [LOOK_AT[0], SOLVED]
    result = host.run()
    assert (result["ended"], result["resolution"]) == ("time_limit", SOLVED)
    assert host.model.timeouts[-1] == 4  # a fifth of the limit
    assert host.collected() == ["net0"]


def test_the_model_is_told_of_the_interruption_with_the_evidence_that_follows_it() -> None:
    host = Host([LOOK_AT[0], LOOK_AT[1], SOLVED])
    with pytest.raises(Killed):
        host.run(kill_at=4)
    host.run(notes=["The diagnosis was interrupted."])
    first, second = (json.loads(message["content"]) for message in host.model.asked[-1][2::2])
    assert "notes" not in first
    assert second["notes"] == ["The diagnosis was interrupted."]


def test_a_diagnosis_that_reached_its_resolution_is_not_gone_on_with() -> None:
    host = Host(SCRIPT)
    host.run()
    assert without_times(host.run()) == EXPECTED
    assert len(host.model.asked) == 6


def test_old_rounds_are_condensed_as_they_would_have_been() -> None:
    limits = LoopLimits(request_tokens=9_000, rounds=9)
    hosts = [Host([*LOOK_AT[:5], SOLVED], limits=limits) for _time in range(2)]
    for host in hosts:
        host.collect.output = "x" * 20_000
    hosts[0].run()
    for kill_at in (4, 5):
        with pytest.raises(Killed):
            hosts[1].run(kill_at=kill_at)
    hosts[1].run()
    whole, resumed = ([without_seconds(message) for message in host.model.asked[-1]] for host in hosts)
    assert any(
        "condensed" in note for turn in whole for note in (turn if isinstance(turn, dict) else {}).get("notes", [])
    )
    assert resumed == whole


def damaged() -> st.SearchStrategy[Any]:
    host = Host([LOOK_AT[0], LOOK_AT[1], SOLVED])
    host.run()
    whole = json.loads(host.kept or "")
    anything = st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
        max_leaves=4,
    )

    @st.composite
    def with_a_wrong_part(draw: st.DrawFn) -> Any:
        root = json.loads(json.dumps(whole))
        parent, value = root, root
        while isinstance(value, (dict, list)) and value and draw(st.integers(0, 3)):
            key = draw(st.sampled_from(sorted(value) if isinstance(value, dict) else range(len(value))))
            parent, value = value, value[key]
        if value is root or draw(st.booleans()):
            root[draw(st.sampled_from([*root, "other"]))] = draw(anything)
        elif draw(st.booleans()):
            del parent[key]
        else:
            parent[key] = draw(anything)
        return root

    return anything | with_a_wrong_part()


@settings(max_examples=500, deadline=None)
@given(damaged())
def test_a_damaged_state_is_refused_or_can_be_gone_on_from(saved: Any) -> None:
    host = Host([LOOK_AT[0], LOOK_AT[1], SOLVED], kept=json.dumps(saved))
    with contextlib.suppress(StateError):
        assert host.run()["ended"]


@pytest.mark.parametrize("ended", ["", "stopped", 3])
def test_a_diagnosis_that_says_it_ended_as_none_does_is_refused(ended: Any) -> None:
    first = Host([LOOK_AT[0], LOOK_AT[1], SOLVED])
    first.run()
    kept = json.dumps({**json.loads(first.kept or ""), "ended": ended})
    with pytest.raises(StateError, match="ended"):
        Host([SOLVED], kept=kept).run()
