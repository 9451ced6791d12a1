# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private to the collection nannyapi.diagnostics: whom a connection to a model's server trusts, and as who it comes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional


@dataclass(frozen=True)
class Tls:
    """Files on the machine that asks, in PEM; None: nothing said.

    ca_path: authorities that are trusted besides those of the system, a file or a folder of them as OpenSSL has it.
    client_cert: what is shown to a server that asks who comes, with its key in the same file or in client_key.
    """

    ca_path: Optional[str] = None
    validate_certs: Optional[bool] = None
    client_cert: Optional[str] = None
    client_key: Optional[str] = None

    def over(self, other: Tls) -> Tls:
        """What this says, and where it says nothing what *other* says; a certificate and its key go together."""
        own = self.client_cert
        return Tls(
            self.ca_path or other.ca_path,
            other.validate_certs if self.validate_certs is None else self.validate_certs,
            own or other.client_cert,
            self.client_key if own else self.client_key or other.client_key,
        )


NOTHING_SAID = Tls()
