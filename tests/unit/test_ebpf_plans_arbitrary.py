# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Any function of any kernel gives a plan that fits, and whatever comes back of its calls can be shown."""

from __future__ import annotations

import functools
import json
from pathlib import Path

import pytest
from btf_builder import KERNELS, Builder, read_excerpt
from hypothesis import given, settings
from hypothesis import strategies as st
from small_kernel import SIGNED, small_kernel

from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf import btf_records as kinds
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf import capture_plan as plans
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.btf import Btf
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.btf_source import BtfSource
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.capture_plan import Capture, Limits
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.errors import RequestError
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.function_plan import plan_function
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.kernel_types import KernelTypes

DATA = json.loads((Path(__file__).parents[2] / "bpf" / "types" / "kernel_types.json").read_text(encoding="utf-8"))
TYPES = KernelTypes(DATA)
FUNCTIONS = [(kernel, name) for kernel in KERNELS for name in read_excerpt(kernel).functions()]
WORDS = st.one_of(st.sampled_from([0, 1, 2**32 - 1, 2**63, 2**64 - 1]), st.integers(0, 2**64 - 1))
BLOBS = st.one_of(st.just(b""), st.integers(-4095, -1), st.binary(max_size=120), st.just(b"hosts\0etc\0/\0"))
LIMITS = st.builds(
    Limits,
    st.integers(0, 24),
    st.integers(0, 2),
    st.integers(0, 64),
    st.integers(0, 8),
    st.integers(0, 3),
    st.just(384),
)


@functools.cache
def source(kernel: str) -> BtfSource:
    return BtfSource(read_excerpt(kernel))


def check(capture: Capture, limits: Limits, with_return: bool) -> None:
    assert len(capture.fields) <= limits.fields
    assert len(capture.blobs) <= limits.blobs
    texts = [] if capture.key_blob is None else [capture.blobs[capture.key_blob]]
    assert len(capture.key) + any(text.how not in (plans.PATH, plans.DENTRY) for text in texts) <= limits.key_parts
    reads = (*capture.fields, *capture.blobs)
    assert sum(max(1, len(read.hops)) for read in reads) <= limits.steps
    for read in reads:
        assert len(read.hops) <= limits.hops + 1
        assert all(-(2**31) <= offset < 2**31 for offset in read.hops)
        assert 0 <= read.start <= plans.RESULT
        assert read.when == plans.AT_ENTRY or with_return
        assert read.start != plans.RESULT or read.when == plans.AT_RETURN
    assert all(field.size in (1, 2, 4, 8) for field in capture.fields)
    assert all(blob.length < limits.blob_bytes and blob.hops for blob in capture.blobs)
    assert all(index < len(capture.fields) for index in capture.key)
    assert capture.key_blob is None or capture.key_blob < len(capture.blobs)
    assert bool(capture.key_name) == bool(capture.key or capture.key_blob is not None)
    assert all(note.endswith(".") for note in capture.notes)
    assert len(set(capture.arguments)) == len(capture.arguments)


@settings(deadline=5000, max_examples=300)
@given(st.sampled_from(FUNCTIONS), LIMITS, st.booleans(), st.data())
def test_a_plan_fits_and_whatever_comes_back_is_shown(
    function: tuple[str, str], limits: Limits, with_return: bool, data: st.DataObject
) -> None:
    kernel, name = function
    capture = plan_function(source(kernel), TYPES, name, with_return, limits)
    check(capture, limits, with_return)
    arguments = data.draw(st.lists(WORDS, min_size=6, max_size=6))
    values = data.draw(st.tuples(*[st.one_of(st.none(), WORDS)] * len(capture.fields)))
    blobs = data.draw(st.tuples(*[BLOBS] * len(capture.blobs)))
    result = data.draw(st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1)))
    shown = capture.render(arguments, values, blobs, result)
    assert set(capture.arguments) <= set(shown)
    assert json.loads(json.dumps(shown)) == shown
    assert ("result" in shown or "error" in shown) == (result is not None and capture.returns.kind != plans.NOTHING)
    label = data.draw(st.one_of(st.none(), st.binary(max_size=50)))
    assert capture.render_key(data.draw(st.lists(WORDS, max_size=8)), label)
    unknown = capture.render([], [None] * len(values), [b""] * len(blobs), result)
    assert not set(unknown) & set(capture.arguments)


@pytest.mark.parametrize(("kernel", "name"), FUNCTIONS)
def test_every_recorded_function_has_a_plan_that_fits(kernel: str, name: str) -> None:
    for with_return in (True, False):
        check(plan_function(source(kernel), TYPES, name, with_return), Limits(), with_return)


@settings(deadline=5000)
@given(st.text(max_size=30))
def test_any_other_name_is_a_sentence(name: str) -> None:
    with pytest.raises(RequestError, match="has no function "):
        plan_function(source(KERNELS[0]), TYPES, f"{name} ")


def test_what_reads_the_same_is_read_once() -> None:
    capture = plan_function(source("debian-6.1"), TYPES, "vfs_read")
    assert len(set(capture.fields)) == len(capture.fields)
    assert len(set(capture.blobs)) == len(capture.blobs)


def test_what_does_not_fit_is_said() -> None:
    capture = plan_function(source("debian-6.1"), TYPES, "tcp_sendmsg", limits=Limits(fields=8, blobs=0))
    (note,) = [note for note in capture.notes if "left out" in note]
    assert "protocol of sk" in note
    assert [field for field in capture.fields if field in [capture.fields[index] for index in capture.key]]


def test_more_arguments_than_registers_are_said() -> None:
    capture = plan_function(source("debian-6.1"), TYPES, "do_mmap")
    assert capture.arguments == ("file", "addr", "len", "prot", "flags", "pgoff")
    left_out = "Not shown of the arguments of do_mmap, for only 6 registers have arguments: populate, uf."
    assert capture.notes == (left_out,)


def test_a_small_struct_takes_two_registers_and_what_is_behind_it_the_next() -> None:
    b = Builder()
    number, long = b.integer("int", 4, SIGNED), b.integer("long unsigned int", 8)
    small = b.compound(kinds.STRUCT, "small", 12, [("at", long, 0), ("is_kernel", number, 64)])
    b.function("takes", number, [("first", number), ("second", small), ("third", number), ("rest", small)])
    capture = plan_function(BtfSource(Btf(b.blob(), "a file")), TYPES, "takes")
    assert capture.arguments == ("first", "second", "third", "rest")
    shown = capture.render([1, 0x7F00, 2**32 + 5, 3, 4, 6], [None] * len(capture.fields), [])
    assert shown == {"first": 1, "second": "0x7f00 0x5", "third": 3, "rest": "0x4 0x6"}
    b.function("more", number, [("a", small), ("b", small), ("c", number), ("d", small), ("e", number)])
    capture = plan_function(BtfSource(Btf(b.blob(), "a file")), TYPES, "more")
    assert capture.arguments == ("a", "b", "c")
    left_out = "Not shown of the arguments of more, for only 6 registers have arguments: d, e."
    assert capture.notes == (left_out,)


def test_behind_a_struct_of_which_the_size_is_not_known_nothing_is_certain() -> None:
    capture = plan_function(source("debian-5.10"), TYPES, "do_execveat_common")
    assert capture.arguments == ("fd", "filename")
    assert "for it is not certain where one of them is: argv, envp, flags" in capture.notes[0]


def test_behind_a_struct_that_is_in_no_register_nothing_is_certain() -> None:
    b = Builder()
    number, long = b.integer("int", 4, SIGNED), b.integer("long unsigned int", 8)
    large = b.compound(kinds.STRUCT, "large", 24, [("a", long, 0), ("b", long, 64), ("c", long, 128)])
    b.function("takes", number, [("first", number), ("second", large), ("third", number)])
    b.function("gives", large, [("first", number)])
    kernel = BtfSource(Btf(b.blob(), "a file"))
    takes = plan_function(kernel, TYPES, "takes")
    assert takes.arguments == ("first",)
    left_out = "Not shown of the arguments of takes, for it is not certain where one of them is: second, third."
    assert takes.notes == (left_out,)
    gives = plan_function(kernel, TYPES, "gives")
    assert gives.arguments == ()
    assert gives.notes[0].endswith("where the result is to be written to is one more: first.")


def test_any_number_of_arguments_is_said() -> None:
    capture = plan_function(source("debian-6.12"), TYPES, "seq_printf")
    assert capture.arguments == ("m", "f")
    assert capture.notes == ("seq_printf takes any number of arguments: only those with a name are shown.",)


def test_of_functions_with_one_name_only_what_they_agree_in_is_shown() -> None:
    b = Builder()
    number, long = b.integer("int", 4, SIGNED), b.integer("long unsigned int", 8)
    b.function("reset", number, [("index", number), ("value", number)])
    b.function("reset", 0, [("index", number), ("value", long)])
    capture = plan_function(BtfSource(Btf(b.blob(), "a file")), TYPES, "reset")
    assert capture.arguments == ("index",)
    assert capture.notes == ("The kernel has 2 different functions named reset: only what they agree in is shown.",)
    assert capture.render([2**64 - 5, 0, 0, 0, 0, 0], [], [], 17) == {"index": -5, "result": "0x11"}


def test_arguments_without_a_name_and_with_a_name_that_events_use_have_another() -> None:
    b = Builder()
    number = b.integer("int", 4, SIGNED)
    b.function("finish", 0, [("", number), ("error", number)])
    capture = plan_function(BtfSource(Btf(b.blob(), "a file")), TYPES, "finish")
    assert capture.render([1, 2, 0, 0, 0, 0], [], [], None) == {"argument_1": 1, "argument_error": 2}


def test_scalars_are_shown_by_their_type() -> None:
    kernel = small_kernel()
    b, ids = kernel.builder, kernel.ids
    names = ("u8", "text", "bool", "pid_type", "verdict", "void *")
    b.function("scalars", ids["bool"], [(f"a{index}", ids[name]) for index, name in enumerate(names)])
    capture = plan_function(BtfSource(kernel.read()), TYPES, "scalars")
    shown = capture.render([0x1FF, 0x41, 0x100, 1, 0xFFFFFFFF, 0xFFFF000012345678], [], [], 0x101)
    assert shown == {
        "a0": 255,
        "a1": "A",
        "a2": False,
        "a3": "TGID",
        "a4": "STOLEN",
        "a5": "0xffff000012345678",
        "result": True,
    }
    assert capture.render([0, 0x80, 1, 7, 0, 0], [], [], 0x100)["result"] is False
    assert capture.render([0, 0x80, 1, 7, 0, 0], [], [], None) == {
        "a0": 0,
        "a1": 128,
        "a2": True,
        "a3": 7,
        "a4": 0,
        "a5": None,
    }


def test_without_the_structs_that_a_path_leads_through_no_path_is_read() -> None:
    kernel = small_kernel()
    b = kernel.builder
    b.function("open_it", 0, [("file", b.add(kinds.PTR, "", kernel.ids["file"]))])
    capture = plan_function(BtfSource(kernel.read()), TYPES, "open_it")
    assert capture.blobs == ()
    assert capture.render([0xFFFF888000001000, 0, 0, 0, 0, 0], [None] * len(capture.fields), []) == {
        "file": "0xffff888000001000"
    }


def test_a_struct_in_one_register_is_an_argument() -> None:
    b = Builder()
    number = b.integer("unsigned int", 4)
    uid = b.compound(kinds.STRUCT, "", 4, [("val", number, 0)])
    kuid = b.add(kinds.TYPEDEF, "kuid_t", uid)
    b.function("set_owner", 0, [("owner", kuid), ("count", number)])
    capture = plan_function(BtfSource(Btf(b.blob(), "a file")), TYPES, "set_owner")
    assert capture.render([1000, 2, 0, 0, 0, 0], [], [], None) == {"owner": "0x3e8", "count": 2}


@pytest.mark.parametrize(
    ("kernel", "name", "result", "shown"),
    [
        ("debian-6.1", "tcp_connect", -111, {"error": "ECONNREFUSED"}),
        ("debian-6.1", "tcp_connect", 0xFFFFFF91, {"error": "ECONNREFUSED"}),
        ("debian-6.1", "vfs_read", 0xFFFFFF91, {"result": 0xFFFFFF91}),
        ("debian-6.1", "vfs_read", -4096, {"result": -4096}),
        ("debian-6.1", "do_filp_open", -2, {"error": "ENOENT"}),
        ("debian-6.1", "do_filp_open", 0, {"result": None}),
        ("debian-6.1", "do_mmap", 0x7F0000001000, {"result": 0x7F0000001000}),
        ("debian-6.1", "do_mmap", -12, {"error": "ENOMEM"}),
        ("debian-6.1", "schedule", 5, {}),
        ("debian-6.1", "try_to_free_pages", -1, {"error": "EPERM"}),
        ("debian-5.10", "submit_bio", 2**32 - 1, {"result": 2**32 - 1}),
    ],
)
def test_a_result_is_an_error_by_name_or_a_value(kernel: str, name: str, result: int, shown: dict[str, object]) -> None:
    capture = plan_function(source(kernel), TYPES, name)
    assert capture.render([], [None] * len(capture.fields), [b""] * len(capture.blobs), result) == shown
