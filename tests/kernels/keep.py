# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keeps a machine for others: boots it, writes to a file how it is reached, and ends it with its owner.

    keep.py --kernel 6.1 --folder FOLDER [--owner PID]

FOLDER/machine.json, written when ssh answers, says how: address, port, user, identity_file, kernel, release. Where
there is no machine, FOLDER/error says why. The machine ends on SIGTERM, and when the process PID does, however it ends;
without one, on SIGTERM only. FOLDER/pid is the process to send it to.
"""

from __future__ import annotations

import argparse
import json
import os
import select
import signal
import sys
import time
from pathlib import Path
from types import FrameType
from typing import Any, Optional

import libraries
from images import KERNELS
from machines import Machine, boot


def main() -> None:
    parser = argparse.ArgumentParser(description="Keeps a virtual machine while its owner lives.")
    parser.add_argument("--kernel", choices=KERNELS, required=True)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--owner", type=int)
    arguments = parser.parse_args()
    folder: Path = arguments.folder
    folder.mkdir(parents=True, exist_ok=True)
    for old in ("machine.json", "error"):
        (folder / old).unlink(missing_ok=True)
    _write(folder / "pid", str(os.getpid()))
    signal.signal(signal.SIGTERM, _end)
    owner: Optional[int] = None
    try:
        # Held from the beginning: the number may be somebody else's by the time that a machine has booted.
        owner = os.pidfd_open(arguments.owner) if arguments.owner else None
        with boot(arguments.kernel, folder / f"boot-{time.time_ns()}") as machine:
            machine.put(libraries.provide(), libraries.PLACE)
            _write(folder / "machine.json", json.dumps(_reached(machine)))
            _wait(machine, owner)
    except Exception as error:
        _write(folder / "error", str(error))
        raise


def _reached(machine: Machine) -> dict[str, Any]:
    return {
        "address": "127.0.0.1",
        "port": machine.port,
        "user": "root",
        "identity_file": str(machine.key),
        "kernel": machine.kernel,
        "release": machine.release,
    }


def _wait(machine: Machine, owner: Optional[int]) -> None:
    while machine.runs():
        if owner is None:
            time.sleep(1)
        elif select.select([owner], [], [], 1)[0]:
            return


def _write(path: Path, text: str) -> None:
    """Whoever sees the file sees all of it."""
    draft = path.with_name(f".{path.name}")
    draft.write_text(text)
    draft.rename(path)


def _end(_number: int, _frame: Optional[FrameType]) -> None:
    sys.exit(0)


if __name__ == "__main__":
    main()
