# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private to the collection nannyapi.diagnostics: ends a connection when the time of a call is over.

The limits of the HTTP library hold for one read or write, and begin anew with each byte: a server that sends its
headers letter by letter would never be given up.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from typing import Any, Optional

_ESTABLISHED = (".connect_tcp.complete", ".start_tls.complete")


class TimeOfCall:
    """Watches over the connection that a client holds, one request at a time."""

    def __init__(self) -> None:
        self._socket: Optional[socket.socket] = None
        self._over = False
        self._lock = threading.Lock()

    def trace(self, event: str, info: dict[str, Any]) -> None:
        """To be the extension `trace` of each request, by which httpx tells what it does."""
        if event.endswith(_ESTABLISHED):
            with self._lock:
                self._socket = info["return_value"].get_extra_info("socket")
                if self._over:
                    self._shut()

    @contextlib.contextmanager
    def ends(self, seconds: float) -> Iterator[None]:
        """Within the body, the connection is ended after so many seconds: what waits for it fails there and then."""
        self._over = False
        timer = threading.Timer(seconds, self._end)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def _end(self) -> None:
        with self._lock:
            self._over = True
            self._shut()

    def _shut(self) -> None:
        """Not by the TLS socket's own way, which pulls from under who reads what is read with."""
        if self._socket is not None:
            with contextlib.suppress(OSError):
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)
