# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The model's part of a preflight, from the controller. Private to the collection, controller side."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible_collections.nannyapi.diagnostics.plugins.module_utils.model.settings import SettingsError
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.preflight import checks
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.preflight.verdicts import FAILED, HOST_CHECKS, Check
from ansible_collections.nannyapi.diagnostics.plugins.plugin_utils.controller_lead import servers_folder
from ansible_collections.nannyapi.diagnostics.plugins.plugin_utils.request_limits import LimitsError, RequestLimits

Progress = Callable[[dict[str, Any]], None]


def of_model(given: dict[str, Any], told: dict[str, Any], dry: bool, waits: Progress) -> dict[str, Any]:
    """The checks of the model among those that are asked for, as data. `waits`: told that a request waits."""
    try:
        url = checks.settings_of(given).url
    except SettingsError:
        url = None  # the checks say why
    asking = checks.Asking()
    if url and not dry:
        try:
            limits = RequestLimits(url, given["model_parallel_calls"], given["model_requests_per_minute"], waits)
        except LimitsError as error:
            failed = Check(FAILED, str(error), "Mend that folder; docs/model-access.md says where it is.")
            return checks.shown({name: failed for name in given["checks"] if name not in HOST_CHECKS})
        asking = checks.Asking(admission=limits.admission, sleep=limits.pause, servers=servers_folder())
    return checks.shown(checks.of_model(given, lambda: told, dry, asking))
