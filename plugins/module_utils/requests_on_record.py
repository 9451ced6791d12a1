# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Puts on record what is asked of a model, and how many bytes that takes off the host. Private to the collection."""

from __future__ import annotations

from typing import Optional
from urllib.parse import urlsplit

from .model.exchange import Exchange
from .model.port import Answer, Model, ModelError
from .model.settings import Settings
from .session.actions import ActionLog, Unrecorded


def endpoint_host(settings: Settings) -> Optional[str]:
    """Host and port that requests go to, without anything else of the address; None where none leaves."""
    return urlsplit(settings.url).netloc.rpartition("@")[2] if settings.url else None


class RequestsOnRecord:
    """An account of exchanges (model/exchange.py) in the log of actions."""

    def __init__(self, settings: Settings, actions: ActionLog) -> None:
        self._model = settings.model
        self._host = endpoint_host(settings)
        self._actions = actions

    def sending(self, exchange: Exchange) -> None:
        """Raises ModelError where it cannot be put on record."""
        try:
            self._actions.request_started(self._model, self._host, exchange.bytes_sent, exchange.attempt)
        except Unrecorded as error:
            raise ModelError(f"The model was not asked. {error}", "unrecorded") from None

    def done(self, exchange: Exchange) -> None:
        """What came of it."""
        self._actions.request_ended(
            exchange.bytes_sent,
            exchange.bytes_received,
            status=exchange.status,
            prompt_tokens=exchange.prompt_tokens,
            completion_tokens=exchange.completion_tokens,
            error=exchange.error,
        )


class OfflineOnRecord:
    """A model on this host, of which it is put on record that it was asked, and that nothing left."""

    def __init__(self, model: Model, account: RequestsOnRecord) -> None:
        self.name, self.overhead = model.name, model.overhead
        self._model = model
        self._account = account

    def ask(self, messages: list[dict[str, str]], timeout: float) -> Answer:
        """The model's answer."""
        exchange = Exchange(bytes_sent=0, attempt=1)
        self._account.sending(exchange)
        try:
            return self._model.ask(messages, timeout)
        finally:
            self._account.done(exchange)
