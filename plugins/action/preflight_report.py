# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Shows and writes the table of a preflight, on the controller."""

from __future__ import annotations

import os
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Optional

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ansible_collections.nannyapi.diagnostics.plugins.plugin_utils.report import files, preflight_data, preflight_text


class ActionModule(ActionBase):
    """Runs preflight_report; it connects to no host."""

    TRANSFERS_FILES = False
    _supports_check_mode = True
    _requires_connection = False

    def run(self, tmp: Optional[str] = None, task_vars: Optional[dict[str, Any]] = None) -> dict[str, Any]:
        """The verdicts of all hosts, and the paths of what was written."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        _validation, given = self.validate_argument_spec(
            argument_spec={
                "registered": {"type": "dict", "required": True},
                "dest": {"type": "path"},
                "show": {"type": "bool", "default": True},
            }
        )
        registered = {
            host: list(each) if isinstance(each, (list, tuple)) else [each]
            for host, each in given["registered"].items()
        }
        now = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
        found = preflight_data.overview(preflight_data.entries(registered), now)
        result.update(changed=False, files=[], overview=found)
        self._write(given["dest"], result)
        if given["show"]:
            self._show(found, result["files"])
        return result

    def _write(self, directory: Optional[str], result: dict[str, Any]) -> None:
        """Writes to `dest`. What was found is shown and returned also where that fails."""
        if not directory or self._task.check_mode:
            return
        try:
            markdown = preflight_text.as_markdown(result["overview"])
            result["files"] = [
                str(path) for path in files.write_preflight(Path(directory), result["overview"], markdown)
            ]
        except OSError as error:
            result["failed"] = True
            result["msg"] = (
                f"The report could not be written to {directory}: {error.strerror} ({error.filename}). Set dest to a"
                " folder that you may write to."
            )

    @staticmethod
    def _show(found: dict[str, Any], written: list[str]) -> None:
        shown = "\n" + preflight_text.as_text(found)
        if written:
            path = min(written[-1], os.path.relpath(written[-1]), key=len)
            shown += f"\n\nAll of it, host by host:\n{path}\n"
        Display().display(shown)
