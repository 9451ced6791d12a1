# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private to the collection nannyapi.diagnostics: what TLS connections are made with, from what settings say of it."""

from __future__ import annotations

import os
import ssl
from pathlib import Path
from typing import Optional

from .. import deps
from .tls import Tls

try:
    import httpx
except ImportError as error:
    httpx = deps.absent("httpx", error)

_ENVIRONMENT = ("SSL_CERT_FILE", "SSL_CERT_DIR")


class TlsError(ValueError):
    """A certificate or a key that cannot be used; the message is a sentence for the operator."""


def context(tls: Tls) -> ssl.SSLContext:
    """What connections are made with. Raises TlsError, and OSError or ValueError for what the environment names."""
    made = _trusting_the_system()
    if tls.ca_path:
        _trust(made, tls.ca_path)
    if tls.validate_certs is False:
        made.check_hostname = False
        made.verify_mode = ssl.CERT_NONE
    if tls.client_cert:
        _come_as(made, tls.client_cert, tls.client_key)
    elif tls.client_key:
        raise TlsError("client_key is given, and no client_cert that it belongs to. Give both, or neither.")
    return made


def _trusting_the_system() -> ssl.SSLContext:
    """Of the system's own authorities; of those that come with httpx where it has none."""
    if any(os.environ.get(name) for name in _ENVIRONMENT):
        return httpx.create_ssl_context()
    paths = ssl.get_default_verify_paths()
    if paths.cafile or (paths.capath and any(Path(paths.capath).iterdir())):
        return ssl.create_default_context()
    return httpx.create_ssl_context()


def _trust(made: ssl.SSLContext, path: str) -> None:
    place = Path(path).expanduser()
    try:
        if place.is_dir():
            made.load_verify_locations(capath=str(place))
        else:
            made.load_verify_locations(cafile=str(place))
    except ssl.SSLError:
        raise TlsError(
            f"{path} (ca_path) holds no certificate that can be read: it must be PEM, beginning with"
            " -----BEGIN CERTIFICATE-----."
        ) from None
    except OSError as error:
        raise TlsError(
            f"{path} (ca_path) cannot be read on the machine that asks the model: {error.strerror}."
        ) from None


def _come_as(made: ssl.SSLContext, certificate: str, key: Optional[str]) -> None:
    key_file = Path(key).expanduser() if key else None
    shown = " and ".join(each for each in (certificate, key) if each)
    try:
        # Without a password to give, an encrypted key would be asked for at a terminal that nobody sees.
        made.load_cert_chain(Path(certificate).expanduser(), key_file, password=lambda: b"")
    except ssl.SSLError as error:
        why = (
            "they do not belong together"
            if error.reason == "KEY_VALUES_MISMATCH"
            else "they are not PEM, or the key is encrypted"
        )
        raise TlsError(
            f"The client certificate {shown} (client_cert, client_key) cannot be used: {why}. The certificate and its"
            " key without a password are needed, in one file or in two."
        ) from None
    except OSError as error:
        raise TlsError(
            f"The client certificate {shown} (client_cert, client_key) cannot be read on the machine that asks the"
            f" model: {error.strerror}."
        ) from None
