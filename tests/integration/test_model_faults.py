# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A bare server that misbehaves in the middle of a diagnosis: the run ends in order, says why, and keeps its evidence.

The first request is answered well, so that there is evidence to lose; every later one meets the fault.
"""

from __future__ import annotations

import json
import socket
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Thread
from typing import Any

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from ansible_collections.nannyapi.diagnostics.plugins.module_utils.commands.policy import Policy
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.commands.runner import Limits, run_commands
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.loop import LoopLimits, diagnose
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.model.client import ChatClient
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.model.settings import completions_url

KEY = "sk-of-the-operator"
LOOK = {"response_type": "diagnostic", "commands": [{"id": "load", "command": "cat /proc/loadavg"}]}
SOLVED = {
    "response_type": "resolution",
    "root_cause": "none found",
    "resolution_plan": "1. wait",
    "confidence": "Low",
    "ebpf_evidence": "",
}
PATH = "/v1/chat/completions"


def completion(content: str, finish_reason: str = "stop") -> str:
    choice = {"index": 0, "finish_reason": finish_reason, "message": {"role": "assistant", "content": content}}
    return json.dumps({"object": "chat.completion", "choices": [choice]})


def run(endpoint: str, seconds: float = 60, answer_seconds: float = 20, **client: Any) -> dict[str, Any]:
    """A diagnosis that runs real commands; pauses between attempts are counted, not slept."""
    client.setdefault("sleep", lambda pause: None)
    progress: list[dict[str, Any]] = []

    def collect(commands: list[dict[str, Any]], programs: list[dict[str, Any]], _deadline: float) -> dict[str, Any]:
        assert not programs
        results = run_commands(
            commands,
            policy=Policy.default(),
            limits=Limits(seconds=5, output_bytes=10_000),
            parallel=2,
            cancelled=lambda: False,
            on_done=None,
        )
        return {"command_results": results, "ebpf_results": {}}

    result = diagnose(
        issue="slow",
        system_information={},
        capabilities={},
        model=ChatClient("m", completions_url(endpoint), KEY, **client),
        collect=collect,
        limits=LoopLimits(seconds=seconds, answer_seconds=answer_seconds),
        progress=progress.append,
    )
    assert progress[-1]["stage"] == "ended"
    assert KEY not in json.dumps([result, progress])
    return result


def assert_ended_by_the_fault(result: dict[str, Any], *says: str) -> None:
    assert result["ended"] == "model_error"
    assert result["resolution"] is None
    for part in says:
        assert part in result["error"]
    (load,) = result["command_results"]
    assert load["exit_code"] == 0
    assert load["output"].split()[0].replace(".", "").isdigit()
    assert len(result["rounds"]) == 1


def first_well_then(server: HTTPServer, *faults: Response | Callable[[Request], Response]) -> str:
    """The endpoint of a server whose first answer is good and whose later ones are the faults, the last for ever."""
    answered: list[int] = []

    def handler(request: Request) -> Response:
        answered.append(1)
        if len(answered) == 1:
            return Response(completion(json.dumps(LOOK)), content_type="application/json")
        fault = faults[min(len(answered) - 1, len(faults)) - 1]
        return fault(request) if callable(fault) and not isinstance(fault, Response) else fault

    server.expect_request(PATH, method="POST").respond_with_handler(handler)
    return server.url_for("/v1")


def error(status: int, message: str = "no", **headers: str) -> Response:
    body = json.dumps({"error": {"message": message, "type": "invalid_request_error"}})
    return Response(
        body, status, {key.replace("_", "-"): value for key, value in headers.items()}, content_type="application/json"
    )


def test_401_names_the_key_without_showing_it(httpserver: HTTPServer) -> None:
    result = run(first_well_then(httpserver, error(401, f"Incorrect API key provided: {KEY}")))
    assert_ended_by_the_fault(result, "status 401", "Incorrect API key provided: [key]", "NANNYAPI_API_KEY")


def test_404_names_model_and_path(httpserver: HTTPServer) -> None:
    result = run(first_well_then(httpserver, error(404, "The model `m` does not exist")))
    assert_ended_by_the_fault(result, "status 404", "The model `m` does not exist", "Check the model's name")


def test_429_that_passes_costs_only_the_pause_that_was_asked_for(httpserver: HTTPServer) -> None:
    pauses: list[float] = []
    good = Response(completion(json.dumps(SOLVED)), content_type="application/json")
    endpoint = first_well_then(httpserver, error(429, Retry_After="2"), error(429), good)
    result = run(endpoint, sleep=pauses.append)
    assert result["ended"] == "resolution"
    assert 2 <= pauses[0] <= 3  # spread, so that not all hosts come back at once
    assert 0.5 <= pauses[1] <= 1


def test_429_without_retry_after_for_ever_is_explained(httpserver: HTTPServer) -> None:
    result = run(first_well_then(httpserver, error(429, "slow down")))
    assert_ended_by_the_fault(result, "status 429", "slow down", "how often", "Tried 5 times")


def test_429_that_asks_for_an_hour_is_not_waited_for(httpserver: HTTPServer) -> None:
    result = run(first_well_then(httpserver, error(429, Retry_After="3600")), sleep=time.sleep)
    assert_ended_by_the_fault(result, "asks to wait 3600 s", "Tried once")


def test_500_for_ever_is_explained(httpserver: HTTPServer) -> None:
    result = run(first_well_then(httpserver, error(500, "boom")))
    assert_ended_by_the_fault(result, "status 500", "boom", "Tried 5 times")


def test_500_once_is_survived(httpserver: HTTPServer) -> None:
    good = Response(completion(json.dumps(SOLVED)), content_type="application/json")
    assert run(first_well_then(httpserver, error(500), good), sleep=time.sleep)["ended"] == "resolution"


def test_html_is_told_from_json(httpserver: HTTPServer) -> None:
    page = Response("<!doctype html><title>Sign in</title>", content_type="text/html")
    assert_ended_by_the_fault(run(first_well_then(httpserver, page)), "a web page, not JSON", "Check the endpoint")


def test_an_empty_body_is_explained(httpserver: HTTPServer) -> None:
    nothing = Response("", content_type="application/json")
    assert_ended_by_the_fault(run(first_well_then(httpserver, nothing)), "the response was empty")


def test_a_redirect_is_named_and_not_followed(httpserver: HTTPServer) -> None:
    followed: list[Request] = []
    httpserver.expect_request("/elsewhere").respond_with_handler(lambda request: followed.append(request) or Response())
    away = Response(status=308, headers={"Location": httpserver.url_for("/elsewhere")})
    result = run(first_well_then(httpserver, away))
    assert_ended_by_the_fault(result, "redirects to http://localhost", "/elsewhere", "set it as the endpoint")
    assert followed == []


def test_content_that_is_empty_is_repaired_and_then_given_up(httpserver: HTTPServer) -> None:
    result = run(first_well_then(httpserver, Response(completion(""), content_type="application/json")))
    assert result["ended"] == "unusable_replies"
    assert "3 replies in a row" in result["error"]
    assert result["command_results"][0]["exit_code"] == 0


def test_content_cut_off_at_the_token_limit_is_repaired(httpserver: HTTPServer) -> None:
    half = Response(completion(json.dumps(SOLVED)[:60], "length"), content_type="application/json")
    good = Response(completion(json.dumps(SOLVED)), content_type="application/json")
    assert run(first_well_then(httpserver, half, good))["ended"] == "resolution"
    repair = json.loads(httpserver.log[-1][0].get_json()["messages"][-1]["content"])["repair"]
    assert "limit of tokens ended the reply" in repair


def test_nobody_there_is_explained() -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{held.getsockname()[1]}/v1"
        result = run(endpoint)
    assert result["ended"] == "model_error"
    assert f"{endpoint}/chat/completions could not be reached" in result["error"]
    assert "Connection refused" in result["error"]
    assert "Tried 5 times" in result["error"]


def test_a_name_that_nobody_knows_is_explained() -> None:
    result = run("http://gateway.invalid:3000/v1")
    assert result["ended"] == "model_error"
    assert "http://gateway.invalid:3000/v1/chat/completions could not be reached" in result["error"]


def test_https_where_http_is_spoken_is_explained(httpserver: HTTPServer) -> None:
    result = run(httpserver.url_for("/v1").replace("http://", "https://"))
    assert result["ended"] == "model_error"
    assert "http:// instead of https://" in result["error"]


@contextmanager
def raw_server(respond: Callable[[socket.socket], None]) -> Iterator[str]:
    """A server on loopback that does to every connection, after its request has come in, what no HTTP library would."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _peer = listener.accept()
            except OSError:
                return
            Thread(target=handle, args=(connection,), daemon=True).start()

    def handle(connection: socket.socket) -> None:
        with connection:
            received = b""
            while b"\r\n\r\n" not in received:
                received += connection.recv(65_536)
            head, _separator, body = received.partition(b"\r\n\r\n")
            length = next(
                int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")
            )
            while len(body) < length:
                body += connection.recv(65_536)
            try:
                respond(connection)
            except OSError:
                """The client has gone, as it should."""

    Thread(target=serve, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"


def cut_off(connection: socket.socket) -> None:
    body = completion(json.dumps(SOLVED)).encode()
    connection.sendall(HEAD % len(body) + body[: len(body) // 2])


def reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def no_http(connection: socket.socket) -> None:
    connection.sendall(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")


def closed(connection: socket.socket) -> None:
    connection.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize(
    ("respond", "says"),
    [
        (cut_off, "without sending complete message body"),
        (reset, "reset"),
        (closed, "disconnected"),
        (no_http, "illegal status line: bytearray(b'SSH-2.0"),
    ],
)
def test_a_connection_that_breaks_is_tried_again_and_explained(
    respond: Callable[[socket.socket], None], says: str
) -> None:
    with raw_server(respond) as endpoint:
        result = run(endpoint)
    assert result["ended"] == "model_error"
    assert says in result["error"]
    assert "Tried 5 times" in result["error"]


def hang(connection: socket.socket) -> None:
    connection.recv(1)


def drip(connection: socket.socket) -> None:
    connection.sendall(HEAD % 1_000_000)
    while True:
        connection.sendall(b" ")
        time.sleep(0.2)


def flood(connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")
    for _attempt in range(50):
        connection.sendall(b" " * 1_000_000)


@pytest.mark.parametrize("respond", [hang, drip])
def test_a_server_that_does_not_come_to_an_end_costs_no_more_than_its_time(
    respond: Callable[[socket.socket], None],
) -> None:
    started = time.monotonic()
    with raw_server(respond) as endpoint:
        result = run(endpoint, answer_seconds=2)
    assert 1.9 < time.monotonic() - started < 30
    assert result["ended"] == "model_error"
    assert "did not answer within 2 s" in result["error"]


def test_a_silent_server_leaves_the_diagnosis_within_its_own_time() -> None:
    started = time.monotonic()
    with raw_server(hang) as endpoint:
        result = run(endpoint, seconds=4)
    assert time.monotonic() - started < 18
    assert result["ended"] == "time_limit"
    assert "did not answer" in result["error"]


def test_fifty_megabytes_are_not_read() -> None:
    with raw_server(flood) as endpoint:
        result = run(endpoint)
    assert result["ended"] == "model_error"
    assert "larger than 8 MiB" in result["error"]
