# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Replies that nobody foresaw, made from real ones: by structure, by text and by bytes, and the HTTP around them."""

from __future__ import annotations

import contextlib
import copy
import json
import random
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import yaml
from misbehaving import FAULT_BODIES, LOOK, SOLVED

TESTS = Path(__file__).resolve().parents[1]
_LABEL = re.compile(r"\{[+-]([^{}|]*)\|[^{}|]*\}")
_LONGEST_TEXT = 20_000  # characters of a text in a reply that is still taken

KEYS = (
    *("response_type", "reasoning", "commands", "ebpf_programs", "id", "command", "description", "name", "type"),
    *("target", "duration", "filters", "comm", "pid", "root_cause", "resolution_plan", "confidence", "ebpf_evidence"),
    *("choices", "message", "content", "usage", "prompt_tokens", "completion_tokens", "episode_id", "model", "error"),
    *("finish_reason", "refusal", "detail", "text", "role"),
)
PIECES = (
    *('{"', '"}', "{", "}", "[", "]", '"', ",", ":", "\\", "\\u", "\\ud83d", "\\udfff", "\x00", "\ufeff", "\ud800"),
    *("NaN", "-Infinity", "1e999", "-0", "1e-400", "9" * 50, "9" * 5000, "0x1", "null", "true", "\u2028", "\r\n"),
    *(
        "```json\n",
        "```",
        "<think>",
        "</think>",
        "Here is the reply:\n",
        '"response_type": "resolution"',
        "…",
        " " * 300,
    ),
)
# What texts that are looked up in evidence are read by: numbers, units, names, addresses, paths, quotes, sentences.
WORDS = (
    *(
        "0",
        "12",
        "1.5",
        "1,000",
        ".",
        ",",
        ":",
        "::",
        "/",
        "//",
        "-",
        "_",
        "%",
        " ",
        "\n",
        '"',
        "'",
        "`",
        "(",
        ")",
        "[",
    ),
    *("127.0.0.1:5432", "10.0.0.1", "fe80::1%eth0", "a:b:c:d", "/var/log/", "ms ", "MiB ", "GB", "pid ", "process "),
    *(
        "orders ",
        "ECONNREFUSED ",
        "connects_1795397515",
        "no ",
        "not ",
        "of ",
        "between ",
        "and ",
        "more than ",
        "é",
        "\u202e",
    ),
)


def seeds() -> list[str]:
    """Contents of replies: the cases of the protocol, and what real models wrote."""
    cases = TESTS / "unit" / "cases"
    found = [json.dumps(LOOK), json.dumps(SOLVED)]
    for name in ("accepted.yaml", "refused.yaml"):
        read = yaml.safe_load((cases / "replies" / name).read_text("utf-8"))
        found += [case["reply"] for case in read if "reply" in case]
    for body in bodies():
        for choice in body.get("choices", []):
            found.append(choice["message"].get("content") or "")
    return found


def resolutions() -> list[str]:
    """The labelled resolutions of the tests of grounding, without their labels."""
    found = []
    for name in ("resolutions", "held_out", "later"):
        for texts in yaml.safe_load((TESTS / "unit/cases/grounding" / f"{name}.yml").read_text("utf-8")).values():
            for both in texts:
                cause, _bars, evidence = _LABEL.sub(r"\1", both).partition(" || ")
                found.append(json.dumps({**SOLVED, "root_cause": cause, "ebpf_evidence": evidence}))
    return found


def recorded() -> list[dict[str, Any]]:
    """What real servers answered (record_replies.py): status, content_type, body."""
    read: list[dict[str, Any]] = json.loads((TESTS / "long" / "cases" / "replies.json").read_text("utf-8"))
    return read


def bodies() -> list[dict[str, Any]]:
    """The bodies of what real servers answered, those that are JSON objects."""
    found = []
    for each in recorded():
        try:
            body = json.loads(each["body"])
        except ValueError:
            continue
        found += [body] if isinstance(body, dict) else []
    return found


class Mutations:
    """Draws HTTP responses, each made from a real reply by a few changes."""

    def __init__(self, drawn: random.Random) -> None:
        self._random = drawn

    def response(self) -> tuple[int, list[str], Iterator[bytes]]:
        """A response: status, lines of its head, and the pieces in which its body arrives."""
        body, status, kind = self._body()
        lines = [f"Content-Type: {kind}"]
        if self._one_in(10):
            lines.append(self._random.choice(_HEADERS))
        if self._one_in(4_000):
            return status, lines, self._flood()
        return status, lines, self._pieces(body)

    def http(self) -> Iterator[bytes]:
        """A response as the bytes of HTTP/1.1, in pieces, sometimes not as HTTP/1.1 has it."""
        status, lines, pieces = self.response()
        head = "\r\n".join([f"HTTP/1.1 {status} X", *lines]).encode("latin-1")
        if self._one_in(4):
            yield head + self._random.choice((b"\r\nConnection: close\r\n\r\n", b"\r\n\r\n"))
            yield from pieces
            return
        body = b"".join(pieces)
        yield from self._pieces(self._bytes(self._framed(head, body)) if self._one_in(4) else self._framed(head, body))

    def _pieces(self, whole: bytes) -> Iterator[bytes]:
        step = self._random.choice((len(whole), 65_536, 65_536, 1_000)) or 1
        for start in range(0, len(whole), step):
            yield whole[start : start + step]

    def _body(self) -> tuple[bytes, int, str]:
        choice = self._random.random()
        if choice < 0.75:
            return self._encoded(json.dumps(self._completion(self.content()))), 200, "application/json"
        if choice < 0.9:
            envelope = self._structure(self._completion(self._random.choice(SEEDS)))
            return self._encoded(self._some_text(_dumped(envelope))), 200, "application/json"
        if choice < 0.97:
            real = self._random.choice(RECORDED)
            return self._encoded(self._some_text(real["body"])), real["status"], real["content_type"]
        code = self._random.choice((200, 201, 204, 301, 307, 400, 401, 404, 408, 429, 500, 503, 599, 600, 199))
        return self._random.choice((b"", b"<html>no</html>", b"null", b"[]", b'"x"', b"7", b"{}")), code, "text/html"

    def content(self) -> str:
        """What a model might have written."""
        text: str = self._random.choice(RESOLUTIONS if self._one_in(8) else SEEDS)
        if self._one_in(2_000):
            return self._ten_thousand()
        if not self._one_in(5):
            with contextlib.suppress(ValueError, RecursionError):
                text = _dumped(self._structure(json.loads(text)))
        return self._some_text(text)

    def _structure(self, value: Any) -> Any:
        """A few parts of JSON data changed."""
        changed = copy.deepcopy(value)
        for _time in range(self._random.choice((0, 1, 1, 1, 2, 3))):
            places = list(_places(changed))
            if not places:
                return self._other(changed)
            holder, key = self._random.choice(places)
            self._random.choice(self._changes)(self, holder, key)
        return changed

    def _replace(self, holder: Any, key: Any) -> None:
        holder[key] = self._other(holder[key])

    def _remove(self, holder: Any, key: Any) -> None:
        del holder[key]

    def _rename(self, holder: Any, key: Any) -> None:
        if isinstance(holder, dict):
            holder[self._random.choice(KEYS)] = holder.pop(key)
        else:
            holder.append(copy.deepcopy(holder[key]))

    def _wrap(self, holder: Any, key: Any) -> None:
        holder[key] = self._random.choice(([holder[key]], {self._random.choice(KEYS): holder[key]}))

    def _lengthen(self, holder: Any, key: Any) -> None:
        """A text of words that are looked up in evidence; sometimes as long as is taken."""
        words = [self._random.choice(WORDS) for _word in range(self._random.choice((1, 2, 3, 12)))]
        text = "".join(words)
        length = self._random.choice((40, 300, 2_000)) if not self._one_in(40) else _LONGEST_TEXT
        holder[key] = (text * (length // max(1, len(text)) + 1))[:length]

    def _twice(self, holder: Any, key: Any) -> None:
        if isinstance(holder, dict):
            holder[f"{_TWICE}{key}"] = self._other(holder[key])
        else:
            holder.extend(copy.deepcopy(holder[: self._random.choice((1, 5, 40))]))

    def _graft(self, holder: Any, key: Any) -> None:
        try:
            holder[key] = json.loads(self._random.choice(SEEDS))
        except ValueError:
            holder[key] = self._random.choice(SEEDS)

    _changes: tuple[Callable[[Mutations, Any, Any], None], ...] = (
        *(_replace, _remove, _rename, _wrap, _lengthen, _twice, _graft),
    )

    def _other(self, value: Any) -> Any:
        """A value of another type, or one that is hard to take."""
        deep: Any = value
        for _level in range(self._random.choice((1, 3, 30, 40))):
            deep = [deep] if self._one_in(2) else {self._random.choice(KEYS): deep}
        number = self._random.choice(
            (0, -1, 1, 2**31, 2**63, 10**40, 10**400, 0.5, -0.0, 1e308, float("inf"), float("nan"))
        )
        text = self._random.choice(
            ("", " ", "\x00", "\ud800", "tracepoint:a:b", "kprobe:", "High", "diagnostic", "a" * 3_000)
        )
        return self._random.choice(
            (None, True, False, number, number, text, text, [], {}, [value, value], deep, str(value))
        )

    def _some_text(self, text: str) -> str:
        """A text, most often changed in a few places."""
        for _time in range(self._random.choice((0, 0, 1, 1, 2, 3))):
            text = self._random.choice(self._edits)(self, text)
        return text

    def _cut(self, text: str) -> str:
        return text[: self._random.randint(0, len(text))]

    def _splice(self, text: str) -> str:
        other = self._random.choice(SEEDS)
        return text[: self._random.randint(0, len(text))] + other[self._random.randint(0, len(other)) :]

    def _repeat(self, text: str) -> str:
        start, end = self._part(text)
        return text[:end] + text[start:end] * self._random.choice((1, 2, 30)) + text[end:]

    def _insert(self, text: str) -> str:
        start, end = self._part(text)
        return text[:start] + self._random.choice(PIECES) * self._random.choice((1, 1, 1, 2, 40)) + text[end:]

    def _around(self, text: str) -> str:
        before, after = self._random.choice(
            (
                ("```json\n", "\n```"),
                ("Sure.\n", "\nIs that all?"),
                ("<think>{}</think>", ""),
                (text, ""),
                ("{", ""),
                ("[", "]"),
            )
        )
        return before + text + after

    def _nest(self, text: str) -> str:
        depth = self._random.choice((33, 300, 900, 960, 980, 990, 1_000, 1_100, 2_000))
        opening, closing = self._random.choice((("[", "]"), ('{"a":', "}"), ('{"error":', "}")))
        return opening * depth + text + closing * self._random.choice((depth, depth, 0, depth - 1))

    _edits: tuple[Callable[[Mutations, str], str], ...] = (
        *(_cut, _splice, _repeat, _insert, _insert, _insert, _around, _nest),
    )

    def _ten_thousand(self) -> str:
        number = self._random.choice((17, 1_000, 10_000))
        entries: list[Any] = [{"id": f"c{each}", "command": f"echo {each}"} for each in range(number)]
        if self._one_in(2):
            entries = self._random.choice(([""], [None], [{}], [{"id": "a"}], ["uptime"])) * number
        return json.dumps({**LOOK, self._random.choice(("commands", "ebpf_programs")): entries})

    def _completion(self, content: str) -> dict[str, Any]:
        choice = {"index": 0, "message": {"role": "assistant", "content": content}}
        reason = self._random.choice(("stop", "stop", "length", None))
        count = self._random.choice((0, 100, 100, 100, 10**6, 10**400))
        usage = {"prompt_tokens": count, "completion_tokens": 20, "total_tokens": 120}
        return {"model": "m", "episode_id": "e", "choices": [{**choice, "finish_reason": reason}], "usage": usage}

    def _encoded(self, text: str) -> bytes:
        """Bytes of a text; lone surrogates as Python would write them, which is no UTF-8."""
        encoded = text.encode("utf-8", "surrogatepass")
        if self._one_in(15):
            encoded = self._bytes(encoded)
        return encoded if not self._one_in(300) else text.encode("utf-16", "surrogatepass")

    def _bytes(self, data: bytes) -> bytes:
        """A few bytes changed."""
        changed = bytearray(data)
        for _time in range(self._random.choice((1, 2, 8))):
            at = self._random.randint(0, len(changed))
            put = self._random.choice(
                (b"", b"\xff", b"\xc3", b"\xed\xa0\x80", b"\x00", b"\r\n", b"\r\n\r\n", b"\n", b'"', b"{")
            )
            changed[at : at + self._random.choice((0, 1, 1, 3, 50))] = put
        return bytes(changed)

    def _framed(self, head: bytes, body: bytes) -> bytes:
        """A message that says how long it is, mostly rightly."""
        if self._one_in(3):
            half = len(body) // 2
            chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (body[:half], body[half:]) if part)
            return head + b"\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n"
        wrong = self._random.choice((1, -1, 10**6)) if self._one_in(10) else 0
        return head + b"\r\nContent-Length: %d\r\n\r\n" % max(0, len(body) + wrong) + body

    def _flood(self) -> Iterator[bytes]:
        """Megabytes of one piece, with or without an end."""
        piece: bytes = self._random.choice(
            (b" ", b"[", b"[],", b'{"a":0},', b"9", b"\xff", b'"', b"\\u0000", b"0,", b"{}")
        )
        megabytes = self._random.choice((1, 2, 7, 9, 20))
        start: bytes = self._random.choice((b"", b"[", b'{"choices": ', b'{"choices": [{"message": {"content": "'))
        yield start
        for _part in range(megabytes * 16):
            yield piece * (65_536 // len(piece))

    def _one_in(self, number: int) -> bool:
        return self._random.randrange(number) == 0

    def _part(self, text: str) -> tuple[int, int]:
        start = self._random.randint(0, len(text))
        return start, self._random.randint(start, min(len(text), start + 40))


_TWICE = "\x01twice\x01"
_HEADERS = (
    *(
        "Retry-After: 1",
        "Retry-After: 99999999999999999999",
        "Retry-After: soon",
        "Retry-After: -1",
        "Location: \x7f://",
    ),
    *(
        "Content-Encoding: gzip",
        "Content-Length: 5",
        "Content-Length: x",
        "Transfer-Encoding: gzip",
        "Connection: close",
    ),
    *("Content-Type: text/html; charset=utf-7", "X: \xff\xfe", "X" * 3_000 + ": y", ": nothing", "Set-Cookie: a=b"),
)


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every member of lists and objects in JSON data, as what holds it and its key."""
    waiting = [value]
    while waiting:
        holder = waiting.pop()
        members = holder.items() if isinstance(holder, dict) else enumerate(holder) if isinstance(holder, list) else ()
        for key, member in members:
            yield holder, key
            waiting.append(member)


def _dumped(value: Any) -> str:
    """JSON in which a key may stand twice, and what JSON has no words for is written all the same."""
    return json.dumps(value).replace(json.dumps(_TWICE)[1:-1], "")


RESOLUTIONS = resolutions()
SEEDS = [*seeds(), *(body.decode("utf-8", "replace") for body in FAULT_BODIES.values() if len(body) < 5_000)]
RECORDED = recorded()
