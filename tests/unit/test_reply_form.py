# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The schema of a reply in a request: sent where it is taken, found out once where it is not, and remembered."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from ansible_collections.nannyapi.diagnostics.plugins.module_utils.model.client import ChatClient
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.model.port import ModelError
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.model.reply_form import Refusals, response_format
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.model.settings import FUNCTION_MODEL

MESSAGES = [{"role": "user", "content": "{}"}]
ANSWER = {"choices": [{"message": {"role": "assistant", "content": "yes"}, "finish_reason": "stop"}]}
SOLVED = {
    "response_type": "resolution",
    "root_cause": "r",
    "resolution_plan": "p",
    "confidence": "Low",
    "ebpf_evidence": "",
}
# What servers say of it, and with which status; the last is a gateway's word for its provider's refusal.
REFUSALS = [
    (400, "Invalid parameter: 'response_format' of type 'json_schema' is not supported with this model."),
    (422, "extra fields not permitted"),
    (500, "All variants failed with errors: server: Error 400 Bad Request: json_schema is not supported"),
]


class Server:
    """Takes no schema, with such an answer; anything else it answers. `asked`: whether each request had one."""

    def __init__(self, http: HTTPServer, status: int = 400, said: str = "no schema", other: int = 200) -> None:
        self.asked: list[bool] = []
        self.url = http.url_for("/v1/chat/completions")
        self._refusal = Response(json.dumps({"error": {"message": said}}), status, content_type="application/json")
        self._other = other
        http.expect_request("/v1/chat/completions").respond_with_handler(self._answer)

    def _answer(self, request: Request) -> Response:
        self.asked.append("response_format" in json.loads(request.data))
        if self.asked[-1] and self._refusal.status_code != 200:
            return self._refusal
        return Response(json.dumps(ANSWER), self._other, content_type="application/json")

    def client(self, folder: Path | None = None, model: str = "m", **more: Any) -> ChatClient:
        return ChatClient(model, self.url, refusals=Refusals(folder), **more)


@pytest.mark.parametrize(("status", "said"), REFUSALS)
def test_a_server_that_takes_no_schema_is_asked_without_and_found_out_once(
    httpserver: HTTPServer, tmp_path: Path, status: int, said: str
) -> None:
    server = Server(httpserver, status, said)
    client = server.client(tmp_path / "servers")
    assert [client.ask(MESSAGES, 10).content for _time in range(2)] == ["yes", "yes"]
    assert server.asked == [True, False, False]
    assert server.client(tmp_path / "servers").ask(MESSAGES, 10).content == "yes"
    assert server.asked == [True, False, False, False]
    assert (tmp_path / "servers").stat().st_mode & 0o077 == 0


def test_another_model_of_the_server_is_asked_with_it(httpserver: HTTPServer, tmp_path: Path) -> None:
    server = Server(httpserver)
    server.client(tmp_path).ask(MESSAGES, 10)
    server.client(tmp_path, "other").ask(MESSAGES, 10)
    assert server.asked == [True, False, True, False]


def test_after_a_week_it_is_tried_again(httpserver: HTTPServer, tmp_path: Path) -> None:
    server = Server(httpserver)
    server.client(tmp_path).ask(MESSAGES, 10)
    (kept,) = tmp_path.iterdir()
    before = time.time() - 8 * 24 * 3600
    os.utime(kept, (before, before))
    server.client(tmp_path).ask(MESSAGES, 10)
    assert server.asked == [True, False, True, False]


def test_a_request_that_is_refused_without_it_too_says_nothing_of_the_schema(
    httpserver: HTTPServer, tmp_path: Path
) -> None:
    server = Server(httpserver, other=400)
    with pytest.raises(ModelError) as failed:
        server.client(tmp_path).ask(MESSAGES, 10)
    assert (failed.value.kind, server.asked) == ("refused", [True, False])
    assert list(tmp_path.iterdir()) == []


def test_where_nothing_can_be_kept_it_is_found_out_by_each_diagnosis(httpserver: HTTPServer, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    server = Server(httpserver)
    for _time in range(2):
        assert server.client(tmp_path / "file" / "servers").ask(MESSAGES, 10).content == "yes"
    assert server.asked == [True, False] * 2


def test_a_server_that_takes_it_is_asked_with_it_and_a_function_never(httpserver: HTTPServer, tmp_path: Path) -> None:
    server = Server(httpserver, status=200)
    server.client(tmp_path).ask(MESSAGES, 10)
    server.client(tmp_path, FUNCTION_MODEL).ask(MESSAGES, 10)
    assert server.asked == [True, False]
    assert list(tmp_path.iterdir()) == []


def test_another_request_for_want_of_the_schema_is_counted_as_one(httpserver: HTTPServer) -> None:
    waited: list[float] = []
    server = Server(httpserver)
    server.client(sleep=waited.append).ask(MESSAGES, 10)
    assert waited == [0.0]


def test_the_schema_is_that_of_the_contract_with_a_type_at_its_root() -> None:
    form = response_format()
    schema = form["json_schema"]["schema"]
    assert (form["type"], schema["type"]) == ("json_schema", "object")
    judge = Draft202012Validator(schema)
    assert judge.is_valid(SOLVED)
    assert not judge.is_valid({**SOLVED, "confidence": "certain"})
