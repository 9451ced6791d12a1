# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs preflight_info on the host, asks the model from here where the controller does, and shows the verdicts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Optional

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ansible_collections.nannyapi.diagnostics.plugins.module_utils.preflight.verdicts import HOST_CHECKS, MODEL_CHECKS
from ansible_collections.nannyapi.diagnostics.plugins.plugin_utils import controller_libraries
from ansible_collections.nannyapi.diagnostics.plugins.plugin_utils.asked_by import asked_by
from ansible_collections.nannyapi.diagnostics.plugins.plugin_utils.hidden_arguments import (
    of_this_environment,
    refuse_hidden,
)
from ansible_collections.nannyapi.diagnostics.plugins.plugin_utils.report.text import one_line

_MODULE = "nannyapi.diagnostics.preflight_info"


class ActionModule(ActionBase):
    """Credentials that AWX injects are in the controller's environment, and are taken from here."""

    TRANSFERS_FILES = False
    _supports_check_mode = True

    def run(self, tmp: Optional[str] = None, task_vars: Optional[dict[str, Any]] = None) -> dict[str, Any]:
        """The module's result."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        variables = task_vars or {}
        refuse_hidden(self._task.args)
        additions = of_this_environment("model", "endpoint", "api_key")
        if str(self._task.args.get("model_access", "host")).strip() == "controller":
            result.update(self._from_here(additions, variables))
        else:
            result.update(self._on_host({**self._task.args, **additions}, variables))
        self._show(str(variables.get("inventory_hostname", "host")), result.get("checks"))
        return result

    def _on_host(self, arguments: dict[str, Any], variables: dict[str, Any]) -> dict[str, Any]:
        arguments = {**arguments, "_asked_by": asked_by(variables)}
        done: dict[str, Any] = self._execute_module(module_name=_MODULE, module_args=arguments, task_vars=variables)
        return done

    def _from_here(self, additions: dict[str, Any], variables: dict[str, Any]) -> dict[str, Any]:
        """The host's checks by the module, where there are some, those of the model by the controller."""
        missing = controller_libraries.missing()
        if missing:
            raise AnsibleActionFail(missing)
        # Only now: a controller whose hosts ask the model themselves needs none of it.
        from ansible_collections.nannyapi.diagnostics.plugins.module_utils.preflight import checks
        from ansible_collections.nannyapi.diagnostics.plugins.plugin_utils import controller_preflight

        _result, given = self.validate_argument_spec(argument_spec=checks.ARGUMENTS)
        given = {**given, **additions}
        try:
            checks.check_given(given)
        except checks.PreflightError as error:
            raise AnsibleActionFail(str(error)) from None
        of_host = [name for name in given["checks"] if name in HOST_CHECKS]
        tells = bool(set(given["checks"]) - {*HOST_CHECKS, *MODEL_CHECKS}) and not self._task.check_mode
        done: dict[str, Any] = {"changed": False, "checks": {}}
        if of_host or tells:
            done = self._on_host({"checks": of_host, "model_access": "controller", "_tell": tells}, variables)
        told = done.pop("told", {})
        if done.get("failed") or done.get("unreachable"):
            return done
        found = controller_preflight.of_model(given, told, self._task.check_mode, self._waits(variables))
        return {**done, "asks": checks.asks(given), "checks": {**done["checks"], **found}}

    @staticmethod
    def _waits(variables: dict[str, Any]) -> Callable[[dict[str, Any]], None]:
        host = one_line(variables.get("inventory_hostname", "host"))
        return lambda event: Display().display(f"  {host}: {one_line(event.get('text', ''))}"[:160])

    @staticmethod
    def _show(host: str, checks: Any) -> None:
        """A line for each verdict. A host may say anything: it gets lines under its own name."""
        if not isinstance(checks, dict):
            return
        for name, check in list(checks.items())[:20]:
            if isinstance(check, dict):
                said = f"{one_line(name)}: {one_line(check.get('verdict'))}. {one_line(check.get('found'))}"
                Display().display(f"  {one_line(host)}: {said}"[:160])
