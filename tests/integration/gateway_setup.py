# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real TensorZero gateway with this project's function, a provider behind it, and an ear on the wire before it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, Union

import httpx
from jsonschema import Draft202012Validator

import tensorzero
from ansible_collections.nannyapi.diagnostics.plugins.module_utils import protocol_schema

ROOT = Path(__file__).resolve().parents[2]
REQUEST = Draft202012Validator(protocol_schema.request_schema())
TURN = Draft202012Validator(protocol_schema.turn_schema())
EVIDENCE = Draft202012Validator(protocol_schema.evidence_schema())

MODEL_TOML = """
[gateway]
observability.enabled = false

[models.diagnostician]
routing = ["server"]

[models.diagnostician.providers.server]
type = "openai"
model_name = "whatever-is-there"
api_base = "{api_base}"
api_key_location = "none"
"""


@dataclass
class Provider:
    """A model's server that answers from a script: a text as content, a status as failure; the last again and again."""

    script: list[Union[str, int]]
    requests: list[dict[str, Any]] = field(default_factory=list)
    address: str = ""

    def answer(self, request: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        self.requests.append(request)
        line = self.script[min(len(self.requests), len(self.script)) - 1]
        if isinstance(line, int):
            return line, {"error": {"message": f"the provider says {line}", "type": "scripted", "code": None}}
        choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": line}}
        usage = {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120}
        body = {"id": "c-1", "object": "chat.completion", "created": 1, "model": "scripted", "choices": [choice]}
        return 200, {**body, "usage": usage}


@contextmanager
def provider(*script: Union[str, int]) -> Iterator[Provider]:
    """A provider on loopback."""
    scripted = Provider(list(script))

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            status, body = scripted.answer(request)
            content = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_arguments: Any) -> None:
            """Nothing on the test's screen."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    scripted.address = f"http://127.0.0.1:{server.server_address[1]}/v1/"
    try:
        yield scripted
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def gateway(api_base: str, folder: Path, json_mode: str = "on", schema: Any = None, more: str = "") -> Iterator[str]:
    """The gateway with the files of tensorzero/ in front of *api_base*; gives the endpoint for the collection.

    schema replaces the function's output schema; *more* is put at the end of the variant's settings.
    """
    for name in ("tensorzero.toml", "reply.schema.json", "system_prompt.minijinja"):
        shutil.copy(ROOT / "tensorzero" / name, folder / name)
    config = (folder / "tensorzero.toml").read_text("utf-8")
    assert 'json_mode = "on"' in config
    (folder / "tensorzero.toml").write_text(config.replace('json_mode = "on"', f'json_mode = "{json_mode}"') + more)
    if schema is not None:
        (folder / "reply.schema.json").write_text(json.dumps(schema))
    (folder / "model.toml").write_text(MODEL_TOML.format(api_base=api_base))
    with started(folder) as endpoint:
        yield endpoint


@contextmanager
def started(folder: Path) -> Iterator[str]:
    """The gateway with the configuration files of *folder*; gives the endpoint for the collection."""
    running = tensorzero._start_http_gateway(
        config_file=str(folder / "*.toml"), clickhouse_url=None, postgres_url=None, valkey_url=None, async_setup=False
    )
    try:
        yield running.base_url
    finally:
        running.close()


class Wiretap(httpx.BaseTransport):
    """The network, with every request checked against the schemas of the contract and kept with its response."""

    def __init__(self) -> None:
        self._network = httpx.HTTPTransport()
        self.exchanges: list[tuple[dict[str, Any], dict[str, Any]]] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        body = json.loads(request.read())
        REQUEST.validate(body)
        for message in body["messages"]:
            if message["role"] == "user":
                said = json.loads(message["content"])
                (EVIDENCE if "command_results" in said else TURN).validate(said)
        response = self._network.handle_request(request)
        content = response.read()
        response.close()
        self.exchanges.append((body, json.loads(content)))
        # Not yet read, as from the network.
        return httpx.Response(response.status_code, headers=response.headers, stream=httpx.ByteStream(content))

    def close(self) -> None:
        self._network.close()
