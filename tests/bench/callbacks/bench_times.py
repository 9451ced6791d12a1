# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes how long every task took, on the controller, as lines of JSON into the file that BENCH_TIMES names."""

from __future__ import annotations

import json
import os
import time
from typing import Any

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: bench_times
type: aggregate
short_description: Times of tasks for this repository's benchmarks
description: Writes how long every task took.
"""


class CallbackModule(CallbackBase):
    """From the start of a task to its result."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "bench_times"
    CALLBACK_NEEDS_ENABLED = True

    def v2_playbook_on_task_start(self, task: Any, is_conditional: bool) -> None:
        self._began = time.monotonic()

    def v2_runner_on_ok(self, result: Any) -> None:
        line = {"task": result._task.get_name(), "seconds": time.monotonic() - self._began}
        with open(os.environ["BENCH_TIMES"], "a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
