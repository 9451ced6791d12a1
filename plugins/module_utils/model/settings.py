# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private to the collection nannyapi.diagnostics: which model answers a diagnosis, and where.

Asked in this order: the parameters of the task, the controller's environment, the host's configuration file, and where
none of them says anything, the offline diagnostician. The host's file counts only where the run names no endpoint: its
key and its certificate were given for its own endpoint and are never shown to another.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Optional
from urllib.parse import urlsplit, urlunsplit

from .tls import NOTHING_SAID, Tls

OFFLINE = "offline"
FUNCTION_MODEL = "tensorzero::function_name::diagnose_and_heal"
HOST_FILE = Path("/etc/nannyapi/diagnostics.json")

_PATH = "/chat/completions"
_LARGEST_FILE = 65_536


class SettingsError(ValueError):
    """Settings that contradict themselves or cannot be read; the message is a sentence for the operator."""


@dataclass(frozen=True)
class Layer:
    """What one source says; None and "" are the same as nothing."""

    model: Optional[str] = None
    endpoint: Optional[str] = None
    api_key: Optional[str] = field(default=None, repr=False)
    tls: Tls = NOTHING_SAID


@dataclass(frozen=True)
class Settings:
    """What answers: ``offline`` without an endpoint, or a model at the full address that requests are posted to."""

    model: str
    url: Optional[str] = None
    api_key: Optional[str] = field(default=None, repr=False)
    tls: Tls = NOTHING_SAID


def resolve(parameters: Layer, environment: Layer, host_file: Path = HOST_FILE) -> Settings:
    """The settings of a run; raises SettingsError. Reads *host_file* only where the run names no endpoint."""
    layers = [parameters, environment]
    model = _first(layer.model for layer in layers)
    endpoint = _first(layer.endpoint for layer in layers)
    api_key = _first(layer.api_key for layer in layers)
    tls = parameters.tls.over(environment.tls)
    if model == OFFLINE:
        return Settings(OFFLINE)
    if endpoint is None:
        on_host = read_host_file(host_file)
        # A host set to offline has no say over a model that the run names.
        model = model or _first([on_host.model])
        endpoint = _first([on_host.endpoint])
        api_key = api_key or _first([on_host.api_key])
        tls = tls.over(on_host.tls)
    if model == OFFLINE or (model is None and endpoint is None):
        return Settings(OFFLINE)
    if endpoint is None:
        raise SettingsError(
            f"The model {model} is named, and no endpoint to ask it at. Set the endpoint too (NANNYAPI_ENDPOINT, "
            f"such as http://gateway:3000/openai/v1), or use the model {OFFLINE}, which needs none."
        )
    return Settings(_model_name(model or FUNCTION_MODEL), completions_url(endpoint), _key(api_key), tls)


def completions_url(endpoint: str) -> str:
    """The address that requests are posted to: *endpoint* with ``/chat/completions``; raises SettingsError."""
    shown = without_userinfo(endpoint)
    try:
        parts = urlsplit(endpoint.strip())
        port_is_fine = parts.port is None or parts.port > 0
    except ValueError as error:
        raise SettingsError(f"The endpoint {shown} is not a URL: {error}.") from None
    if parts.scheme not in ("http", "https") or not parts.hostname or not port_is_fine:
        raise SettingsError(
            f"The endpoint {shown} is not a URL of a server: it must begin with http:// or https:// and name a host, "
            "such as http://gateway:3000/openai/v1."
        )
    if parts.username or parts.password:
        raise SettingsError(
            f"The endpoint {shown} holds a user name or a password. Take it out; a key goes into NANNYAPI_API_KEY."
        )
    path = parts.path.rstrip("/")
    if not path.endswith(_PATH):
        path += _PATH
    return urlunsplit((parts.scheme, parts.netloc, path, parts.query, ""))


def without_userinfo(url: str) -> str:
    """*url* for a message: without the user name and password that it may hold."""
    scheme, separator, rest = url.strip().partition("://")
    if not separator:
        return url.rpartition("@")[2]
    authority, slash, path = rest.partition("/")
    return f"{scheme}://{authority.rpartition('@')[2]}{slash}{path}"


def read_host_file(path: Path) -> Layer:
    """The layer of a host's configuration file; an empty one where there is no file. Raises SettingsError."""
    content = _read(path, "The configuration file", forbidden=stat.S_IWGRP | stat.S_IWOTH, remedy=f"chmod 0644 {path}")
    if content is None:
        return Layer()
    try:
        values = json.loads(content)
    except ValueError as error:
        raise SettingsError(f"The configuration file {path} is not JSON: {error}. Mend it, or remove it.") from None
    if not isinstance(values, dict):
        raise SettingsError(f"The configuration file {path} must hold one JSON object (model, endpoint, api_key_file).")
    names = ("model", "endpoint", "api_key_file", "ca_path", "client_cert", "client_key")
    texts = {key: _text_of(values, key, path) for key in names}
    validate = values.get("validate_certs")
    if validate is not None and not isinstance(validate, bool):
        raise SettingsError(f'In the configuration file {path} "validate_certs" must be true or false.')
    key_file = texts["api_key_file"]
    api_key = read_key_file(Path(key_file)) if key_file else None
    tls = Tls(texts["ca_path"], validate, texts["client_cert"], texts["client_key"])
    return Layer(texts["model"], texts["endpoint"], api_key, tls)


def read_key_file(path: Path) -> str:
    """The key that a file holds; raises SettingsError where it is missing, empty or readable by others."""
    content = _read(path, "The key file", forbidden=stat.S_IRWXG | stat.S_IRWXO, remedy=f"chmod 0600 {path}")
    if content is None:
        raise SettingsError(f"The key file {path} does not exist. Create it with mode 0600, or name another.")
    if not content.strip():
        raise SettingsError(f"The key file {path} is empty. Write the key into it, or take api_key_file out.")
    return content.strip()


def _read(path: Path, what: str, forbidden: int, remedy: str) -> Optional[str]:
    """The text of a regular file whose mode has none of the *forbidden* bits; None where there is no such file."""
    try:
        # Judged by the open file: what a path names may change between looking and reading. Not blocking on a FIFO.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise SettingsError(f"{what} {path} is not a regular file.")
            if status.st_mode & forbidden:
                raise SettingsError(
                    f"{what} {path} has mode {stat.S_IMODE(status.st_mode):04o}, which gives others too much: {remedy}"
                )
            return os.read(descriptor, _LARGEST_FILE).decode("utf-8")
        finally:
            os.close(descriptor)
    except FileNotFoundError:
        return None
    except UnicodeDecodeError as error:
        raise SettingsError(f"{what} {path} is not UTF-8 text: {error.reason} at byte {error.start}.") from None
    except OSError as error:
        raise SettingsError(f"{what} {path} cannot be read: {error.strerror}. Become root, or mend its mode.") from None


def _text_of(values: dict[str, Any], key: str, path: Path) -> Optional[str]:
    value = values.get(key)
    if value is not None and not isinstance(value, str):
        raise SettingsError(f'In the configuration file {path} "{key}" must be a string.')
    return value


def _first(values: Iterable[Optional[str]]) -> Optional[str]:
    return next((value.strip() for value in values if value and value.strip()), None)


def _model_name(model: str) -> str:
    if not model.isprintable() or len(model) > 500:
        raise SettingsError(f"{model[:80]!r} cannot name a model: it must be printable, of at most 500 characters.")
    return model


def _key(api_key: Optional[str]) -> Optional[str]:
    if api_key is not None and not (api_key.isascii() and api_key.isprintable()):
        raise SettingsError(
            "The API key holds characters that an HTTP header cannot carry (a line break, a letter that is not ASCII). "
            "Check NANNYAPI_API_KEY, or the key file, for what was pasted into it."
        )
    return api_key
