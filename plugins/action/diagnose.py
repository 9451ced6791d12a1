# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the module diagnose on the host, or leads the diagnosis from here where the controller reaches the model."""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleActionFail

from ansible_collections.nannyapi.diagnostics.plugins.plugin_utils import controller_libraries
from ansible_collections.nannyapi.diagnostics.plugins.plugin_utils.hidden_arguments import of_this_environment
from ansible_collections.nannyapi.diagnostics.plugins.plugin_utils.tracing_action import TracingAction

_COLLECT = "nannyapi.diagnostics.diagnosis_collect"


class ActionModule(TracingAction):
    """Runs diagnose. Credentials that AWX injects are in the controller's environment, and are taken from here."""

    def additions(self) -> dict[str, Any]:
        """The controller's NANNYAPI_MODEL, NANNYAPI_ENDPOINT and NANNYAPI_API_KEY."""
        return of_this_environment("model", "endpoint", "api_key")

    def carry_out(self, bundle: str, task_vars: dict[str, Any]) -> dict[str, Any]:
        """The diagnosis, led from where `model_access` says."""
        if str(self._task.args.get("model_access", "host")).strip() != "controller":
            return super().carry_out(bundle, task_vars)
        if self.in_background():
            raise AnsibleActionFail(
                "A diagnosis with model_access: controller is led by the controller, which cannot do that in the"
                " background. Take async away from the task, or let the host reach the model (model_access: host)."
            )
        missing = controller_libraries.missing()
        if missing:
            raise AnsibleActionFail(missing)
        # Only now: a controller whose hosts ask the model themselves needs none of it.
        from ansible_collections.nannyapi.diagnostics.plugins.module_utils.diagnosis_arguments import ARGUMENTS
        from ansible_collections.nannyapi.diagnostics.plugins.plugin_utils import controller_lead

        _result, checked = self.validate_argument_spec(argument_spec=ARGUMENTS)
        name = str(task_vars.get("inventory_hostname", "host"))
        given = {**checked, **self.additions(), "_bpf": bundle}

        def execute(arguments: dict[str, Any]) -> dict[str, Any]:
            return self.followed(_COLLECT, arguments, task_vars)

        if self._task.check_mode:
            return controller_lead.plan(given, name, execute)

        def show(event: dict[str, Any]) -> None:
            if self.progress_wanted(task_vars):
                self.show(event, task_vars)

        return controller_lead.diagnose(given, name, execute, show)
