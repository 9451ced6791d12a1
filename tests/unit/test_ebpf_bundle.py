# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The eBPF programs arrive on a host as they are in the checkout."""

from __future__ import annotations

import base64
import zlib
from pathlib import Path

import pytest

from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.bundle import Bundle
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.errors import HostError

BPF = Path(__file__).resolve().parents[2] / "bpf"


def test_a_packed_bundle_unpacks_to_the_same_files() -> None:
    bundle = Bundle.from_directory(BPF)
    assert Bundle.unpack(bundle.pack()) == bundle


def test_a_program_has_its_includes_resolved() -> None:
    text = Bundle.from_directory(BPF).program("syscall.c")
    assert '#include "' not in text
    assert "struct plan_head {" in text


@pytest.mark.parametrize(
    "packed",
    [
        "",
        "no base64: \t",
        base64.b64encode(b"not zlib").decode(),
        base64.b64encode(zlib.compress(b"not json")).decode(),
        base64.b64encode(zlib.compress(b"[1]")).decode(),
        base64.b64encode(zlib.compress(b'{"a": 1}')).decode(),
        base64.b64encode(zlib.compress(b" " * (5 << 20))).decode(),
    ],
)
def test_what_is_no_bundle_is_refused_in_a_sentence(packed: str) -> None:
    with pytest.raises(HostError, match="full name"):
        Bundle.unpack(packed)


def test_a_folder_without_programs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(HostError, match="install the collection anew"):
        Bundle.from_directory(tmp_path)
