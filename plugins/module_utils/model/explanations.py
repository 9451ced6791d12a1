# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private to the collection nannyapi.diagnostics: says to the operator why a model could not be asked.

Each message names the address, what was answered, and what to do. Addresses are shown without their query.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Optional

from .answers import error_text

_REMEDIES = {
    401: "Check the API key: NANNYAPI_API_KEY, the task's api_key, or the key file on the host.",
    403: "The server does not allow this key to use this model. Check the key and its rights.",
    404: "Check the model's name and the endpoint's path; a TensorZero gateway serves http://HOST:3000/openai/v1.",
    405: "Something answers there that is not a chat completions server. Check the endpoint.",
    407: "A proxy asks for a login. Check HTTP_PROXY, HTTPS_PROXY and NO_PROXY.",
    413: "The conversation is larger than the server takes. Lower evidence_bytes, rounds or output_bytes.",
    422: "The server does not take a request of this form. Check that it is an OpenAI-compatible server.",
    429: "The server limits how often it may be asked. Wait, run with fewer hosts at a time, or raise the limit there.",
    504: "The gateway waited in vain for the model behind it. See its log, or raise its timeout.",
}

_TOO_LONG = ("context length", "context size", "context window", "context_length", "maximum context", "too many tokens")
"""How servers say that a conversation is too long."""


def is_too_long(said: str) -> bool:
    """Whether a server's words are about the length of the conversation."""
    return any(words in said.lower() for words in _TOO_LONG)


def shown_url(url: str) -> str:
    """*url* for a message: a query may hold a key."""
    return url.partition("?")[0]


def timed_out(url: str, timeout: float) -> str:
    """For a call whose time is over."""
    return (
        f"The model at {shown_url(url)} did not answer within {timeout:.0f} s. "
        "Look at the server's load, or give the diagnosis more time."
    )


def unreachable(url: str, error: Exception) -> str:
    """For a connection that failed, before or within a response."""
    cause = str(error).rstrip(". ") or type(error).__name__
    if "CERTIFICATE_VERIFY_FAILED" in cause:
        remedy = (
            "Name the authority that signed the server's certificate as ca_path, or have it signed by one that this"
            " machine trusts."
        )
    elif _asks_who_comes(cause):
        remedy = "The server wants a certificate of those who ask it: give one that it knows as client_cert."
    elif is_tls_problem(error):
        remedy = "Check whether the endpoint should begin with http:// instead of https://."
    else:
        remedy = "Check that the server runs, the endpoint's address, and the proxy variables."
    return f"The model at {shown_url(url)} could not be reached from here: {cause}. {remedy}"


def is_tls_problem(error: Exception) -> bool:
    """Whether a connection failed because of its certificate or because no TLS is spoken: no attempt will mend that."""
    said = str(error)
    return "CERTIFICATE_VERIFY_FAILED" in said or "[SSL: WRONG_VERSION_NUMBER]" in said or _asks_who_comes(said)


def _asks_who_comes(said: str) -> bool:
    """Whether a server has ended a connection for want of a certificate that it knows; by the alerts of TLS."""
    return any(
        alert in said.upper().replace(" ", "_")
        for alert in ("ALERT_CERTIFICATE_REQUIRED", "ALERT_BAD_CERTIFICATE", "ALERT_UNKNOWN_CA", "CERTIFICATE_UNKNOWN")
    )


def no_client(error: Exception) -> str:
    """For what the environment says about proxies and certificates, where that cannot be followed."""
    return (
        f"No HTTP client could be made from this environment: {error}. "
        "Check HTTP_PROXY, HTTPS_PROXY, ALL_PROXY, NO_PROXY, SSL_CERT_FILE and SSL_CERT_DIR."
    )


def unreadable(url: str, error: Exception) -> str:
    """For a response that is not HTTP as it should be, or an address that cannot be asked."""
    return f"The response of {shown_url(url)} could not be read: {error or type(error).__name__}. Check the endpoint."


def too_large(url: str, limit: int) -> str:
    """For a response of more than *limit* bytes."""
    return (
        f"The response of {shown_url(url)} is larger than {limit // 1024 // 1024} MiB and was not read to its end. "
        "No reply of a model is that long: check what answers at the endpoint."
    )


def not_an_answer(url: str, what: str) -> str:
    """For a success that is no chat completion."""
    return (
        f"The server at {shown_url(url)} did not answer as an OpenAI-compatible server does: {what}. "
        "Check the endpoint; a TensorZero gateway serves http://HOST:3000/openai/v1."
    )


def refused(
    url: str, model: str, status: int, headers: Mapping[str, str], content: bytes, episode_id: Optional[str]
) -> str:
    """For a status that is no success, with what the server says about it."""
    if 300 <= status < 400:
        return (
            f"The server at {shown_url(url)} redirects to {shown_url(headers.get('Location', 'no address')[:200])} "
            f"(status {status}). Redirects are not followed, because the key and the evidence would go to an address "
            "that nobody named. If that is the right one, set it as the endpoint."
        )
    said = words(content)
    if status == 400 and episode_id and any(word in said.lower() for word in ("episode", "uuid")):
        remedy = f"The gateway does not know the episode {episode_id} that it began; start the diagnosis again."
    elif status == 400 and is_too_long(said):
        remedy = "The conversation is longer than the model takes in. Lower evidence_bytes, rounds or output_bytes."
    elif status in _REMEDIES:
        remedy = _REMEDIES[status]
    elif status >= 500:
        remedy = "See the server's log; a gateway also answers so when the model behind it fails."
    else:
        remedy = "The server does not accept the request as it is; check the model's name and the endpoint."
    told = f" and said: {said}" if said else ""
    return f"The server at {shown_url(url)} answered with status {status} for the model {model}{told}. {remedy}"


def retry_after(value: Optional[str]) -> Optional[float]:
    """Seconds that a Retry-After header asks for, given in seconds or as a date; None where it says neither."""
    if value is None:
        return None
    text = value.strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except (TypeError, ValueError, OverflowError):
        return None


def words(content: bytes) -> str:
    """A server's own words, where they are words and not a web page; ended without a full stop."""
    text = content[:20_000].decode("utf-8", "replace").strip()
    if text.startswith("<"):
        return ""
    try:
        said = error_text(json.loads(text))
    except (ValueError, RecursionError):
        said = error_text(text)
    return said.rstrip(". ")
