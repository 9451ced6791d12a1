# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kernel's type information: what is asked for is found."""

from __future__ import annotations

from pathlib import Path

import pytest
from btf_builder import Builder, Excerpt, read_excerpt
from small_kernel import SIGNED, small_kernel, split

from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf import btf_records as kinds
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.btf import Btf
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.errors import HostError, RequestError
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.struct_path import locate


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
