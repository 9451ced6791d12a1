# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where members are: paths through structs, unions, pointers and arrays."""

from __future__ import annotations

import pytest
from btf_builder import Builder
from hypothesis import given, settings
from hypothesis import strategies as st
from small_kernel import small_kernel

from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf import btf_records as kinds
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.btf import Btf
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.errors import RequestError
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.struct_path import Location, locate


@pytest.mark.parametrize(
    ("root", "path", "hops", "size", "signed", "spelled"),
    [
        ("sock", "__sk_common.skc_dport", (8,), 2, False, "__be16"),
        ("struct sock", "__sk_common.skc_num", (10,), 2, False, "short unsigned int"),
        ("sock", "__sk_common.skc_portpair", (8,), 4, True, "int"),
        ("sock", "__sk_common", (0,), 16, False, "struct sock_common"),
        ("sock", "sk_tail", (32,), 0, False, "int[0]"),
        ("sock", "sk_tail[5]", (52,), 4, True, "int"),
        ("file", "f_path.dentry", (16,), 8, False, "struct dentry *"),
        ("file", "f_path.dentry->d_name.name", (16, 16), 8, False, "const char *"),
        ("file", "f_path.dentry->d_parent->d_parent->d_iname", (16, 0, 0, 24), 16, False, "char[16]"),
        ("dentry", "d_iname[15]", (39,), 1, False, "char"),
    ],
)
def test_a_path_leads_to_a_place(
    root: str, path: str, hops: tuple[int, ...], size: int, signed: bool, spelled: str
) -> None:
    btf = small_kernel().read()
    found = locate(btf, root, path)
    assert (found.hops, found.size, found.signed, found.bit_size) == (hops, size, signed, None)
    assert btf.describe(found.type_id) == spelled
    assert found.offset == hops[-1]


def test_a_path_begins_at_a_parameter_as_well() -> None:
    btf = small_kernel().read()
    function = btf.function("tcp_connect")
    assert function is not None
    assert locate(btf, function.parameters[0].type_id, "__sk_common.skc_dport").hops == (8,)


def test_a_bitfield_is_read_with_one_unit_that_holds_it() -> None:
    kernel = small_kernel()
    btf = kernel.read()
    assert locate(btf, "sock", "sk_kern") == Location((16,), 4, True, kernel.ids["int"], 0, 1)
    assert locate(btf, "sock", "sk_type") == Location((16,), 2, False, kernel.ids["u16"], 3, 13)
    assert locate(btf, "sock", "sk_wide") == Location((16,), 2, False, kernel.ids["u8"], 6, 6)


def test_a_bitfield_of_an_old_compiler_is_one_as_well() -> None:
    btf = small_kernel().read()
    found = locate(btf, "old", "low")
    assert (found.hops, found.size, found.bit_offset, found.bit_size) == ((0,), 4, 17, 3)
    assert locate(btf, "old", "whole").bit_size is None


def test_a_big_endian_bitfield_counts_from_the_highest_bit() -> None:
    btf = Btf(small_kernel().builder.blob(order=">"), "a file")
    assert (locate(btf, "sock", "sk_kern").bit_offset, locate(btf, "sock", "sk_type").bit_offset) == (31, 0)


@pytest.mark.parametrize(
    ("root", "path", "sentence"),
    [
        ("socket", "sk", "has no struct or union socket"),
        ("struct socket", "sk", "has no struct or union socket"),
        ("sock", "skc_dport", "struct sock has no member skc_dport."),
        ("sock", "__sk_common.port", "struct sock_common (__sk_common) has no member port."),
        ("file", "f_path.dentry.d_name", "f_path.dentry is a pointer (struct dentry *): write '->' behind it."),
        ("file", "f_path->dentry", "f_path is no pointer but struct path: write '.' behind it."),
        ("file", "f_mode.bits", "f_mode is int, which has no members such as bits."),
        ("file", "f_mode[0]", "f_mode is no array but int"),
        ("dentry", "d_iname[16]", "d_iname has 16 elements"),
        ("sock", "sk_private->key", "names struct secret without its members"),
        ("file", "f_path.mnt->root", "which has no members such as root"),
        ("sock", "", "'' is not a path"),
        ("sock", ".sk", "'.sk' is not a path"),
        ("sock", "[0]", "'[0]' is not a path"),
        ("sock", "a..b", "'a..b' is not a path"),
        ("sock", "a b", "'a b' is not a path"),
        ("sock", "a.b->", "is not a path"),
        ("sock", "sk\n", "is not a path"),
    ],
)
def test_what_is_not_there_is_named(root: str, path: str, sentence: str) -> None:
    with pytest.raises(RequestError) as caught:
        locate(small_kernel().read(), root, path)
    assert sentence in str(caught.value)


def test_of_two_structs_with_one_name_that_with_the_member_is_meant() -> None:
    b = Builder()
    u32 = b.integer("u32", 4)
    b.compound(kinds.STRUCT, "workspace", 8, [("size", u32, 0), ("level", u32, 32)])
    other = b.compound(kinds.STRUCT, "workspace", 8, [("mem", u32, 0), ("size", u32, 32)])
    btf = Btf(b.blob(), "a file")
    assert locate(btf, "workspace", "level").hops == (4,)
    assert locate(btf, "workspace", "mem").hops == (0,)
    assert locate(btf, other, "size").hops == (4,)
    with pytest.raises(RequestError, match="2 different structs workspace"):
        locate(btf, "workspace", "size")


@settings(deadline=5000)
@given(st.text(max_size=40), st.text(max_size=40))
def test_arbitrary_paths_are_places_or_sentences(root: str, path: str) -> None:
    btf = small_kernel().read()
    for start, way in ((root, path), ("sock", path), (root, "a.b")):
        with pytest.raises(RequestError):
            locate(btf, start, way)
