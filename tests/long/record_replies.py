# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Records what real servers answer to this project's requests, into cases/replies.json: the seeds of test_replies.py.

PYTHONPATH=.cache/src:tests/integration python tests/long/record_replies.py

A small real model (tests/integration/tiny_model.py), asked with and without a schema, and the real TensorZero gateway
with a provider behind it that answers well, breaks the contract, or fails.
"""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
from gateway_setup import gateway, provider

from ansible_collections.nannyapi.diagnostics.plugins.module_utils import protocol_schema
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.model.settings import FUNCTION_MODEL
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.turns import as_message, opening

# The whole prompt takes a small model minutes to read.
BRIEFLY = (
    'Find out why a host is ill. Answer with one JSON object: {"response_type": "diagnostic", "reasoning": "...", '
    '"commands": [...], "ebpf_programs": [...]} to look, {"response_type": "resolution", "root_cause": "...", '
    '"resolution_plan": "...", "confidence": "High", "ebpf_evidence": "..."} to conclude.'
)
HERE = Path(__file__).parent
TINY_MODEL = HERE.parent / "integration" / "tiny_model.py"
ISSUES = (
    "application randomly fails to connect to database",
    "the host is slow since this morning",
    "files cannot be opened",
    "a process is killed now and then",
)
GOOD = {
    "response_type": "resolution",
    "root_cause": "orders cannot connect to 127.0.0.1:5432",
    "resolution_plan": "1. Start the server that should listen there.",
    "confidence": "High",
    "ebpf_evidence": "connect(2) of orders returned ECONNREFUSED",
}
SCRIPTS: tuple[Any, ...] = (
    json.dumps(GOOD),
    json.dumps({**GOOD, "confidence": 7}),
    "no JSON at all",
    "",
    401,
    429,
    500,
)


def recorded(source: str, response: httpx.Response) -> dict[str, Any]:
    """A response as it is kept."""
    kind = response.headers.get("Content-Type", "")
    return {"from": source, "status": response.status_code, "content_type": kind, "body": response.text}


def messages(issue: str) -> list[dict[str, str]]:
    """The first turn of a diagnosis; little is said of the host, for the model reads slowly."""
    limits = {"rounds": 5, "seconds": 600}
    return [as_message(opening({"os": "Debian GNU/Linux 12", "cores": 2}, {"probe_types": {}}, limits, issue))]


def of_the_tiny_model() -> Iterator[dict[str, Any]]:
    """Well-formed nonsense, some of it cut off at the limit of tokens."""
    command = [sys.executable, str(TINY_MODEL)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        url = f"{process.stdout.readline().strip()}/v1/chat/completions"
        schema = {"name": "reply", "schema": protocol_schema.reply_schema(longest_text=60), "strict": True}
        for number, issue in enumerate(ISSUES):
            for form in ({}, {"response_format": {"type": "json_schema", "json_schema": schema}}):
                told = [{"role": "system", "content": BRIEFLY}, *messages(issue)]
                body = {"model": "m", "messages": told, "max_tokens": 100, "seed": number, "temperature": 0.8, **form}
                yield recorded("SmolLM2-135M-Instruct", httpx.post(url, json=body, timeout=None))
        process.stdin.close()


def of_the_gateway() -> Iterator[dict[str, Any]]:
    """What TensorZero makes of a provider's answers, and of requests that it does not take."""
    for script in SCRIPTS:
        with (
            provider(script) as behind,
            tempfile.TemporaryDirectory() as folder,
            gateway(behind.address, Path(folder)) as endpoint,
        ):
            url = f"{endpoint.rstrip('/')}/chat/completions"
            body = {"model": FUNCTION_MODEL, "messages": messages(ISSUES[0])}
            yield recorded("TensorZero", httpx.post(url, json=body, timeout=60))
            if script == SCRIPTS[0]:
                for wrong in ({"model": "tensorzero::function_name::unknown"}, {"tensorzero::episode_id": "x"}):
                    yield recorded("TensorZero", httpx.post(url, json={**body, **wrong}, timeout=60))


def main() -> None:
    """Writes the file anew."""
    replies: list[dict[str, Any]] = []
    for reply in itertools.chain(of_the_gateway(), of_the_tiny_model()):
        replies.append(reply)
        (HERE / "cases" / "replies.json").write_text(json.dumps(replies, indent=1, ensure_ascii=False) + "\n")
        print(len(replies), reply["from"], reply["status"], flush=True)


if __name__ == "__main__":
    main()
