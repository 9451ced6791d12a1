# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Processes on a machine that do known work between two gates."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator

from machines import Reached

# Says its process ID, waits for a word, works, says that it has, and waits to be ended. What Python opens when it meets
# the name of a host for the first time is opened under another name.
_GATED = """
import fcntl, mmap, os, socket, sys, threading, time
'localhost'.encode('idna')
open('/proc/self/comm', 'w').write({name!r})
print(os.getpid(), flush=True)
sys.stdin.readline()
{body}
print('done', flush=True)
sys.stdin.readline()
"""


def gated(name: str, body: str) -> str:
    """The script of a workload whose process has the name."""
    return _GATED.format(name=name, body=body)


@contextlib.contextmanager
def process(machine: Reached, script: str, name: str = "script") -> Iterator[subprocess.Popen[str]]:
    """A Python script on the machine, over a connection of its own; it ends with the block."""
    path = f"/tmp/{name}.py"
    machine.ssh(f"cat > {path}", script)
    running = subprocess.Popen(
        machine.ssh_command(f"exec python3 {path}"), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        yield running
    finally:
        running.kill()
        running.communicate()
        machine.ssh(f"pkill -KILL -f '[/]tmp/{name}.py'")  # it may not notice that nobody listens any more


def say(running: subprocess.Popen[str], word: str) -> None:
    """Opens a gate."""
    assert running.stdin is not None
    running.stdin.write(f"{word}\n")
    running.stdin.flush()


def hear(running: subprocess.Popen[str]) -> str:
    """The next line that it says."""
    assert running.stdout is not None
    line = running.stdout.readline()
    assert line, "the process on the machine ended too early"
    return line.strip()
