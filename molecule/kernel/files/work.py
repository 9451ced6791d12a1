# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Known work, done once, as soon as a trace on this machine runs. See programs.yml for what of it is traced."""

from __future__ import annotations

import os
import socket
import sys
import time
from pathlib import Path

NAME = "orchard"
GRAIN = "/tmp/orchard-grain"
READY = "/tmp/orchard-ready"
# The trace says in its task's folder that all programs are attached.
PROGRESS = Path.home() / ".ansible" / "tmp"
SECONDS = 900


def await_trace() -> None:
    for _turn in range(SECONDS * 5):
        for path in PROGRESS.glob("*/progress*"):
            if "trace_running" in path.read_text():
                return
        time.sleep(0.2)
    sys.exit(f"No trace said within {SECONDS} s that it runs.")


def work() -> None:
    """25 connections, 40 messages of 1000 bytes, 7 children, 2003 opens, 300 writes and 300 reads of 4096 bytes."""
    with socket.create_server(("127.0.0.1", 4321)) as listener:
        for _turn in range(25):
            client = socket.create_connection(("127.0.0.1", 4321))
            server = listener.accept()[0]
            client.close()
            server.close()
        client = socket.create_connection(("127.0.0.1", 4321))
        for _turn in range(40):
            client.send(b"x" * 1000)
        client.close()
    for _turn in range(7):
        child = os.fork()
        if not child:
            os._exit(0)
        os.waitpid(child, 0)
    for _turn in range(2000):
        os.close(os.open("/etc/hosts", os.O_RDONLY))
    for _turn in range(3):
        try:
            os.open("/nonexistent-orchard", os.O_RDONLY)
        except FileNotFoundError:
            continue
    grain = os.open(GRAIN, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
    for _turn in range(300):
        os.write(grain, b"x" * 4096)
    os.lseek(grain, 0, os.SEEK_SET)
    for _turn in range(300):
        os.read(grain, 4096)


def main() -> None:
    work()  # once unseen, for what Python loads when it is first needed
    Path(READY).touch()
    await_trace()
    comm = os.open("/proc/self/comm", os.O_WRONLY)
    os.write(comm, NAME.encode())
    # From here on it has the name by which it is traced.
    work()
    os.write(comm, b"finished")


if __name__ == "__main__":
    main()
