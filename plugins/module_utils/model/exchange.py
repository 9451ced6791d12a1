# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private to the collection nannyapi.diagnostics: one request to a server as who keeps account of it sees it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Optional, Protocol

if TYPE_CHECKING:
    import httpx


@dataclass
class Exchange:
    """A request and what came of it.

    bytes_sent: of the request's head and body as HTTP/1.1 writes them; 0 where no connection was made. bytes_received:
    of the response's body, as far as it was read.
    """

    bytes_sent: int
    attempt: int
    bytes_received: int = 0
    status: Optional[int] = None
    error: Optional[str] = None
    prompt_tokens: Optional[int] = None
    completion_tokens: Optional[int] = None


class Account(Protocol):
    """Who is told of each exchange, before anything of it is sent and when it is over."""

    def sending(self, exchange: Exchange) -> None:
        """Raises ModelError, and it is not sent."""

    def done(self, exchange: Exchange) -> None:
        """It is over, whatever came of it."""


class NoAccount:
    """Nobody keeps account."""

    def sending(self, exchange: Exchange) -> None:
        """Nothing."""

    def done(self, exchange: Exchange) -> None:
        """Nothing."""


def size_of(request: httpx.Request) -> int:
    """Bytes of a request's head and body as HTTP/1.1 writes them: request line, headers, empty line, body."""
    line = len(request.method) + len(request.url.raw_path) + len("  HTTP/1.1\r\n")
    headers = sum(len(name) + len(value) + len(": \r\n") for name, value in request.headers.raw)
    return line + headers + len("\r\n") + len(request.content)
