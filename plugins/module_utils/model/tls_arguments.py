# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private to the collection nannyapi.diagnostics: the arguments of modules that say how a server is connected to."""

from __future__ import annotations

from typing import Any

from .tls import Tls

TLS_ARGUMENTS: dict[str, dict[str, Any]] = {
    "ca_path": {"type": "path"},
    "validate_certs": {"type": "bool"},
    "client_cert": {"type": "path"},
    "client_key": {"type": "path", "no_log": False},
}
"""As AnsibleModule takes them; client_key is a path, and no secret."""


def tls_of(given: dict[str, Any]) -> Tls:
    """What checked arguments say."""
    return Tls(
        given["ca_path"] or None, given["validate_certs"], given["client_cert"] or None, given["client_key"] or None
    )
