# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the module diagnosis_feedback on the host, or gives the feedback from here where the gateway is reached."""

from __future__ import annotations

from typing import Any, Optional

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from ansible_collections.nannyapi.diagnostics.plugins.plugin_utils import controller_libraries
from ansible_collections.nannyapi.diagnostics.plugins.plugin_utils.hidden_arguments import (
    of_this_environment,
    refuse_hidden,
)

_MODULE = "nannyapi.diagnostics.diagnosis_feedback"


class ActionModule(ActionBase):
    """Credentials that AWX injects are in the controller's environment, and are taken from here."""

    TRANSFERS_FILES = False
    _supports_check_mode = True

    def run(self, tmp: Optional[str] = None, task_vars: Optional[dict[str, Any]] = None) -> dict[str, Any]:
        """The module's result."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        variables = task_vars or {}
        refuse_hidden(self._task.args)
        additions = of_this_environment("endpoint", "api_key")
        if str(self._task.args.get("model_access", "host")).strip() == "controller":
            result.update(self._from_here(additions, variables))
        else:
            arguments = {**self._task.args, **additions}
            result.update(self._execute_module(module_name=_MODULE, module_args=arguments, task_vars=variables))
        return result

    def _from_here(self, additions: dict[str, Any], variables: dict[str, Any]) -> dict[str, Any]:
        missing = controller_libraries.missing()
        if missing:
            raise AnsibleActionFail(missing)
        # Only now: a controller whose hosts reach the gateway themselves needs none of it.
        from ansible_collections.nannyapi.diagnostics.plugins.module_utils import feedback
        from ansible_collections.nannyapi.diagnostics.plugins.module_utils.diagnosis import SiteError
        from ansible_collections.nannyapi.diagnostics.plugins.module_utils.model.settings import SettingsError
        from ansible_collections.nannyapi.diagnostics.plugins.plugin_utils.controller_lead import record_folder

        _result, checked = self.validate_argument_spec(argument_spec=feedback.ARGUMENTS)
        try:
            records = record_folder(checked["record_dir"], str(variables.get("inventory_hostname", "host")))
            given = feedback.give({**checked, **additions}, records, dry_run=self._task.check_mode)
        except (feedback.FeedbackError, SettingsError, SiteError) as error:
            return {"failed": True, "changed": False, "msg": str(error), **getattr(error, "result", {})}
        return {"changed": True, **given}
