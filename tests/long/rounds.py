# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs on a machine: starts traces and kills them at random moments; says what is left of them.

    rounds.py ROUNDS SEED <<< '[program, …]'        PYTHONPATH has the collection; see test_leftovers.py

Prints a line of JSON at the end: `rounds`, `attached` (the ways in which programs are), `moments` (how many were
killed before anything was in the kernel, while it was being put there, while all was attached, and after the trace had
ended by itself), `with_kprobes` (how many while the kernel had kprobes of theirs), and `left`, a sentence for each
round that left something or failed.
"""

from __future__ import annotations

import ctypes
import functools
import json
import os
import random
import signal
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any, Callable

from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.bundle import Bundle
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.tracer import TraceLimits, Tracer

_COLLECTION = Path(sys.modules[Tracer.__module__].__file__ or "").parents[3]
# Linux, include/uapi/linux/bpf.h, enum bpf_cmd.
_NEXT = {"program": 11, "map": 12, "link": 31}
_BPF_CALL = 321  # x86_64
# The kernel frees some things a moment after their last reference.
_SETTLE_SECONDS = 20
_FILES = (
    "/sys/kernel/debug/kprobes/list",
    "/sys/kernel/tracing/kprobe_events",
    "/sys/kernel/tracing/enabled_functions",
)

_libc = ctypes.CDLL(None, use_errno=True)


def identifiers(command: int) -> set[int]:
    """Those of all programs, maps or links in the kernel."""
    found: set[int] = set()
    number = 0
    while True:
        attributes = (ctypes.c_uint32 * 32)(number)
        if _libc.syscall(_BPF_CALL, command, ctypes.byref(attributes), ctypes.sizeof(attributes)):
            return found
        number = attributes[1]
        found.add(number)


def state() -> dict[str, Any]:
    """What traces put into the kernel."""
    return {
        **{kind: identifiers(command) for kind, command in _NEXT.items()},
        **{path: Path(path).read_text() for path in _FILES},
        "processes that hold perf events": holders(),
    }


def holders() -> set[str]:
    """Processes that have a perf event open."""
    found = set()
    for descriptor in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            opened = os.readlink(descriptor)
        except OSError:
            continue
        if opened.startswith("anon_inode:[perf_event]"):
            found.add(descriptor.parts[2])
    return found


def settled() -> dict[str, Any]:
    """The state when nothing has changed for a while: the kernel frees maps of an ended trace in its own time."""
    now, since = state(), time.monotonic()
    while time.monotonic() - since < _SETTLE_SECONDS / 2:
        time.sleep(0.05)
        before, now = now, state()
        if now != before:
            since = time.monotonic()
    return now


def difference(before: dict[str, Any]) -> str:
    """What is there that was not, once the kernel has had its time; empty where there is nothing."""
    until = time.monotonic() + _SETTLE_SECONDS
    while (now := state()) != before:
        if time.monotonic() > until:
            return "; ".join(f"{key}: {now[key]!r}, before {before[key]!r}" for key in now if now[key] != before[key])
        time.sleep(0.05)
    return ""


def write_line(end: int, text: str) -> None:
    os.write(end, f"{text}\n".encode())


def begin(tracer: Tracer, programs: list[Any], says: Callable[[str], None]) -> int:
    """The number of a process that traces, and says when all is attached and when it has ended."""
    child = os.fork()
    if child:
        return child
    try:
        results = tracer.run(programs, lambda event: says(event["stage"]))
        errors = [result["error"] for result in results.values() if "error" in result]
        says("error" if errors else "ended")
        tracer.close()
        time.sleep(60)
    except Exception as error:
        says(f"error {error!r}")
    finally:
        os._exit(0)


def main() -> None:
    rounds, seed = int(sys.argv[1]), int(sys.argv[2])
    programs = json.load(sys.stdin)
    chance = random.Random(seed)
    # On an emulated processor every program takes many times what it takes on a real one, so there is no limit to that.
    tracer = Tracer(Bundle.from_directory(_COLLECTION / "bpf"), limits=TraceLimits(cpu_share=0))
    for _time in range(2):  # with what is compiled and read once, and without
        begun = time.monotonic()
        ways = set()
        for result in tracer.run(programs).values():
            assert "error" not in result, result["error"]
            ways |= {attached.partition(":")[0] for attached in result["attached_to"]}
        tracer.close()
        whole = time.monotonic() - begun
    before = settled()
    moments: Counter[str] = Counter()
    left: list[str] = []
    with_kprobes = 0
    for number in range(rounds):
        reading, writing = os.pipe()
        child = begin(tracer, programs, functools.partial(write_line, writing))
        os.close(writing)
        time.sleep(chance.uniform(0, whole * 1.15))
        something = identifiers(_NEXT["program"]) - before["program"]
        with_kprobes += Path(_FILES[0]).read_text() != before[_FILES[0]]
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        said = os.read(reading, 65536).decode().split()
        os.close(reading)
        if "error" in said:
            moments["error"] += 1
            left.append(f"round {number}: {' '.join(said)}")
        elif "ended" in said:
            moments["ended"] += 1
        elif "trace_running" in said:
            moments["attached"] += 1
        else:
            moments["loading" if something else "preparing"] += 1
        remains = difference(before)
        if remains:
            left.append(f"round {number}, {said}: {remains}")
            before = settled()
    met = {"moments": moments, "with_kprobes": with_kprobes}
    print(json.dumps({"rounds": rounds, "attached": sorted(ways), **met, "seconds": whole, "left": left}))


if __name__ == "__main__":
    main()
