# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Records of tracepoints as a person reads them, by formats of real kernels and by such as no kernel has."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf import layout, records
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.bundle import Bundle
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.c_expression import (
    Operand,
    Unresolved,
    evaluate,
)
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.code_addresses import name_addresses
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.kernel_files import KernelFiles
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.print_format import parse_print_format
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.record_fields import RecordFields
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.record_key import RecordKey, find_key
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.records import Records, located_bytes
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.tracefs import Field, Format, parse_format

CASES = Path(__file__).parent / "cases"
BUNDLE = Bundle.from_directory(Path(__file__).parents[2] / "bpf")
RECORDED = {
    str(path.relative_to(CASES / "formats")): path.read_text(encoding="ascii")
    for path in sorted((CASES / "formats").rglob("*.txt"))
}
EVERY_BIT = 2**64 - 1
CASE_LIST = yaml.safe_load((CASES / "records.yml").read_text(encoding="utf-8"))


def form(name: str, kernel: str = "") -> Format:
    category, _dot, event = name.partition(".")
    return parse_format(category, event, RECORDED[str(Path(kernel, f"{name}.txt"))])


def packed(form: Format, values: dict[str, Any]) -> bytes:
    """The record that a kernel makes of these values."""
    raw = bytearray(form.record_size)
    fields = {field.name: field for field in form.fields}
    for name, value in values.items():
        field = fields[name]
        if isinstance(value, int) and not field.is_array:
            content = (value & ((1 << 8 * field.size) - 1)).to_bytes(field.size, sys.byteorder)
        elif field.is_text:
            content = value.encode()
        else:
            content = bytes.fromhex(f"{value:08x}" if isinstance(value, int) else value)
        raw[field.offset : field.offset + len(content)] = content
    return bytes(raw)


def counted(key: RecordKey, raw: bytes, located: dict[str, Any]) -> bytes:
    """The key as bpf/tracepoint.c makes it of a record."""
    plan = key.plan()
    found = bytearray(layout.TRACEPOINT_KEY_BYTES + layout.WINDOW_BYTES)
    window = raw[plan.start : plan.start + plan.length]
    found[: len(window)] = bytes(byte & mask for byte, mask in zip(window, plan.mask))
    if plan.text and key.text is not None:
        text = located[key.text.name].encode() if plan.located else raw[plan.text :]
        text = text.split(b"\0")[0][: plan.text_bytes - 1]
        found[plan.text_at : plan.text_at + len(text)] = text
    return bytes(found[: layout.TRACEPOINT_KEY_BYTES])


@pytest.mark.parametrize("given_case", [pytest.param(entry, id=entry["name"]) for entry in CASE_LIST])
def test_a_record_is_shown_and_counted_by_what_it_is_about(
    given_case: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number, place in given_case.get("devices", {}).items():
        (tmp_path / number).symlink_to(place)
    monkeypatch.setattr(records, "_BLOCK_DEVICES", str(tmp_path))
    parsed = form(given_case["format"], given_case.get("kernel", ""))
    shown_by, raw = Records(parsed, BUNDLE), packed(parsed, given_case.get("fields", {}))
    located, code = given_case.get("located", {}), given_case.get("code", {})
    assert set(code) <= set(shown_by.addresses(raw))
    data = shown_by.data(raw, located, code)
    assert {name: data.get(name) for name in given_case.get("shown", {})} == given_case.get("shown", {})
    key = find_key(shown_by)
    assert key is not None
    assert key.show(counted(key, raw, located), shown_by, code) == given_case["key"]


def test_what_a_string_leaves_behind_it_in_the_record_is_not_counted() -> None:
    parsed = form("block.block_rq_issue")
    shown_by = Records(parsed, BUNDLE)
    key = find_key(shown_by)
    assert key is not None
    clean = packed(parsed, {"rwbs": "W"})
    assert counted(key, clean, {}) == counted(key, packed(parsed, {"rwbs": "W\0garbage"}), {})


def test_fields_that_are_not_asked_for_are_not_counted() -> None:
    parsed = form("sock.inet_sock_set_state")
    key = find_key(Records(parsed, BUNDLE))
    assert key is not None
    first, second = (packed(parsed, {"newstate": 1, "sport": port, "saddr": "0a00000a"}) for port in (1, 2))
    assert counted(key, first, {}) == counted(key, second, {})


def test_what_does_not_fit_into_a_key_is_left_out_from_its_end() -> None:
    fields = (
        Field("near", "int", 8, 4, True),
        Field("far", "int", 70, 4, True),
        Field("name", "char[16]", 80, 16, True),
    )
    shown_by = Records(Format("test", "test", 1, fields), BUNDLE)
    shown_by.keys = [["absent"], ["near", "far", "name"]]
    key = find_key(shown_by)
    assert key is not None
    assert (key.names, key.length) == (("near", "name"), 4)
    assert key.show(counted(key, packed(shown_by.form, {"near": 3, "name": "x"}), {}), shown_by, {}) == "near 3 x"


def test_every_recorded_event_has_a_key_that_fits() -> None:
    for path, text in RECORDED.items():
        name = Path(path).stem
        if name.startswith("syscalls."):
            continue
        category, _dot, event = name.partition(".")
        key = find_key(Records(parse_format(category, event, text), BUNDLE))
        assert key is not None, name
        assert key.length <= layout.WINDOW_BYTES


@pytest.mark.parametrize(
    ("kind", "raw", "length", "shown"),
    [
        ("__data_loc cpumask_t", b"\x0b\0\0\0\0\0\0\0", 8, "0-1,3"),
        ("__data_loc cpumask_t", bytes(8), 8, ""),
        ("__data_loc u64[]", (5).to_bytes(8, sys.byteorder) * 2, 16, [5, 5]),
        ("__data_loc unsigned int[]", (5).to_bytes(4, sys.byteorder) * 40, 400, [5] * 16 + ["…"]),
        ("__data_loc u8[]", b"\x01\xff", 2, "01ff"),
        ("__data_loc unsigned char[]", b"\x01" * 160, 200, "01" * 160 + "…"),
    ],
)
def test_what_is_pointed_to_and_is_no_string_is_shown_as_what_it_is(
    kind: str, raw: bytes, length: int, shown: object
) -> None:
    assert located_bytes(kind, raw, length) == shown


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1 | 2 << 3", 17),
        ("( gfp_t)((((1UL))) << (10))", 1024),
        ("(unsigned long)~(( gfp_t)(0x400u|0x800u)) & 0xfff", 0x3FF),
        ("(u32)-1 & 0xffffffff", 0xFFFFFFFF),
        ("((0x1 | 0x2) + 1) << 1", 8),
        ("TCP_CLOSE", 7),
        ("(int)TCP_CLOSE", 7),
        ("(TCP_CLOSE)", 7),
        ("010", 8),
        ("1 == 1", 1),
        ("!5", 0),
        ("(struct page *)16", 16),
        ("7 % 4 - 1", 2),
    ],
)
def test_constants_are_worked_out_as_c_does(text: str, value: int) -> None:
    assert evaluate(text, {"TCP_CLOSE": 7}) == Operand(value)


@pytest.mark.parametrize(
    ("text", "mask"),
    [
        ("REC->flags", EVERY_BIT),
        ("(void *)REC->flags", EVERY_BIT),
        ("REC->flags & 0xffff", 0xFFFF),
        ("0xffff & (unsigned long)REC->flags", 0xFFFF),
        ("(REC->flags & ~0xffff)", EVERY_BIT - 0xFFFF),
    ],
)
def test_a_field_is_known_with_its_mask(text: str, mask: int) -> None:
    assert evaluate(text, {}) == Operand(mask, "flags")


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "REC->a >> 8",
            "REC->a & REC->b",
            "UNKNOWN",
            "1 << 64",
            "1 / 0",
            "1 2",
            "(1",
            "sizeof(int)",
            "-REC->a",
            "08",
        ),
        *("(" * 1000 + "1" + ")" * 1000, "~" * 1000 + "1", "REC->a ? 1 : 2", "a[1]", "1" * 5000),
    ],
)
def test_what_is_no_such_expression_is_unresolved(text: str) -> None:
    with pytest.raises(Unresolved):
        evaluate(text, {})


def test_a_name_in_a_string_of_the_format_is_no_argument() -> None:
    printed = parse_print_format('"a,b=%d (%*.*s) %s %#lx%%", REC->a, 1, 2, REC->b, "x,y)", (u64)REC->c', {}, {})
    assert printed.conversions == {"a": "d", "b": "s", "c": "x"}


def test_addresses_are_named_by_the_nearest_code_below(tmp_path: Path) -> None:
    lines = [
        "ffffffff81000000 T _text",
        "ffffffff81000100 t first",
        "ffffffff81000100 t alias",
        "ffffffff81000200 D some_data",
        "ffffffff81000300 W last",
        "ffffffffa0000000 t in_module\t[ext4]",
        "0000000000000000 A per_cpu_start",
    ]
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/kallsyms").write_text("\n".join(lines) + "\n", encoding="ascii")
    wanted = [0xFFFFFFFF81000100, 0xFFFFFFFF8100011C, 0xFFFFFFFF81000210, 0xFFFFFFFF81000301, 0xFFFFFFFFA0000010, 5, 0]
    wanted += [0xFFFFFFFF99000000, 0xFFFFFFFF80000000]
    assert name_addresses(KernelFiles(tmp_path), wanted) == {
        0xFFFFFFFF81000100: "first",
        0xFFFFFFFF8100011C: "first+0x1c",
        0xFFFFFFFF81000301: "last+0x1",
        0xFFFFFFFFA0000010: "in_module+0x10 [ext4]",
    }


@pytest.mark.parametrize("text", ["0000000000000000 T _text\n0000000000000000 t first\n", "(nil) T _text\n", "", None])
def test_where_the_kernel_hides_its_addresses_none_is_named(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "proc").mkdir()
        (tmp_path / "proc/kallsyms").write_text(text, encoding="ascii")
    assert name_addresses(KernelFiles(tmp_path), [0xFFFFFFFF81000100]) == {}


def read_whole(text: str, raw: bytes, category: str = "sched", event: str = "sched_switch") -> dict[str, Any]:
    """The data of a record; a key is looked for as well."""
    parsed = parse_format(category, event, text)
    shown_by = Records(parsed, BUNDLE)
    list(shown_by.addresses(raw))
    data = shown_by.data(raw, {}, {})
    key = find_key(shown_by)
    if key is not None:
        assert key.plan().length <= layout.WINDOW_BYTES
        assert key.show(raw[: layout.TRACEPOINT_KEY_BYTES].ljust(layout.TRACEPOINT_KEY_BYTES, b"\0"), shown_by, {})
    return data


NAMES = st.sampled_from(
    ("saddr", "daddr", "daddr_v6", "dport", "family", "rwbs", "comm", "dev", "ret", "prev_state", "x")
)
TYPES = st.sampled_from(
    ("int", "u8", "dev_t", "char", "bool", "void *", "__data_loc char[]", "__rel_loc char[]", "u64")
)
SIZES = st.sampled_from((0, 1, 2, 3, 4, 6, 8, 16, 28, 64, 4000, 65535, 99999))
PIECES = st.sampled_from(
    (
        *(
            '"',
            "%",
            ",",
            "{",
            "}",
            "(",
            ")",
            "|",
            "&",
            "~",
            "<<",
            "?",
            ":",
            "\\",
            " 1",
            '"A"',
            '{ 1, "one" }',
            '{ 8, "A" }',
        ),
        *(
            "%pS",
            "%x",
            "%pI4",
            "%pISpc",
            "%pU",
            " REC->",
            "REC->prev_state",
            "REC->x",
            "( unsigned long)",
            '? "+" : ""',
        ),
        *(" __print_flags(", " __print_symbolic("),
    )
)
FIELDS = st.builds(
    "\tfield:{} {}{};\toffset:{};\tsize:{};\tsigned:{};\n".format,
    TYPES,
    NAMES,
    st.sampled_from(("", "[4]", "[n]")),
    st.integers(0, 80) | SIZES,
    SIZES,
    st.integers(0, 1),
)
FORMATS = st.builds(
    "ID: 1\n{}\nprint fmt: {}".format,
    st.lists(FIELDS, max_size=8).map("".join),
    st.lists(PIECES | NAMES, max_size=40).map("".join),
)


@settings(deadline=None)
@given(st.text() | FORMATS, st.binary(max_size=300))
def test_any_text_is_some_format(text: str, raw: bytes) -> None:
    data = read_whole(text, raw)
    assert json.loads(json.dumps(data)) == data


@settings(deadline=None)
@given(st.sampled_from(sorted(RECORDED)), st.data(), st.binary(max_size=300))
def test_a_damaged_format_shows_what_is_left_of_it(path: str, drawn: st.DataObject, raw: bytes) -> None:
    text = RECORDED[path]
    at = drawn.draw(st.integers(0, len(text)))
    until = drawn.draw(st.integers(at, min(len(text), at + 200)))
    put = drawn.draw(st.lists(PIECES, max_size=5).map("".join))
    category, _dot, event = Path(path).stem.partition(".")
    data = read_whole(text[:at] + put + text[until:], raw, category, event)
    assert json.loads(json.dumps(data)) == data


_ANY = Field("common", "int", 8, 4, True)
_ERROR = Field("error", "int", 28, 4, True)


@pytest.mark.parametrize(
    ("category", "event", "fields", "failure"),
    [
        ("block", "block_rq_complete", (_ANY, _ERROR), _ERROR),
        ("block", "block_bio_complete", (_ANY, _ERROR), _ERROR),
        ("nvme", "nvme_complete_rq", (Field("status", "u16", 20, 2, False),), Field("status", "u16", 20, 2, False)),
        ("block", "block_rq_issue", (_ANY,), None),
        ("block", "block_rq_complete", (_ANY,), None),  # a kernel that does not tell it
        ("block", "block_rq_complete", (Field("error", "char[16]", 28, 16, True),), None),
        ("sock", "inet_sk_error_report", (_ERROR,), None),  # of which each is a failure
    ],
)
def test_it_is_known_which_field_tells_of_a_failure(
    category: str, event: str, fields: tuple[Field, ...], failure: Field | None
) -> None:
    assert RecordFields(Format(category, event, 1, fields), BUNDLE).failure == failure


@pytest.mark.parametrize(
    ("category", "event", "fires"),
    [
        ("irq", "softirq_entry", True),
        ("block", "block_rq_complete", True),
        ("sched", "sched_waking", True),
        ("block", "block_plug", False),
        ("kmem", "kmalloc", True),
        ("kmem", "rss_stat", False),
        ("sched", "sched_switch", False),
        ("workqueue", "workqueue_execute_start", False),
    ],
)
def test_it_is_known_which_events_fire_in_interrupts(category: str, event: str, fires: bool) -> None:
    assert RecordFields(Format(category, event, 1, (_ANY,)), BUNDLE).in_interrupts is fires
