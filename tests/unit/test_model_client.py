# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the client sends, what it repeats and what it explains; another transport in place of the network."""

from __future__ import annotations

import contextlib
import email.utils
import gzip
import json
import socket
import ssl
import threading
import time
import tracemalloc
import zlib
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator

from ansible_collections.nannyapi.diagnostics.plugins.module_utils import protocol_schema
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.model.client import LARGEST_RESPONSE, ChatClient
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.model.port import Answer, ModelError
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.model.prompt import SYSTEM_PROMPT
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.model.reply_form import response_format
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.model.settings import FUNCTION_MODEL, SettingsError

URL = "http://gateway:3000/openai/v1/chat/completions"
KEY = "sk-very-secret"
MESSAGES = [{"role": "user", "content": '{"issue": "slow"}'}]
REQUEST = Draft202012Validator(protocol_schema.request_schema())


def completion(content: Any = "{}", **more: Any) -> httpx.Response:
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": content}}
    usage = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}
    return httpx.Response(200, json={"model": "m-1", "choices": [choice], "usage": usage, **more})


class Server:
    """Answers from a script, the last line again and again; sleeping moves its clock."""

    def __init__(self, *script: Any) -> None:
        self.script = script
        self.requests: list[httpx.Request] = []
        self.slept: list[float] = []
        self.now = 0.0

    def __call__(self, request: httpx.Request) -> httpx.Response:
        REQUEST.validate(json.loads(request.content))
        self.requests.append(request)
        line = self.script[min(len(self.requests), len(self.script)) - 1]
        if isinstance(line, Exception):
            raise line
        if callable(line):
            line = line(self)
        assert isinstance(line, httpx.Response)
        return httpx.Response(line.status_code, headers=line.headers, stream=line.stream)

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    def client(self, model: str = "m", key: str | None = KEY, **more: Any) -> ChatClient:
        return ChatClient(
            model,
            URL,
            key,
            transport=httpx.MockTransport(self),
            sleep=self.sleep,
            clock=lambda: self.now,
            jitter=lambda: 1.0,
            **more,
        )

    def sent(self, index: int = -1) -> dict[str, Any]:
        body: dict[str, Any] = json.loads(self.requests[index].content)
        return body


def failure(server: Server, timeout: float = 100, **client: Any) -> ModelError:
    with pytest.raises(ModelError) as failed:
        server.client(**client).ask(MESSAGES, timeout)
    assert KEY not in str(failed.value) + repr(failed.value)
    return failed.value


def test_an_answer_carries_content_tokens_model_and_reason() -> None:
    answer = Server(completion("hello", episode_id="e-1")).client().ask(MESSAGES, 10)
    assert answer == Answer("hello", 7, 3, "e-1", "m-1", "stop")


def test_a_plain_model_gets_the_prompt_as_system_message() -> None:
    server = Server(completion())
    server.client("gpt-x").ask(MESSAGES, 10)
    assert server.sent() == {
        "model": "gpt-x",
        "messages": [{"role": "system", "content": SYSTEM_PROMPT}, *MESSAGES],
        "response_format": response_format(),
    }


def test_a_model_of_a_gateway_gets_the_prompt_as_system_message() -> None:
    server = Server(completion())
    server.client("tensorzero::model_name::m").ask(MESSAGES, 10)
    assert server.sent()["messages"][0]["role"] == "system"


def test_a_function_of_a_gateway_has_its_own_prompt() -> None:
    server = Server(completion())
    server.client(FUNCTION_MODEL).ask(MESSAGES, 10)
    assert server.sent() == {"model": FUNCTION_MODEL, "messages": MESSAGES}


def test_the_first_episode_id_goes_with_every_later_request() -> None:
    server = Server(completion(episode_id="e-1"), completion(episode_id="e-2"))
    client = server.client()
    for _attempt in range(3):
        client.ask(MESSAGES, 10)
    assert [server.sent(index).get("tensorzero::episode_id") for index in range(3)] == [None, "e-1", "e-1"]


def test_a_server_that_gives_no_episode_id_gets_none() -> None:
    server = Server(completion())
    client = server.client()
    client.ask(MESSAGES, 10)
    client.ask(MESSAGES, 10)
    assert "tensorzero::episode_id" not in server.sent()


@pytest.mark.parametrize("model", [FUNCTION_MODEL, "tensorzero::model_name::m"])
def test_a_gateway_is_told_the_tags_of_the_moment(model: str) -> None:
    server, tags = Server(completion()), {"diagnosis_id": "d-1"}
    client = server.client(model, tags=lambda: tags)
    client.ask(MESSAGES, 10)
    tags["host"] = "db1"
    client.ask(MESSAGES, 10)
    assert [server.sent(index)["tensorzero::tags"] for index in (0, 1)] == [
        {"diagnosis_id": "d-1"},
        {"diagnosis_id": "d-1", "host": "db1"},
    ]


def test_another_server_is_told_no_tags() -> None:
    server = Server(completion())
    server.client("gpt-x", tags=lambda: {"host": "db1"}).ask(MESSAGES, 10)
    assert "db1" not in server.requests[-1].content.decode()


def test_a_variant_is_asked_for_by_the_name_that_the_gateway_answers_with() -> None:
    server = Server(completion())
    server.client(f"{FUNCTION_MODEL}::variant_name::careful").ask(MESSAGES, 10)
    assert server.sent() == {"model": FUNCTION_MODEL, "tensorzero::variant_name": "careful", "messages": MESSAGES}


def test_the_key_is_a_bearer_token_and_nothing_without_one() -> None:
    server = Server(completion())
    server.client().ask(MESSAGES, 10)
    assert server.requests[-1].headers["Authorization"] == f"Bearer {KEY}"
    server.client(key=None).ask(MESSAGES, 10)
    assert "Authorization" not in server.requests[-1].headers


def test_half_characters_of_a_server_are_written_nowhere() -> None:
    body = rb'{"model": "m-\ud83d", "episode_id": "e-\ud83d", "choices": [{"message": {"content": "{}"}}]}'
    answered = Server(httpx.Response(200, content=body)).client().ask(MESSAGES, 30)
    (str(answered.episode_id) + str(answered.model)).encode("utf-8")
    refusing = Server(httpx.Response(404, content=b'{"error": {"message": "Unknown \\ud83d model"}}'))
    with pytest.raises(ModelError, match=r"Unknown . model") as refused:
        refusing.client().ask(MESSAGES, 30)
    refused.value.message.encode("utf-8")


def test_the_key_does_not_show_in_the_client() -> None:
    assert KEY not in repr(Server(completion()).client())


def test_text_that_utf8_cannot_carry_is_sent_all_the_same() -> None:
    server = Server(completion())
    server.client().ask([{"role": "user", "content": "a\ud800b"}], 10)
    assert server.sent()["messages"][-1]["content"] == "a\ufffdb"


@pytest.mark.parametrize(
    ("message", "content"),
    [
        ({"content": None}, ""),
        ({}, ""),
        ({"content": 5}, ""),
        ({"content": [{"type": "text", "text": "a"}, {"type": "image"}, 3, {"text": "b"}]}, "ab"),
        ({"content": None, "refusal": "I will not"}, "I will not"),
        ({"content": "a\ud800"}, "a\ufffd"),
        (None, ""),
        ("text", ""),
    ],
)
def test_content_of_any_shape_is_text(message: Any, content: str) -> None:
    server = Server(httpx.Response(200, content=json.dumps({"choices": [{"message": message}]})))
    assert server.client().ask(MESSAGES, 10) == Answer(content)


def test_counts_that_are_none_are_not_counted() -> None:
    usage = {"prompt_tokens": "7", "completion_tokens": True}
    assert Server(completion("x", usage=usage)).client().ask(MESSAGES, 10).prompt_tokens is None


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_what_may_pass_is_tried_again(status: int) -> None:
    server = Server(httpx.Response(status), httpx.Response(status), completion("at last"))
    assert server.client().ask(MESSAGES, 100).content == "at last"
    assert server.slept == [0.5, 1.0]


@pytest.mark.parametrize(
    "error",
    [
        httpx.ConnectError("[Errno 111] Connection refused"),
        httpx.ConnectTimeout(""),
        httpx.ReadError("[Errno 104] Connection reset by peer"),
        httpx.RemoteProtocolError("peer closed connection without sending complete message body"),
    ],
)
def test_connections_that_fail_are_tried_again(error: Exception) -> None:
    server = Server(error, completion("at last"))
    assert server.client().ask(MESSAGES, 100).content == "at last"


def test_tries_end_and_the_last_failure_is_told() -> None:
    failed = failure(server := Server(httpx.Response(503, json={"error": {"message": "overloaded"}})))
    assert failed.kind == "failed"
    assert len(server.requests) == 5
    assert "status 503 for the model m and said: overloaded." in failed.message
    assert failed.message.endswith("Tried 5 times.")
    assert server.slept == [0.5, 1.0, 2.0, 4.0]


def test_pauses_are_spread_by_chance() -> None:
    server = Server(httpx.Response(500), completion())
    client = server.client()
    client._jitter = lambda: 0.0
    client.ask(MESSAGES, 100)
    assert server.slept == [0.25]


def test_nothing_is_tried_beyond_the_time_of_the_call() -> None:
    failed = failure(server := Server(httpx.Response(500)), timeout=1.2)
    assert server.slept == [0.5]
    assert failed.message.endswith("Tried 2 times.")


@pytest.mark.parametrize(
    "value", ["7", " 7 ", email.utils.format_datetime(email.utils.localtime(), usegmt=False), "soon", "-3", "७", ""]
)
def test_retry_after_is_followed_in_any_form(value: str) -> None:
    server = Server(httpx.Response(429, headers=[(b"Retry-After", value.encode())]), completion())
    server.client().ask(MESSAGES, 100)
    assert server.slept == [pytest.approx(7.7 if value.strip() == "7" else 0.5)]


def test_retry_after_as_a_date_is_the_time_until_then() -> None:
    when = email.utils.formatdate(time.time() + 30, usegmt=True)
    server = Server(httpx.Response(503, headers={"Retry-After": when}), completion())
    server.client().ask(MESSAGES, 100)
    # Spread by a tenth, and the date has whole seconds; the machine may be slow.
    assert server.slept == [pytest.approx(30, abs=5)]


@pytest.mark.parametrize(("wait", "timeout"), [("3600", 10_000), ("50", 40), ("9" * 400, 10_000)])
def test_a_retry_after_that_is_not_worth_waiting_for_ends_the_call(wait: str, timeout: float) -> None:
    failed = failure(server := Server(httpx.Response(429, headers={"Retry-After": wait})), timeout)
    assert (len(server.requests), server.slept) == (1, [])
    assert "asks to wait" in failed.message
    assert "Tried once." in failed.message


@pytest.mark.parametrize(
    ("status", "says"),
    [
        (400, "check the model's name"),
        (401, "Check the API key: NANNYAPI_API_KEY"),
        (403, "does not allow this key"),
        (404, "Check the model's name and the endpoint's path; a TensorZero gateway serves http://HOST:3000/openai/v1"),
        (405, "Check the endpoint"),
        (407, "proxy"),
        (409, "does not accept the request"),
        (413, "larger than the server takes"),
        (422, "OpenAI-compatible"),
        (501, "server's log"),
    ],
)
def test_what_will_not_pass_is_explained_at_once(status: int, says: str) -> None:
    body = {"error": {"message": f"No, {KEY} is wrong.", "type": "x"}}
    # A function's reply has its schema at the gateway, so that there is nothing to leave out.
    failed = failure(server := Server(httpx.Response(status, json=body)), model=FUNCTION_MODEL)
    assert len(server.requests) == 1
    assert failed.kind == "refused"
    assert f"{URL} answered with status {status}" in failed.message
    assert "said: No, [key] is wrong. " in failed.message
    assert says in failed.message


def test_an_episode_that_the_gateway_does_not_know_is_explained() -> None:
    refusal = httpx.Response(400, json={"error": {"message": "Invalid Episode ID: Timestamp is too early"}})
    server = Server(completion(episode_id="e-1"), refusal)
    client = server.client()
    client.ask(MESSAGES, 10)
    with pytest.raises(ModelError, match=r"does not know the episode e-1 .*start the diagnosis again"):
        client.ask(MESSAGES, 10)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"plain words",
        b'{"error": "words"}',
        b'{"detail": [{"msg": "words"}]}',
        b'{"error": {"code": 5}}',
        b"[1]",
        b"\xff\xfe",
        b"[" * 100_000,
        b"<html>" + b"x" * 1_000_000,
    ],
)
def test_errors_of_any_shape_are_explained(body: bytes) -> None:
    failed = failure(Server(httpx.Response(404, content=body)))
    assert "status 404" in failed.message
    assert len(failed.message) < 1_500


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_explained_and_not_followed(status: int) -> None:
    answer = httpx.Response(status, headers={"Location": "https://elsewhere.example/v1?key=hidden"})
    failed = failure(server := Server(answer))
    assert len(server.requests) == 1
    assert failed.kind == "not_the_protocol"
    assert "redirects to https://elsewhere.example/v1 " in failed.message
    assert "set it as the endpoint" in failed.message
    assert "hidden" not in failed.message


@pytest.mark.parametrize(
    ("response", "tries", "says"),
    [
        (httpx.Response(200, html="<!doctype html><p>Login"), 1, "web page, not JSON"),
        (httpx.Response(200, content=b"<html>"), 1, "web page, not JSON"),
        (httpx.Response(200, content=b""), 5, "was empty"),
        (httpx.Response(200, content=b'{"choices": [{"mess'), 5, "not valid JSON"),
        (httpx.Response(200, content=b"[" * 100_000), 5, "not valid JSON"),
        (httpx.Response(200, json={"object": "list"}), 1, 'no "choices"'),
        (httpx.Response(200, json={"choices": []}), 1, 'no "choices"'),
        (httpx.Response(200, json={"choices": [None]}), 1, 'no "choices"'),
        (httpx.Response(200, json=[]), 1, 'no "choices"'),
        (httpx.Response(200, json={"error": {"message": "quota"}}), 1, "reported an error: quota"),
        (httpx.Response(200, content=b"x" * (LARGEST_RESPONSE + 1)), 1, "larger than 8 MiB"),
    ],
)
def test_a_success_that_is_no_answer_is_explained(response: httpx.Response, tries: int, says: str) -> None:
    failed = failure(server := Server(response))
    assert len(server.requests) == tries
    assert failed.kind == "not_the_protocol"
    assert says in failed.message
    assert "Check the endpoint" in failed.message or "check what answers" in failed.message


def test_reading_stops_at_the_largest_size() -> None:
    given: list[int] = []

    def endless() -> Iterator[bytes]:
        while True:
            given.append(1_000_000)
            yield b" " * 1_000_000

    failure(Server(httpx.Response(200, content=endless())))
    assert sum(given) < LARGEST_RESPONSE + 2_000_000


def test_a_byte_now_and_then_does_not_stretch_the_time_of_the_call() -> None:
    def dripping(server: Server) -> httpx.Response:
        def drops() -> Iterator[bytes]:
            while True:
                server.now += 1
                yield b" "

        return httpx.Response(200, content=drops())

    failed = failure(server := Server(dripping), timeout=20)
    assert failed.kind == "timeout"
    assert server.now <= 21
    assert "did not answer within 20 s" in failed.message


@pytest.mark.parametrize("begun", [b"HTTP/1.1 2", b"HTTP/1.1 200 OK\r\nX-Slow: "])
def test_headers_that_come_letter_by_letter_do_not_stretch_the_time_of_the_call(begun: bytes) -> None:
    letters: list[bytes] = []

    def trickle(listener: socket.socket) -> None:
        with contextlib.suppress(OSError), listener.accept()[0] as connection:
            connection.recv(65_536)
            connection.sendall(begun)
            connection.settimeout(0.05)
            while len(letters) < 200:
                letters.append(b"x")
                connection.sendall(letters[-1])
                with contextlib.suppress(TimeoutError):
                    connection.recv(65_536)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=trickle, args=(listener,), daemon=True).start()
        client = ChatClient("m", f"http://127.0.0.1:{listener.getsockname()[1]}/v1/chat/completions", KEY)
        with pytest.raises(ModelError, match="did not answer within 1 s") as failed:
            client.ask(MESSAGES, 1)
    assert failed.value.kind == "timeout"
    assert 0 < len(letters) < 200


def test_a_server_that_never_answers_is_a_timeout() -> None:
    def late(server: Server) -> httpx.Response:
        server.now += 30
        raise httpx.ReadTimeout("timed out")

    failed = failure(server := Server(late), timeout=30)
    assert (failed.kind, len(server.requests)) == ("timeout", 1)


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (ssl.SSLCertVerificationError("[SSL: CERTIFICATE_VERIFY_FAILED] self-signed"), "as ca_path"),
        (ssl.SSLError("[SSL: TLSV13_ALERT_CERTIFICATE_REQUIRED] tlsv13 alert"), "as client_cert"),
        (ssl.SSLError("[SSL: WRONG_VERSION_NUMBER] wrong version number"), "http:// instead of https://"),
    ],
)
def test_tls_that_will_not_mend_is_explained_at_once(error: Exception, says: str) -> None:
    failed = failure(server := Server(httpx.ConnectError(str(error))))
    assert len(server.requests) == 1
    assert says in failed.message


def test_proxies_that_make_no_sense_are_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", "gopher://proxy")
    monkeypatch.delenv("NO_PROXY", raising=False)
    with pytest.raises(SettingsError, match=r"No HTTP client could be made .*ALL_PROXY"):
        ChatClient("m", URL, KEY)


def test_a_query_of_the_endpoint_does_not_show_in_errors() -> None:
    server = Server(httpx.Response(404))
    client = ChatClient("m", URL + "?key=hidden", transport=httpx.MockTransport(server))
    with pytest.raises(ModelError) as failed:
        client.ask(MESSAGES, 10)
    assert "hidden" not in failed.value.message + repr(client)


@pytest.mark.parametrize("count", [10**10, int("9" * 4300), -1, 1.5, True, "7", None])
def test_a_count_of_tokens_that_cannot_be_is_none(count: Any) -> None:
    usage = {"prompt_tokens": count, "completion_tokens": count}
    answer = Server(completion(usage=usage)).client().ask(MESSAGES, 10)
    assert (answer.prompt_tokens, answer.completion_tokens) == (None, None)


def test_a_number_of_a_million_digits_is_read_at_once() -> None:
    body = b'{"choices": [{"message": {"content": "yes"}}], "usage": {"prompt_tokens": ' + b"9" * 1_000_000 + b"}}"
    answer = Server(httpx.Response(200, content=body)).client().ask(MESSAGES, 10)
    assert (answer.content, answer.prompt_tokens) == ("yes", None)


def test_hosts_that_were_told_the_same_pause_do_not_come_back_at_once() -> None:
    pauses = []
    for drawn in (0.0, 0.5, 1.0):
        server = Server(httpx.Response(429, headers={"Retry-After": "20"}), completion())
        client = server.client()
        client._jitter = lambda drawn=drawn: drawn
        client.ask(MESSAGES, 100)
        pauses += server.slept
    assert pauses == [20.0, 21.0, 22.0]


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_a_small_body_that_stands_for_a_large_one_is_not_unpacked_whole(encoding: str) -> None:
    packing = zlib.compressobj(wbits=31 if encoding == "gzip" else 15)
    megabyte = bytes(1024 * 1024)
    bomb = b"".join(packing.compress(megabyte) for _time in range(200)) + packing.flush()
    assert len(bomb) < LARGEST_RESPONSE / 10
    server = Server(httpx.Response(200, headers={"Content-Encoding": encoding}, stream=httpx.ByteStream(bomb)))
    tracemalloc.start()
    try:
        assert "larger than 8 MiB" in failure(server).message
        assert tracemalloc.get_traced_memory()[1] < 4 * LARGEST_RESPONSE
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_an_answer_that_is_compressed_though_none_was_asked_for_is_read(encoding: str) -> None:
    content = json.dumps({"choices": [{"message": {"content": "yes"}}]}).encode()
    packed = gzip.compress(content) if encoding == "gzip" else zlib.compress(content)
    response = httpx.Response(200, headers={"Content-Encoding": encoding}, stream=httpx.ByteStream(packed))
    assert Server(response).client().ask(MESSAGES, 10).content == "yes"


@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip"])
def test_a_compression_that_cannot_be_read_is_a_sentence(encoding: str) -> None:
    response = httpx.Response(200, headers={"Content-Encoding": encoding}, stream=httpx.ByteStream(b"not packed"))
    failed = failure(server := Server(response))
    assert (failed.kind, len(server.requests)) == ("not_the_protocol", 1)
    assert "compress" in failed.message


def test_a_conversation_that_is_too_long_is_explained_as_that() -> None:
    body = {"error": {"message": "This model's maximum context length is 8192 tokens."}}
    failed = failure(Server(httpx.Response(400, json=body)), model=FUNCTION_MODEL)
    assert "longer than the model takes in" in failed.message
