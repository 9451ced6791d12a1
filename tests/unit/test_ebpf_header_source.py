# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A kernel without type information: its headers tell the same."""

from __future__ import annotations

import io
import json
import tarfile
import threading
from pathlib import Path
from typing import Any

import pytest
import yaml
from btf_builder import KERNELS, read_excerpt
from kernel_memory import Memory, follow_call, shown
from record_layouts import read_layouts

from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf import header_source
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.btf_source import BtfSource
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.bundle import Bundle
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.compiler import Headers
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.errors import HostError, RequestError
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.function_plan import plan_function
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.header_layouts import Layouts
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.header_source import HeaderSource
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.kernel_types import KernelTypes
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.path_layout import path_layout
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.programs import Programs
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.store import Store

BPF = Path(__file__).parents[2] / "bpf"
BUNDLE = Bundle.from_directory(BPF)
TYPES = KernelTypes(BUNDLE.data("kernel_types.json"))
HEADERS = BUNDLE.data("headers.json")
RELEASE = "6.1.0-56-amd64"
CASES = [
    pytest.param(case, id=f"{file.stem}-{number}-{case['functions'][0]}")
    for file in sorted((Path(__file__).parent / "cases" / "calls").glob("*.yml"))
    for number, case in enumerate(yaml.safe_load(file.read_text(encoding="utf-8")))
]
# What a header does not tell: members of structs that only the kernel itself sees, and names of values.
BTF_ONLY = {"kmem_cache_alloc", "kfree_skb_reason", "do_send_sig_info"}


def tree(folder: Path, release: str = RELEASE, files: dict[str, str] | None = None) -> Headers:
    """A folder of headers of a kernel, with some files."""
    texts = {"include/generated/utsrelease.h": f'#define UTS_RELEASE "{release}"\n', **(files or {})}
    for name, text in texts.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="ascii")
    return Headers(folder, "kernel")


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The compiler's answer is the one that was recorded; what it was asked is kept."""
    asked: list[str] = []

    def answer(text: str, _stop: Any) -> str:
        asked.append(text)
        return read_layouts("debian-6.1")

    monkeypatch.setattr(header_source, "record_layouts", answer)
    return asked


def source(folder: Path, *functions: str, **files: str) -> HeaderSource:
    named = {name.replace("__", "/") + ".h": text for name, text in files.items()}
    found = HeaderSource(BUNDLE, tree(folder, files=named), RELEASE, Programs(BUNDLE, store=Store(folder / "store")))
    found.prepare(functions)
    return found


@pytest.mark.parametrize("case", CASES)
def test_a_call_shows_the_same_without_type_information(
    case: dict[str, Any], tmp_path: Path, recorded: list[str]
) -> None:
    btf = BtfSource(read_excerpt("debian-6.1"))
    for name in case["functions"]:
        if btf.function(name) is None or name in BTF_ONLY:
            continue
        headers = source(tmp_path)
        signature = headers.function(name)
        assert signature is not None
        capture = plan_function(headers, TYPES, name)
        memory = Memory(btf)
        given = {argument.name: memory.value(case["arguments"].get(argument.name)) for argument in signature.arguments}
        result = case.get("result")
        result = memory.value(result) if isinstance(result, dict) else result
        data, key = follow_call(memory, capture, list(given.values())[:6], result)
        others = {argument: None for argument in given if argument not in case["arguments"]}
        assert shown(data, case["data"], others) == case["data"]
        assert key == case.get("key")


def paths() -> list[tuple[str, str]]:
    data = BUNDLE.data("kernel_types.json")
    found = []

    def collect(struct: str, described: Any) -> None:
        if isinstance(described, dict):
            for name, inner in described.items():
                if name in ("at", "read") and not isinstance(inner, dict):
                    found.extend((struct, path) for path in ([inner] if isinstance(inner, str) else inner))
                elif name == "read" and "at" not in inner:
                    for part in inner.values():
                        collect(struct, {"read": part})
                else:
                    collect(struct, inner)
        elif isinstance(described, list):
            for inner in described:
                collect(struct, inner)

    for struct, entry in data["types"].items():
        collect(struct, entry)
    return sorted(set(found))


@pytest.mark.parametrize(("struct", "path"), [each for each in paths() if each[0] not in ("kmem_cache", "open_flags")])
def test_members_are_where_the_kernel_says_they_are(struct: str, path: str) -> None:
    """The recorded layouts and type information are of the same kernel."""
    layouts = Layouts(read_layouts("debian-6.1"), HEADERS["scalars"])
    btf = BtfSource(read_excerpt("debian-6.1"))
    if path.startswith("("):
        struct, _bracket, path = path[1:].partition(")")
    path = path.removesuffix("->")
    if not path:
        return
    try:
        known = btf.locate(struct, path)
    except RequestError:
        with pytest.raises(RequestError, match=r"\.$"):
            layouts.locate(struct, path)
        return
    found = layouts.locate(struct, path)
    assert (found.hops, found.size, found.signed) == (known.hops, known.size, known.signed)


def test_a_bitfield_has_its_bits() -> None:
    layouts = Layouts(read_layouts("debian-6.1"), HEADERS["scalars"])
    found = layouts.locate("sock", "sk_kern_sock")
    assert (found.hops, found.bit_offset, found.bit_size) == ((512,), 1, 1)


@pytest.mark.parametrize(
    ("struct", "path", "sentence"),
    [
        ("nothing", "member", "do not define nothing"),
        ("sock", "nothing", "struct sock has no member nothing"),
        ("file", "f_mode->x", "is no pointer"),
        ("file", "f_mode[0]", "is no array"),
        ("file", "f_lock.x", "has no member x"),
        ("file", "f_op->read", "do not define file_operations"),
        ("file", "", "'' is not a path"),
    ],
)
def test_what_headers_do_not_have_is_a_sentence(struct: str, path: str, sentence: str) -> None:
    with pytest.raises(RequestError) as caught:
        Layouts(read_layouts("debian-6.1"), HEADERS["scalars"]).locate(struct, path)
    assert sentence in str(caught.value)


def test_paths_are_walked_as_with_type_information(tmp_path: Path, recorded: list[str]) -> None:
    assert path_layout(source(tmp_path, "vfs_read")) == path_layout(BtfSource(read_excerpt("debian-6.1")))


def test_only_headers_that_the_functions_need_are_compiled_and_once(tmp_path: Path, recorded: list[str]) -> None:
    found = source(tmp_path, "schedule", "kfree")
    assert recorded == []
    found.prepare(["vfs_read", "vfs_write", "schedule"])
    (text,) = recorded
    assert "linux/fs.h" in text
    assert "net/sock.h" not in text
    assert found.locate("file", "f_path.dentry->d_inode").hops == (24, 48)
    assert found.function("vfs_fsync") is not None
    assert len(recorded) == 1
    assert found.locate("sock", "sk_protocol").hops == (516,)
    assert "linux/fs.h" not in recorded[1]


def test_a_struct_that_this_kernel_does_not_have_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def refuse_once(text: str, _stop: Any) -> str:
        asked.append(text)
        if len(asked) == 1:
            raise HostError("BCC could not compile: /virtual/main.c:9: error: incomplete type 'struct renamedata'.")
        return read_layouts("debian-6.1")

    monkeypatch.setattr(header_source, "record_layouts", refuse_once)
    assert source(tmp_path, "vfs_read").locate("file", "f_path.dentry").hops == (24,)
    assert ["renamedata" in text for text in asked] == [True, False]


def test_what_an_older_bcc_lacks_is_taken_from_the_kernel_s_own_header(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    queue = "struct bpf_wq {\n\t__u64 __opaque[2];\n} __attribute__((aligned(8)));"
    root = "struct bpf_rb_root {\n\t__u64 __opaque[2];\n} __attribute__((aligned(8)));"

    def refuse_twice(text: str, _stop: Any) -> str:
        asked.append(text)
        for name in ("bpf_wq", "bpf_rb_root"):  # the second is beyond where the message is cut
            if f"struct {name} {{" not in text:
                raise HostError(f"include/linux/bpf.h:368: error: 'sizeof' of an incomplete type 'struct {name}'")
        return read_layouts("debian-6.1")

    monkeypatch.setattr(header_source, "record_layouts", refuse_twice)
    bpf = f"struct bpf_other {{\n\t__u32 a;\n}};\n{queue}\n{root}\n"
    assert source(tmp_path, "tcp_connect", include__uapi__linux__bpf=bpf).locate("sock", "sk_protocol").hops == (516,)
    assert len(asked) == 3
    assert asked[2].index("linux/types.h") < asked[2].index(queue) < asked[2].index("net/sock.h")
    assert root in asked[2]
    assert "bpf_other" not in asked[2]


def refusing(monkeypatch: pytest.MonkeyPatch, said: str) -> list[str]:
    """The compiler refuses whatever it is asked, with these words; what it was asked."""
    asked: list[str] = []

    def refuse(text: str, _stop: Any) -> str:
        asked.append(text)
        raise HostError(said)

    monkeypatch.setattr(header_source, "record_layouts", refuse)
    return asked


def test_what_nobody_defines_is_said_and_not_tried_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = refusing(monkeypatch, "error: 'sizeof' of an incomplete type 'struct bpf_wq'")
    with pytest.raises(HostError, match="bpf_wq"):
        source(tmp_path, "tcp_connect")
    assert len(asked) == 1


def test_what_cannot_be_compiled_is_said_and_not_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = refusing(monkeypatch, "BCC could not compile an eBPF program: no memory.")
    found = source(tmp_path)
    planned = [plan_function(found, TYPES, function) for function in ("vfs_read", "vfs_read", "vfs_write")]
    # What is passed by value is known from the prototype alone.
    assert [capture.arguments for capture in planned] == [("file", "buf", "count", "pos")] * 3
    assert all("Of what arguments point at, some or all is not shown: " in capture.notes[0] for capture in planned)
    assert all("no memory" in capture.notes[0] for capture in planned)
    assert len(asked) == 1


def test_one_group_of_headers_that_cannot_be_compiled_does_not_cost_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse_sockets(text: str, _stop: Any) -> str:
        if "net/sock.h" in text:
            raise HostError("BCC could not compile an eBPF program: include/net/sock.h:9:1: error: no.")
        return read_layouts("debian-6.1")

    monkeypatch.setattr(header_source, "record_layouts", refuse_sockets)
    found = source(tmp_path)
    with pytest.raises(HostError, match=r"net/sock\.h"):
        found.prepare(["vfs_read", "tcp_connect"])
    assert found.locate("file", "f_path.dentry").hops == (24,)
    with pytest.raises(RequestError, match=r"sk_protocol of struct sock .* include/net/sock\.h"):
        found.locate("sock", "sk_protocol")


def test_a_stopped_trace_compiles_nothing_for_types(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[Any] = []

    def answer(text: str, stop: Any) -> str:
        given.append(stop)
        return read_layouts("debian-6.1")

    monkeypatch.setattr(header_source, "record_layouts", answer)
    stop = threading.Event()
    programs = Programs(BUNDLE, store=Store(tmp_path / "store"))
    HeaderSource(BUNDLE, tree(tmp_path), RELEASE, programs, stop).prepare(["vfs_read"])
    assert given == [stop]


def archive(folder: Path, files: dict[str, str]) -> Headers:
    path = folder / "kheaders.tar.xz"
    with tarfile.open(path, "w:xz") as members:
        for name, text in files.items():
            member = tarfile.TarInfo(f"./{name}")
            member.size = len(text)
            members.addfile(member, io.BytesIO(text.encode()))
    return Headers(path, "archive")


def test_an_archive_of_headers_tells_what_bcc_lacks_and_of_structs_in_random_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse_once(text: str, _stop: Any) -> str:
        if "struct bpf_wq {" not in text:
            raise HostError("error: 'sizeof' of an incomplete type 'struct bpf_wq'")
        return read_layouts("debian-6.1")

    monkeypatch.setattr(header_source, "record_layouts", refuse_once)
    configured = {"include/generated/autoconf.h": "#define CONFIG_NET 1\n"}
    queue = {
        "include/uapi/linux/bpf.h": "struct bpf_wq {\n\tunion {\n\t\t__u64 a;\n\t};\n} __attribute__((aligned(8)));\n"
    }
    programs = Programs(BUNDLE, store=Store(tmp_path / "store"))
    found = HeaderSource(BUNDLE, archive(tmp_path, {**configured, **queue}), RELEASE, programs)
    assert found.locate("sock", "sk_protocol").hops == (516,)
    with pytest.raises(HostError, match="random order"):
        HeaderSource(
            BUNDLE, archive(tmp_path, {"include/generated/autoconf.h": "#define CONFIG_RANDSTRUCT 1\n"}), RELEASE
        )
    for damaged in (archive(tmp_path, queue), Headers(tmp_path / "none", "archive")):
        with pytest.raises(HostError, match="does not tell how this kernel was configured"):
            HeaderSource(BUNDLE, damaged, RELEASE)


@pytest.mark.parametrize("kind", ["stand-in", None])
def test_headers_of_another_kernel_tell_no_offsets(tmp_path: Path, kind: str | None) -> None:
    headers = Headers(tree(tmp_path).path, kind) if kind else None
    with pytest.raises(HostError, match=f"no headers of {RELEASE}"):
        HeaderSource(BUNDLE, headers, RELEASE)


def test_headers_that_were_named_must_be_of_this_kernel(tmp_path: Path) -> None:
    with pytest.raises(HostError, match=r"are those of 6\.1\.0-9-amd64"):
        HeaderSource(BUNDLE, tree(tmp_path, "6.1.0-9-amd64"), RELEASE)


def test_structs_in_random_order_are_not_guessed(tmp_path: Path) -> None:
    headers = tree(tmp_path, files={"include/generated/autoconf.h": "#define CONFIG_RANDSTRUCT 1\n"})
    with pytest.raises(HostError, match="random order"):
        HeaderSource(BUNDLE, headers, RELEASE)


DECLARED = """
/* How to call_me(int not, this) is said below. */
extern int call_me(struct file *file, const char __user *buffer, size_t length,
                   unsigned long flags);
static inline int unused(void) { return call_me(0, 0, 0, 0); }
long __must_check look(struct sock *, u16 __user *where, int) __must_be_checked;
int watch(int fd, int (*handler)(struct file *, int), kuid_t owner, int last);
__printf(2, 3) void say(struct seq_file *m, const char *format, ...);
void either(int one);
#ifdef CONFIG_OTHER
void either(long one);
#endif
"""


def test_functions_that_nobody_recorded_are_taken_from_their_declaration(tmp_path: Path, recorded: list[str]) -> None:
    names = ("call_me", "look", "watch", "say", "either", "missing")
    found = source(tmp_path, *names, include__linux__calls=DECLARED)
    call_me, look, watch, say = (found.function(name) for name in names[:4])
    assert call_me is not None
    assert [argument.name for argument in call_me.arguments] == ["file", "buffer", "length", "flags"]
    assert [argument.type.spelled for argument in call_me.arguments][:2] == ["struct file *", "const char *"]
    assert [argument.type.is_user for argument in call_me.arguments] == [False, True, False, False]
    assert look is not None
    assert [(argument.name, argument.type.size) for argument in look.arguments] == [("", 8), ("where", 8), ("", 4)]
    assert (look.returns.spelled, look.returns.signed) == ("long", True)
    assert watch is not None
    assert [(argument.name, argument.type.kind) for argument in watch.arguments][:2] == [
        ("fd", "integer"),
        ("handler", "pointer"),
    ]
    capture = plan_function(found, TYPES, "watch")
    assert capture.arguments == ("fd", "handler")
    assert "owner, last" in capture.notes[0]
    assert say is not None
    assert "any number of arguments" in say.notes[0]
    assert found.function("either") is None
    assert found.function("missing") is None
    with pytest.raises(RequestError, match="no function missing"):
        plan_function(found, TYPES, "missing")


def test_a_declaration_without_names_gets_those_of_the_function(tmp_path: Path, recorded: list[str]) -> None:
    declared = "extern ssize_t vfs_read(struct file *, char __user *, size_t, loff_t *);\n"
    found = source(tmp_path, "vfs_read", include__linux__fs=declared).function("vfs_read")
    assert found is not None
    assert [argument.name for argument in found.arguments] == ["file", "buf", "count", "pos"]


def test_a_declaration_counts_more_than_what_other_kernels_had(tmp_path: Path, recorded: list[str]) -> None:
    declared = (
        "int tcp_recvmsg(struct sock *sk, struct msghdr *msg, size_t len, int nonblock, int flags, int *addr_len);\n"
    )
    found = source(tmp_path, "tcp_recvmsg", include__net__tcp=declared).function("tcp_recvmsg")
    assert found is not None
    assert [argument.name for argument in found.arguments][3:] == ["nonblock", "flags", "addr_len"]


@pytest.mark.parametrize(
    ("release", "function", "arguments"),
    [
        ("6.1.0-56-amd64", "tcp_recvmsg", ["sk", "msg", "len", "flags", "addr_len"]),
        ("5.10.0-1", "tcp_recvmsg", ["sk", "msg", "len", "nonblock", "flags", "addr_len"]),
        ("5.15.3", "tcp_connect", ["sk"]),
        ("5.15.3", "tcp_recvmsg", ["sk", "msg", "len"]),
        ("6.6.1", "inet_csk_accept", ["sk"]),
        ("5.4.0", "tcp_connect", None),
        ("7.3.0", "tcp_connect", None),
        ("5.15.3", "__alloc_pages", None),
        ("strange", "tcp_connect", None),
    ],
)
def test_between_recorded_kernels_only_what_they_agree_in_is_certain(
    release: str, function: str, arguments: list[str] | None, tmp_path: Path, recorded: list[str]
) -> None:
    found = HeaderSource(BUNDLE, tree(tmp_path, release), release).function(function)
    assert (None if found is None else [argument.name for argument in found.arguments]) == arguments


def test_the_recorded_prototypes_are_those_of_the_recorded_kernels() -> None:
    listed = json.loads((BPF / "types" / "functions.json").read_text(encoding="utf-8"))
    for kernel in KERNELS:
        btf = read_excerpt(kernel)
        for name, by_text in listed["functions"].items():
            texts = [text for text, kernels in by_text.items() if kernel.removeprefix("debian-") in kernels]
            having = {btf.describe(prototype.type_id) for prototype in btf.prototypes(name)}
            assert texts == (sorted(having) if len(having) == 1 else [])
