# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One set of tests for both ways of leading a diagnosis: in one process, and by parts that are a process each.

What Ansible does between the two is left out here: parts are processes that are given their arguments as JSON and
answer in JSON, as modules are. `test_model_access.py` has all of it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from kernel_state import await_true

from ansible_collections.nannyapi.diagnostics.plugins.module_utils import diagnosis
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.collecting import CollectOptions, Host
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.bundle import Bundle
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.host_part import ARGUMENTS
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.keeping import kept
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.loop import LoopLimits
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.model.port import Answer, ModelError
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.redaction.redactor import Redactor
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.session import between_rounds, record
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.session.actions import ActionLog
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.session.ending import Ending
from ansible_collections.nannyapi.diagnostics.plugins.plugin_utils.remote_host import RemoteHost

SECRET = "hunter2hunter2x9"
OTHER = "correct4horse4battery"
PART = """
import json, sys
from ansible_collections.nannyapi.diagnostics.plugins.module_utils import host_part
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.session.ending import Ending
try:
    print(json.dumps(host_part.run(json.load(sys.stdin), Ending(), lambda event: None)))
except host_part.PROBLEMS as error:
    print(json.dumps({"failed": True, "msg": host_part.sentence(error)}))
assert "pydantic" not in sys.modules and "httpx" not in sys.modules
"""
SOLVED = {
    "response_type": "resolution",
    "root_cause": "the service is down",
    "resolution_plan": "1. Start it.",
    "confidence": "Low",
    "ebpf_evidence": "",
}


def looks(*lines: str, **programs: Any) -> dict[str, Any]:
    """A reply that asks for commands, and for eBPF programs by name."""
    commands = [{"id": f"c{number}", "command": line} for number, line in enumerate(lines)]
    return {
        "response_type": "diagnostic",
        "reasoning": "look",
        "commands": commands,
        "ebpf_programs": [{"name": name, "type": "tracepoint", **each} for name, each in programs.items()],
    }


@dataclass
class Scripted:
    """A model that says what its script says, the last line again and again."""

    script: list[Any]
    name: str = "scripted"
    overhead: int = 0
    told: list[dict[str, Any]] = field(default_factory=list)

    def ask(self, messages: list[dict[str, str]], timeout: float) -> Answer:
        self.told.append(json.loads(messages[-1]["content"]))
        line = self.script[min(len(self.told), len(self.script)) - 1]
        if isinstance(line, Exception):
            raise line
        return Answer(line if isinstance(line, str) else json.dumps(line), 100, 10)


@dataclass
class Led:
    """How a diagnosis went; `result` also where there was no resolution."""

    result: dict[str, Any]
    model: Scripted
    error: str | None = None


Lead = Callable[..., Led]


@pytest.fixture(params=["host", "controller"])
def lead(request: pytest.FixtureRequest, bundle: Bundle, tmp_path: Path) -> Lead:
    """Leads a diagnosis with a scripted model on this machine, from either side."""

    def run(*script: Any, redact: tuple[str, ...] = (), issue: str = "it is down", **limits: Any) -> Led:
        model = Scripted(list(script))
        with kept("", tmp_path) as keeping:
            how = diagnosis.Lead(keeping, LoopLimits(**limits), redact)
            return on_a_side(issue, how, model, redact)

    def on_a_side(issue: str, how: diagnosis.Lead, model: Scripted, redact: tuple[str, ...]) -> Led:
        identifier = how.keeping.identifier
        if request.param == "host":
            options = CollectOptions(bundle, trace_seconds=60, command_seconds=30, output_bytes=65536)
            redactor = Redactor(redact)
            actions = ActionLog(identifier, redact=redactor.value)
            with Host(options, redactor, Ending(), lambda event: None, actions) as host:
                return led(issue, how, model, host)
        remote = RemoteHost(part, identifier, {"lock_timeout": 60, "redact": list(redact)}, bundle.pack())
        try:
            return led(issue, how, model, remote)
        finally:
            remote.end(resumable=False)

    return run


def environment() -> dict[str, str]:
    """With the collection, for a process of its own."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}


def part(arguments: dict[str, Any]) -> dict[str, Any]:
    """A part of a host's, as the module does it."""
    checked = ArgumentSpecValidator(ARGUMENTS).validate(arguments)
    assert not checked.error_messages
    given = json.dumps(checked.validated_parameters)
    done = subprocess.run(
        [sys.executable, "-c", PART], input=given, stdout=subprocess.PIPE, text=True, check=True, env=environment()
    )
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def led(issue: str, how: diagnosis.Lead, model: Scripted, site: diagnosis.Site) -> Led:
    try:
        return Led(diagnosis.lead(issue, how, model, site, lambda event: None), model)
    except diagnosis.DiagnosisError as error:
        return Led(error.result, model, str(error))


CONNECTS = {"target": "syscalls/sys_enter_connect", "duration": 1}


def test_evidence_of_all_rounds_comes_to_the_model_and_into_the_result(lead: Lead) -> None:
    done = lead(looks("cat /proc/loadavg", c=CONNECTS), looks("cat /proc/uptime", c=CONNECTS), SOLVED)
    assert done.result["resolution"] == SOLVED
    assert [sorted({*told} - {"notes"}) for told in done.model.told] == [
        ["ebpf_capabilities", "issue", "limits", "system_information"],
        ["command_results", "ebpf_results", "remaining"],
        ["command_results", "ebpf_results", "remaining"],
    ]
    assert [each["exit_code"] for each in done.result["command_results"]] == [0, 0]
    assert [each["duration_s"] >= 1 for each in done.result["ebpf_results"].values()] == [True, True]
    assert len(done.result["rounds"]) == 2
    assert done.result["sandbox"]["commands"] == "sandboxed"
    kept = json.loads(Path(done.result["record"]).read_text())
    assert kept["command_results"] == done.result["command_results"]


def test_the_same_secret_has_one_placeholder_in_all_rounds_and_another_has_another(lead: Lead, tmp_path: Path) -> None:
    for name, text in (("a", f"password={SECRET}"), ("b", f"{SECRET} again"), ("c", f"password={OTHER}")):
        Path(f"/run/nannyapi-test-{name}").write_text(text + "\n")
    try:
        rounds = [looks(f"cat /run/nannyapi-test-{name}") for name in "abc"]
        done = lead(*rounds, SOLVED)
    finally:
        for name in "abc":
            Path(f"/run/nannyapi-test-{name}").unlink()
    outputs = [each["output"].strip() for each in done.result["command_results"]]
    assert outputs == [
        "password=[redacted:password:1]",
        "[redacted:password:1] again",
        "password=[redacted:password:2]",
    ]
    assert done.result["redacted"] == {"password": 2}


def test_a_model_may_use_in_a_later_round_what_stands_for_an_address(lead: Lead) -> None:
    address, name = "203.0.113.77", "/run/nannyapi-test-address"
    Path(name).write_text(f"peer {address}\n")
    try:
        # Of the issue, for the machine's own addresses have numbers too.
        issue = f"{address} does not answer"
        done = lead(
            looks(f"cat {name}"),
            looks(f"grep -cF '[redacted:address:1]' {name}"),
            SOLVED,
            redact=("addresses",),
            issue=issue,
        )
    finally:
        Path(name).unlink()
    assert address not in json.dumps([done.result, done.model.told])
    shown, counted = (each["output"].strip() for each in done.result["command_results"])
    assert shown == "peer [redacted:address:1]"
    assert counted == "1"


def test_what_is_refused_and_what_cannot_be_traced_are_results(lead: Lead) -> None:
    wrong = {"target": "tcp/tcp_conect", "duration": 1}
    done = lead(looks("rm -rf /", "cat /etc/shadow", w=wrong), SOLVED)
    assert [each.get("refused") for each in done.result["command_results"]] == [True, True]
    (result,) = done.result["ebpf_results"].values()
    assert "no tracepoint tcp/tcp_conect" in result["error"]
    assert done.result["resolution"] == SOLVED


def test_replies_that_cannot_be_used_are_repaired(lead: Lead) -> None:
    done = lead("what?", looks("cat /proc/loadavg"), "{}", SOLVED)
    assert [sorted(told) for told in done.model.told][1] == ["repair"]
    assert done.result["resolution"] == SOLVED


def test_what_was_collected_comes_back_with_a_models_failure(lead: Lead) -> None:
    done = lead(looks("cat /proc/loadavg", c=CONNECTS), ModelError("The server says 401.", "refused"))
    assert done.error
    assert done.error.startswith("The server says 401.")
    assert done.result["ended"] == "model_error"
    assert [each["id"] for each in done.result["command_results"]] == ["c0"]
    assert len(done.result["ebpf_results"]) == 1
    assert Path(done.result["record"]).exists()


def test_limits_of_rounds_and_time_hold(lead: Lead) -> None:
    done = lead(looks("cat /proc/loadavg"), SOLVED, rounds=1)
    assert done.result["ended"] == "round_limit"
    short = lead(looks(c={**CONNECTS, "duration": 100}), SOLVED, seconds=20, reserve_seconds=4)
    assert short.result["resolution"] == SOLVED
    (result,) = short.result["ebpf_results"].values()
    assert result["duration_s"] < 15


def test_a_round_of_very_long_commands_is_run_whole(lead: Lead) -> None:
    long = [f"echo {number} {'x' * 1900}" for number in range(16)]
    done = lead(looks(*long, c=CONNECTS), SOLVED)
    assert [each["command"] for each in done.result["command_results"]] == long
    assert [each["id"] for each in done.result["command_results"]] == [f"c{number}" for number in range(16)]
    assert len(done.result["ebpf_results"]) == 1


def test_nothing_of_a_diagnosis_stays_on_the_host_but_its_record(lead: Lead) -> None:
    done = lead(looks("cat /proc/loadavg"), SOLVED)
    for place in between_rounds.PLACES:
        kept_there = place.iterdir() if place.exists() else ()
        assert not [each.name for each in kept_there if done.result["diagnosis_id"] in each.name]


def test_between_its_rounds_a_host_is_nobody_elses() -> None:
    identifier, other = record.new_id(), record.new_id()
    begin = {"part": "begin", "lease_seconds": 60, "issue": "slow disk", "lock_timeout": 60}
    assert "system_information" in part({**begin, "diagnosis_id": identifier})
    refused = part({**begin, "diagnosis_id": other, "lock_timeout": 0})
    assert "'slow disk', led from a controller" in refused["msg"]
    round_made = {"part": "round", "lease_seconds": 60, "lock_timeout": 0, "seconds": 5}
    assert part({**round_made, "diagnosis_id": identifier})["command_results"] == []
    assert part({"part": "end", "diagnosis_id": identifier}) == {"identities": None}
    unknown = part({**round_made, "diagnosis_id": identifier, "lock_timeout": 60})
    assert "knows nothing of the diagnosis" in unknown["msg"]
    assert "system_information" in part({**begin, "diagnosis_id": other})
    part({"part": "end", "diagnosis_id": other})


def measuring() -> bool:
    return subprocess.run(["pgrep", "-f", "^vmstat 3 20"], stdout=subprocess.DEVNULL, check=False).returncode == 0


def test_the_end_stops_a_round_that_nobody_waits_for(bundle: Bundle) -> None:
    identifier = record.new_id()
    part({"part": "begin", "diagnosis_id": identifier, "lease_seconds": 60})
    long = {"part": "round", "diagnosis_id": identifier, "commands": [{"id": "s", "command": "vmstat 3 20"}]}
    given = json.dumps(ArgumentSpecValidator(ARGUMENTS).validate({**long, "command_seconds": 60}).validated_parameters)
    watched = PART.replace("try:", "ending = Ending()\nending.watch()\ntry:", 1).replace(", Ending(),", ", ending,")
    pipe = subprocess.PIPE
    running = subprocess.Popen([sys.executable, "-c", watched], stdin=pipe, stdout=pipe, text=True, env=environment())
    answered: list[str] = []
    thread = threading.Thread(target=lambda: answered.append(running.communicate(given)[0]))
    thread.start()
    await_true(measuring)
    part({"part": "end", "diagnosis_id": identifier})
    thread.join(20)
    assert "stopped by SIGTERM" in json.loads(answered[0])["msg"]
