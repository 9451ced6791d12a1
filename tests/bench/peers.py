# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The other side of a benchmark: bpftrace doing the same, started the way a person would."""

from __future__ import annotations

import subprocess
import time

# What bpftrace itself can be given to run (-c) starts before the probes are attached. This one, the last of them,
# fires a millisecond after it was attached.
_SAYS_SO = ' interval:ms:1 /!@said/ {{ @said = 1; printf("attached\\n"); {then} }}'
COUNT = "tracepoint:raw_syscalls:sys_enter {filter} {{ @[comm] = count(); }}"
# What a request for system calls is answered with: who, how often, with what result, how long.
PAIRED = """
tracepoint:raw_syscalls:sys_enter { @start[tid] = nsecs; @id[tid] = args->id; }
tracepoint:raw_syscalls:sys_exit /@start[tid]/ {
    @calls[comm] = count();
    @results[@id[tid], args->ret < 0 ? args->ret : 0] = count();
    @latency = hist(nsecs - @start[tid]);
    delete(@start[tid]);
    delete(@id[tid]);
}
"""


def attaching(events: list[str]) -> list[str]:
    """A command that counts events, and prints a line and ends when all are attached."""
    probes = ",".join("tracepoint:" + event.replace("/", ":") for event in events)
    return ["bpftrace", "-e", f"{probes} {{ @[probe] = count(); }}{_SAYS_SO.format(then='exit();')}"]


class Running:
    """bpftrace with a script, until it is closed."""

    def __init__(self, script: str) -> None:
        self._process = subprocess.Popen(
            ["bpftrace", "-e", script + _SAYS_SO.format(then="")],
            stdout=subprocess.PIPE,
            # It complains of a limit that it may not raise, and goes on.
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self._process.stdout is not None
        while (line := self._process.stdout.readline()) != "attached\n":
            assert line, "bpftrace ended without having attached"

    def close(self) -> None:
        """Ends it, and gives it time to detach."""
        self._process.terminate()
        self._process.communicate()
        time.sleep(0.2)
