# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbook preflight on this machine: at the real gateway, from either side, and where something is amiss."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from gateway_setup import Provider, gateway, provider

from ansible_collections.nannyapi.diagnostics.plugins.module_utils.model.prompt import PROMPT_VERSION
from playbooks import LOCAL, Ansible, Run

PREFLIGHT = "nannyapi.diagnostics.preflight"
CATEGORIES = ["network", "process", "file_io", "performance", "memory"]
LOCALLY = LOCAL.partition(" ")[2].strip()
NOBODY = "ansible_connection=ssh ansible_host=127.0.0.1 ansible_port=9"
DIAGNOSTIC = {
    "response_type": "diagnostic",
    "reasoning": "see who connects where",
    "commands": [{"id": "sockets", "command": "ss -tan", "description": "who is connected"}],
    "ebpf_programs": [
        {"name": "connects", "type": "tracepoint", "target": "syscalls/sys_enter_connect", "duration": 10}
    ],
}


class Obedient(Provider):
    """A model that does what its prompt says of a preflight, and asks for evidence otherwise."""

    def answer(self, request: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        system, asked = request["messages"][0]["content"], json.loads(request["messages"][-1]["content"])
        version = re.search(r"prompt [0-9a-f]{8}", system)
        if "preflight" in asked and version:
            said: dict[str, Any] = {**DIAGNOSTIC, "reasoning": version[0], "ebpf_programs": []}
        else:
            said = DIAGNOSTIC
        self.script = [json.dumps(said)]
        return super().answer(request)


@contextmanager
def obedient() -> Iterator[Provider]:
    with provider("") as scripted:
        scripted.__class__ = Obedient
        yield scripted


def run(ansible: Ansible, folder: Path, variables: Any = None, environment: Any = None, hosts: Any = None) -> Any:
    """The playbook's run, and what its report says of each host."""
    inventory = None
    if hosts:
        inventory = folder / "hosts.ini"
        inventory.write_text("".join(f"{name} {its}\n" for name, its in hosts.items()))
    given = {"nannyapi_reports_dir": str(folder / "reports"), **(variables or {})}
    ran = ansible.playbook(PREFLIGHT, inventory, given, environment)
    return ran, json.loads((folder / "reports" / "preflight.json").read_text())["hosts"]


def verdicts(entry: dict[str, Any]) -> dict[str, str]:
    return {name: check["verdict"] for name, check in entry["checks"].items()}


@pytest.mark.parametrize("side", ["host", "controller"])
def test_a_host_and_the_real_gateway_are_ready_from_either_side(ansible: Ansible, tmp_path: Path, side: str) -> None:
    with obedient() as behind, gateway(behind.address, tmp_path) as endpoint:
        ran, hosts = run(
            ansible, tmp_path, {"nannyapi_model_access": side}, {"NANNYAPI_ENDPOINT": endpoint}, {"db1": LOCALLY}
        )
    assert ran.status == 0
    found = verdicts(hosts["db1"])
    assert [found[name] for name in ("setup", "privileges", "policy", "records", "model", "prompt")] == ["ok"] * 6
    assert [found[name] for name in CATEGORIES] == ["ok"] * 5
    assert found["probes"] != "failed"
    assert f"version {PROMPT_VERSION}" in hosts["db1"]["checks"]["prompt"]["found"]
    assert "variant_name::default" in hosts["db1"]["checks"]["prompt"]["found"]
    assert "tracepoint syscalls/sys_enter_connect" in hosts["db1"]["checks"]["memory"]["found"]
    # One request for model and prompt, one for each category; what the model is told of is this host.
    assert len(behind.requests) == 6
    opening = json.loads(behind.requests[-1]["messages"][-1]["content"])
    assert opening["system_information"]["kernel"]
    assert opening["ebpf_capabilities"]["probe_types"]["tracepoint"]["available"] is True
    assert "db1: network: ok" in ran.output


@pytest.mark.parametrize("side", ["host", "controller"])
def test_hosts_that_ask_the_same_model_ask_about_its_replies_once(ansible: Ansible, tmp_path: Path, side: str) -> None:
    hosts = {"db1": LOCALLY, "db2": LOCALLY, "absent": NOBODY}
    with obedient() as behind:
        ran, found = run(
            ansible,
            tmp_path,
            {"nannyapi_model_access": side},
            {"NANNYAPI_ENDPOINT": behind.address, "NANNYAPI_MODEL": "some-model"},
            hosts,
        )
    assert ran.status != 0
    assert found["absent"]["status"] == "unreachable"
    assert "onnection refused" in found["absent"]["error"]
    for host in ("db1", "db2"):
        assert [verdicts(found[host])[name] for name in ("model", *CATEGORIES)] == ["ok"] * 6
    assert found["db2"]["asked_from"] == "db1"
    assert "goes with every request" in found["db1"]["checks"]["prompt"]["found"]
    # From the hosts each one tries its own way to the model; the replies are asked for once.
    assert len(behind.requests) == (7 if side == "host" else 6)
    assert "Preflight of 3 hosts" in ran.output
    assert re.search(r"• unreachable, absent\n", ran.output)


def test_another_prompt_at_the_gateway_is_told_and_what_mends_it(ansible: Ansible, tmp_path: Path) -> None:
    with obedient() as behind, older_gateway(behind.address, tmp_path) as endpoint:
        ran, hosts = run(ansible, tmp_path, {"nannyapi_live_replies": False}, {"NANNYAPI_ENDPOINT": endpoint})
    assert ran.status != 0
    prompt = hosts["localhost"]["checks"]["prompt"]
    assert prompt["verdict"] == "failed"
    assert f"has the prompt 0123abcd, and this collection's is {PROMPT_VERSION}" in prompt["found"]
    assert "gateway_function" in prompt["remedy"]
    assert "network" not in hosts["localhost"]["checks"]


@contextmanager
def older_gateway(api_base: str, folder: Path) -> Iterator[str]:
    """The gateway with a prompt of another version of the collection."""
    with gateway(api_base, folder):
        """The files are there now; a gateway reads them when it starts."""
    prompt = folder / "system_prompt.minijinja"
    prompt.write_text(prompt.read_text().replace(PROMPT_VERSION, "0123abcd"))
    from gateway_setup import started

    with started(folder) as endpoint:
        yield endpoint


def test_a_model_that_cannot_be_asked_is_told_and_nothing_else_is_lost(ansible: Ansible, tmp_path: Path) -> None:
    with provider(401) as behind:
        environment = {
            "NANNYAPI_ENDPOINT": behind.address,
            "NANNYAPI_MODEL": "some-model",
            "NANNYAPI_API_KEY": "sk-wrong",
        }
        ran, hosts = run(ansible, tmp_path, environment=environment)
    assert ran.status != 0
    checks = hosts["localhost"]["checks"]
    assert checks["model"]["verdict"] == "failed"
    assert "401" in checks["model"]["found"]
    assert "sk-wrong" not in ran.output
    assert checks["prompt"]["verdict"] == "not tried"
    assert not set(CATEGORIES) & set(checks)
    assert checks["privileges"]["verdict"] == "ok"
    assert "To be mended:" in ran.output


def test_settings_that_name_no_model_that_could_be_asked_are_told(ansible: Ansible, tmp_path: Path) -> None:
    # From the controller one of them asks, for both.
    variables = {"nannyapi_model_access": "controller"}
    ran, hosts = run(ansible, tmp_path, variables, {"NANNYAPI_MODEL": "some-model"}, {"db1": LOCALLY, "db2": LOCALLY})
    assert ran.status != 0
    for host in ("db1", "db2"):
        assert hosts[host]["status"] == "failed"
        assert "no endpoint to ask it at" in hosts[host]["checks"]["model"]["found"]


def test_replies_that_cannot_be_used_are_told_category_by_category(ansible: Ansible, tmp_path: Path) -> None:
    good = json.dumps(DIAGNOSTIC)
    script = ["{", good, '{"response_type": "perhaps"}', good, good, "no", "no", good, good]
    with provider(*script) as behind:
        ran, hosts = run(
            ansible, tmp_path, environment={"NANNYAPI_ENDPOINT": behind.address, "NANNYAPI_MODEL": "some-model"}
        )
    found = verdicts(hosts["localhost"])
    assert [found[name] for name in CATEGORIES] == ["ok", "limited", "ok", "failed", "ok"]
    checks = hosts["localhost"]["checks"]
    assert '"response_type" is "perhaps"' in checks["process"]["found"]
    assert "holds no JSON object" in checks["performance"]["found"]
    assert ran.status != 0


def test_requests_of_a_preflight_are_on_record(ansible: Ansible) -> None:
    log = Path("/var/log/nannyapi/diagnostics.jsonl")
    before = len(log.read_text().splitlines()) if log.exists() else 0
    with obedient() as behind:
        arguments = {"checks": ["model"], "endpoint": behind.address, "model": "some-model"}
        assert ansible.module("preflight_info", arguments)["checks"]["model"]["verdict"] == "ok"
    lines = [json.loads(line) for line in log.read_text().splitlines()[before:]]
    actions = [line["action"] for line in lines]
    assert actions == ["preflight_started", "request_started", "request_ended", "preflight_ended"]
    assert lines[-1]["requests"] == 1
    assert lines[-1]["bytes_sent"] == lines[-2]["bytes_sent"] > 1000


def test_check_mode_asks_and_attaches_nothing(ansible: Ansible, tmp_path: Path) -> None:
    with obedient() as behind:
        variables = {"nannyapi_reports_dir": str(tmp_path / "reports")}
        command = ansible.command(PREFLIGHT, ansible.local, variables)
        environment = ansible.environment({"NANNYAPI_ENDPOINT": behind.address, "NANNYAPI_MODEL": "m"})
        done = subprocess.run([*command, "--check"], env=environment, capture_output=True, text=True, check=False)
    ran = Run(done.returncode, done.stdout)
    assert ran.status == 0, ran.output
    assert behind.requests == []
    assert "not tried" in ran.output
    assert not (tmp_path / "reports").exists()


def test_the_offline_diagnostician_is_ready_by_itself(ansible: Ansible, tmp_path: Path) -> None:
    ran, hosts = run(ansible, tmp_path)
    assert ran.status == 0
    found = verdicts(hosts["localhost"])
    assert [found[name] for name in ("model", "prompt", *CATEGORIES)] == ["ok"] * 7


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [({"answer_seconds": 0}, "answer_seconds is 0; it can be 1 to 600"), ({"checks": ["moon"]}, "moon")],
)
def test_what_makes_no_sense_is_said_on_either_side(ansible: Ansible, arguments: dict[str, Any], sentence: str) -> None:
    for side in ("host", "controller"):
        result = ansible.module("preflight_info", {**arguments, "model_access": side})
        assert result["failed"]
        assert sentence in result["msg"]
        assert "Traceback" not in json.dumps(result)
