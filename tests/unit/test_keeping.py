# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A diagnosis is kept as it grows, comes back with a failure, and is gone on with by its id, on either side."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Optional

import pytest
from test_loop import INVENTED, SOLVED, Clock, Recorded
from test_loop_resume import LOOK_AT, ByTurn, Killed

from ansible_collections.nannyapi.diagnostics.plugins.module_utils.diagnosis import DiagnosisError, Lead, lead, returned
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.keeping import Kept, kept
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.loop import LoopLimits
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.model.port import ModelError
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.model.settings import Settings
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.session.ending import Stopped
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.session.record import RecordError

ISSUE = "the application cannot connect"
SCRIPT = [LOOK_AT[0], LOOK_AT[1], INVENTED, SOLVED]


@dataclass
class Site:
    """A host that counts what is asked of it. `trouble`: what the round with this number ends with."""

    collector: Recorded = field(default_factory=lambda: Recorded(Clock()))
    surveys: int = 0
    machine: str = "m1"
    boot: str = "b1"
    trouble: dict[int, BaseException] = field(default_factory=dict)
    redacted: dict[str, int] = field(default_factory=lambda: {"jwt": 1})
    identities: dict[str, str] = field(default_factory=dict)

    def survey(self, issue: str) -> dict[str, Any]:
        self.surveys += 1
        if 0 in self.trouble:
            raise self.trouble.pop(0)
        told = {"issue": issue, "system_information": {"hostname": "db1"}, "capabilities": {"probe_types": {}}}
        return {**told, **self.take_up()}

    def take_up(self) -> dict[str, Any]:
        return {"sandbox": {"name": "bubblewrap"}, "machine": self.machine, "boot": self.boot}

    def collect(
        self, commands: list[dict[str, Any]], programs: list[dict[str, Any]], deadline: Optional[float]
    ) -> dict[str, Any]:
        collected = self.collector(commands, programs, deadline or 0.0)
        trouble = self.trouble.pop(len(self.collector.rounds), None)
        if isinstance(trouble, Stopped):
            trouble.collected = collected
        if trouble:
            raise trouble
        return collected


@dataclass
class Operator:
    """Runs a diagnosis as often as it takes."""

    folder: Path
    script: list[Any] = field(default_factory=lambda: SCRIPT)
    site: Site = field(default_factory=Site)
    asked: list[list[dict[str, str]]] = field(default_factory=list)
    identifier: str = ""

    def run(self, resume: str = "", issue: str = ISSUE, rounds: int = 5) -> dict[str, Any]:
        model = ByTurn(self.script, Clock(), asked=self.asked)
        with kept(resume, self.folder) as keeping:
            self.identifier = keeping.identifier
            keeping.check(issue, None)
            if keeping.is_over:
                return returned(keeping)
            return lead(issue, Lead(keeping, LoopLimits(rounds=rounds)), model, self.site, lambda event: None)

    def fails(self, **more: Any) -> DiagnosisError:
        with pytest.raises(DiagnosisError) as caught:
            self.run(**more)
        return caught.value

    def record(self) -> dict[str, Any]:
        content: dict[str, Any] = json.loads((self.folder / f"{self.identifier}.json").read_text())
        return content

    def commands(self) -> list[str]:
        return [each["id"] for commands, _programs, _until in self.site.collector.rounds for each in commands]


@pytest.fixture
def operator(tmp_path: Path) -> Operator:
    return Operator(tmp_path / "records")


def test_the_record_of_a_diagnosis_that_ended_has_all_and_nothing_to_go_on_from(operator: Operator) -> None:
    result = operator.run()
    written = operator.record()
    assert result["record"] == str(operator.folder / f"{operator.identifier}.json")
    for name, value in result.items():
        assert name == "record" or written[name] == value
    assert [message["role"] for message in written["messages"]] == ["user", "assistant"] * 4
    assert written["capabilities"] == {"probe_types": {}}
    assert written["status"] == "ended"
    assert not {"pending", "talk"} & set(written)
    assert [path.suffix for path in operator.folder.iterdir()] == [".json"]


KILLS: list[Callable[[Operator], None]] = [
    lambda operator: operator.site.trouble.update({0: Killed()}),
    lambda operator: operator.site.trouble.update({1: Killed()}),
    lambda operator: operator.site.trouble.update({2: Killed()}),
    *(lambda operator, turn=turn: setattr(operator, "script", [*SCRIPT[:turn], Killed()]) for turn in range(4)),
]


@pytest.mark.parametrize("kill", KILLS)
@pytest.mark.parametrize("wanted", ["", "latest"])
def test_killed_anywhere_it_is_gone_on_with_by_its_id(
    operator: Operator, tmp_path: Path, kill: Callable[[Operator], None], wanted: str
) -> None:
    expected = Operator(tmp_path / "other").run()
    kill(operator)
    with pytest.raises(Killed):
        operator.run()
    before = operator.record()
    operator.script = SCRIPT
    result = operator.run(resume=wanted or operator.identifier, issue="")
    for name in ("resolution", "grounding", "ended", "command_results", "ebpf_results", "usage", "issue", "host"):
        assert result[name] == expected[name]
    assert result["diagnosis_id"] == before["diagnosis_id"]
    assert result["started_at"] == before["started_at"]
    complete = [command for each in before.get("rounds", []) for command in each["commands"]]
    assert [operator.commands().count(command) for command in complete] == [1] * len(complete)
    assert len(operator.record()["runs"]) == 2
    assert operator.site.surveys == (1 if "talk" in before else 2)


def test_what_stopped_it_comes_with_what_was_found_also_in_the_round_that_was_cut_off(operator: Operator) -> None:
    operator.site.trouble = {2: Stopped("It was stopped by SIGTERM.")}
    error = operator.fails()
    said = str(error)
    assert said.startswith("It was stopped by SIGTERM. What was found until then is in ")
    assert (
        f"resume: {operator.identifier}, or the playbook diagnose with -e nannyapi_resume={operator.identifier}."
        in said
    )
    assert [each["id"] for each in error.result["command_results"]] == ["net0", "net1"]
    assert len(error.result["rounds"]) == 1
    assert error.result["resolution"] is None
    assert operator.record()["cut_off"]["command_results"][0]["id"] == "net1"
    assert operator.record()["runs"][0]["ended"] == "It was stopped by SIGTERM."
    result = operator.run(resume=operator.identifier)
    assert [each["id"] for each in result["command_results"]] == ["net0", "net1"]
    assert operator.commands() == ["net0", "net1", "net1"]
    assert "cut_off" not in operator.record()


def test_a_model_that_failed_leaves_a_diagnosis_to_go_on_with(operator: Operator) -> None:
    operator.script = [LOOK_AT[0], ModelError("The server says 503.", "failed")]
    error = operator.fails()
    assert str(error).startswith("The server says 503. What was found until then")
    assert error.result["ended"] == "model_error"
    assert [each["id"] for each in error.result["command_results"]] == ["net0"]
    assert operator.record()["status"] == "interrupted"
    operator.script = [LOOK_AT[0], SOLVED]
    assert operator.run(resume="latest")["resolution"] == SOLVED
    assert operator.commands() == ["net0"]


def test_a_limit_that_ended_it_is_named_with_what_to_give_more_of(operator: Operator) -> None:
    operator.script = [LOOK_AT[0], "no resolution"]
    assert "go on from there with more rounds" in str(operator.fails(rounds=1))
    operator.script = [LOOK_AT[0], "no", "no", "no", LOOK_AT[1], SOLVED]
    assert operator.run(resume="latest", rounds=5)["resolution"] == SOLVED


def test_what_goes_wrong_before_anything_was_told_has_no_result_and_can_be_gone_on_with(operator: Operator) -> None:
    operator.site.trouble = {0: OSError(13, "Permission denied", "/proc")}
    error = operator.fails()
    assert str(error).startswith("The host refused what a diagnosis needs: Permission denied (/proc). What was found")
    assert error.result == {}
    assert operator.run(resume=operator.identifier, issue="")["issue"] == ISSUE


def test_of_a_diagnosis_that_ended_the_result_is_given_again(operator: Operator) -> None:
    result = operator.run()
    again = operator.run(resume="latest")
    assert again.pop("notes") == [
        f"The diagnosis {operator.identifier} had reached its resolution; this is what its record says."
    ]
    assert again == result
    assert len(operator.asked) == 4


def interrupted(operator: Operator) -> None:
    operator.site.trouble = {2: Killed()}
    with pytest.raises(Killed):
        operator.run()


def test_another_issue_is_not_gone_on_with(operator: Operator) -> None:
    interrupted(operator)
    with pytest.raises(RecordError, match="is about 'the application cannot connect', and the task about 'slow disk'"):
        operator.run(resume="latest", issue="slow disk")


@pytest.mark.parametrize(
    ("issue", "fits"),
    [("login with hunter2 at ghp_x fails", True), ("login fails", False), ("x login with a at b fails", False)],
)
def test_an_issue_is_known_again_though_it_was_redacted(operator: Operator, issue: str, fits: bool) -> None:
    with kept("", operator.folder) as keeping:
        keeping.note(issue="login with [redacted:password:1] at [redacted:github:1] fails")
    with kept("latest", operator.folder) as keeping:
        if fits:
            keeping.check(issue, None)
        else:
            with pytest.raises(RecordError):
                keeping.check(issue, None)


def test_a_record_of_another_machine_is_not_gone_on_with(operator: Operator) -> None:
    interrupted(operator)
    operator.site.machine = "m2"
    with pytest.raises(RecordError, match=r"of another machine \(db1\)"):
        operator.run(resume="latest")
    assert operator.commands() == ["net0", "net1"]


def test_the_model_is_told_of_the_gap_and_of_a_start_of_the_host(
    operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupted(operator)
    operator.site.boot = "b2"
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + 100)
    operator.run(resume="latest")
    notes = json.loads(operator.asked[-1][4]["content"])["notes"]
    assert notes[0] in [f"The diagnosis was interrupted for {100 + more} s before this round." for more in range(5)]
    assert notes[1].startswith("The host was started anew meanwhile")


def test_an_episode_goes_on_with_the_same_model_alone(operator: Operator) -> None:
    model = Settings("m", "http://gateway/v1/chat/completions?key=secret")
    with kept("", operator.folder) as keeping:
        keeping.episode(model)
        keeping.note(episode_id="e-1")
    assert "secret" not in (operator.folder / f"{keeping.identifier}.json").read_text()
    for other, episode in ((model, "e-1"), (Settings("m", "http://other/v1"), None), (Settings("offline"), None)):
        with kept("latest", operator.folder) as keeping:
            assert keeping.episode(other) == episode


def test_where_no_record_can_be_written_the_diagnosis_goes_on_and_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    result = Operator(tmp_path / "file" / "records").run()
    assert result["resolution"] == SOLVED
    assert result["record"] is None
    assert "No record of this diagnosis could be written" in result["notes"][0]


def test_where_the_record_cannot_be_written_any_more_the_failure_says_so(operator: Operator, tmp_path: Path) -> None:
    def full(*_arguments: Any) -> None:
        operator.folder.rename(tmp_path / "gone")
        raise ModelError("The server says 503.", "failed")

    class Failing(ByTurn):
        ask = full

    with (
        kept("", operator.folder) as keeping,
        pytest.raises(DiagnosisError, match=r"503. The record of this diagnosis"),
    ):
        lead(ISSUE, Lead(keeping, LoopLimits()), Failing([], Clock()), Site(), lambda event: None)


def test_a_damaged_state_under_a_right_seal_is_a_sentence(operator: Operator) -> None:
    interrupted(operator)
    with kept("latest", operator.folder) as keeping:
        keeping.note(talk={"messages": "none"})
    assert "is damaged: It does not hold a diagnosis: talk.messages" in str(operator.fails(resume="latest"))


def test_nothing_is_left_where_it_ended_before_it_began(operator: Operator) -> None:
    with kept("", operator.folder):
        pass
    assert list(operator.folder.iterdir()) == []


def test_what_a_run_would_do_is_told_without_doing_it(operator: Operator) -> None:
    interrupted(operator)
    before = operator.record()
    with kept("latest", operator.folder) as keeping:
        assert keeping.would("m", 5, 600) == (
            f"Go on with the diagnosis {operator.identifier}, which has 1 complete round and used"
            f" {before['spent_s']:g} s: ask m, collect no complete round again, and return its resolution, in up to 5"
            " rounds and 600 s altogether."
        )
    assert operator.record() == before
    operator.run(resume="latest")
    with kept("latest", operator.folder) as keeping:
        assert keeping.would("m", 5, 600).startswith("Return the resolution that the diagnosis")


def test_what_placeholders_stand_for_is_beside_the_record(operator: Operator) -> None:
    operator.site.identities = {"[redacted:address:1]": "10.1.2.3"}
    operator.run()
    path = operator.folder / f"{operator.identifier}.identities"
    assert json.loads(path.read_text()) == operator.site.identities
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_kept_diagnosis_names_no_record_that_is_not_there() -> None:
    assert Kept(None, "No record.").how_to_go_on() == "No record."


def test_a_gateway_is_told_the_diagnosis_and_from_the_survey_on_the_host() -> None:
    one = Kept(None)
    assert one.tags() == {"diagnosis_id": one.identifier}
    one.note(host="[redacted:host:1]")
    assert one.tags() == {"diagnosis_id": one.identifier, "host": "[redacted:host:1]"}
