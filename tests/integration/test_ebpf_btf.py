# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The running kernel's type information, against what the same kernel says elsewhere.

tracefs prints offset, size and sign of every field of every event, and BTF has the same records as structs: two
accounts of one thing by different makers, the kernel's own macros and the compiler's debug information.
"""

from __future__ import annotations

import random
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf import btf_records as kinds
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf import tracefs
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.btf import VMLINUX, Btf
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.struct_path import locate

pytestmark = pytest.mark.skipif(not VMLINUX.exists(), reason="this kernel was built without type information")
MEBIBYTE = 1024  # of the KiB in which the kernel counts a process's memory


@pytest.fixture(scope="module")
def btf() -> Btf:
    return Btf.load()


def as_recorded(field: tracefs.Field) -> str:
    """The name of an event's field in its struct."""
    prefix = "__rel_loc_" if field.is_relative else "__data_loc_" if field.is_location else ""
    return prefix + field.name


def test_every_field_of_every_event_is_where_tracefs_says(btf: Btf) -> None:
    differing, compared = [], 0
    for name in tracefs.events():
        category, _slash, event = name.partition("/")
        records = btf.find(f"struct trace_event_raw_{event}")
        if not records:
            continue  # events of one class share the struct of the first
        form = tracefs.read_format(category, event)
        assert form is not None
        for field in form.fields:
            found = locate(btf, records[0], as_recorded(field))
            compared += 1
            if (found.offset, found.size) != (field.offset, field.size):
                differing.append((name, field, found))
            if found.signed != field.signed and btf.peel(found.type_id).kind != kinds.ARRAY:
                differing.append((name, field, found))
    assert differing == []
    assert compared > 500


def test_the_functions_that_plans_are_made_for_have_their_parameters(btf: Btf) -> None:
    spelled = {}
    for name in ("tcp_connect", "vfs_read", "do_exit"):
        function = btf.function(name)
        assert function is not None, name
        spelled[name] = btf.describe(function.type_id)
    assert spelled["tcp_connect"] == "int tcp_connect(struct sock *sk)"
    assert spelled["vfs_read"] == "ssize_t vfs_read(struct file *file, char *buf, size_t count, loff_t *pos)"
    assert spelled["do_exit"] == "void do_exit(long int code)"


def test_the_members_that_plans_read_are_found(btf: Btf) -> None:
    port = locate(btf, "sock", "__sk_common.skc_dport")
    address = locate(btf, "sock", "__sk_common.skc_daddr")
    assert (port.size, port.signed, address.size) == (2, False, 4)
    name = locate(btf, "file", "f_path.dentry->d_name.name")
    assert len(name.hops) == 2
    assert btf.describe(name.type_id) == "const unsigned char *"
    states = btf.enumerators(btf.find("enum sock_type")[0])
    assert (states[1], states[2]) == ("SOCK_STREAM", "SOCK_DGRAM")
    command = locate(btf, "task_struct", "comm")
    assert (command.size, btf.describe(command.type_id)) == (16, "char[16]")


def test_functions_drawn_at_random_can_be_described(btf: Btf) -> None:
    for name in random.sample(btf.functions(), 1000):
        function = btf.function(name)
        assert function is not None
        assert function.name == name
        for parameter in function.parameters:
            # An empty struct, such as io_tw_token_t, is passed too; it has no size, and no register.
            kind = btf.peel(parameter.type_id)
            assert btf.size(parameter.type_id) > 0 or (
                kind.kind == kinds.STRUCT and not btf.members(parameter.type_id)
            ), name
        assert f"{name}(" in btf.describe(function.type_id)


def test_functions_of_the_kernel_are_its_symbols(btf: Btf) -> None:
    """A symbol may have a compiler's suffix, and what only ran while booting has none any more."""
    symbols = {line.split()[2].partition(".")[0] for line in Path("/proc/kallsyms").read_text("ascii").splitlines()}
    functions = btf.functions()
    assert len(functions) > 10000
    assert sum(name in symbols for name in functions) > 0.97 * len(functions)


def test_members_of_a_struct_lie_within_it(btf: Btf) -> None:
    for name in ("sock", "file", "dentry", "inode", "task_struct", "sk_buff", "request", "bio", "cred", "msghdr"):
        (found,) = btf.find(f"struct {name}")
        size = btf.size(found)
        for member in btf.members(found):
            bits = member.bit_size or 8 * btf.size(member.type_id)
            assert member.bit_offset + bits <= 8 * size, (name, member)


def test_a_loaded_module_continues_the_kernel(btf: Btf) -> None:
    modules = [path for path in VMLINUX.parent.iterdir() if path != VMLINUX]
    if not modules:
        pytest.skip("no module with type information is loaded")
    for path in modules:
        module = Btf.load(path, base=btf)
        for name in module.functions()[:50]:
            function = module.function(name)
            assert function is not None
            assert f"{name}(" in module.describe(function.type_id)


READ = """
import ctypes, pathlib, re, sys
def peak():
    return int(re.search(r"VmHWM:\\s+(\\d+)", pathlib.Path("/proc/self/status").read_text())[1])
bare = peak()
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.btf import Btf
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.struct_path import locate
btf = Btf.load()
assert btf.function("vfs_read") and locate(btf, "sock", "__sk_common.skc_dport")
print(peak() - bare)
"""


def test_reading_is_light_on_a_host_short_of_memory() -> None:
    measured = subprocess.run(
        [sys.executable, "-c", READ],
        env={"PYTHONPATH": ":".join(sys.path)},
        check=True,
        capture_output=True,
        text=True,
    )
    assert int(measured.stdout) < 40 * MEBIBYTE


def test_structs_that_user_space_shares_have_its_layout(btf: Btf) -> None:
    assert [locate(btf, "timespec64", path).offset for path in ("tv_sec", "tv_nsec")] == [0, struct.calcsize("q")]
    port = locate(btf, "sockaddr_in", "sin_port")
    address = locate(btf, "sockaddr_in", "sin_addr.s_addr")
    assert (port.hops, port.size, address.hops, address.size) == ((2,), 2, (4,), 4)
