# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A model's server that answers the first request well and meets every later one with a fault, byte by byte."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Optional

KEY = "trace"
LOOK = {
    "response_type": "diagnostic",
    "reasoning": "look",
    "commands": [{"id": "load", "command": "cat /proc/loadavg"}],
    "ebpf_programs": [{"name": KEY, "type": "tracepoint", "target": "sched/sched_switch", "duration": 1}],
}
SOLVED = {
    "response_type": "resolution",
    "root_cause": "none found",
    "resolution_plan": "1. Wait.",
    "confidence": "Low",
    "ebpf_evidence": "none",
}
_LONG_ENOUGH = 600
MORE_COMMANDS = [{"id": f"c{number}", "command": f"echo {number}"} for number in range(10_000)]


def completion(content: Any) -> bytes:
    """The body of a good response with this content; data is written as JSON."""
    text = content if isinstance(content, str) else json.dumps(content)
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}
    usage = {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120}
    body = {"id": "c-1", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice], "usage": usage}
    return json.dumps(body).encode()


def response(body: bytes, status: str = "200 OK", kind: str = "application/json", **headers: str) -> bytes:
    """A response as bytes; names of headers with `_` for `-`."""
    given = {"Content-Type": kind, "Content-Length": str(len(body)), "Connection": "close", **headers}
    lines = [f"HTTP/1.1 {status}", *(f"{name.replace('_', '-')}: {value}" for name, value in given.items())]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def says(content: Any) -> bytes:
    """A good response with a content that may not be good."""
    return response(completion(content))


def status(code: int, **headers: str) -> bytes:
    """A refusal in the words of an OpenAI-compatible server."""
    body = json.dumps({"error": {"message": f"the server says {code}", "type": "scripted", "code": None}})
    return response(body.encode(), f"{code} No", **headers)


def reset(connection: socket.socket) -> None:
    """Ends the connection by RST."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def hang(connection: socket.socket) -> None:
    """Says nothing until the other side has gone."""
    connection.settimeout(_LONG_ENOUGH)
    connection.recv(1)


def drip(head: bytes) -> Callable[[socket.socket], None]:
    """A beginning, and then a byte every second."""

    def drop_by_drop(connection: socket.socket) -> None:
        connection.sendall(head)
        until = time.monotonic() + _LONG_ENOUGH
        while time.monotonic() < until:
            connection.sendall(b" ")
            time.sleep(1)

    return drop_by_drop


def flood(connection: socket.socket) -> None:
    """50 MB of a body."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 52428800\r\n\r\n")
    for _time in range(50):
        connection.sendall(b" " * 1_048_576)


Behaviour = Callable[[socket.socket], None]
FAULT_BODIES: dict[str, bytes] = {
    **{str(code): status(code) for code in (401, 403, 404, 407, 408, 409, 413, 422, 429, 500, 502, 503, 504)},
    "408_retry_after": status(408, Retry_After="1"),
    "429_retry_after": status(429, Retry_After="1"),
    "429_retry_after_an_hour": status(429, Retry_After="3600"),
    "503_retry_after": status(503, Retry_After="1"),
    "redirect": response(b"", "307 Temporary Redirect", Location="http://127.0.0.1:9/v1/chat/completions"),
    "html": response(b"<!doctype html><title>Sign in</title>", kind="text/html"),
    "empty": response(b""),
    "truncated_json": response(completion(SOLVED)[:200]),
    "deep_nesting": response(b"[" * 100_000 + b"]" * 100_000),
    "deep_nesting_in_the_reply": says("[" * 100_000 + "]" * 100_000),
    "wrong_types": response(json.dumps({"choices": "none", "usage": [], "model": 1}).encode()),
    "wrong_types_in_the_reply": says({"response_type": "diagnostic", "commands": "uptime", "ebpf_programs": 7}),
    "invalid_utf8": response(b'{"choices": [{"message": {"content": "\xff\xfe"}}]}'),
    "nan": response(b'{"choices": [{"message": {"content": NaN}}], "usage": {"prompt_tokens": NaN}}'),
    "nan_in_the_reply": says('{"response_type": "diagnostic", "commands": [], "ebpf_programs": [{"duration": NaN}]}'),
    "duplicate_keys": says('{"response_type": "diagnostic", "response_type": "resolution", "commands": []}'),
    "unknown_response_type": says({"response_type": "miracle"}),
    "resolution_without_fields": says({"response_type": "resolution"}),
    "ten_thousand_commands": says({**LOOK, "commands": MORE_COMMANDS}),
    "diagnostics_for_ever": says(LOOK),
}
FAULTS: dict[str, Behaviour] = {
    "reset": reset,
    "closed": lambda connection: None,
    "read_time_out": hang,
    "headers_letter_by_letter": drip(b"HTTP/1.1 200 OK\r\nX-Slow: "),
    "a_byte_every_second": drip(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 9999\r\n\r\n"),
    "fifty_megabytes": flood,
    **{name: (lambda connection, sent=sent: connection.sendall(sent)) for name, sent in FAULT_BODIES.items()},
}
"""By name, what is done with a connection whose request has come in whole."""
GONE = ("refused", "connect_time_out")
"""Faults that meet who connects: nobody listens any more, or nobody takes up what the kernel has let wait."""


@dataclass
class Misbehaving:
    """A server on loopback. `requests` counts those that came in whole. `tls`: what it speaks TLS by."""

    fault: str
    tls: Optional[ssl.SSLContext] = None

    def __post_init__(self) -> None:
        self.requests = 0
        self._waiting: list[socket.socket] = []
        self._listener = socket.socket()
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen(0 if self.fault == "connect_time_out" else 16)
        self.port: int = self._listener.getsockname()[1]
        self.address = f"http://127.0.0.1:{self.port}/v1"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection = self._listener.accept()[0]
                if self.fault in GONE:
                    self._handle(connection)
                    return
                threading.Thread(target=self._handle, args=(connection,), daemon=True).start()

    def _handle(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError, ValueError):
            if self.tls is not None:
                self.tls.wrap_socket(connection, server_side=True)
            _receive(connection)
            self.requests += 1
            if self.requests > 1:
                FAULTS[self.fault](connection)
                return
            if self.fault in GONE:
                self._go()
            connection.sendall(says(LOOK))

    def _go(self) -> None:
        if self.fault == "refused":
            self._listener.close()
            return
        # The kernel lets one more wait than the backlog says; the next is not answered.
        for _one in range(2):
            waits = socket.socket()
            waits.setblocking(False)
            waits.connect_ex(("127.0.0.1", self.port))
            self._waiting.append(waits)

    def close(self) -> None:
        """Nobody is served any more."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for waits in self._waiting:
            waits.close()


def _receive(connection: socket.socket) -> None:
    """Reads a request whole. Raises ValueError where it ends before."""
    received = b""
    while b"\r\n\r\n" not in received:
        received += _some(connection)
    head, _separator, body = received.partition(b"\r\n\r\n")
    lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    while lengths and len(body) < int(lengths[0].split(b":")[1]):
        body += _some(connection)


def _some(connection: socket.socket) -> bytes:
    some = connection.recv(65_536)
    if not some:
        raise ValueError("The client has gone.")
    return some
