# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The side of a benchmark that traces with this collection, in a process of its own.

    traced.py once COMPILER PROGRAMS        attaches, prints the time (seconds since the epoch), ends
    traced.py serve COMPILER PROGRAMS       for each line of its input: attaches, prints the seconds that took, detaches
    traced.py hold PLAN COMPILER PROGRAMS   attaches, prints a line, traces until its input ends, prints the results

BENCH_BUNDLE in the environment is what an action plugin would send.
PROGRAMS: a list in JSON, as the protocol has it. PLAN: `whole`, or `count` for programs that only count.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from typing import Any

from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.bundle import Bundle
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.programs import Programs
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.tracer import TraceLimits, Tracer

LIMITS = TraceLimits(cpu_share=0, seconds=300, programs=16)


def attach_and_stop(sources: Bundle, programs: Programs, wanted: list[Any], clock: list[float]) -> None:
    """Keeps the time at which all was attached."""
    stop = threading.Event()

    def attached(event: dict[str, Any]) -> None:
        if event["stage"] == "trace_running":
            clock.append(time.time())
            stop.set()

    results = Tracer(sources, stop=stop, limits=LIMITS, programs=programs).run(wanted, attached)
    errors = [result["error"] for result in results.values() if "error" in result]
    if errors:
        raise SystemExit(errors[0])


def hold(sources: Bundle, programs: Programs, wanted: list[Any], count_only: bool) -> None:
    stop = threading.Event()

    def attached(event: dict[str, Any]) -> None:
        if event["stage"] == "trace_running":
            print("attached", flush=True)
            threading.Thread(target=lambda: (sys.stdin.read(), stop.set()), daemon=True).start()

    limits = LIMITS._replace(events=0 if count_only else LIMITS.events)
    tracer = Tracer(sources, stop=stop, limits=limits, programs=programs)
    results = tracer.run(wanted, attached)
    print(json.dumps([{**result, "events": []} for result in results.values()]), flush=True)


def main() -> None:
    mode, *plan, compiler, wanted = sys.argv[1:]
    sources = Bundle.unpack(os.environ["BENCH_BUNDLE"])
    programs = Programs(sources, compiler)
    requests = json.loads(wanted)
    if mode == "hold":
        hold(sources, programs, requests, plan == ["count"])
    elif mode == "once":
        clock: list[float] = []
        attach_and_stop(sources, programs, requests, clock)
        print(clock[0])
    else:
        for _line in sys.stdin:
            clock = []
            began = time.time()
            attach_and_stop(sources, programs, requests, clock)
            print(clock[0] - began, flush=True)


if __name__ == "__main__":
    main()
