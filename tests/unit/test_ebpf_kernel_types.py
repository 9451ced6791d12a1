# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The data about kernel types: well formed, true of the kernels that are recorded, and each entry with a case."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from btf_builder import EXCERPTS, KERNELS, read_excerpt
from small_kernel import small_kernel

from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf import kernel_names, shown_values
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.btf_source import BtfSource
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.errors import RequestError
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.kernel_types import KernelTypes, Nested, Value
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.path_layout import PathLayout, path_layout

DATA = json.loads((Path(__file__).parents[2] / "bpf" / "types" / "kernel_types.json").read_text(encoding="utf-8"))
CASES = sorted((Path(__file__).parent / "cases" / "calls").glob("*.yml"))
TYPES = KernelTypes(DATA)
# Parts of a key beyond what is shown of it: they tell apart what has the same name.
TELLING_APART = {"dentry", "mount", "hash", "parent", "cache", "id"}


@functools.cache
def sources() -> list[BtfSource]:
    return [BtfSource(read_excerpt(kernel)) for kernel in KERNELS]


def values() -> Iterator[tuple[str, Value]]:
    """Every value that an entry has, with the struct that it is read from (empty for an argument)."""
    for struct in DATA["types"]:
        entry = TYPES.type(struct)
        assert entry is not None
        for value in (*entry.values, *entry.key, *entry.other_keys):
            if isinstance(value, Value):
                yield struct, value
    for rule in TYPES._arguments:
        yield from (("", value) for value in rule.entry.values if isinstance(value, Value))


@pytest.mark.parametrize(
    ("struct", "value"), [pytest.param(*each, id=f"{each[0]}-{each[1].name}") for each in values()]
)
def test_a_value_is_shown_in_a_known_way_from_known_parts(struct: str, value: Value) -> None:
    roles = {role for role, _read in value.reads}
    assert {role for role, _values in value.only} < roles
    if value.shown_as in DATA["names"]:
        assert roles - {role for role, _values in value.only} == {"value"}
        return
    way = shown_values.named(value.shown_as)
    assert way is not None, f"{value.shown_as} is no way of showing"
    assert set(way.required) <= roles <= {*way.required, *way.optional, *TELLING_APART}
    assert {role for role, _names in value.words} <= roles
    assert {names for _role, names in value.words} <= set(DATA["names"])


def exists(source: BtfSource, struct: str, path: str) -> bool:
    if path.startswith("("):
        struct, _bracket, path = path[1:].partition(")")
    try:
        return not path.rstrip("->") or bool(source.locate(struct, path.removesuffix("->")))
    except RequestError:
        return False


def paths() -> Iterator[tuple[str, str]]:
    for struct, value in values():
        yield from ((struct, path) for _role, read in value.reads for path in read.at if struct)
    for struct in DATA["types"]:
        entry = TYPES.type(struct)
        assert entry is not None
        for value in (*entry.values, *entry.key):
            if isinstance(value, Nested):
                yield from ((struct, path) for path in value.at)


@pytest.mark.parametrize(("struct", "path"), sorted(set(paths())))
def test_a_path_leads_somewhere_on_some_kernel(struct: str, path: str) -> None:
    if path == "pc":
        return  # of struct pt_regs on arm64: what is recorded is amd64
    assert any(exists(source, struct, path) for source in sources())


def test_every_type_has_its_case() -> None:
    text = "".join(file.read_text(encoding="utf-8") for file in CASES)
    structs = {
        described
        for case in yaml.safe_load_all(text.replace("\n- functions", "\n---\n- functions"))
        for described in found(case)
    }
    assert set(DATA["types"]) - structs == set()


def found(described: Any) -> Iterator[str]:
    """The structs that a case is made of."""
    if isinstance(described, dict):
        if "struct" in described:
            yield described["struct"]
        for inner in described.values():
            yield from found(inner)
    elif isinstance(described, list):
        for inner in described:
            yield from found(inner)


def test_every_case_is_of_a_function_that_some_kernel_has() -> None:
    recorded = {name for kernel in KERNELS for name in read_excerpt(kernel).functions()}
    cases = [case for file in CASES for case in yaml.safe_load(file.read_text(encoding="utf-8"))]
    assert [case["functions"] for case in cases if not recorded & set(case["functions"])] == []


def test_rules_name_types_and_aliases_that_there_are() -> None:
    nested = {value.type for struct in DATA["types"] for value in nested_of(struct)}
    assert nested | set(DATA["aliases"].values()) <= set(DATA["types"])
    assert not set(DATA["aliases"]) & set(DATA["types"])


def nested_of(struct: str) -> list[Nested]:
    entry = TYPES.type(struct)
    assert entry is not None
    return [value for value in (*entry.values, *entry.key) if isinstance(value, Nested)]


def test_a_recorded_kernel_has_the_functions_that_are_listed() -> None:
    listed = set((EXCERPTS / "functions.txt").read_text(encoding="ascii").split())
    for kernel in KERNELS:
        recorded = set(read_excerpt(kernel).functions())
        assert recorded <= listed
        assert len(recorded) > 70


@pytest.mark.parametrize("kernel", KERNELS)
def test_paths_are_walked_by_offsets_of_this_kernel(kernel: str) -> None:
    """The offsets are those that pahole prints for these kernels: they have not changed for a long time."""
    assert path_layout(BtfSource(read_excerpt(kernel))) == PathLayout(0, 8, 24, 40, 0, 32, 16, 24)


def test_a_kernel_without_these_types_has_no_paths() -> None:
    with pytest.raises(RequestError, match="no struct or union"):
        path_layout(BtfSource(small_kernel().read()))


@pytest.mark.parametrize(
    ("names", "value", "shown"),
    [
        ("open_flags", 0, "O_RDONLY"),
        ("open_flags", 0o2000101, "O_WRONLY|O_CREAT|O_CLOEXEC"),
        ("open_flags", 1 << 40 | 2, "O_RDWR|0x10000000000"),
        ("gfp", 0xCC0, "GFP_KERNEL"),
        ("gfp", 0x400DC0, "GFP_KERNEL_ACCOUNT|__GFP_ZERO"),
        ("gfp", 0, "0"),
        ("gfp", 1 << 31, "0x80000000"),
        ("request_operation", 0x100001, "write"),
        ("request_operation", 200, 200),
        ("request_flags", 0x1801, "sync|meta"),
        ("fault_flags", 0x41, "write|user"),
        ("ethernet_protocol", 0x0608, "ARP"),
        ("ethernet_protocol", 0x1111, 0x1111),
        ("tcp_state", 99, 99),
    ],
)
def test_numbers_have_their_names_on_every_kernel(names: str, value: int, shown: object) -> None:
    for source in sources():
        assert kernel_names.from_data(DATA["names"][names], source).show(value) == shown


def test_the_kernel_that_runs_calls_its_flags_by_the_same_names() -> None:
    """Names that are data are those of the kernel's own enumerations, where it has them."""
    for names, entry in DATA["names"].items():
        if not entry.get("enum") or "bits" in entry:
            continue
        for source in sources():
            known = kernel_names.from_data({**entry, "enum": entry["enum"]}, source)
            stated = kernel_names.from_data({**entry, "enum": []}, source)
            for value, name in stated.values.items():
                assert known.values.get(value, name) == name, names
            flags = dict(known.flags)
            for bits, name in stated.flags:
                assert flags.get(bits, name) == name, names
