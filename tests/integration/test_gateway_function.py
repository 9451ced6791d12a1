# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role gateway_function and the module diagnosis_feedback, at the real gateway."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from gateway_setup import Provider, Wiretap, provider, started

from ansible_collections.nannyapi.diagnostics.plugins.module_utils.model.client import ChatClient
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.model.port import ModelError
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.model.prompt import SYSTEM_PROMPT
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.model.settings import FUNCTION_MODEL, completions_url
from playbooks import Ansible, Run

ANSWER = {
    "response_type": "resolution",
    "root_cause": "The disk is full.",
    "resolution_plan": "1. Make room.",
    "confidence": "High",
    "ebpf_evidence": "None was asked for.",
}
OPENING = {"system_information": {}, "ebpf_capabilities": {}, "limits": {}, "issue": "slow"}
ISSUE = [{"role": "user", "content": json.dumps(OPENING)}]


class Gateway:
    """What the role is given, for a folder of the test's; a provider answers behind it."""

    def __init__(self, ansible: Ansible, folder: Path, behind: Provider) -> None:
        self._ansible = ansible
        self.folder = folder / "function"
        self.restarted = folder / "restarted"
        server = {
            "type": "openai",
            "model_name": "x",
            "api_base": behind.address,
            "api_key_location": "none",
        }
        self.variables: dict[str, Any] = {
            "nannyapi_gateway_directory": str(self.folder),
            "nannyapi_gateway_models": {"local": {"routing": ["server"], "providers": {"server": server}}},
            "nannyapi_gateway_variants": {
                "fast": {"model": "local", "temperature": 0.25, "weight": 1},
                "careful": {"model": "local", "temperature": 0.75},
            },
            "nannyapi_gateway_restart_command": ["touch", str(self.restarted)],
        }

    def install(self, check: bool = False, **variables: Any) -> Run:
        role = {"ansible.builtin.include_role": {"name": "nannyapi.diagnostics.gateway_function"}}
        tasks = [{"block": [role], "check_mode": check}]
        return self._ansible.tasks(tasks, {**self.variables, **variables})


@pytest.fixture(name="behind")
def made_provider() -> Iterator[Provider]:
    with provider(json.dumps(ANSWER)) as behind:
        yield behind


@pytest.fixture(name="gateway")
def made_gateway(ansible: Ansible, tmp_path: Path, behind: Provider) -> Gateway:
    return Gateway(ansible, tmp_path, behind)


def test_what_the_role_installs_answers_by_the_variant_that_is_asked_for(gateway: Gateway, behind: Provider) -> None:
    looked = gateway.install(check=True)
    assert looked.status == 0
    assert "changed=0" not in looked.output
    assert not gateway.folder.exists()
    assert not gateway.restarted.exists()

    assert gateway.install().status == 0
    assert gateway.restarted.exists()
    gateway.restarted.unlink()
    assert "changed=0" in gateway.install().output
    assert not gateway.restarted.exists()

    (gateway.folder / "rest.toml").write_text("[gateway]\nobservability.enabled = false\n")
    wire = Wiretap()
    with started(gateway.folder) as endpoint:
        for name, temperature in (("", 0.25), ("::variant_name::careful", 0.75)):
            client = ChatClient(
                FUNCTION_MODEL + name, completions_url(endpoint), transport=wire, tags=lambda: {"host": "db1"}
            )
            assert json.loads(client.ask(ISSUE, 30).content) == ANSWER
            asked, answered = wire.exchanges[-1]
            assert asked["tensorzero::tags"] == {"host": "db1"}
            assert answered["model"].endswith(name or "::variant_name::fast")
            assert behind.requests[-1]["temperature"] == temperature
            assert behind.requests[-1]["messages"][0]["content"].strip() == SYSTEM_PROMPT.strip()
            strict = {**asked, "tensorzero::deny_unknown_fields": True}
            assert httpx.post(f"{endpoint}/chat/completions", json=strict).status_code == 200
        unknown = ChatClient(f"{FUNCTION_MODEL}::variant_name::other", completions_url(endpoint))
        with pytest.raises(ModelError, match="404") as refused:
            unknown.ask(ISSUE, 30)
    assert refused.value.kind == "refused"


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        ({"nannyapi_gateway_variants": {}}, "needs at least one variant"),
        ({"nannyapi_gateway_variants": {"a": {"weight": 1}}}, "The variant a in nannyapi_gateway_variants names no"),
        ({"nannyapi_gateway_variants": {"a": {"model": "m", "weight": 0}}}, "has the weight 0"),
        ({"nannyapi_gateway_variants": {"a": {"model": "m", "type": "x"}}}, "sets type"),
        ({"nannyapi_gateway_directory": "function"}, "Name it from the root on"),
    ],
)
def test_what_the_role_cannot_install_is_said_and_nothing_written(
    gateway: Gateway, variables: dict[str, Any], sentence: str
) -> None:
    refused = gateway.install(**variables)
    assert refused.status != 0
    assert sentence in " ".join(refused.output.split())
    assert not gateway.folder.exists()


def test_feedback_that_nobody_takes_is_said_on_either_side(gateway: Gateway, ansible: Ansible) -> None:
    assert gateway.install().status == 0
    (gateway.folder / "rest.toml").write_text("[gateway]\nobservability.enabled = false\n")
    with started(gateway.folder) as endpoint:
        wire = Wiretap()
        ChatClient(FUNCTION_MODEL, completions_url(endpoint), transport=wire).ask(ISSUE, 30)
        said = {
            "episode_id": wire.exchanges[0][1]["episode_id"],
            "correct": True,
            "comment": "It was so.",
            "endpoint": endpoint,
        }
        for side in ("host", "controller"):
            told = ansible.module("diagnosis_feedback", {**said, "model_access": side})
            assert told["failed"]
            # The gateway of the Python package answers chat completions alone.
            assert "What answers there takes no feedback" in told["msg"], told
            assert told["feedback_ids"] == {}
        nobody = ansible.module("diagnosis_feedback", {"correct": True})
        assert "Exactly one of diagnosis_id and episode_id" in nobody["msg"]
