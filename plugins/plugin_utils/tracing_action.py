# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the action plugins of this collection share. Private to the collection, controller side."""

from __future__ import annotations

from typing import Any, Optional

from ansible.errors import AnsibleActionFail, AnsibleConnectionFailure
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.errors import EbpfError
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.programs import NEEDED
from ansible_collections.nannyapi.diagnostics.plugins.plugin_utils import follower, programs
from ansible_collections.nannyapi.diagnostics.plugins.plugin_utils.asked_by import asked_by
from ansible_collections.nannyapi.diagnostics.plugins.plugin_utils.hidden_arguments import refuse_hidden
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
    "model_waiting",
    "not_ended",
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
    _followed = 0  # modules so far: each has a file of its own for its progress

    def run(self, tmp: Optional[str] = None, task_vars: Optional[dict[str, Any]] = None) -> dict[str, Any]:
        """The module's result."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        task_vars = task_vars or {}
        refuse_hidden(self._task.args)
        try:
            bundle = programs.packed(str(self._task.args.get("compiler", NEEDED)))
        except EbpfError as error:
            raise AnsibleActionFail(str(error)) from error
        try:
            result.update(self.carry_out(bundle, task_vars))
        finally:
            if not self.in_background():
                self._clear_away()
        return result

    def _clear_away(self) -> None:
        """Removes the temporary folder. Of a host that is lost, what is known is not given up for that."""
        try:
            self._remove_tmp_path(self._connection._shell.tmpdir)
        except AnsibleConnectionFailure:
            self._connection._shell.tmpdir = None

    def carry_out(self, bundle: str, task_vars: dict[str, Any]) -> dict[str, Any]:
        """What the task is for: the module of the same name, with `bundle`, the eBPF programs."""
        arguments = {**self._task.args, **self.additions(), "_bpf": bundle}
        return self.followed(str(self._task.resolved_action or self._task.action), arguments, task_vars)

    def followed(self, module: str, arguments: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        """The result of a module, whose progress is shown while it runs."""
        background = self.in_background()
        forks = int(task_vars.get("ansible_forks") or 1)
        following = follower.Follower(
            self._connection, lambda event: self.show(event, task_vars), follower.interval(forks)
        )
        wanted = not background and self.progress_wanted(task_vars)
        path = following.place(self._connection._shell.tmpdir) if wanted else None
        self._followed += 1
        arguments = {**arguments, "_asked_by": asked_by(task_vars)}
        if path:
            arguments = {**arguments, "_progress": f"{path}{self._followed}"}
        with following.following(arguments.get("_progress")):
            done: dict[str, Any] = self._execute_module(
                module_name=module, module_args=arguments, task_vars=task_vars, wrap_async=background
            )
            return done

    def in_background(self) -> bool:
        """Whether the task runs on while the playbook goes on."""
        return bool(self._task.async_val and not self._connection.has_native_async)

    def additions(self) -> dict[str, Any]:
        """Arguments that only the controller knows."""
        return {}

    def progress_wanted(self, task_vars: dict[str, Any]) -> bool:
        """The variable nannyapi_progress, true where it is not set."""
        return bool(boolean(self._templar.template(task_vars.get("nannyapi_progress", True)), strict=False))

    def show(self, event: dict[str, Any], task_vars: dict[str, Any]) -> None:
        line = progress_line(str(task_vars.get("inventory_hostname", "host")), event)
        if line:
            Display().display(line)
