# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was redacted before is redacted the same in a later run, and the secrets themselves are kept nowhere."""

from __future__ import annotations

import json
import random
import string
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.nannyapi.diagnostics.plugins.module_utils.redaction.memory import Memory, UnreadableMemory
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.redaction.redactor import Redactor

TOKEN = "ghp_" + "a1B2c3D4e5" * 4
PASSWORD = "Tr0ub4dor&3x"
FIRST = f"DB_PASSWORD={PASSWORD}\ntoken {TOKEN} on db1 at 10.1.2.3\n"


def again(before: Redactor, also: tuple[str, ...] = ()) -> Redactor:
    """The redactor of a later run, from what was written to a file meanwhile."""
    saved = json.loads(json.dumps(before.remembered().as_json()))
    return Redactor(also, Memory.from_json(saved), before.identities)


def test_the_same_secret_has_the_same_placeholder_in_a_later_run() -> None:
    first = Redactor()
    shown = first.text(FIRST)
    later = again(first)
    assert later.text(FIRST) == shown
    assert later.counts == first.counts
    assert again(again(later)).text(FIRST) == shown


def test_a_secret_that_was_known_by_its_name_is_found_wherever_it_stands_later() -> None:
    first = Redactor()
    first.text(FIRST)
    later = again(first)
    assert later.text(f"login of app with {PASSWORD}: denied; x{PASSWORD}y") == (
        "login of app with [redacted:password:1]: denied; x[redacted:password:1]y"
    )
    assert later.value({"data": [f"={PASSWORD}"]}) == {"data": ["=[redacted:password:1]"]}


def test_another_secret_gets_another_placeholder_in_a_later_run() -> None:
    first = Redactor()
    first.text(FIRST)
    later = again(first)
    assert later.text("DB_PASSWORD=0ther-S3cret") == "DB_PASSWORD=[redacted:password:2]"
    assert again(later).text("the 0ther-S3cret") == "the [redacted:password:2]"


def test_addresses_stand_for_the_same_in_a_later_run() -> None:
    first = Redactor(("addresses",))
    shown = first.text("from 10.1.2.3 to 10.9.9.9")
    later = again(first, ("addresses",))
    assert later.restored(shown) == "from 10.1.2.3 to 10.9.9.9"
    assert later.text("10.9.9.9 and 10.7.7.7") == "[redacted:address:2] and [redacted:address:3]"


def test_what_is_written_holds_no_secret_and_differs_between_diagnoses() -> None:
    written = []
    for _time in range(2):
        redactor = Redactor(("addresses", "hosts"))
        redactor.text(FIRST)
        written.append(json.dumps(redactor.remembered().as_json()))
    for secret in (TOKEN, PASSWORD, "10.1.2.3"):
        assert not any(secret in each or secret[:6] in each for each in written)
    first, second = (json.loads(each) for each in written)
    assert not set(first["placeholders"]) & set(second["placeholders"])


def test_other_text_is_left_as_it_is_and_in_little_time() -> None:
    first = Redactor()
    generator = random.Random(5)
    for number in range(300):
        first.text(f"DB_PASSWORD=x{number}" + "".join(generator.choices(string.ascii_letters, k=8 + number % 40)))
    later = again(first)
    text = " ".join("".join(generator.choices(string.ascii_lowercase, k=5)) for _time in range(20_000))
    assert later.text(text) == text


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.text(st.characters(exclude_categories=()), min_size=8, max_size=30), max_size=4), st.text(max_size=9)
)
def test_whatever_a_secret_looks_like_it_is_found(found: list[str], between: str) -> None:
    memory = Memory()
    for number, secret in enumerate(found):
        memory.remember(secret, f"[redacted:password:{number}]", True)
    read = Memory.from_json(json.loads(json.dumps(memory.as_json())))
    text = between.join(found)
    places = {text[start:end] for start, end in read.places(text)}
    assert places >= set(found)
    assert all(read.placeholder(place) for place in places)


@pytest.mark.parametrize(
    "saved", [None, {}, [], {"key": "00", "placeholders": {}, "looked_for": {}}, {"key": "zz"}, {"key": 5}]
)
def test_a_memory_that_cannot_be_read_is_refused(saved: Any) -> None:
    with pytest.raises(UnreadableMemory, match=r"cannot be read\."):
        Memory.from_json(saved)


@settings(max_examples=300, deadline=None)
@given(
    st.fixed_dictionaries(
        {
            "key": st.just("00" * 32) | st.text(max_size=4),
            "placeholders": st.dictionaries(st.text(max_size=3), st.text(max_size=3) | st.just("[redacted:jwt:1]")),
            "looked_for": st.dictionaries(st.text(max_size=3), st.lists(st.integers() | st.none(), max_size=3)),
        }
    )
)
def test_a_damaged_memory_is_refused_or_used(saved: Any) -> None:
    try:
        memory = Memory.from_json(saved)
    except UnreadableMemory:
        return
    assert Redactor((), memory).text(FIRST)
