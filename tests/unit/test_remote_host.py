# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the controller sends to a host that only collects, and what it needs itself."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import importlib.util
import json
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.errors import AnsibleConnectionFailure, AnsibleError
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar

from ansible_collections.nannyapi.diagnostics.plugins.module_utils import host_part
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.collecting import CollectOptions
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.diagnosis import SiteError
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.host_part import ARGUMENTS
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.redaction.redactor import Redactor
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.session import between_rounds
from ansible_collections.nannyapi.diagnostics.plugins.plugin_utils import controller_lead, controller_libraries
from ansible_collections.nannyapi.diagnostics.plugins.plugin_utils.remote_host import RemoteHost

REPOSITORY = Path(__file__).resolve().parents[2]
IDENTIFIER = "20260131T020304Z-1f2e3d4c"
PROGRAMS = "p" * 43_000


class Sent(list[dict[str, Any]]):
    """Takes the arguments of each call, and answers as a host would."""

    def __call__(self, arguments: dict[str, Any]) -> dict[str, Any]:
        self.append(arguments)
        results = [{"id": each["id"], "output": ""} for each in arguments.get("commands", [])]
        programs = {each["name"]: {} for each in arguments.get("programs", [])}
        return {"command_results": results, "ebpf_results": programs, "redacted": {"jwt": len(self)}}


def commands(number: int, length: int) -> list[dict[str, Any]]:
    return [{"id": f"c{each}", "command": '"' * length} for each in range(number)]


def test_an_ordinary_round_is_one_call_with_the_programs() -> None:
    sent = Sent()
    host = RemoteHost(sent, IDENTIFIER, {"lock_timeout": 900}, PROGRAMS)
    collected = host.collect(commands(16, 20), [{"name": "p"}], time.monotonic() + 30)
    (only,) = sent
    assert only["_bpf"] == PROGRAMS
    assert only["diagnosis_id"] == IDENTIFIER
    assert 25 < only["seconds"] <= 30
    assert only["lock_timeout"] <= 30
    assert only["lease_seconds"] > 180
    assert [each["id"] for each in collected["command_results"]] == [f"c{each}" for each in range(16)]
    assert host.redacted == {"jwt": 1}


def test_a_host_is_told_every_option_of_how_evidence_is_collected() -> None:
    options = {field.name for field in dataclasses.fields(CollectOptions)} - {"bundle"}
    assert options <= set(controller_lead._FOR_HOST)
    assert set(controller_lead._FOR_HOST) <= set(ARGUMENTS)
    given = dict.fromkeys(ARGUMENTS)
    given.update({name: f"the {name}" for name in options}, _bpf=None)
    made = host_part._options(given)
    assert all(getattr(made, name) == f"the {name}" for name in options)


def test_what_a_host_says_of_its_privileges_reaches_the_lead() -> None:
    privileges = {"privileges": {"mode": "least"}}
    told = {"issue": "slow", "system_information": {"hostname": "db1"}, "capabilities": {}, **privileges}
    host = RemoteHost(lambda arguments: told, IDENTIFIER, {"lock_timeout": 900}, PROGRAMS)
    assert host.survey("slow")["privileges"] == host.take_up()["privileges"] == {"mode": "least"}


def test_a_round_beyond_what_a_module_can_be_given_is_sent_in_several_calls() -> None:
    sent = Sent()
    host = RemoteHost(sent, IDENTIFIER, {"lock_timeout": 900}, PROGRAMS)
    collected = host.collect(commands(16, 2000), [{"name": "p"}], time.monotonic() + 30)
    assert len(sent) > 2
    assert all(len(json.dumps(each)) < 56 * 1024 for each in sent)
    assert ["_bpf" in each for each in sent] == [True] + [False] * (len(sent) - 1)
    assert [each["id"] for each in collected["command_results"]] == [f"c{each}" for each in range(16)]
    assert list(collected["ebpf_results"]) == ["p"]


def test_a_round_of_commands_alone_carries_no_programs() -> None:
    sent = Sent()
    RemoteHost(sent, IDENTIFIER, {"lock_timeout": 900}, PROGRAMS).collect(commands(2, 9), [], time.monotonic() + 30)
    assert "_bpf" not in sent[0]


def test_what_is_sent_is_what_the_module_takes_and_of_the_model_its_name_alone() -> None:
    sent = Sent()
    fixed = dict.fromkeys(controller_lead._FOR_HOST, 1)
    host = RemoteHost(sent, IDENTIFIER, fixed, PROGRAMS)
    host.collect(commands(1, 9), [{"name": "p"}], time.monotonic() + 30)
    host.end(resumable=True)
    assert len(sent) == 1  # nothing was begun, so nothing is ended
    assert sent[0].keys() <= ARGUMENTS.keys()
    assert not {"endpoint", "api_key", "_api_key", "_endpoint"} & (sent[0].keys() | ARGUMENTS.keys())


def test_a_host_that_fails_and_one_that_is_lost_are_told_as_sentences() -> None:
    def fails(arguments: dict[str, Any]) -> dict[str, Any]:
        return {"failed": True, "msg": "A diagnosis needs root."}

    def lost(arguments: dict[str, Any]) -> dict[str, Any]:
        raise AnsibleConnectionFailure("Connection\nreset by peer")

    with pytest.raises(SiteError, match=r"^A diagnosis needs root\.$"):
        RemoteHost(fails, IDENTIFIER, {"lock_timeout": 0}, "").survey("x")
    with pytest.raises(AnsibleConnectionFailure):  # for Ansible to call it unreachable
        RemoteHost(lost, IDENTIFIER, {"lock_timeout": 0}, "").survey("x")
    with pytest.raises(SiteError, match="could not be reached any more: Connection reset by peer"):
        RemoteHost(lost, IDENTIFIER, {"lock_timeout": 0}, "").collect([], [], time.monotonic() + 5)


@pytest.mark.parametrize(
    "said", ["failed to transfer file\n to /tmp: No space left", "Timeout (12s) waiting for become"]
)
def test_what_a_host_had_collected_when_it_failed_stays(said: str) -> None:
    sent = Sent()

    def full_at_the_second(arguments: dict[str, Any]) -> dict[str, Any]:
        if sent:
            raise AnsibleError(said)
        return sent(arguments)

    host = RemoteHost(full_at_the_second, IDENTIFIER, {"lock_timeout": 900}, PROGRAMS)
    with pytest.raises(SiteError) as failed:
        host.collect(commands(16, 2000), [{"name": "p"}], time.monotonic() + 30)
    assert str(failed.value) == f"The host could not do its part: {' '.join(said.split())}"
    assert failed.value.collected is not None
    assert list(failed.value.collected["ebpf_results"]) == ["p"]
    assert 0 < len(failed.value.collected["command_results"]) < 16
    with pytest.raises(SiteError, match="The host could not do its part"):
        RemoteHost(full_at_the_second, IDENTIFIER, {"lock_timeout": 0}, "").survey("x")


def test_a_user_without_a_home_is_told_what_to_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", homeless)
    for variable in ("XDG_STATE_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(variable, raising=False)
    with pytest.raises(SiteError, match="set HOME or XDG_STATE_HOME"):
        controller_lead.record_folder(None, "db1")
    assert controller_lead.record_folder(str(tmp_path), "db1") == tmp_path / "db1"
    assert controller_lead.servers_folder() is None


def test_waiting_for_the_lock_is_of_the_time_of_a_round() -> None:
    until = time.monotonic() + 5
    programs = [{"name": "long", "duration": 30}, {"name": "short", "duration": 2}, {"name": "odd", "duration": None}]
    long, short, odd = host_part._within(programs, until)
    assert 4 < long["duration"] <= 5
    assert (short["duration"], odd["duration"]) == (2, None)
    assert host_part._within(programs, until - 60)[0]["duration"] == 1


def test_a_round_goes_on_counting_where_the_one_before_ended(tmp_path: Path) -> None:
    places = (tmp_path / "disk", tmp_path / "memory")
    first = Redactor()
    assert first.text("password=hunter2hunter2x9") == "password=[redacted:password:1]"
    between_rounds.keep(IDENTIFIER, first, places)
    (kept,) = (tmp_path / "disk").iterdir()
    assert "hunter2" not in kept.read_text()
    assert kept.stat().st_mode & 0o777 == 0o600
    second = between_rounds.recall(IDENTIFIER, (), places)
    assert second.text("hunter2hunter2x9 again") == "[redacted:password:1] again"
    assert second.text("password=another4secret4") == "password=[redacted:password:2]"
    between_rounds.forget(IDENTIFIER, places)
    assert list((tmp_path / "disk").iterdir()) == []
    with pytest.raises(between_rounds.Forgotten, match="knows nothing of the diagnosis 20260131T020304Z-1f2e3d4c"):
        between_rounds.recall(IDENTIFIER, (), places)


def test_a_disk_that_cannot_be_written_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    places = (tmp_path / "file" / "disk", tmp_path / "memory")
    between_rounds.keep(IDENTIFIER, Redactor(), places)
    assert between_rounds.recall(IDENTIFIER, (), places).counts == {}
    with pytest.raises(NotADirectoryError):
        between_rounds.keep(IDENTIFIER, Redactor(), places[:1])


def test_rounds_that_nobody_ended_are_forgotten_in_time(tmp_path: Path) -> None:
    for number in range(55):
        between_rounds.keep(f"20260131T0203{number:02d}Z-1f2e3d4c", Redactor(), (tmp_path,))
    between_rounds.prune((tmp_path,))
    assert len(list(tmp_path.iterdir())) == 50


def test_libraries_that_the_controller_lacks_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    assert controller_libraries.missing() is None
    with monkeypatch.context() as patched:
        patched.setattr(importlib.metadata, "version", lambda name: "1.10.2")
        assert "has no pydantic 2 (there is version 1)" in str(controller_libraries.missing())
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert "which has no httpx and no pydantic" in str(controller_libraries.missing())
    assert "meta/ee-requirements.txt" in str(controller_libraries.missing())


def test_an_execution_environment_gets_the_versions_that_hosts_get() -> None:
    described = yaml.safe_load((REPOSITORY / "meta" / "execution-environment.yml").read_text())
    listed = (REPOSITORY / described["dependencies"]["python"]).read_text().splitlines()
    wanted = [line for line in listed if line and not line.startswith("#")]
    role = yaml.safe_load((REPOSITORY / "roles" / "runtime" / "defaults" / "main.yml").read_text())
    on_hosts = role["nannyapi_runtime_python_packages"]
    assert [line.partition("==")[0] for line in wanted] == list(controller_libraries.LIBRARIES)
    assert set(wanted) <= set(on_hosts)


def test_records_are_where_the_task_says_or_in_the_users_own_place(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert controller_lead.record_folder(None, "db1") == tmp_path / ".local/state/nannyapi/diagnostics/db1"
    assert controller_lead.record_folder("~/kept", "../a b") == tmp_path / "kept" / "_a_b"
    monkeypatch.setenv("XDG_STATE_HOME", "/state")
    assert controller_lead.record_folder(None, "..") == Path("/state/nannyapi/diagnostics/_")


@pytest.mark.parametrize(("asks", "left"), [(True, ["httpx", "pydantic", "bashlex"]), (False, ["bashlex"])])
def test_hosts_that_do_not_ask_get_no_libraries_for_it(asks: bool, left: list[str]) -> None:
    role = REPOSITORY / "roles" / "runtime"
    variables = yaml.safe_load((role / "defaults" / "main.yml").read_text())
    variables["nannyapi_runtime_asks_model"] = asks
    template = yaml.safe_load((role / "vars" / "main.yml").read_text())["__nannyapi_runtime_libraries"]
    rendered = Templar(loader=DataLoader(), variables=variables).template(template)
    assert [each.partition("==")[0] for each in rendered] == left
