# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Diagnoses whose model answers what mutations.py draws: the loop, its client and the HTTP library, without a network.

What is not the product's is the network below HTTP, and the host: evidence is recorded.
"""

from __future__ import annotations

import collections
import contextlib
import json
import random
import resource
import signal
import ssl
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any, Optional

import httpcore
import httpx
from mutations import TESTS, Mutations

from ansible_collections.nannyapi.diagnostics.plugins.module_utils.loop import LoopLimits, diagnose
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.model.client import ChatClient
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.model.settings import FUNCTION_MODEL

HANGS_SECONDS = 60.0
"""After which a reply that has not been dealt with is a hang."""

LONGEST_SENTENCE = 5_000
LARGEST_REQUEST = 2_000_000
KEY = "sk-of-nobody-4711"
ENDS = ("resolution", "round_limit", "time_limit", "token_limit", "model_error", "unusable_replies")
RECORDINGS = [
    json.loads(path.read_text("utf-8")) for path in sorted((TESTS / "unit/cases/grounding/evidence").glob("*.json"))
]

QUIET = min(RECORDINGS, key=lambda recording: len(json.dumps(recording)))


class Hang(BaseException):
    """Not an Exception, so that nothing on the way takes it for a failure of the network."""


@dataclass
class Tally:
    """What a run came to: seconds by the clock, seconds of a CPU that the slowest reply took, bytes of memory.

    Memory is what there is beyond what the process had when it began.
    """

    replies: int = 0
    diagnoses: int = 0
    seconds: float = 0.0
    slowest: float = 0.0
    slowest_is: str = ""
    peak: int = 0
    grown: int = 0
    """Between a fifth of the run and its end."""
    ends: collections.Counter[str] = field(default_factory=collections.Counter)

    def add(self, other: Tally) -> None:
        """Those of another process."""
        self.replies += other.replies
        self.diagnoses += other.diagnoses
        self.seconds = max(self.seconds, other.seconds)
        self.peak, self.grown = max(self.peak, other.peak), max(self.grown, other.grown)
        if other.slowest > self.slowest:
            self.slowest, self.slowest_is = other.slowest, other.slowest_is
        self.ends.update(other.ends)


class Replies:
    """The server's side. `beginning`: of the response that is being dealt with."""

    def __init__(self, mutations: Mutations, tally: Tally, name: str) -> None:
        self._mutations, self._tally, self._name = mutations, tally, name
        self._began: Optional[float] = None
        self.beginning = b""

    def http(self) -> Iterator[bytes]:
        """The next response as bytes of HTTP."""
        self._another()
        return self._noted(self._mutations.http())

    def response(self) -> httpx.Response:
        """The next response as the HTTP library reads it."""
        self._another()
        status, lines, pieces = self._mutations.response()
        headers = [tuple(part.strip() for part in line.encode("latin-1").split(b":", 1)) for line in lines]
        return httpx.Response(status, headers=headers, stream=Body(self._noted(pieces)))

    def done(self) -> None:
        """The response before has been dealt with."""
        signal.setitimer(signal.ITIMER_REAL, 0)
        if self._began is not None:
            took = time.process_time() - self._began
            self._began = None
            if took > self._tally.slowest:
                self._tally.slowest = took
                self._tally.slowest_is = f"{self._name}, {self.beginning[:200]!r}"

    def _another(self) -> None:
        self.done()
        self._tally.replies += 1
        self.beginning = b""
        self._began = time.process_time()
        signal.setitimer(signal.ITIMER_REAL, HANGS_SECONDS)

    def _noted(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        for piece in pieces:
            self.beginning = self.beginning or piece[:2_000]
            yield piece


class Body(httpx.SyncByteStream):
    """The pieces of a body."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces

    def __iter__(self) -> Iterator[bytes]:
        return self._pieces


class Responses(httpx.BaseTransport):
    """A transport that has read the heads of responses already."""

    def __init__(self, replies: Replies) -> None:
        self._replies = replies

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        assert len(request.read()) <= LARGEST_REQUEST
        return self._replies.response()


class Stream(httpcore.NetworkStream):
    """A connection on which each request is answered with the next response, as far as it is read."""

    def __init__(self, replies: Replies) -> None:
        self._replies = replies
        self._pieces: Iterator[bytes] = iter(())
        self._left = b""
        self._answered = True

    def read(self, max_bytes: int, timeout: Optional[float] = None) -> bytes:
        if not self._answered:
            self._answered = True
            self._pieces = self._replies.http()
        if not self._left:
            self._left = next((piece for piece in self._pieces if piece), b"")
        part, self._left = self._left[:max_bytes], self._left[max_bytes:]
        return part

    def write(self, buffer: bytes, timeout: Optional[float] = None) -> None:
        assert len(buffer) <= LARGEST_REQUEST
        self._answered = False

    def close(self) -> None:
        self._pieces = iter(())

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: Optional[str] = None, timeout: Optional[float] = None
    ) -> httpcore.NetworkStream:
        raise AssertionError("the address begins with http://")

    def get_extra_info(self, info: str) -> Any:
        return None


class Network(httpcore.NetworkBackend):
    """Whoever connects reaches the server."""

    def __init__(self, replies: Replies) -> None:
        self._replies = replies

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: Optional[float] = None,
        local_address: Optional[str] = None,
        socket_options: Optional[Iterable[Any]] = None,
    ) -> httpcore.NetworkStream:
        return Stream(self._replies)

    def sleep(self, seconds: float) -> None:
        """Nothing waits here."""


def transport(replies: Replies, whole: bool) -> httpx.BaseTransport:
    """The HTTP library's own transport with another network below it, where `whole`; reading heads takes it long."""
    if not whole:
        return Responses(replies)
    made = httpx.HTTPTransport(verify=False)  # nothing here speaks TLS, and authorities take long to load
    made._pool = httpcore.ConnectionPool(network_backend=Network(replies))
    return made


class Host:
    """Answers commands and programs from a recording, in turn."""

    def __init__(self, recording: dict[str, Any]) -> None:
        self._outputs = [each["output"] for each in recording["command_results"]] or [""]
        self._traces = list(recording["ebpf_results"].items())
        self._asked = 0

    def __call__(
        self, commands: list[dict[str, Any]], programs: list[dict[str, Any]], deadline: float
    ) -> dict[str, Any]:
        self._asked += 1
        results = [
            {"id": each["id"], "command": each["command"], "output": output, "exit_code": 0}
            for each, output in zip(commands, self._outputs * len(commands))
        ]
        traces = {
            f"{each['name']}_1795397515_{number}": {**trace, "program_name": each["name"]}
            for number, (each, (_key, trace)) in enumerate(zip(programs, self._traces * len(programs)))
        }
        return {"command_results": results, "ebpf_results": traces}


def run(seed: int, first: int, step: int, wanted: int) -> Tally:
    """Diagnoses of the numbers first, first + step, ..., until `wanted` replies were given. Raises AssertionError.

    To be run in a process of its own, for its memory is measured. A diagnosis is the same whenever its number is drawn
    with the same seed.
    """
    signal.signal(signal.SIGALRM, _hangs)
    diagnose_one(seed, -1, Tally())  # imports, and what is made once
    tally = Tally()
    began, before, later = time.monotonic(), _resident(), 0
    number, tenths = first, 0
    while tally.replies < wanted:
        diagnose_one(seed, number, tally)
        number += step
        if tally.replies * 10 // wanted > tenths:
            tenths = tally.replies * 10 // wanted
            print(
                f"{tally.replies} replies, {time.monotonic() - began:.0f} s, slowest {tally.slowest:.2f} s", flush=True
            )
        later = later or (_resident() if tally.replies >= wanted / 5 else 0)
    tally.seconds = time.monotonic() - began
    tally.peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before
    tally.grown = _resident() - later
    return tally


def diagnose_one(seed: int, number: int, tally: Tally) -> None:
    """A diagnosis, and sometimes what comes of going on with it from one of its states. Raises AssertionError."""
    drawn = random.Random(f"{seed}:{number}")
    name = f"diagnosis {number} of seed {seed}"
    replies = Replies(Mutations(drawn), tally, name)
    # To go through much evidence takes long.
    recording = drawn.choice(RECORDINGS) if drawn.randrange(6) == 0 else QUIET
    limits = LoopLimits(
        rounds=drawn.choice((0, 1, 2, 3)),
        tokens=drawn.choice((None, None, 20_000, 10**9)),
        corrections=drawn.choice((0, 1, 1)),
        repairs=drawn.choice((0, 2, 10)),
    )
    client = ChatClient(
        drawn.choice(("m", FUNCTION_MODEL)),
        "http://model.example/v1/chat/completions",
        KEY,
        transport=transport(replies, whole=drawn.randrange(8) == 0),
        sleep=lambda seconds: None,
    )
    # There is no connection to end, and a thread takes longer to start than a reply to read.
    client._time_of_call.ends = lambda seconds: contextlib.nullcontext()  # type: ignore[method-assign]
    states: list[str] = []
    keeps = drawn.randrange(50) == 0

    def checkpoint(state: dict[str, Any]) -> None:
        if keeps:
            states.append(json.dumps(state))

    told: dict[str, Any] = {
        "issue": recording["issue"],
        "system_information": recording["system_information"],
        "capabilities": {},
        "model": client,
        "limits": limits,
        "progress": _shown,
        "checkpoint": checkpoint,
    }
    tally.diagnoses += 1
    try:
        result = diagnose(**told, collect=Host(recording))
        replies.done()
        _judge(result, limits)
        tally.ends[result["ended"]] += 1
        if states:
            _judge(diagnose(**told, collect=Host(recording), resumed=json.loads(drawn.choice(states))), limits)
            replies.done()
    except BaseException as error:
        signal.setitimer(signal.ITIMER_REAL, 0)
        raise AssertionError(f"{name}: {error!r} after a response that begins {replies.beginning!r}") from error
    finally:
        client.close()


def _judge(result: dict[str, Any], limits: LoopLimits) -> None:
    """What holds of the end of every diagnosis."""
    assert result["ended"] in ENDS
    assert (result["resolution"] is None) == (result["error"] is not None)
    assert len(result["rounds"]) <= limits.rounds
    if result["error"] is not None:
        _sentence(result["error"])
    text = json.dumps(result, ensure_ascii=False)
    assert KEY not in text
    text.encode("utf-8")


def _sentence(said: str) -> None:
    assert said.strip().endswith(".")
    assert len(said) <= LONGEST_SENTENCE
    said.encode("utf-8")
    assert "Traceback" not in said


def _shown(event: dict[str, Any]) -> None:
    json.dumps(event, ensure_ascii=False).encode("utf-8")


def _hangs(number: int, frame: Optional[FrameType]) -> None:
    raise Hang(f"not dealt with after {HANGS_SECONDS:.0f} s")


def _resident() -> int:
    """Bytes of memory that this process has."""
    return int(Path("/proc/self/statm").read_text("ascii").split()[1]) * resource.getpagesize()
