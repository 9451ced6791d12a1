# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs on a machine: what we say of probes on its functions, beside what its kernel says when one is opened.

Arguments: the folder to import from, how many functions to draw, the seed. Prints JSON. A probe is opened by
perf_event_open(2) (include/uapi/linux/perf_event.h) and closed at once.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import random
import struct
import sys
from importlib import import_module
from pathlib import Path

ROOM = "ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf"
PERF_EVENT_OPEN, CLOSE_ON_EXEC = 298, 8  # on x86_64
EXPLAINED = 6
RARE = ".cold"  # no call enters it, so we refuse it whatever the kernel says
libc = ctypes.CDLL(None, use_errno=True)


def opened(symbol: str, kind: int, at_return: bool = False) -> str:
    """What the kernel said: empty where it took the probe, else the error's name."""
    name = ctypes.create_string_buffer(symbol.encode())
    attributes = bytearray(112)
    struct.pack_into("=IIQ", attributes, 0, kind, len(attributes), int(at_return))
    struct.pack_into("=Q", attributes, 40, 1)  # disabled
    struct.pack_into("=Q", attributes, 56, ctypes.addressof(name))
    buffer = ctypes.create_string_buffer(bytes(attributes), len(attributes))
    event = libc.syscall(PERF_EVENT_OPEN, buffer, -1, 0, -1, CLOSE_ON_EXEC)
    if event < 0:
        return errno.errorcode[ctypes.get_errno()]
    os.close(event)
    return ""


def main() -> None:
    folder, count, seed = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    sys.path.insert(0, folder)
    symbols = import_module(f"{ROOM}.symbols").Symbols(import_module(f"{ROOM}.kernel_files").KernelFiles())
    explain = import_module(f"{ROOM}.refusals").explain_refusal
    kind = int(Path("/sys/bus/event_source/devices/kprobe/type").read_text())
    lines = [line.split() for line in Path("/proc/kallsyms").read_text().splitlines()]
    written = [line for line in lines if line[1] in "tTwW" and line[3:] not in (["[bpf]"], ["[__builtin__ftrace]"])]
    code = sorted({line[2] for line in written if RARE not in line[2]})
    blacklist = Path("/sys/kernel/debug/kprobes/blacklist").read_text().split("\n")
    refused = sorted({line.split()[-1] for line in blacklist if line})
    chance = random.Random(seed)
    drawn = chance.sample(code, count) + chance.sample(refused, count // 8)
    drawn += chance.sample([name for name in code if "." in name], count // 8)
    verdicts = []
    for name in drawn:
        said = opened(name, kind)
        verdicts.append({"name": name, "predicted": symbols.takes_probe(name), "error": said})
    for verdict in [verdict for verdict in verdicts if verdict["error"]][:EXPLAINED]:
        verdict["reason"] = explain(verdict["name"], OSError(getattr(errno, verdict["error"]), ""))
    print(json.dumps(verdicts))


main()
