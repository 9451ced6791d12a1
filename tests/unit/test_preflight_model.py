# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a preflight says of a model's answers."""

from __future__ import annotations

import json
from typing import Any, Union

import pytest

from ansible_collections.nannyapi.diagnostics.plugins.module_utils.model.port import Answer, ModelError
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.model.prompt import PROMPT_VERSION, SYSTEM_PROMPT
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.model.settings import FUNCTION_MODEL, Settings
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.preflight.model import ModelChecks
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.preflight.verdicts import CATEGORIES, Check

URL = "http://127.0.0.1:9/v1/chat/completions"
SECRET = "hunter2hunter2x9"
TOLD = {
    "system_information": {"hostname": "db1", "command_line": f"mysqld --password={SECRET}"},
    "capabilities": {"probe_types": {}},
}
COMMANDS = {"response_type": "diagnostic", "commands": ["ss -tan"]}
PROGRAMS = {**COMMANDS, "ebpf_programs": [{"target": "kprobe:tcp_connect"}]}
SOLVED = {
    "response_type": "resolution",
    "root_cause": "a",
    "resolution_plan": "b",
    "confidence": "Low",
    "ebpf_evidence": "",
}


class Scripted:
    """A model that answers from a script, and keeps what it was asked."""

    name = "scripted"
    overhead = 0

    def __init__(self, *script: Union[str, dict[str, Any], ModelError]) -> None:
        self._script = list(script)
        self.asked: list[list[dict[str, str]]] = []

    def ask(self, messages: list[dict[str, str]], timeout: float) -> Answer:
        assert timeout == 7
        self.asked.append(list(messages))
        line = self._script.pop(0)
        if isinstance(line, ModelError):
            raise line
        return Answer(line if isinstance(line, str) else json.dumps(line), model=f"{FUNCTION_MODEL}::variant_name::a")


def checks(model: Scripted, name: str = FUNCTION_MODEL) -> ModelChecks:
    return ModelChecks(Settings(name, URL), lambda: model, 7)


def prompt(answer: Union[str, dict[str, Any]], name: str = FUNCTION_MODEL) -> Check:
    return checks(Scripted(answer), name).answers()["prompt"]


def reply(*script: Union[str, dict[str, Any], ModelError]) -> Check:
    return checks(Scripted(*script)).reply("network", TOLD)


def test_the_version_of_the_prompt_is_in_the_prompt_and_follows_its_text() -> None:
    assert f'"reasoning": "prompt {PROMPT_VERSION}"' in SYSTEM_PROMPT
    assert len(PROMPT_VERSION) == 8


def test_a_function_with_our_prompt_is_known_by_its_version() -> None:
    found = prompt({**COMMANDS, "reasoning": f"prompt {PROMPT_VERSION}"})
    assert (found.verdict, found.remedy) == ("ok", None)
    assert "variant_name::a" in found.found


@pytest.mark.parametrize(
    ("answer", "verdict", "words"),
    [
        ({**COMMANDS, "reasoning": "prompt 0123abcd"}, "failed", "has the prompt 0123abcd"),
        ("Hello! How can I help?", "failed", "is not the function of this collection"),
        (COMMANDS, "limited", "does not say by which prompt"),
    ],
    ids=["older", "another function", "disobedient"],
)
def test_another_prompt_is_told_with_what_mends_it(
    answer: Union[str, dict[str, Any]], verdict: str, words: str
) -> None:
    found = prompt(answer)
    assert found.verdict == verdict
    assert words in found.found
    assert "gateway_function" in (found.remedy or "")


def test_to_a_plain_model_the_prompt_is_sent_so_its_version_is_known() -> None:
    assert prompt("whatever", "some-model").verdict == "ok"


def test_a_model_that_does_not_answer_fails_and_its_prompt_is_not_known() -> None:
    found = checks(Scripted(ModelError("It refused the key.", "refused"))).answers()
    assert (found["model"].verdict, found["model"].found) == ("failed", "It refused the key.")
    assert found["prompt"].verdict == "not tried"


@pytest.mark.parametrize(
    ("script", "verdict", "words"),
    [
        ([PROGRAMS], "ok", "kprobe tcp_connect"),
        ([COMMANDS], "limited", "1 commands and 0 eBPF programs"),
        ([SOLVED], "limited", "concluded at once"),
        (["{", PROGRAMS], "limited", "at the second attempt"),
        (["{", "}"], "failed", "No reply could be used"),
        ([ModelError("Too slow.", "timeout")], "failed", "Too slow."),
    ],
    ids=["usable", "no programs", "no evidence", "mended", "unusable", "no answer"],
)
def test_the_first_reply_to_an_issue_is_judged(script: list[Any], verdict: str, words: str) -> None:
    found = reply(*script)
    assert found.verdict == verdict
    assert words in found.found
    assert (found.remedy is None) == (verdict == "ok")


@pytest.mark.parametrize("category", list(CATEGORIES))
def test_the_model_is_told_of_the_host_as_in_a_diagnosis_and_of_no_secret(category: str) -> None:
    model = Scripted(PROGRAMS)
    checks(model).reply(category, TOLD)
    (message,) = model.asked[0]
    assert SECRET not in message["content"]
    opening = json.loads(message["content"])
    assert opening["issue"] == CATEGORIES[category]
    assert opening["system_information"]["hostname"] == "db1"
    assert set(opening) == {"system_information", "ebpf_capabilities", "limits", "issue"}
