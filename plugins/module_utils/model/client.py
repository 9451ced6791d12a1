# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private to the collection nannyapi.diagnostics: asks a model behind an OpenAI-compatible server.

Requests that may succeed later (connection failures, 408, 429, 5xx) are repeated within the time of the call, with
growing pauses or those that the server asks for. Everything else is explained in a sentence and not repeated, but for
a request that a server may have refused because of the reply's schema in it: it is sent without, once.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Mapping
from typing import Any, Optional

from .. import deps
from ..json_text import without_surrogates
from . import explanations, reply_form
from .answers import NotAnAnswer, read_answer
from .body import pieces
from .exchange import Account, Exchange, NoAccount, size_of
from .port import Answer, ModelError
from .prompt import SYSTEM_PROMPT
from .settings import SettingsError
from .time_of_call import TimeOfCall
from .tls import NOTHING_SAID, Tls
from .tls_context import TlsError, context

try:
    import httpx
except ImportError as error:
    httpx = deps.absent("httpx", error)

LARGEST_RESPONSE = 8 * 1024 * 1024
"""Bytes of a response that are read; a reply of the protocol has a few thousand."""

_GATEWAY = "tensorzero::"
_FUNCTION = f"{_GATEWAY}function_name::"
_VARIANT = "::variant_name::"
_ATTEMPTS = 5
_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 20.0
_LONGEST_RETRY_AFTER = 60.0
_SPREAD = 0.1
_CONNECT_SECONDS = 10.0
_SILENCE_SECONDS = 15.0
"""How long a response that has begun may pause; before it begins, a model may think as long as the call lasts."""
_NEARLY = 0.1


class ChatClient:
    """A model at *url*, the full address of a chat completions endpoint.

    With a TensorZero function no system message is sent: the function's own configuration holds the system prompt, and
    a gateway drops a second one. With any other model the same prompt is the first message.

    `tags`: what a TensorZero gateway is to label a request with, asked for before each one. Other servers get none.
    `refusals`: which servers take no schema for a reply, which is sent to all but functions of a gateway: they have it.

    Raises MissingLibrary without httpx, SettingsError where proxies or certificates make no sense.
    """

    def __init__(
        self,
        model: str,
        url: str,
        api_key: Optional[str] = None,
        *,
        account: Optional[Account] = None,
        episode_id: Optional[str] = None,
        tags: Callable[[], dict[str, str]] = dict,
        tls: Tls = NOTHING_SAID,
        refusals: Optional[reply_form.Refusals] = None,
        transport: Optional[httpx.BaseTransport] = None,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        deps.require("httpx")
        self.name = model
        self._url = url
        self._key = api_key
        self._account = account or NoAccount()
        self._episode_id = episode_id
        self._tags = tags
        self._refusals = refusals or reply_form.Refusals()
        self._with_schema = not model.startswith(_FUNCTION) and not self._refusals.known(url, model)
        self._sleep, self._clock, self._jitter = sleep, clock, jitter
        # A gateway adds both likewise.
        self.overhead = len(SYSTEM_PROMPT) + len(json.dumps(reply_form.response_format()))
        self._left_out = False  # the schema, in the call that is being made
        self._time_of_call = TimeOfCall()
        headers = {"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "nannyapi.diagnostics"}
        if api_key:
            headers["Authorization"] = f"Bearer {api_key}"
        try:
            self._http = httpx.Client(transport=transport, headers=headers, follow_redirects=False, verify=context(tls))
        except TlsError as error:
            raise SettingsError(str(error)) from None
        except (ValueError, ImportError, OSError, httpx.InvalidURL) as error:
            raise SettingsError(explanations.no_client(error)) from None

    def __repr__(self) -> str:
        return f"ChatClient({self.name!r}, {explanations.shown_url(self._url)!r})"

    def close(self) -> None:
        """Give the connections back."""
        self._http.close()

    def ask(self, messages: list[dict[str, str]], timeout: float) -> Answer:
        """Answer the last of *messages* within *timeout* seconds, retries and pauses included, or raise ModelError."""
        deadline = self._clock() + timeout
        self._left_out = False
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                answer = self._with_or_without(messages, deadline, timeout, attempt)
            except _Again as again:
                pause = self._pause(attempt, again.retry_after)
                if attempt == _ATTEMPTS or pause is None or self._clock() + pause >= deadline:
                    raise self._error(f"{again.message}{_tried(attempt, again.retry_after)}", again.kind) from None
                self._sleep(pause)
            else:
                self._episode_id = self._episode_id or answer.episode_id
                return answer
        raise AssertionError("the last attempt returns or raises")

    def _with_or_without(self, messages: list[dict[str, str]], deadline: float, timeout: float, attempt: int) -> Answer:
        """One attempt; where the server does not take the schema, another one without it."""
        try:
            return self._try(self._body(messages), deadline, timeout, attempt)
        except _SchemaRefused as refused:
            self._left_out = True  # for the rest of this call; else it was not that, as far as one can tell
            self._sleep(0.0)
            answer = self._try(self._body(messages), deadline, timeout, attempt)
            self._with_schema = False
            if refused.lasting:
                self._refusals.note(self._url, self.name)
            return answer

    def _body(self, messages: list[dict[str, str]]) -> bytes:
        if not self.name.startswith(_FUNCTION):
            messages = [{"role": "system", "content": SYSTEM_PROMPT}, *messages]
        body: dict[str, Any] = {"model": self.name, "messages": messages}
        if self.name.startswith(_GATEWAY):
            body.update(self._for_gateway())
        if self._with_schema and not self._left_out:
            body["response_format"] = reply_form.response_format()
        if self._episode_id:
            body["tensorzero::episode_id"] = self._episode_id
        return without_surrogates(json.dumps(body, ensure_ascii=False)).encode()

    def _for_gateway(self) -> dict[str, Any]:
        """What only a gateway is told. It answers as FUNCTION::variant_name::VARIANT, and is not asked so."""
        told: dict[str, Any] = {}
        function, _separator, variant = self.name.partition(_VARIANT)
        if variant and function.startswith(_FUNCTION):
            told.update({"model": function, "tensorzero::variant_name": variant})
        tags = self._tags()
        if tags:
            told["tensorzero::tags"] = tags
        return told

    def _try(self, body: bytes, deadline: float, timeout: float, attempt: int) -> Answer:
        """One request; raises _Again where another may succeed."""
        request = self._request(body, deadline)
        exchange = Exchange(bytes_sent=size_of(request), attempt=attempt)
        self._account.sending(exchange)
        try:
            answer = self._sent(request, exchange, deadline, timeout)
            exchange.prompt_tokens, exchange.completion_tokens = answer.prompt_tokens, answer.completion_tokens
            return answer
        except (_Again, _SchemaRefused, ModelError) as error:
            exchange.error = self._error(error.message, error.kind).message
            raise
        finally:
            self._account.done(exchange)

    def _request(self, body: bytes, deadline: float) -> httpx.Request:
        left = max(0.1, deadline - self._clock())
        limits = httpx.Timeout(left, connect=min(left, _CONNECT_SECONDS))
        return self._http.build_request(
            "POST",
            self._url,
            content=body,
            headers={"Content-Type": "application/json"},
            timeout=limits,
            extensions={"trace": self._time_of_call.trace},
        )

    def _sent(self, request: httpx.Request, exchange: Exchange, deadline: float, timeout: float) -> Answer:
        try:
            with self._time_of_call.ends(max(0.1, deadline - self._clock())):
                response = self._http.send(request, stream=True)
                exchange.status = response.status_code
                try:
                    content = self._read(response, exchange, deadline)
                finally:
                    response.close()
        except httpx.TimeoutException as error:
            if isinstance(error, httpx.ConnectTimeout):
                exchange.bytes_sent = 0
            if self._clock() >= deadline - _NEARLY:
                raise self._error(explanations.timed_out(self._url, timeout), "timeout") from None
            raise _Again(explanations.unreachable(self._url, error), "unreachable") from None
        except httpx.TransportError as error:
            if isinstance(error, httpx.ConnectError):
                exchange.bytes_sent = 0
            if self._clock() >= deadline:
                raise self._error(explanations.timed_out(self._url, timeout), "timeout") from None
            message = explanations.unreachable(self._url, error)
            if explanations.is_tls_problem(error):
                raise self._error(message, "unreachable") from None
            raise _Again(message, "unreachable") from None
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            raise self._error(explanations.unreadable(self._url, error), "not_the_protocol") from None
        return self._answer(response, content)

    def _read(self, response: httpx.Response, exchange: Exchange, deadline: float) -> bytes:
        # The time a read may take is looked up when the body is begun, in the same dictionary.
        limits = response.request.extensions.get("timeout", {})
        limits["read"] = max(0.1, min(deadline - self._clock(), _SILENCE_SECONDS))
        content = bytearray()
        for chunk in pieces(response):
            content += chunk
            exchange.bytes_received = len(content)
            if len(content) > LARGEST_RESPONSE:
                raise self._error(explanations.too_large(self._url, LARGEST_RESPONSE), "not_the_protocol")
            if self._clock() >= deadline:
                raise httpx.ReadTimeout("the time of the call is over", request=response.request)
        return bytes(content)

    def _answer(self, response: httpx.Response, content: bytes) -> Answer:
        status = response.status_code
        if 200 <= status < 300:
            try:
                return self._read_success(content, response.headers.get("Content-Type", ""))
            except NotAnAnswer as error:
                message = explanations.not_an_answer(self._url, str(error))
                if error.may_pass:
                    raise _Again(message, "not_the_protocol") from None
                raise self._error(message, "not_the_protocol") from None
        message = self._refusal(status, response.headers, content)
        said = explanations.words(content)
        if self._with_schema and not self._left_out and reply_form.may_be_why(status, said):
            raise _SchemaRefused(message, "refused", lasting=not explanations.is_too_long(said))
        if status in (408, 429) or (status >= 500 and status != 501):
            wait = explanations.retry_after(response.headers.get("Retry-After"))
            raise _Again(message, "failed", wait)
        raise self._error(message, "not_the_protocol" if status < 400 else "refused")

    def _read_success(self, content: bytes, content_type: str) -> Answer:
        """What a success brings; raises NotAnAnswer."""
        return read_answer(content, content_type)

    def _refusal(self, status: int, headers: Mapping[str, str], content: bytes) -> str:
        """What to say of a status that is no success."""
        return explanations.refused(self._url, self.name, status, headers, content, self._episode_id)

    def _pause(self, attempt: int, retry_after: Optional[float]) -> Optional[float]:
        """Seconds until the next attempt; None where the server asks for more than is worth waiting."""
        if retry_after is not None:
            # The same is said to all who asked too much: they are not to come back in the same moment.
            spread = self._jitter() * max(_FIRST_PAUSE, retry_after * _SPREAD)
            return retry_after + spread if retry_after <= _LONGEST_RETRY_AFTER else None
        pause = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2.0 ** (attempt - 1))
        return pause * (0.5 + self._jitter() / 2)

    def _error(self, message: str, kind: str) -> ModelError:
        """The error for the operator; servers like to repeat the key that they refuse."""
        said = without_surrogates(message)  # half a character cannot be written anywhere
        return ModelError(said.replace(self._key, "[key]") if self._key else said, kind)


class _Again(Exception):
    """A failure that may pass; retry_after in seconds where the server said it."""

    def __init__(self, message: str, kind: str, retry_after: Optional[float] = None) -> None:
        super().__init__(message)
        self.message, self.kind, self.retry_after = message, kind, retry_after


class _SchemaRefused(Exception):
    """A request that may have been refused for the schema in it; `lasting`: and not for the length that this adds."""

    def __init__(self, message: str, kind: str, lasting: bool) -> None:
        super().__init__(message)
        self.message, self.kind, self.lasting = message, kind, lasting


def _tried(attempts: int, retry_after: Optional[float]) -> str:
    wait = "" if retry_after is None else f" It asks to wait {retry_after:.0f} s before the next attempt."
    return f"{wait} Tried {'once' if attempts == 1 else f'{attempts} times'}."
