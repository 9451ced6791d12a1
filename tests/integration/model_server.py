# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real HTTP server that answers as a model from a script, each diagnosis by how far its conversation is."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Any, Union


@dataclass
class ModelServer:
    """`script`: what is answered to a conversation's first request, second and so on: content, or a status.

    `refuses`: a member of requests that it does not take.
    """

    script: list[Union[dict[str, Any], int]]
    seconds: float = 0.0
    refuses: str = ""
    requests: list[dict[str, Any]] = field(default_factory=list)
    address: str = ""
    keys: set[str] = field(default_factory=set)
    conversations: list[list[dict[str, str]]] = field(default_factory=list)
    begun: list[float] = field(default_factory=list)
    most_at_once: int = 0
    _now: int = 0
    _lock: Lock = field(default_factory=Lock)

    def answer(self, authorization: str, request: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """The next line of the script for this conversation, after `seconds`."""
        messages = [each for each in request["messages"] if each["role"] != "system"]
        with self._lock:
            self.begun.append(time.monotonic())
            self.keys.add(authorization)
            self.conversations.append(messages)
            self.requests.append(request)
            self._now += 1
            self.most_at_once = max(self.most_at_once, self._now)
        time.sleep(self.seconds)
        line = self.script[min(len(messages) // 2, len(self.script) - 1)]
        with self._lock:
            self._now -= 1
        if self.refuses and self.refuses in request:
            return 400, {"error": {"message": f"{self.refuses} is not supported"}}
        if isinstance(line, int):
            return line, {"error": {"message": f"the script says {line}"}}
        choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": json.dumps(line)}}
        return 200, {
            "object": "chat.completion",
            "choices": [choice],
            "usage": {"prompt_tokens": 100, "completion_tokens": 20},
        }


@contextmanager
def model_server(
    address: str, *script: Union[dict[str, Any], int], seconds: float = 0.0, refuses: str = ""
) -> Iterator[ModelServer]:
    """Such a server at a free port of an address of this machine's."""
    model = ModelServer(list(script), seconds, refuses)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            status, body = model.answer(self.headers.get("Authorization", ""), request)
            content = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_arguments: Any) -> None:
            """Nothing on the test's screen."""

    server = ThreadingHTTPServer((address, 0), Handler)
    model.address = f"http://{address}:{server.server_port}/v1"
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield model
    finally:
        server.shutdown()
        server.server_close()
