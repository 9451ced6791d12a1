# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the action plugins of this collection share. Private to the collection, controller side."""

from __future__ import annotations

from typing import Any, Optional

from ansible.errors import AnsibleActionFail
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.errors import EbpfError
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.programs import NEEDED
from ansible_collections.nannyapi.diagnostics.plugins.plugin_utils import follower, programs
from ansible_collections.nannyapi.diagnostics.plugins.plugin_utils.asked_by import asked_by
from ansible_collections.nannyapi.diagnostics.plugins.plugin_utils.report.text import one_line

_SHOWN = (
    "begun",
    "round_started",
    "command_done",
    "trace_running",
    "program_done",
    "repair",
    "last_chance",
    "model_asked",
)


def progress_line(host: str, event: dict[str, Any]) -> Optional[str]:
    """The line that shows an event, or None. A host may say anything: it gets one line, under its own name."""
    if event.get("stage") not in _SHOWN:
        return None
    return f"  {one_line(host)}: {one_line(event.get('text', ''))}"[:160]


class TracingAction(ActionBase):
    """Runs the module of the same name with the eBPF programs, and shows its progress."""

    TRANSFERS_FILES = True  # the temporary folder holds the progress
    _supports_async = True
    _supports_check_mode = True
    _requires_connection = True

    def run(self, tmp: Optional[str] = None, task_vars: Optional[dict[str, Any]] = None) -> dict[str, Any]:
        """The module's result."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        task_vars = task_vars or {}
        hidden = sorted(name for name in self._task.args if str(name).startswith("_"))
        if hidden:
            raise AnsibleActionFail(f"{', '.join(hidden)} cannot be set by a task.")
        choice = str(self._task.args.get("compiler", NEEDED))
        try:
            arguments = {**self._task.args, **self.additions(), "_bpf": programs.packed(choice)}
            arguments["_asked_by"] = asked_by(task_vars)
        except EbpfError as error:
            raise AnsibleActionFail(str(error)) from error
        in_background = self._task.async_val and not self._connection.has_native_async
        forks = int(task_vars.get("ansible_forks") or 1)
        following = follower.Follower(
            self._connection, lambda event: self._show(event, task_vars), follower.interval(forks)
        )
        wanted = not in_background and self._progress_wanted(task_vars)
        path = following.place(self._connection._shell.tmpdir) if wanted else None
        if path:
            arguments["_progress"] = path
        try:
            with following.following(path):
                result.update(
                    self._execute_module(
                        module_name=self._task.resolved_action or self._task.action,
                        module_args=arguments,
                        task_vars=task_vars,
                        wrap_async=in_background,
                    )
                )
        finally:
            if not in_background:
                self._remove_tmp_path(self._connection._shell.tmpdir)
        return result

    def additions(self) -> dict[str, Any]:
        """Arguments that only the controller knows."""
        return {}

    def _progress_wanted(self, task_vars: dict[str, Any]) -> bool:
        """The variable nannyapi_progress, true where it is not set."""
        return bool(boolean(self._templar.template(task_vars.get("nannyapi_progress", True)), strict=False))

    def _show(self, event: dict[str, Any], task_vars: dict[str, Any]) -> None:
        line = progress_line(str(task_vars.get("inventory_hostname", "host")), event)
        if line:
            Display().display(line)
