# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Type information that is damaged, cut or arbitrary gives answers or sentences."""

from __future__ import annotations

import struct
from collections.abc import Callable
from functools import partial

import pytest
from btf_builder import Builder
from hypothesis import example, given, settings
from hypothesis import strategies as st
from small_kernel import small_kernel

from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf import btf_records as kinds
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.btf import Btf
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.errors import EbpfError, HostError
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.struct_path import locate


def test_a_file_cut_at_any_byte_is_refused() -> None:
    blob = small_kernel().builder.blob()
    for length in range(len(blob)):
        with pytest.raises(HostError):
            Btf(blob[:length], "a file")


@pytest.mark.parametrize("kind", [kinds.TYPEDEF, kinds.PTR, kinds.CONST, kinds.ARRAY, kinds.FUNC_PROTO])
def test_a_type_made_of_itself_ends_in_a_sentence(kind: int) -> None:
    b = Builder()
    words = {kinds.ARRAY: (1, 1, 2)}.get(kind, ())
    ask = Btf.size if kind == kinds.TYPEDEF else Btf.describe  # a typedef's description is its name
    b.add(kind, "loop" if kind == kinds.TYPEDEF else "", 1, *words)
    with pytest.raises(HostError, match="type 1 is made of itself"):
        ask(Btf(b.blob(), "a file"), 1)


def ask_everything(btf: Btf, count: int) -> list[str]:
    """All that plans ask, and what was said where that failed."""
    questions: list[Callable[[], object]] = [btf.functions, lambda: btf.pointer_bytes]
    for type_id in range(count + 3):
        asked = (btf.describe, btf.size, btf.members, btf.enumerators, btf.pointee)
        questions += [partial(ask, type_id) for ask in asked]
        questions.append(partial(locate, btf, type_id, "f_path.dentry->d_name.name"))
    questions += [partial(btf.function, name) for name in ("tcp_connect", "printk", "install")]
    for root, path in (
        ("sock", "__sk_common.skc_dport"),
        ("sock", "sk_type"),
        ("file", "f_path.dentry->d_parent->d_name.name"),
        ("dentry", "d_iname[3]"),
        ("old", "low"),
    ):
        questions.append(partial(locate, btf, root, path))
    sentences = []
    for question in questions:
        try:
            question()
        except EbpfError as error:
            sentences.append(str(error))
    return sentences


EXAMPLES = 100
BLOB = small_kernel().builder.blob()
TYPES = len(small_kernel().builder.records)
POSITIONS = st.integers(0, len(BLOB) - 1)
WORD_AT = st.integers(0, (len(BLOB) - 24) // 4 - 1)
WORDS = st.one_of(st.integers(0, TYPES + 2), st.integers(0, 31).map(lambda bit: 1 << bit), st.integers(0, 2**32 - 1))


@settings(max_examples=EXAMPLES, deadline=5000)
@given(st.lists(st.tuples(POSITIONS, st.integers(0, 255)), min_size=1, max_size=8))
def test_changed_bytes_give_answers_or_sentences(changes: list[tuple[int, int]]) -> None:
    blob = bytearray(BLOB)
    for at, value in changes:
        blob[at] = value
    try:
        btf = Btf(bytes(blob), "a file")
    except HostError:
        return
    assert all(said.endswith(".") for said in ask_everything(btf, TYPES))


@settings(max_examples=EXAMPLES, deadline=5000)
@given(st.lists(st.tuples(WORD_AT, WORDS), min_size=1, max_size=6), st.sampled_from(["<", ">"]))
@example([(0, 2**32 - 1)], "<")
def test_changed_words_give_answers_or_sentences(changes: list[tuple[int, int]], order: str) -> None:
    blob = bytearray(small_kernel().builder.blob(order) if order != "<" else BLOB)
    for at, value in changes:
        struct.pack_into(f"{order}I", blob, 24 + 4 * at, value)
    try:
        btf = Btf(bytes(blob), "a file")
    except HostError:
        return
    assert all(said.endswith(".") for said in ask_everything(btf, TYPES))


@settings(deadline=5000)
@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(HostError, match=r"^The type information in a file is damaged .*\.$"):
        Btf(data, "a file")


@settings(deadline=5000)
@given(st.lists(WORDS, max_size=40))
def test_arbitrary_records_give_answers_or_sentences(words: list[int]) -> None:
    types = struct.pack(f"<{len(words)}I", *words)
    head = struct.pack("<HBBIIIII", 0xEB9F, 1, 0, 24, 0, len(types), len(types), 5)
    try:
        btf = Btf(head + types + b"\0a\0b\0", "a file")
    except HostError:
        return
    assert all(said.endswith(".") for said in ask_everything(btf, len(words)))
