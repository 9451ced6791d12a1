# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a line is run: in the sandbox past the policy, by the policy without a sandbox, and with neither."""

from __future__ import annotations

import glob
import os
import signal
import subprocess
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from ansible_collections.nannyapi.diagnostics.plugins.module_utils.commands.execute import Limits, LineExecutor
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.commands.grants import NOTHING, Grants
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.commands.launch import Unsandboxed
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.commands.policy import Policy
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.commands.runner import run_commands
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.commands.sandbox import Sandbox
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.commands.verdict import JudgedCommand, JudgedPipeline

# How much longer than its time a fence may take to end a line, on an emulated processor.
_GRACE = 8.0
# Where a secret is looked for, all that is printed is; of what floods, little.
_MUCH, _LITTLE = 4 << 20, 64 << 10
_POLICY = Policy.default()


@dataclass(frozen=True)
class Ran:
    """What came of a run. `ran`: anything was started at all."""

    output: str = ""
    too_long: bool = False
    ran: bool = True


class Ways:
    """The ways in which a line can be run on this host."""

    def __init__(self) -> None:
        self.sandbox = Sandbox.for_host()

    def run(self, job: dict[str, Any]) -> Ran:
        """Runs a line as its job says."""
        begun = time.monotonic()
        ran = getattr(self, f"_{job['way']}")(job, _limits(job))
        if job["way"] != "unfenced" and time.monotonic() - begun > job["seconds"] + _GRACE:
            return Ran(ran.output, True, ran.ran)
        return ran

    def _shell(self, job: dict[str, Any], limits: Limits) -> Ran:
        return self._sandboxed(["bash", "-c", job["line"]], NOTHING, limits)

    def _program(self, job: dict[str, Any], limits: Limits) -> Ran:
        given = job["grants"]
        grants = Grants(
            frozenset(given["capabilities"]), frozenset(given["network"]), tuple(given["dbus"]), tuple(given["reads"])
        )
        return self._sandboxed(_spread(job["words"]), grants, limits)

    def _sandboxed(self, words: list[str], grants: Grants, limits: Limits) -> Ran:
        line = [JudgedPipeline(";", [JudgedCommand(words, [], grants)])]
        # Of the paths the reader's own judgement stays, which is asked of what it really opened.
        executor = LineExecutor(limits, lambda: False, self.sandbox, _POLICY.paths.may_read)
        return Ran(executor.run(line).output)

    def _policy(self, job: dict[str, Any], limits: Limits) -> Ran:
        if not _POLICY.judge(job["line"]).allowed:
            return Ran(ran=False)
        fence = Unsandboxed("The policy is tried by itself.")
        result = run_commands([{"id": "x", "command": job["line"]}], policy=_POLICY, limits=limits, fence=fence)[0]
        return Ran(result["output"])

    def _unfenced(self, job: dict[str, Any], limits: Limits) -> Ran:
        started = subprocess.Popen(
            # Where memory is short, it is not this program that is ended for it.
            ["choom", "-n", "1000", "--", "bash", "-c", job["line"]],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd="/",
            start_new_session=True,
        )
        reading = _Reading(started)
        end = time.monotonic() + limits.seconds
        while started.poll() is None and time.monotonic() < end:
            time.sleep(0.02)
        too_long = started.poll() is None
        if too_long:
            with suppress(ProcessLookupError):
                os.killpg(started.pid, signal.SIGKILL)
        return Ran(reading.text(), too_long)


class _Reading:
    """Reads what a process prints, in the background, the first of it."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._kept = bytearray()
        self._process = process
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        while chunk := os.read(self._process.stdout.fileno(), 1 << 16):
            if len(self._kept) < _MUCH:
                self._kept += chunk

    def text(self) -> str:
        """What it printed; not waited for where somebody else holds the other end."""
        self._thread.join(0.3)
        return bytes(self._kept).decode("utf-8", "replace")


def _spread(words: list[str]) -> list[str]:
    """The words with patterns of paths spread, but for one that would have all the disk looked at."""
    spread = []
    for word in words:
        is_pattern = word.startswith("/") and any(sign in word for sign in "*?[") and word.count("*") < 4
        spread += (glob.glob(word) if is_pattern else []) or [word]
    return spread


def _limits(job: dict[str, Any]) -> Limits:
    return Limits(job["seconds"], _MUCH if job["look"].startswith("shown") else _LITTLE)
