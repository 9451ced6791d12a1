# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the functions of the protocol's table are on this machine's own kernel, whatever it was built with."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf import tracefs
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.bundle import Bundle
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.functions import FunctionTarget
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.kernel_files import KernelFiles
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.request import Filters, ProgramRequest
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.symbols import Symbols
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.targets import SyscallTarget, Targets

TABLE = (
    *("tcp_connect", "tcp_sendmsg", "do_fork", "vfs_read", "vfs_write"),
    *("schedule", "__alloc_pages_nodemask", "__free_pages"),
)


@pytest.fixture(scope="module")
def targets(bundle: Bundle) -> Targets:
    return Targets(bundle)


@pytest.mark.parametrize("kind", ["kprobe", "kretprobe"])
@pytest.mark.parametrize("function", TABLE)
def test_a_function_of_the_table_is_one_of_this_kernel_or_a_tracepoint_of_it(
    targets: Targets, function: str, kind: str
) -> None:
    target = targets.resolve(ProgramRequest("test", kind, function, 10, Filters()))
    if isinstance(target, FunctionTarget):
        assert KernelFiles().has_kprobes()
        assert f" {target.name}\n" in Path("/proc/kallsyms").read_text()
        assert target.note is None or function in target.note
        return
    assert function in str(target.note)
    if isinstance(target, SyscallTarget):
        assert target.at_exit is (kind == "kretprobe")
        assert target.syscalls[0].format is not None
    else:
        events = {event.rpartition("/")[2] for event in tracefs.events()}
        assert target.event in events
        assert target.format.identifier > 0


def test_the_names_of_this_kernels_functions_are_searched() -> None:
    symbols = Symbols(KernelFiles())
    assert symbols.homes("tcp_sendmsg")
    assert "tcp_sendmsg" in symbols.close("tcp_sendmesg", 5)
