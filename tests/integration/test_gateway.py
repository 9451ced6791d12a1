# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A diagnosis of this machine through the real gateway: with a script behind it, and with a small real model.

Commands run and programs trace for real. Every request is checked against the published schemas on its way.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from gateway_setup import ROOT, Wiretap, gateway, provider, started

from ansible_collections.nannyapi.diagnostics.plugins.module_utils import protocol_schema
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.commands.policy import Policy
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.commands.runner import Limits
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.bundle import Bundle
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.capability import survey
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.tracer import Tracer
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.evidence.collector import Collector
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.evidence.system import system_information
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.loop import LoopLimits, diagnose
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.model.client import ChatClient
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.model.port import ModelError
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.model.prompt import SYSTEM_PROMPT
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.model.settings import FUNCTION_MODEL, completions_url

DATABASE = json.loads((Path(__file__).parent / "cases" / "database_example.json").read_text("utf-8"))
QUICK = LoopLimits(trace_seconds=3, seconds=120, corrections=0)
CONNECTING = """
import errno, socket, time
while True:
    with socket.socket() as s:
        assert s.connect_ex(("127.0.0.1", {port})) == errno.ECONNREFUSED
    time.sleep(0.05)
"""


def run(
    endpoint: str,
    issue: str,
    wire: httpx.BaseTransport,
    limits: LoopLimits = QUICK,
    host: dict[str, Any] | None = None,
    **client: Any,
) -> dict[str, Any]:
    """A diagnosis of this machine at *endpoint*, everything real but what *host* says instead of it."""
    model = ChatClient(client.pop("model", FUNCTION_MODEL), completions_url(endpoint), transport=wire, **client)
    collector = Collector(
        Tracer(Bundle.from_directory(ROOT / "bpf"), own_roots=[]),
        Policy.default(),
        Limits(seconds=5, output_bytes=20_000),
    )
    return diagnose(
        issue=issue,
        system_information=system_information() if host is None else host,
        capabilities=survey() if host is None else {},
        model=model,
        collect=collector.collect,
        limits=limits,
        progress=lambda event: None,
    )


@pytest.fixture(name="refused")
def _refused() -> Iterator[tuple[int, int]]:
    """A process that keeps connecting to a closed port: its pid and the port."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port = held.getsockname()[1]
        process = subprocess.Popen([sys.executable, "-c", CONNECTING.format(port=port)])
        try:
            yield process.pid, port
            assert process.poll() is None
        finally:
            process.kill()
            process.wait()


def test_the_database_example_goes_from_the_issue_to_its_resolution(tmp_path: Path, refused: tuple[int, int]) -> None:
    pid, port = refused
    wire = Wiretap()
    replies = [json.dumps(reply) for reply in DATABASE["replies"]]
    with provider(*replies) as scripted, gateway(scripted.address, tmp_path) as endpoint:
        result = run(endpoint, DATABASE["issue"], wire, replace(QUICK, corrections=1))

    assert (result["ended"], result["error"]) == ("resolution", None)
    assert result["resolution"] == DATABASE["replies"][1]
    assert result["usage"]["prompt_tokens"] == 300
    assert [each["id"] for each in result["command_results"]] == ["db_connections", "dns_check"]

    (asked, answered), (evidence_sent, answered_last), (correction, _corrected) = wire.exchanges
    assert "tensorzero::episode_id" not in asked
    assert evidence_sent["tensorzero::episode_id"] == answered["episode_id"] == answered_last["episode_id"]
    assert result["episode_id"] == answered["episode_id"]

    # The example's figures are not this machine's: the model is told so, once, and what it leaves is shown.
    told_missing = [each["claim"] for each in json.loads(correction["messages"][-1]["content"])["unsupported"]]
    assert told_missing == [each["claim"] for each in result["grounding"]["unsupported"]]
    assert told_missing

    first, second, _third = scripted.requests
    assert [message["role"] for message in first["messages"]] == ["system", "user"]
    assert first["messages"][0]["content"].strip() == SYSTEM_PROMPT.strip()
    assert [message["role"] for message in second["messages"]] == ["system", "user", "assistant", "user"]
    assert json.loads(second["messages"][2]["content"]) == DATABASE["replies"][0]

    told = json.loads(second["messages"][3]["content"])
    assert told["ebpf_results"].keys() == result["ebpf_results"].keys()
    by_name = {each["program_name"]: each for each in told["ebpf_results"].values()}
    connects = by_name["dns_queries"]
    assert "error" not in connects
    assert connects["event_count"] >= 10
    assert any(event["process_id"] == pid for event in connects["events"])
    assert f"127.0.0.1:{port}" in json.dumps(connects)
    kprobe = by_name["tcp_connect_db"]
    assert kprobe.keys() >= {"event_count", "events", "summary"}
    assert kprobe.get("error") or kprobe["attached_to"]


def test_a_reply_that_breaks_the_contract_passes_the_gateway_and_is_repaired(tmp_path: Path) -> None:
    wire = Wiretap()
    last = json.dumps(DATABASE["replies"][1])
    with (
        provider('{"response_type": "wrong"}', "no JSON", last) as scripted,
        gateway(scripted.address, tmp_path) as url,
    ):
        result = run(url, "slow", wire)
    assert result["ended"] == "resolution"
    repairs = [json.loads(body["messages"][-1]["content"])["repair"] for body, _answer in wire.exchanges[1:]]
    assert '"response_type" is "wrong"' in repairs[0]
    assert "no JSON object" in repairs[1]
    assert len({body.get("tensorzero::episode_id") for body, _answer in wire.exchanges[1:]}) == 1


def test_the_gateway_knows_every_field_that_is_sent(tmp_path: Path) -> None:
    wire = Wiretap()
    replies = [json.dumps(reply) for reply in DATABASE["replies"]]
    with provider(*replies) as scripted, gateway(scripted.address, tmp_path) as endpoint:
        run(endpoint, "slow", wire, replace(QUICK, trace_seconds=1))
        assert len(wire.exchanges) == 2
        for body, _answer in wire.exchanges:
            strict = {**body, "tensorzero::deny_unknown_fields": True}
            assert httpx.post(f"{endpoint}/chat/completions", json=strict).status_code == 200
            unknown = {**strict, "unknown": 1}
            assert httpx.post(f"{endpoint}/chat/completions", json=unknown).status_code == 400


def test_the_shipped_files_start_a_gateway_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODEL_SERVER_API_KEY", "of-the-gateway")
    with started(ROOT / "tensorzero") as endpoint:
        unknown = httpx.post(
            f"{endpoint}/chat/completions", json={"model": "tensorzero::function_name::other", "messages": []}
        )
    assert unknown.status_code == 404


def test_a_model_of_the_gateway_gets_the_prompt_from_the_host(tmp_path: Path) -> None:
    wire = Wiretap()
    with provider(json.dumps(DATABASE["replies"][1])) as scripted, gateway(scripted.address, tmp_path) as endpoint:
        result = run(endpoint, "slow", wire, model="tensorzero::model_name::diagnostician")
    assert result["ended"] == "resolution"
    assert scripted.requests[0]["messages"][0] == {"role": "system", "content": SYSTEM_PROMPT}


@pytest.mark.parametrize("takes", [True, False])
def test_a_model_of_the_gateway_gets_the_schema_where_its_provider_takes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, takes: bool
) -> None:
    with provider("{}") as behind, gateway(behind.address, tmp_path) as endpoint:
        answer = behind.answer

        def refuse(request: dict[str, Any]) -> tuple[int, dict[str, Any]]:
            if takes or "response_format" not in request:
                return answer(request)
            behind.requests.append(request)
            return 400, {
                "error": {"message": "response_format json_schema is not supported", "type": "x", "code": None}
            }

        monkeypatch.setattr(behind, "answer", refuse)
        client = ChatClient("tensorzero::model_name::diagnostician", completions_url(endpoint))
        for _time in range(2):
            assert client.ask([{"role": "user", "content": "{}"}], 30).content == "{}"
    # The gateway tells its provider's refusal as a failure of its own.
    assert ["response_format" in request for request in behind.requests] == (
        [True] * 2 if takes else [True, False, False]
    )


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_provider_that_recovers_behind_the_gateway_costs_only_time(tmp_path: Path, status: int) -> None:
    pauses: list[float] = []
    last = json.dumps(DATABASE["replies"][1])
    with provider(status, status, last) as scripted, gateway(scripted.address, tmp_path) as endpoint:
        result = run(endpoint, "slow", httpx.HTTPTransport(), sleep=pauses.append)
    assert result["ended"] == "resolution"
    assert len(pauses) == 2


def test_a_provider_that_fails_for_good_is_explained_in_the_gateways_words(tmp_path: Path) -> None:
    with provider(429) as scripted, gateway(scripted.address, tmp_path) as endpoint:
        result = run(endpoint, "slow", httpx.HTTPTransport(), sleep=lambda seconds: None)
    assert result["ended"] == "model_error"
    assert "the provider says 429" in result["error"]
    assert "a gateway also answers so when the model behind it fails" in result["error"]


def test_a_function_that_the_gateway_does_not_have_is_explained(tmp_path: Path) -> None:
    with provider("{}") as scripted, gateway(scripted.address, tmp_path) as endpoint:
        result = run(endpoint, "slow", httpx.HTTPTransport(), model="tensorzero::function_name::other")
    assert result["ended"] == "model_error"
    assert "status 404" in result["error"]
    assert "Check the model's name" in result["error"]
    assert scripted.requests == []


def test_an_episode_that_the_gateway_did_not_begin_is_explained(tmp_path: Path) -> None:
    with provider("{}") as scripted, gateway(scripted.address, tmp_path) as endpoint:
        client = ChatClient(FUNCTION_MODEL, completions_url(endpoint))
        client._episode_id = "8f14e45f-ceea-467f-a8d5-91d5d1a4b0d1"
        with pytest.raises(ModelError, match="start the diagnosis again") as refused:
            client.ask([{"role": "user", "content": "{}"}], 10)
    assert refused.value.kind == "refused"


@pytest.fixture(name="tiny_model", scope="module")
def _tiny_model() -> Iterator[str]:
    """The address of a small real model."""
    script = Path(__file__).parent / "tiny_model.py"
    with subprocess.Popen(
        [sys.executable, str(script)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        address = process.stdout.readline().strip()
        assert address.startswith("http://127.0.0.1:")
        yield f"{address}/v1/"
        process.stdin.close()
        assert process.wait(30) == 0


def only_diagnostics() -> dict[str, Any]:
    """A schema by which a model asks for ever."""
    schema = protocol_schema.reply_schema(longest_text=40)
    schema["anyOf"] = [{"$ref": "#/$defs/Diagnostic"}]
    parts = schema["$defs"]
    for key in ("commands", "ebpf_programs"):
        parts["Diagnostic"]["properties"][key] |= {"minItems": 1, "maxItems": 1}
    parts["Diagnostic"]["required"] += ["commands", "ebpf_programs"]
    parts["Program"]["properties"] |= {
        "type": {"enum": ["tracepoint"]},
        "target": {"enum": ["syscalls/sys_enter_openat", "sched/sched_switch"]},
        "duration": {"enum": [1]},
    }
    return schema


def end_with_real_model(endpoint: str, wire: Wiretap, repairs: int = 1) -> dict[str, Any]:
    """How a run ends whose model writes well-formed nonsense; what holds for each is asserted here."""
    limits = LoopLimits(
        rounds=1, seconds=400, answer_seconds=300, trace_seconds=1, output_chars=1_000, repairs=repairs, corrections=0
    )
    # Little is said of the host: the model reads some 150 words a second.
    host = {"os": "Debian GNU/Linux 12"}
    result = run(endpoint, "The application fails to connect to its database.", wire, limits, host)
    assert result["ended"] in ("resolution", "round_limit", "time_limit", "unusable_replies")
    assert (result["resolution"] is None) == (result["error"] is not None)
    assert result["usage"]["completion_tokens"] > 0
    assert result["episode_id"] == wire.exchanges[0][1]["episode_id"]
    return result


@pytest.mark.parametrize("json_mode", ["strict", "off"])
def test_whatever_a_real_model_writes_the_run_ends_in_order(tmp_path: Path, tiny_model: str, json_mode: str) -> None:
    schema = protocol_schema.reply_schema(longest_text=60)
    with gateway(tiny_model, tmp_path, json_mode, schema, more="max_tokens = 120\n") as endpoint:
        result = end_with_real_model(endpoint, Wiretap())
    assert result["ended"] != "model_error"


def test_a_real_model_that_only_asks_gets_its_evidence_and_is_ended(tmp_path: Path, tiny_model: str) -> None:
    wire = Wiretap()
    with gateway(tiny_model, tmp_path, "strict", only_diagnostics(), more="max_tokens = 600\n") as endpoint:
        result = end_with_real_model(endpoint, wire, repairs=0)
    assert (result["ended"], result["resolution"]) == ("round_limit", None), result["error"]
    (only,) = result["rounds"]
    assert only["commands"] == [each["id"] for each in result["command_results"]]
    assert len(result["ebpf_results"]) == 1
    last = json.loads(wire.exchanges[-1][0]["messages"][-1]["content"])
    assert last.keys() >= {"command_results", "ebpf_results", "last_turn"}
