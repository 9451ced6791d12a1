# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sends the eBPF programs, and what the controller's environment says of the model, along with the module diagnose."""

from __future__ import annotations

import os
from typing import Any

from ansible_collections.nannyapi.diagnostics.plugins.plugin_utils.tracing_action import TracingAction


class ActionModule(TracingAction):
    """Runs diagnose. Credentials that AWX injects are in the controller's environment, and reach the host from here."""

    def additions(self) -> dict[str, Any]:
        """The controller's NANNYAPI_MODEL, NANNYAPI_ENDPOINT and NANNYAPI_API_KEY."""
        return {f"_{name}": os.environ.get(f"NANNYAPI_{name.upper()}") for name in ("model", "endpoint", "api_key")}
