# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A round of evidence: commands and eBPF programs, at the same time. Private to the collection.

This is the one door through which evidence leaves the host: what is to be kept back is kept back here.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, Optional

from ansible_collections.nannyapi.diagnostics.plugins.module_utils.commands.policy import Policy
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.commands.runner import Limits, run_commands
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.tracer import Tracer

Progress = Callable[[dict[str, Any]], None]
_COMMANDS_AT_ONCE = 4


class Collector:
    """Collects on this host. One instance serves one diagnosis, so that keys of results are distinct within it."""

    def __init__(
        self,
        tracer: Tracer,
        policy: Policy,
        limits: Limits,
        *,
        stop: Optional[threading.Event] = None,
        progress: Optional[Progress] = None,
    ) -> None:
        """`stop`: set it, and commands are ended and traces detached at once."""
        self._tracer = tracer
        self._policy = policy
        self._limits = limits
        self._stop = stop or threading.Event()
        self._progress = progress or (lambda event: None)

    def collect(
        self, commands: list[dict[str, Any]], programs: list[dict[str, Any]], deadline: Optional[float] = None
    ) -> dict[str, Any]:
        """Runs a round and gives `command_results` and `ebpf_results`, as the protocol has them.

        `deadline`: a value of time.monotonic() after which no command goes on. What cannot be done is a result that
        says why; nothing is raised for it.
        """
        finished: list[dict[str, Any]] = []
        worker = threading.Thread(target=lambda: finished.extend(self._run(commands, deadline)), daemon=True)
        worker.start()
        try:
            # In this thread, for signals reach no other one, and one that ends the trace must be heard at once.
            traced = self._tracer.run(programs, self._progress) if programs else {}
        except BaseException:
            self._stop.set()
            raise
        finally:
            worker.join()
        return {"command_results": finished, "ebpf_results": traced}

    def _run(self, commands: list[dict[str, Any]], deadline: Optional[float]) -> list[dict[str, Any]]:
        if not commands:
            return []
        limits = self._limits
        if deadline is not None:
            left = max(1.0, deadline - time.monotonic())
            limits = Limits(seconds=min(limits.seconds, left), output_bytes=limits.output_bytes)
        return run_commands(
            commands,
            policy=self._policy,
            limits=limits,
            parallel=_COMMANDS_AT_ONCE,
            cancelled=self._stop.is_set,
            on_done=self._done,
        )

    def _done(self, result: dict[str, Any]) -> None:
        how = "refused" if result.get("refused") else f"exit {result.get('exit_code')}"
        self._progress({"stage": "command_done", "text": f"{result.get('command', '')} ({how})"})
