# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A model behind a real server that says what its script says for each turn, and can be made to wait."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class SteppingModel(ThreadingHTTPServer):
    """`asked` has the turn of each request, counted from 0."""

    daemon_threads = True

    def __init__(self, address: str) -> None:
        super().__init__((address, 0), _Handler)
        self.asked: list[int] = []
        self._script: list[dict[str, Any]] = []
        self._held = -1
        self._arrived = threading.Event()
        self._released = threading.Event()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def endpoint(self) -> str:
        """Its address, for the parameter `endpoint`."""
        return f"http://{self.server_address[0]!s}:{self.server_address[1]}/v1"

    def begin(self, script: list[dict[str, Any]], hold: int = -1) -> None:
        """Forgets what was asked. `hold`: the turn whose requests wait until `go_on`; none without."""
        self._script, self.asked, self._held = script, [], hold
        self._arrived, self._released = threading.Event(), threading.Event()

    def await_held(self) -> None:
        """Returns when the request arrived that is to wait."""
        assert self._arrived.wait(120), f"asked only {self.asked}"

    def go_on(self) -> None:
        """Answers what waits, and lets nothing wait any more."""
        self._held = -1
        self._released.set()

    def answer(self, turn: int) -> bytes:
        """The completion of a turn, in its time."""
        self.asked.append(turn)
        if turn == self._held:
            self._arrived.set()
            self._released.wait(120)
        content = json.dumps(self._script[min(turn, len(self._script) - 1)])
        choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": content}}
        return json.dumps({"object": "chat.completion", "choices": [choice]}).encode()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that were killed are what the tests are about."""


class _Handler(BaseHTTPRequestHandler):
    server: SteppingModel

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        turn = sum(message["role"] == "assistant" for message in body["messages"])
        answer = self.server.answer(turn)
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing."""
