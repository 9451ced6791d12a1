# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Shows and writes the reports of a run, on the controller."""

from __future__ import annotations

import os
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Optional

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ansible_collections.nannyapi.diagnostics.plugins.plugin_utils.report import data, files, text


class ActionModule(ActionBase):
    """Runs diagnosis_report; it connects to no host."""

    TRANSFERS_FILES = False
    _supports_check_mode = True
    _requires_connection = False

    def run(self, tmp: Optional[str] = None, task_vars: Optional[dict[str, Any]] = None) -> dict[str, Any]:
        """The overview, and the paths of what was written."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        _validation, given = self.validate_argument_spec(
            argument_spec={
                "diagnoses": {"type": "dict", "required": True},
                "issue": {"type": "str", "default": ""},
                "dest": {"type": "path"},
                "show": {"type": "bool", "default": True},
            }
        )
        reports = [data.host_report(host, found, given["issue"]) for host, found in given["diagnoses"].items()]
        starts = [report["started"] for report in reports if report["started"]]
        now = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
        overview = data.overview(reports, min(starts, default=now))
        result.update(changed=False, overview=overview, files=[])
        if given["dest"] and not self._task.check_mode:
            result["files"] = [str(path) for path in self._written(Path(given["dest"]), reports, overview)]
        if given["show"]:
            self._show(reports, overview, result["files"])
        return result

    def _written(self, directory: Path, reports: list[dict[str, Any]], overview: dict[str, Any]) -> list[Path]:
        try:
            return files.write_reports(directory, reports, overview)
        except OSError as error:
            raise AnsibleActionFail(
                f"The reports could not be written to {directory}: {error.strerror} ({error.filename})."
            ) from error

    def _show(self, reports: list[dict[str, Any]], overview: dict[str, Any], written: list[str]) -> None:
        display = Display()
        for report in reports:
            display.display("\n" + text.host_text(report))
        display.display("\n" + text.summary_text(overview))
        if written:
            shown = min(written[-1], os.path.relpath(written[-1]), key=len)
            display.display(f"\nThe reports are beside this summary:\n{shown}\n")
