# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the oldest kernel that we serve, 5.10, would refuse to load: seen in the bytecode, whatever kernel this is."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.bytecode import Object

SOURCES = ("function.c", "raw_counter.c", "syscall.c", "tracepoint.c", "trees.c")
ATOMIC = (0xC3, 0xDB)  # BPF_STX | BPF_ATOMIC of 4 and of 8 bytes
PLAIN_ADD = 0  # the only atomic operation before 5.12
CALL = 0x85
NEWEST_HELPER = 155  # bpf_redirect_peer, the last in 5.10's include/uapi/linux/bpf.h


class Instruction(NamedTuple):
    opcode: int
    registers: int
    offset: int
    immediate: int


def instructions(code: bytes) -> Iterator[Instruction]:
    """struct bpf_insn, one after the other."""
    return (Instruction(*fields) for fields in struct.iter_unpack("<BBhi", code))


@pytest.mark.parametrize("source", SOURCES)
def test_only_what_the_oldest_kernel_knows_is_used(objects: dict[str, Object], source: str) -> None:
    for name, code in objects[source].functions.items():
        used = list(instructions(code))
        assert {one.immediate for one in used if one.opcode in ATOMIC} <= {PLAIN_ADD}, name
        assert all(one.immediate <= NEWEST_HELPER for one in used if one.opcode == CALL and not one.registers), name
