# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Certificates of an authority that nobody knows, and a model's server that shows and wants one of them."""

from __future__ import annotations

import json
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

SOLVED = {
    "response_type": "resolution",
    "root_cause": "none was found",
    "resolution_plan": "1. Wait.",
    "confidence": "Low",
    "ebpf_evidence": "",
}
_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


@dataclass(frozen=True)
class Authority:
    """An authority in a folder. `certificate`: its own."""

    folder: Path

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        request = (
            "req",
            "-x509",
            *_KEY,
            "-keyout",
            "ca.key",
            "-out",
            "ca.pem",
            "-days",
            "2",
            "-subj",
            "/CN=an authority",
        )
        self._openssl(*request)

    @property
    def certificate(self) -> Path:
        return self.folder / "ca.pem"

    def signed(self, name: str) -> tuple[Path, Path]:
        """A certificate for 127.0.0.1, and its key."""
        (self.folder / "names").write_text("subjectAltName=IP:127.0.0.1\n")
        self._openssl("req", *_KEY, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        by = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", "names")
        self._openssl("x509", "-req", "-in", f"{name}.csr", *by, "-days", "2", "-out", f"{name}.pem")
        return self.folder / f"{name}.pem", self.folder / f"{name}.key"

    def _openssl(self, *arguments: str) -> None:
        subprocess.run(["openssl", *arguments], check=True, capture_output=True, cwd=self.folder)


@dataclass
class TlsServer:
    """A model's server that concludes at once. `came`: the subjects of those who showed a certificate."""

    address: str
    came: list[str] = field(default_factory=list)


@contextmanager
def tls_server(authority: Authority, wants_certificates: bool = False) -> Iterator[TlsServer]:
    """Such a server at a port of 127.0.0.1, with a certificate of the authority."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.signed("server"))
    if wants_certificates:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(authority.certificate)
    told: list[TlsServer] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            shown: Any = self.connection.getpeercert() or {}  # type: ignore[attr-defined]
            told[0].came += [value for part in shown.get("subject", ()) for _name, value in part]
            choice = {"message": {"role": "assistant", "content": json.dumps(SOLVED)}, "finish_reason": "stop"}
            body = json.dumps({"choices": [choice]}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_arguments: Any) -> None:
            """Nothing on the test's screen."""

    class Server(ThreadingHTTPServer):
        def handle_error(self, *_arguments: Any) -> None:
            """Nothing on the test's screen: clients that do not like the certificate go away."""

        def get_request(self) -> Any:
            connection, address = super().get_request()
            return context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False), address

    server = Server(("127.0.0.1", 0), Handler)
    told.append(TlsServer(f"https://127.0.0.1:{server.server_port}/v1"))
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield told[0]
    finally:
        server.shutdown()
        server.server_close()
