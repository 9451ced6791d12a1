# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real headers, read by the real compiler. They may be of another kernel than the one that runs: nothing is traced."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.bundle import Bundle
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.compiler import Headers, kernel_headers
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.errors import HostError
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.function_plan import plan_function
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.header_source import HeaderSource
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.kernel_types import KernelTypes

BUNDLE = Bundle.from_directory(Path(__file__).resolve().parents[2] / "bpf")
TYPES = KernelTypes(BUNDLE.data("kernel_types.json"))
FUNCTIONS = ("tcp_connect", "tcp_sendmsg", "vfs_read", "vfs_write", "kernel_clone", "blk_mq_start_request", "do_exit")


@pytest.fixture(scope="module")
def found() -> tuple[Headers, HeaderSource]:
    """The headers that this machine has, taken for what they are: those of their own kernel."""
    headers = kernel_headers()
    assert headers is not None
    text = (headers.path / "include/generated/utsrelease.h").read_text(encoding="ascii")
    release = re.search(r'UTS_RELEASE "(.+)"', text)
    assert release is not None
    own = headers._replace(kind="named")
    source = HeaderSource(BUNDLE, own, release[1])
    source.prepare(FUNCTIONS)
    return headers, source


def test_functions_of_the_protocol_are_planned(found: tuple[Headers, HeaderSource]) -> None:
    source = found[1]
    shown = {name: {each.name for each in plan_function(source, TYPES, name).shown} for name in FUNCTIONS}
    assert {"sk", "destination", "source", "family", "state"} <= shown["tcp_connect"]
    assert {"sk", "msg", "size", "destination", "bytes"} <= shown["tcp_sendmsg"]
    for name in ("vfs_read", "vfs_write"):
        assert {"file", "path", "buf", "count", "pos"} <= shown[name]
    assert {"args", "clone_flags", "exit_signal"} <= shown["kernel_clone"]
    assert {"rq", "operation", "device", "sector", "bytes"} <= shown["blk_mq_start_request"]
    assert shown["do_exit"] == {"code"}


@pytest.mark.parametrize(
    ("struct", "path", "hops"),
    [
        ("sock", "__sk_common.skc_daddr", (0,)),
        ("sock", "__sk_common.skc_dport", (12,)),
        ("sock", "__sk_common.skc_num", (14,)),
        ("sock", "__sk_common.skc_family", (16,)),
        ("path", "dentry", (8,)),
        ("filename", "name", (0,)),
        ("msghdr", "msg_name", (0,)),
    ],
)
def test_members_that_never_move_are_where_they_are(
    found: tuple[Headers, HeaderSource], struct: str, path: str, hops: tuple[int, ...]
) -> None:
    assert found[1].locate(struct, path).hops == hops


def test_headers_of_another_kernel_are_refused(found: tuple[Headers, HeaderSource]) -> None:
    with pytest.raises(HostError):
        HeaderSource(BUNDLE, found[0], "0.0.0-other")
