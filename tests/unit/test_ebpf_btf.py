# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kernel's type information: what is asked for is found, and what is damaged is a sentence."""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
from btf_builder import Builder, Excerpt, read_excerpt
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf import btf_records as kinds
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.btf import Btf
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.errors import (
    EbpfError,
    HostError,
    RequestError,
)
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.struct_path import Location, locate

SIGNED, CHAR, BOOL = 1, 2, 4
BITFIELD = 24  # where the size of a bitfield is, above its offset


@dataclass
class Kernel:
    """A small kernel: its builder, and the ids of its types by what they are called here."""

    builder: Builder
    ids: dict[str, int]

    def read(self) -> Btf:
        return Btf(self.builder.blob(), "a small kernel")


def small_kernel() -> Kernel:
    """Every kind of record once at least, with the members that `struct sock` and `struct file` are read for."""
    b = Builder()
    ids: dict[str, int] = {}
    ids["int"] = b.integer("int", 4, SIGNED)
    ids["long"] = b.integer("long unsigned int", 8)
    ids["char"] = b.integer("char", 1)
    ids["u8"] = b.integer("unsigned char", 1)
    ids["text"] = b.integer("text", 1, SIGNED | CHAR)
    ids["bool"] = b.integer("_Bool", 1, BOOL)
    ids["u16"] = b.integer("short unsigned int", 2)
    ids["double"] = b.add(kinds.FLOAT, "double", 8)
    ids["__be16"] = b.add(kinds.TYPEDEF, "__be16", ids["u16"])
    ids["const char"] = b.add(kinds.CONST, "", ids["char"])
    ids["const char *"] = b.add(kinds.PTR, "", ids["const char"])
    ids["volatile"] = b.add(kinds.VOLATILE, "", ids["const char *"])
    ids["restrict"] = b.add(kinds.RESTRICT, "", ids["const char *"])
    ids["void *"] = b.add(kinds.PTR, "", 0)
    ids["char[16]"] = b.add(kinds.ARRAY, "", 0, ids["char"], ids["long"], 16)
    ids["matrix"] = b.add(kinds.ARRAY, "", 0, ids["char[16]"], ids["long"], 3)
    ids["flexible"] = b.add(kinds.ARRAY, "", 0, ids["int"], ids["long"], 0)
    ids["secret"] = b.add(kinds.FWD, "secret", 0)
    ids["secret *"] = b.add(kinds.PTR, "", ids["secret"])
    ids["union fwd"] = b.add(kinds.FWD, "hidden", 0, flag=True)
    ports = b.compound(kinds.STRUCT, "", 4, [("skc_dport", ids["__be16"], 0), ("skc_num", ids["u16"], 16)])
    pair = b.compound(kinds.UNION, "", 4, [("skc_portpair", ids["int"], 0), ("", ports, 0)])
    common = b.compound(kinds.STRUCT, "sock_common", 16, [("skc_hash", ids["long"], 0), ("", pair, 64)])
    ids["sock"] = b.compound(
        kinds.STRUCT,
        "sock",
        40,
        [
            ("__sk_common", common, 0),
            ("sk_kern", ids["int"], 128 | 1 << BITFIELD),
            ("sk_type", ids["u16"], 131 | 13 << BITFIELD),
            ("sk_wide", ids["u8"], 134 | 6 << BITFIELD),
            ("sk_private", ids["secret *"], 192),
            ("sk_tail", ids["flexible"], 256),
        ],
        bitfields=True,
    )
    ids["sock *"] = b.add(kinds.PTR, "", ids["sock"])
    ids["old"] = b.compound(
        kinds.STRUCT, "old", 4, [("whole", ids["u16"], 0), ("low", b.integer("int", 4, 0, bits=3, offset=1), 16)]
    )
    dentry = b.first + len(b.records) + 3
    ids["dentry *"] = b.add(kinds.PTR, "", dentry)
    path = b.compound(kinds.STRUCT, "path", 16, [("mnt", ids["void *"], 0), ("dentry", ids["dentry *"], 64)])
    qstr = b.compound(kinds.STRUCT, "qstr", 16, [("hash", ids["long"], 0), ("name", ids["const char *"], 64)])
    members = [("d_parent", ids["dentry *"], 0), ("d_name", qstr, 64), ("d_iname", ids["char[16]"], 192)]
    ids["dentry"] = b.compound(kinds.STRUCT, "dentry", 40, members)
    assert ids["dentry"] == dentry
    ids["file"] = b.compound(kinds.STRUCT, "file", 32, [("f_mode", ids["int"], 0), ("f_path", path, 64)])
    ids["pid_type"] = b.add(kinds.ENUM, "pid_type", 4, b.name("PID"), 0, b.name("TGID"), 1, b.name("TWIN"), 1, count=3)
    ids["verdict"] = b.add(kinds.ENUM, "verdict", 4, b.name("STOLEN"), 2**32 - 1, count=1, flag=True)
    ids["byte enum"] = b.add(kinds.ENUM, "", 1, b.name("LAST"), 2**32 - 1, count=1)
    ids["wide"] = b.add(kinds.ENUM64, "wide", 8, b.name("TOP"), 1, 2**31, count=1)
    ids["wide signed"] = b.add(kinds.ENUM64, "below", 8, b.name("MINUS"), 2**32 - 2, 2**32 - 1, count=1, flag=True)
    ids["tcp_connect"] = b.function("tcp_connect", ids["int"], [("sk", ids["sock *"])])
    ids["printk"] = b.function("printk", 0, [("fmt", ids["const char *"]), ("", 0)])
    ids["nothing"] = b.function("nothing", ids["void *"], [])
    ids["handler"] = b.add(kinds.PTR, "", b.add(kinds.FUNC_PROTO, "", 0, b.name("sk"), ids["sock *"], count=1))
    ids["install"] = b.function("install", ids["handler"], [("handler", ids["handler"]), ("where", ids["matrix"])])
    ids["jiffies"] = b.add(kinds.VAR, "jiffies", ids["long"], 1)
    ids["data"] = b.add(kinds.DATASEC, ".data", 8, ids["jiffies"], 0, 8, count=1)
    ids["kfunc"] = b.add(kinds.DECL_TAG, "bpf_kfunc", ids["tcp_connect"], 2**32 - 1)
    ids["char __user *"] = b.add(kinds.PTR, "", b.add(kinds.TYPE_TAG, "user", ids["char"]))
    ids["(*)[16]"] = b.add(kinds.PTR, "", ids["char[16]"])
    ids["anonymous"] = ports
    return Kernel(b, ids)


def test_a_function_has_its_parameters_in_order_and_what_it_returns() -> None:
    kernel = small_kernel()
    btf = kernel.read()
    found = btf.function("install")
    assert found is not None
    assert [parameter.name for parameter in found.parameters] == ["handler", "where"]
    assert [parameter.type_id for parameter in found.parameters] == [kernel.ids["handler"], kernel.ids["matrix"]]
    assert found.type_id == kernel.ids["install"]
    assert (found.returns, found.variadic, found.ambiguous) == (kernel.ids["handler"], False, False)
    assert btf.functions() == ["tcp_connect", "printk", "nothing", "install"]


def test_a_variadic_function_says_so() -> None:
    found = small_kernel().read().function("printk")
    assert found is not None
    assert ([parameter.name for parameter in found.parameters], found.variadic, found.returns) == (["fmt"], True, 0)


@pytest.mark.parametrize("name", ["", "connect", "tcp_connec", "tcp_connectt", "tcp_connect\0printk", "\ud800", "sock"])
def test_what_is_no_function_is_none(name: str) -> None:
    assert small_kernel().read().function(name) is None


def test_a_name_kept_as_the_end_of_a_longer_one_is_found() -> None:
    b = Builder()
    at = b.name("do_tcp_connect") + len("do_")
    prototype = b.add(kinds.FUNC_PROTO, "", 0)
    b.records.append((at, kinds.FUNC << 24, prototype))
    btf = Btf(b.blob(), "a file")
    assert btf.functions() == ["tcp_connect"]
    assert btf.function("tcp_connect") is not None


def test_functions_of_one_name_with_other_parameters_are_ambiguous() -> None:
    b = Builder()
    b.function("cleanup", 0, [])
    b.function("cleanup", 0, [("all", b.integer("int", 4, SIGNED))])
    found = Btf(b.blob(), "a file").function("cleanup")
    assert found is not None
    assert found.ambiguous


@pytest.mark.parametrize(
    ("what", "spelled"),
    [
        ("int", "int"),
        ("__be16", "__be16"),
        ("const char *", "const char *"),
        ("volatile", "const char *volatile"),
        ("restrict", "const char *restrict"),
        ("void *", "void *"),
        ("char[16]", "char[16]"),
        ("matrix", "char[3][16]"),
        ("(*)[16]", "char (*)[16]"),
        ("sock *", "struct sock *"),
        ("secret *", "struct secret *"),
        ("union fwd", "union hidden"),
        ("anonymous", "struct {…}"),
        ("pid_type", "enum pid_type"),
        ("wide", "enum wide"),
        ("double", "double"),
        ("char __user *", "char __user *"),
        ("handler", "void (*)(struct sock *sk)"),
        ("tcp_connect", "int tcp_connect(struct sock *sk)"),
        ("printk", "void printk(const char *fmt, ...)"),
        ("nothing", "void *nothing(void)"),
        ("install", "void (*install(void (*handler)(…), char where[3][16]))(…)"),
        ("jiffies", "long unsigned int jiffies"),
        ("data", ".data"),
    ],
)
def test_a_type_is_spelled_as_in_c(what: str, spelled: str) -> None:
    kernel = small_kernel()
    assert kernel.read().describe(kernel.ids[what]) == spelled


def test_a_constant_pointer_has_its_qualifiers_where_c_has_them() -> None:
    b = Builder()
    char = b.integer("char", 1)
    pointer = b.add(kinds.PTR, "", b.add(kinds.CONST, "", char))
    both = b.add(kinds.VOLATILE, "", b.add(kinds.CONST, "", pointer))
    array = b.add(kinds.ARRAY, "", 0, both, char, 4)
    assert Btf(b.blob(), "a file").describe(array) == "const char *const volatile[4]"


def test_sizes_are_bytes() -> None:
    kernel = small_kernel()
    btf = kernel.read()
    names = ("int", "__be16", "void *", "matrix", "flexible", "sock", "secret", "wide", "double", "install", "data")
    assert [btf.size(kernel.ids[name]) for name in names] == [4, 2, 8, 48, 0, 40, 0, 8, 8, 0, 8]
    assert btf.size(0) == 0


def test_pointers_are_as_wide_as_a_long() -> None:
    b = Builder()
    pointer = b.add(kinds.PTR, "", b.integer("long unsigned int", 4))
    assert Btf(b.blob(), "a file").size(pointer) == 4


def test_integers_know_sign_text_and_truth() -> None:
    kernel = small_kernel()
    btf = kernel.read()
    found = {name: btf.peel(kernel.ids[name]) for name in ("int", "long", "char", "u8", "text", "bool", "__be16")}
    assert [name for name, kind in found.items() if kind.signed] == ["int", "text"]
    assert [name for name, kind in found.items() if kind.is_char] == ["char", "text"]
    assert [name for name, kind in found.items() if kind.is_bool] == ["bool"]


def test_enumerations_name_their_values() -> None:
    kernel = small_kernel()
    btf = kernel.read()
    assert btf.enumerators(kernel.ids["pid_type"]) == {0: "PID", 1: "TGID"}
    assert btf.enumerators(kernel.ids["verdict"]) == {-1: "STOLEN"}
    assert btf.enumerators(kernel.ids["byte enum"]) == {255: "LAST"}
    assert btf.enumerators(kernel.ids["wide"]) == {2**63 + 1: "TOP"}
    assert btf.enumerators(kernel.ids["wide signed"]) == {-2: "MINUS"}
    assert btf.enumerators(kernel.ids["int"]) == {}


def test_types_are_found_by_their_names_in_c() -> None:
    kernel = small_kernel()
    btf = kernel.read()
    names = ("sock", "struct sock", "enum wide", "pid_type", "long unsigned int", "__be16", "union sock", "struct ", "")
    found = [btf.find(name) for name in names]
    wanted = [["sock"], ["sock"], ["wide"], ["pid_type"], ["long"], ["__be16"], [], [], []]
    assert found == [[kernel.ids[name] for name in listed] for listed in wanted]


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


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(("header", "gap"), [(24, 0), (28, 0), (40, 8), (24, 4)])
def test_byte_order_header_and_gaps_are_as_the_file_says(order: str, header: int, gap: int) -> None:
    kernel = small_kernel()
    btf = Btf(kernel.builder.blob(order, header, gap), "a file")
    assert locate(btf, "file", "f_path.dentry->d_name.name").hops == (16, 16)
    assert btf.describe(kernel.ids["install"]) == kernel.read().describe(kernel.ids["install"])
    assert btf.big_endian == (order == ">")


def test_records_of_an_unknown_kind_are_passed_over_where_the_file_gives_their_length() -> None:
    b = Builder()
    b.integer("int", 4, SIGNED)
    unknown = b.add(20, "somewhere", 4, 7, 1, 2, 3, count=3)
    b.function("after", 1, [])
    layout = bytearray(4 * 21)
    layout[4 * 20 : 4 * 20 + 2] = bytes((4, 4))
    btf = Btf(b.blob(header=32, layout=bytes(layout)), "a file")
    assert btf.functions() == ["after"]
    assert btf.describe(unknown) == "somewhere"
    with pytest.raises(HostError, match="unknown kind 20"):
        Btf(b.blob(), "a file")


def split() -> tuple[Kernel, Builder]:
    """A module on top of the small kernel, with a struct of its own that the kernel only declares."""
    kernel = small_kernel()
    module = Builder(kernel.builder)
    module.compound(kinds.STRUCT, "secret", 16, [("key", kernel.ids["sock *"], 64)])
    module.function("mod_connect", kernel.ids["int"], [("sk", kernel.ids["sock *"])])
    return kernel, module


def test_a_module_continues_the_kernel() -> None:
    kernel, module = split()
    btf = Btf(module.blob(), "a module", kernel.read())
    assert btf.functions() == ["mod_connect"]
    assert btf.function("tcp_connect") is None
    found = btf.function("mod_connect")
    assert found is not None
    assert found.type_id > kernel.builder.first + len(kernel.builder.records)
    assert btf.describe(found.type_id) == "int mod_connect(struct sock *sk)"
    assert locate(btf, found.parameters[0].type_id, "__sk_common.skc_dport").hops == (8,)
    assert locate(btf, "file", "f_path.dentry").hops == (16,)
    assert locate(btf, "sock", "sk_private->key->sk_private").hops == (24, 8, 24)


def test_a_module_without_its_base_says_that_it_needs_it() -> None:
    _kernel, module = split()
    with pytest.raises(HostError, match="a module's file needs the kernel's as its base"):
        Btf(module.blob(), "a module")


def test_a_missing_file_says_what_the_kernel_was_built_without(tmp_path: Path) -> None:
    with pytest.raises(HostError, match="CONFIG_DEBUG_INFO_BTF"):
        Btf.load(tmp_path / "vmlinux")
    with pytest.raises(HostError, match=r"no type information at .*nf_nat"):
        Btf.load(tmp_path / "nf_nat")
    with pytest.raises(HostError, match="Is a directory"):
        Btf.load(tmp_path)
    with pytest.raises(HostError, match="Could not read"):
        Btf.load("/sys/kernel/btf/a\0b")
    (tmp_path / "elf").write_bytes(b"\x7fELF" + bytes(60))
    with pytest.raises(HostError, match="it begins with 7f454c46"):
        Btf.load(tmp_path / "elf")


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


@pytest.mark.parametrize(
    ("kernel", "dentry", "sock_type", "state_change", "kern_sock"),
    [
        ("debian-5.10", 24, 538, 688, (536, 1)),
        ("debian-6.1", 24, 514, 672, (512, 1)),
        ("debian-6.12", 72, 572, 688, (570, 1)),
    ],
)
def test_kernels_that_people_run_are_read(
    kernel: str, dentry: int, sock_type: int, state_change: int, kern_sock: tuple[int, int]
) -> None:
    """The offsets are those that bpftool prints for the whole kernels."""
    btf = read_excerpt(kernel)
    assert btf.functions() == ["tcp_connect", "tcp_sendmsg", "vfs_read", "do_sys_openat2"]
    read = btf.function("vfs_read")
    assert read is not None
    assert btf.describe(read.type_id) == "ssize_t vfs_read(struct file *file, char *buf, size_t count, loff_t *pos)"
    connect = btf.function("tcp_connect")
    assert connect is not None
    sock = connect.parameters[0].type_id
    assert locate(btf, sock, "__sk_common.skc_dport").hops == (12,)
    assert btf.describe(locate(btf, sock, "__sk_common.skc_dport").type_id) == "__be16"
    assert locate(btf, sock, "sk_type").offset == sock_type
    assert locate(btf, sock, "sk_state_change").offset == state_change
    bitfield = locate(btf, sock, "sk_kern_sock")
    assert (bitfield.offset, bitfield.bit_offset, bitfield.bit_size) == (*kern_sock, 1)
    assert locate(btf, "file", "f_path.dentry->d_name.name").hops == (dentry, 40)


def test_an_excerpt_answers_as_the_whole_does() -> None:
    kernel = small_kernel()
    whole = kernel.read()
    cut = Btf(Excerpt(whole, ["tcp_connect", "install"], ["file", "sock"]).blob(), "an excerpt")
    for root, path in (("file", "f_path.dentry"), ("sock", "__sk_common.skc_dport"), ("sock", "sk_wide")):
        ours, theirs = locate(cut, root, path), locate(whole, root, path)
        assert (ours.hops, ours.size, ours.bit_offset) == (theirs.hops, theirs.size, theirs.bit_offset)
        assert cut.describe(ours.type_id) == whole.describe(theirs.type_id)
    for name in ("tcp_connect", "install"):
        copy, original = cut.function(name), whole.function(name)
        assert copy is not None
        assert original is not None
        assert cut.describe(copy.type_id) == whole.describe(original.type_id)
    with pytest.raises(RequestError, match="names struct dentry without its members"):
        locate(cut, "file", "f_path.dentry->d_name")


def ask_everything(btf: Btf, count: int) -> None:
    """All that plans ask; whatever fails must fail with a sentence."""
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
    assert [sentence for sentence in sentences if not sentence.endswith(".")] == []


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
    ask_everything(btf, TYPES)


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
    ask_everything(btf, TYPES)


@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(HostError, match=r"^The type information in a file is damaged .*\.$"):
        Btf(data, "a file")


@given(st.lists(WORDS, max_size=40))
def test_arbitrary_records_give_answers_or_sentences(words: list[int]) -> None:
    types = struct.pack(f"<{len(words)}I", *words)
    head = struct.pack("<HBBIIIII", 0xEB9F, 1, 0, 24, 0, len(types), len(types), 5)
    try:
        btf = Btf(head + types + b"\0a\0b\0", "a file")
    except HostError:
        return
    ask_everything(btf, len(words))


@given(st.text(max_size=40), st.text(max_size=40))
def test_arbitrary_paths_are_places_or_sentences(root: str, path: str) -> None:
    btf = small_kernel().read()
    for start, way in ((root, path), ("sock", path), (root, "a.b")):
        with pytest.raises(RequestError):
            locate(btf, start, way)
