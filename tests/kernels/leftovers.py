# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is in a machine's kernel by which events are traced."""

from __future__ import annotations

import json

from machines import Reached

# Programs by which events are traced (enum bpf_prog_type); systemd has others loaded at all times.
TRACING = {2: "kprobe", 5: "tracepoint", 7: "perf_event", 17: "raw_tracepoint", 24: "raw_tracepoint", 26: "tracing"}
LOADED = """
import ctypes, json, os
libc = ctypes.CDLL(None, use_errno=True)
def bpf(command, words):
    attributes = (ctypes.c_uint32 * 32)(*words)
    return libc.syscall(321, command, ctypes.byref(attributes), ctypes.sizeof(attributes)), attributes
number, found = 0, []
while True:
    status, attributes = bpf(11, [number])  # BPF_PROG_GET_NEXT_ID
    if status: break
    number = attributes[1]
    program, _ = bpf(13, [number])  # BPF_PROG_GET_FD_BY_ID
    info = (ctypes.c_uint32 * 16)()
    address = ctypes.addressof(info)
    bpf(15, [program, 64, address & 0xffffffff, address >> 32])  # BPF_OBJ_GET_INFO_BY_FD
    found.append(info[0])
    os.close(program)
print(json.dumps(found))
"""


def tracing_programs(machine: Reached) -> list[str]:
    """The kinds of programs in the kernel by which events are traced."""
    listed = machine.ssh("python3 -", LOADED)
    assert listed.returncode == 0, listed.stderr
    kinds = json.loads(listed.stdout)
    return [TRACING[kind] for kind in kinds if kind in TRACING]
