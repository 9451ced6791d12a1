# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every way in which a model's server was seen to fail, in the middle of a diagnosis of this machine.

On the side `bare` the module asks the misbehaving server itself; on the side `gateway` it asks the real TensorZero
gateway, behind which that server is a provider. The first request is answered well, and a command is run and a program
traced for it, so that there is evidence to lose. `reports/gateway.json` says how each run ended.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import ssl
import subprocess
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from gateway_setup import ROOT, started
from misbehaving import FAULTS, GONE, KEY, Misbehaving
from runs import REPOSITORY, Ended, diagnose

from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.bundle import Bundle
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.model.settings import FUNCTION_MODEL

REPORT = REPOSITORY / "reports" / "gateway.json"
SECONDS = 45.0  # of a diagnosis; a server that never comes to an end costs all of it
AT_ONCE = 8
SIDES = ("bare", "gateway")
# What meets a run before it has asked for anything, so that there is nothing to lose.
AT_FIRST = ("name_unknown", "tls_untrusted", "tls_where_http_is_spoken")
PROXIES = ("proxy_refused", "proxy_407", "proxy_502", "proxy_reset")
CASES = [
    *((side, fault) for side in SIDES for fault in (*FAULTS, *GONE)),
    *(("bare", fault) for fault in (*AT_FIRST, *PROXIES)),
]
_SELF_SIGNED = ("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
_SELF_SIGNED += ("-subj", "/CN=127.0.0.1", "-days", "2")
# How a run may end: what fails again and again is tried until the time is over or the attempts are.
_FAILED = {"model_error", "time_limit"}
_UNUSABLE = {"unusable_replies"}
_ENDS: dict[str, set[str]] = {
    "diagnostics_for_ever": {"round_limit"},
    "ten_thousand_commands": {"round_limit", *_UNUSABLE},
    # A bare server's body is read as text where it can be; the gateway refuses what its provider says.
    **dict.fromkeys(("invalid_utf8", "nan"), _FAILED | _UNUSABLE),
    **dict.fromkeys(
        ("deep_nesting_in_the_reply", "wrong_types_in_the_reply", "nan_in_the_reply", "duplicate_keys"), _UNUSABLE
    ),
    **dict.fromkeys(("unknown_response_type", "resolution_without_fields"), _UNUSABLE),
}


def variants(servers: dict[str, Misbehaving]) -> str:
    """The gateway's configuration: for each fault a variant of the function, a model and a provider."""
    text = "[gateway]\nobservability.enabled = false\n"
    for name, server in servers.items():
        text += f'\n[models."{name}"]\nrouting = ["server"]\n\n[models."{name}".providers.server]\ntype = "openai"\n'
        text += f'model_name = "m"\napi_base = "{server.address}/"\napi_key_location = "none"\n'
        text += f'\n[functions.diagnose_and_heal.variants."{name}"]\ntype = "chat_completion"\nmodel = "{name}"\n'
        text += 'templates.system.path = "system_prompt.minijinja"\njson_mode = "on"\n'
    return text


@contextlib.contextmanager
def gateway(servers: dict[str, Misbehaving], folder: Path) -> Iterator[str]:
    """The real gateway before all of these; gives its endpoint."""
    for name in ("tensorzero.toml", "model.toml", "reply.schema.json", "system_prompt.minijinja"):
        shutil.copy(ROOT / "tensorzero" / name, folder / name)
    (folder / "faults.toml").write_text(variants(servers))
    os.environ.setdefault("MODEL_SERVER_API_KEY", "unused")
    with started(folder) as endpoint:
        yield endpoint


@contextlib.contextmanager
def tls_server(folder: Path) -> Iterator[str]:
    """A server whose certificate nobody signed but itself."""
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    subprocess.run(
        [*_SELF_SIGNED, "-keyout", str(key), "-out", str(certificate)],
        check=True,
        capture_output=True,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server = Misbehaving("empty", context)
    try:
        yield server.address.replace("http://", "https://")
    finally:
        server.close()


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[tuple[str, str], Future[Ended]]]:
    """How each run ended, or will have; and the report when all have."""
    folder = tmp_path_factory.mktemp("faults")
    bundle = Bundle.from_directory(ROOT / "bpf").pack()
    behind = {name: Misbehaving(name) for name in (*FAULTS, *GONE)}
    bare = {name: Misbehaving(name) for name in (*FAULTS, *GONE)}
    proxies = {name: Misbehaving(name.partition("_")[2]) for name in PROXIES}

    def run(side: str, fault: str, model: str, endpoint: str, **environment: str) -> Ended:
        arguments = {"issue": f"it is slow: {fault}", "model": model, "endpoint": endpoint, "rounds": 3}
        given = {**arguments, "seconds": SECONDS, "_bpf": bundle}
        return diagnose(given, folder / side / fault, SECONDS + 120, environment)

    (folder / "gateway").mkdir()
    with (
        ThreadPoolExecutor(AT_ONCE) as pool,
        gateway(behind, folder / "gateway") as endpoint,
        tls_server(folder) as tls,
    ):
        runs = {}
        for name, server in bare.items():
            runs["bare", name] = pool.submit(run, "bare", name, "m", server.address)
            model = f"{FUNCTION_MODEL}::variant_name::{name}"
            runs["gateway", name] = pool.submit(run, "behind", name, model, endpoint)
        for name, server in proxies.items():
            by = {"http_proxy": f"http://127.0.0.1:{server.port}"}
            runs["bare", name] = pool.submit(run, "bare", name, "m", "http://model.invalid/v1", **by)
        first = {
            "name_unknown": "http://gateway.invalid:3000/v1",
            "tls_untrusted": tls,
            "tls_where_http_is_spoken": bare["empty"].address.replace("http://", "https://"),
        }
        for name, address in first.items():
            runs["bare", name] = pool.submit(run, "bare", name, "m", address)
        yield runs
        rows = [row(side, fault, runs[side, fault].result()) for side, fault in CASES]
        REPORT.parent.mkdir(exist_ok=True)
        REPORT.write_text(json.dumps(rows, indent=1) + os.linesep)
    for server in (*behind.values(), *bare.values(), *proxies.values()):
        server.close()


def faults_of(side: str, fault: str, run: Ended) -> list[str]:
    """What is wrong with how a run ended; nothing where it is in order."""
    result, record = run.result, run.record or {}
    found = []
    if "Traceback" in run.stderr or not result:
        found.append(f"no result, or a traceback: {run.stderr[-1500:]}")
    if run.exit != 1 or not result.get("failed") or not str(result.get("msg", "")).strip().endswith("."):
        found.append(f"exit {run.exit}, failed {result.get('failed')}, {result.get('msg')!r}")
    if result.get("ended") not in _ENDS.get(fault, _FAILED):
        found.append(f"it ended as {result.get('ended')}: {result.get('msg')}")
    if run.record is None or result.get("record", "").rpartition("/")[2] != run.record_name:
        found.append(f"the record is {run.record_name}, and the result says {result.get('record')}")
    if fault not in AT_FIRST:
        key = last_key(result)
        if key is None or not evidence(result, key) or not evidence(record, key):
            found.append(f"the evidence {key} is not in both, result and record")
        if not any(each.get("id") == "load" and each.get("exit_code") == 0 for each in commands(result)):
            found.append("the command's output is not in the result")
    return found


def last_key(result: dict[str, Any]) -> str | None:
    """The key of the last program's result."""
    keys = list((result.get("ebpf_results") or {}).keys())
    return keys[-1] if keys else None


def evidence(told: dict[str, Any], key: str) -> bool:
    """Whether a program's result is there, with events counted by the kernel."""
    return f'"{key}"' in json.dumps(told) and key.startswith(KEY)


def commands(result: dict[str, Any]) -> list[dict[str, Any]]:
    """Results of commands."""
    return result.get("command_results") or []


def row(side: str, fault: str, run: Ended) -> dict[str, Any]:
    """A line of the report."""
    return {
        "fault": fault,
        "side": side,
        "exit": run.exit,
        "ended": run.result.get("ended"),
        "last_evidence_key": last_key(run.result),
        "record": run.record_name,
        "ok": not faults_of(side, fault, run),
    }


@pytest.mark.parametrize(("side", "fault"), CASES)
def test_the_run_ends_in_order_and_loses_nothing(
    ended: dict[tuple[str, str], Future[Ended]], side: str, fault: str
) -> None:
    run = ended[side, fault].result()
    print(run.result.get("msg"))
    assert faults_of(side, fault, run) == []
