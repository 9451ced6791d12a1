# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The environment of the manager of services is masked on its way over the bus; nothing else is touched."""

from __future__ import annotations

import contextlib
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.nannyapi.diagnostics.plugins.module_utils.commands.dbus_messages import (
    MANAGER,
    NoMessage,
    Passing,
)

PROPERTIES = "org.freedesktop.DBus.Properties"
ENTRIES = ["LANG=C.UTF-8", "NANNYAPI_API_KEY=planted", "EMPTY="]
MASKED = ["LANG=xxxxxxx", "NANNYAPI_API_KEY=xxxxxxx", "EMPTY="]


class Body:
    """Bytes as the specification marshals them."""

    def __init__(self, order: str) -> None:
        self.order, self.data = order, bytearray()

    def align(self, to: int) -> Body:
        self.data += bytes(-len(self.data) % to)
        return self

    def number(self, value: int) -> Body:
        self.align(4).data += struct.pack(f"{self.order}I", value)
        return self

    def text(self, value: str) -> Body:
        self.number(len(value.encode())).data += value.encode() + b"\0"
        return self

    def signature(self, value: str) -> Body:
        self.data += bytes([len(value)]) + value.encode() + b"\0"
        return self

    def texts(self, values: list[str]) -> Body:
        within = Body(self.order)
        for value in values:
            within.text(value)
        self.number(len(within.data)).data += within.data
        return self

    def properties(self, given: dict[str, Any]) -> Body:
        """An array of names with variants, of texts or of lists of texts."""
        length = len(self.number(0).data) - 4
        begin = len(self.align(8).data)
        for name, value in given.items():
            self.align(8).text(name)
            if isinstance(value, list):
                self.signature("as").texts(value)
            else:
                self.signature("s").text(value)
        self.data[length : length + 4] = struct.pack(f"{self.order}I", len(self.data) - begin)
        return self


def message(order: str, kind: int, serial: int, fields: dict[int, Any], body: Body | None = None) -> bytes:
    header = Body(order)
    for code, value in fields.items():
        header.align(8).data += bytes([code])
        if isinstance(value, int):
            header.signature("u").number(value)
        elif code == 8:
            header.signature("g").signature(value)
        else:
            header.signature("o" if code == 1 else "s").text(value)
    data = body.data if body else b""
    begin = b"l" if order == "<" else b"B"
    fixed = begin + bytes([kind, 0, 1]) + struct.pack(f"{order}III", len(data), serial, len(header.data))
    return fixed + bytes(header.data) + bytes(-len(header.data) % 8) + bytes(data)


def call(order: str, serial: int, member: str, path: str = MANAGER, **more: Any) -> bytes:
    fields = {1: path, 2: PROPERTIES, 3: member, 6: "org.freedesktop.systemd1", 8: "s", **more}
    return message(order, 1, serial, fields, Body(order).text("org.freedesktop.systemd1.Manager"))


def everything(order: str, serial: int, entries: list[str]) -> bytes:
    told = {"Version": "252", "Environment": entries, "ConfirmSpawn": "no", "UnitPath": ["/etc/a=b", "/run"]}
    return message(order, 2, 7, {5: serial, 8: "a{sv}"}, Body(order).properties(told))


def one(order: str, serial: int, entries: list[str]) -> bytes:
    return message(order, 2, 7, {5: serial, 8: "v"}, Body(order).signature("as").texts(entries))


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(("member", "answer"), [("GetAll", everything), ("Get", one)])
def test_the_manager_s_environment_is_masked(order: str, member: str, answer: Any) -> None:
    passing = Passing()
    asked = call(order, 41, member)
    assert passing.call(asked) == asked
    assert passing.answer(answer(order, 41, ENTRIES)) == answer(order, 41, MASKED)
    # It was one answer; another one of that serial is to another question.
    assert passing.answer(answer(order, 41, ENTRIES)) == answer(order, 41, ENTRIES)


def test_what_a_unit_is_started_with_passes() -> None:
    passing = Passing()
    passing.call(call("<", 41, "GetAll", f"{MANAGER}/unit/ssh_2eservice"))
    assert passing.answer(everything("<", 41, ENTRIES)) == everything("<", 41, ENTRIES)


def test_a_question_that_names_no_interface_is_one_for_properties() -> None:
    passing = Passing()
    passing.call(message("<", 1, 41, {1: MANAGER, 3: "GetAll", 8: "s"}, Body("<").text("x")))
    assert passing.answer(everything("<", 41, ENTRIES)) == everything("<", 41, MASKED)


@given(st.lists(st.integers(1, 400), min_size=1, max_size=40), st.sampled_from("<>"))
def test_it_is_the_same_in_whatever_pieces_it_comes(cuts: list[int], order: str) -> None:
    questions = b"".join(call(order, serial, "GetAll") for serial in (3, 4, 5))
    answers = b"".join(everything(order, serial, ENTRIES) for serial in (3, 4, 5))
    passing, passed = Passing(), [bytearray(), bytearray()]
    for text, put, into in ((questions, passing.call, passed[0]), (answers, passing.answer, passed[1])):
        at = 0
        for size in [*cuts, len(text)]:
            into += put(text[at : at + size])
            at += size
    assert passed[0] == questions
    assert passed[1] == b"".join(everything(order, serial, MASKED) for serial in (3, 4, 5))


@given(st.binary(max_size=300), st.booleans())
def test_whatever_is_sent_is_passed_held_or_refused(text: bytes, begins_well: bool) -> None:
    sent = b"l\x02\0\x01" + text if begins_well else text
    for put in (Passing().call, Passing().answer):
        with contextlib.suppress(NoMessage):
            assert sent.startswith(put(sent))


def test_a_message_that_is_longer_than_any_is_refused() -> None:
    with pytest.raises(NoMessage):
        Passing().answer(b"l\x02\0\x01" + struct.pack("<III", 1 << 30, 1, 0))


def test_a_caller_sends_no_more_than_callers_send() -> None:
    announced = b"l\x01\0\x01" + struct.pack("<III", 2 << 20, 1, 0)
    assert Passing().answer(announced) == b""
    with pytest.raises(NoMessage, match="2097"):
        Passing().call(announced)
