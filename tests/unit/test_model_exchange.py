# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The account of requests: every byte that a server is sent is in it, and it is written before the first is."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import httpx
import pytest

from ansible_collections.nannyapi.diagnostics.plugins.module_utils.model.client import ChatClient
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.model.exchange import Exchange
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.model.port import ModelError

MESSAGES = [{"role": "user", "content": '{"issue": "größer"}'}]
ANSWER = b'{"choices": [{"message": {"content": "{}"}}], "usage": {"prompt_tokens": 7, "completion_tokens": 3}}'


class Account:
    """Keeps copies of what it is told; `refuses` at the nth."""

    def __init__(self, refuses: int = 0) -> None:
        self.begun: list[Exchange] = []
        self.ended: list[Exchange] = []
        self._refuses = refuses

    def sending(self, exchange: Exchange) -> None:
        self.begun.append(replace(exchange))
        if len(self.begun) == self._refuses:
            raise ModelError("The model was not asked.", "unrecorded")

    def done(self, exchange: Exchange) -> None:
        self.ended.append(replace(exchange))


class Wire:
    """A server on a socket that keeps the bytes of each request, and answers with the next of `answers`."""

    def __init__(self, *answers: bytes) -> None:
        self.received: list[bytes] = []
        self._answers = answers
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}/openai/v1/chat/completions?a=b"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        for answer in self._answers:
            connection, _address = self._socket.accept()
            data = b""
            while b"\r\n\r\n" not in data:
                data += connection.recv(65536)
            head, _empty, body = data.partition(b"\r\n\r\n")
            length = next(
                int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")
            )
            while len(body) < length:
                body += connection.recv(65536)
            self.received.append(head + b"\r\n\r\n" + body)
            connection.sendall(answer)
            connection.close()

    def close(self) -> None:
        self._socket.close()


def answer(status: str, body: bytes, length: int = -1) -> bytes:
    size = len(body) if length < 0 else length
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {size}\r\nConnection: close\r\n\r\n"
    return head.encode() + body


@pytest.fixture
def wire() -> Iterator[Any]:
    made: list[Wire] = []

    def make(*answers: bytes) -> Wire:
        made.append(Wire(*answers))
        return made[-1]

    yield make
    for one in made:
        one.close()


def ask(url: str, account: Account, key: str = "sk-secret") -> None:
    ChatClient("m", url, key, account=account, sleep=lambda seconds: None).ask(MESSAGES, 10)


def test_the_bytes_sent_are_those_that_came_over_the_wire(wire: Any) -> None:
    account, server = Account(), wire(answer("200 OK", ANSWER))
    ask(server.url, account)
    assert [exchange.bytes_sent for exchange in account.begun] == [len(server.received[0])]
    assert account.ended == [
        Exchange(
            bytes_sent=len(server.received[0]),
            attempt=1,
            bytes_received=len(ANSWER),
            status=200,
            prompt_tokens=7,
            completion_tokens=3,
        )
    ]


def test_every_attempt_is_an_exchange_of_its_own(wire: Any) -> None:
    account, server = Account(), wire(answer("503 Busy", b"later"), answer("200 OK", ANSWER))
    ask(server.url, account)
    assert [(each.attempt, each.status, each.bytes_sent) for each in account.ended] == [
        (1, 503, len(server.received[0])),
        (2, 200, len(server.received[1])),
    ]
    assert account.ended[0].error
    assert account.ended[1].error is None


def test_a_connection_that_breaks_has_sent_all_and_received_what_came(wire: Any) -> None:
    account, server = Account(), wire(*[answer("200 OK", b"half", length=1000)] * 5)
    with pytest.raises(ModelError):
        ask(server.url, account)
    assert len(account.ended) == 5
    assert {(each.bytes_sent, each.bytes_received, each.status) for each in account.ended} == {
        (len(server.received[0]), 4, 200)
    }


def test_where_no_connection_was_made_nothing_left() -> None:
    account = Account()
    with pytest.raises(ModelError):
        ask("http://127.0.0.1:9/v1/chat/completions", account)
    assert {each.bytes_sent for each in account.ended} == {0}
    assert all(each.bytes_sent > 0 for each in account.begun)


def test_what_the_account_refuses_is_not_sent() -> None:
    account, requests = Account(refuses=1), []

    def server(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        return httpx.Response(200, content=ANSWER)

    client = ChatClient("m", "http://h/v1/chat/completions", account=account, transport=httpx.MockTransport(server))
    with pytest.raises(ModelError, match="was not asked") as error:
        client.ask(MESSAGES, 10)
    assert error.value.kind == "unrecorded"
    assert not requests
    assert len(account.begun) == 1


@pytest.mark.parametrize("status", ["401 No", "503 Busy"])
def test_the_key_is_in_no_account(wire: Any, status: str) -> None:
    account, server = Account(), wire(*[answer(status, b'{"error": {"message": "sk-secret is no key"}}')] * 5)
    with pytest.raises(ModelError):
        ask(server.url, account)
    assert "sk-secret" not in str(account.ended)
    assert b"sk-secret" in server.received[0]
