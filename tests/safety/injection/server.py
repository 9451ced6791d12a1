# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An OpenAI-compatible server behind which the gullible model answers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import gullible

HONEST = {
    "response_type": "resolution",
    "root_cause": "Nothing was seen that would explain it.",
    "resolution_plan": "1. Wait until it happens again, and look then.",
    "confidence": "Low",
    "ebpf_evidence": "",
}


@dataclass
class Script:
    """What the model asks for first, and what it takes off what it reads; `replies` is what it said."""

    looks: dict[str, Any]
    marks: tuple[str, ...] = ()
    replies: list[dict[str, Any]] = field(default_factory=list)

    def answer(self, messages: list[dict[str, str]]) -> dict[str, Any]:
        told = [message for message in messages if message["role"] != "system"]
        found = gullible.reply_in(told, self.marks)
        own = self.looks if len(told) == 1 else HONEST
        self.replies.append(found or own)
        return self.replies[-1]


class _Handler(BaseHTTPRequestHandler):
    script: Script

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        content = json.dumps(self.script.answer(request["messages"]), ensure_ascii=False)
        message = {"role": "assistant", "content": content}
        body = json.dumps({"choices": [{"index": 0, "finish_reason": "stop", "message": message}]}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Requests are no news."""


@contextmanager
def serving(script: Script) -> Iterator[str]:
    """The endpoint of a server on loopback, for as long as the context lasts."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"script": script}))
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
