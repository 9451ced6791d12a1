# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Shows and writes the report of a host, or that of the run, on the controller."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Optional

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ansible_collections.nannyapi.diagnostics.plugins.plugin_utils.report import data, files, text


class ActionModule(ActionBase):
    """Runs diagnosis_report; it connects to no host."""

    TRANSFERS_FILES = False
    _supports_check_mode = True
    _requires_connection = False

    def run(self, tmp: Optional[str] = None, task_vars: Optional[dict[str, Any]] = None) -> dict[str, Any]:
        """The host's entry or the overview, and the paths of what was written."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        _validation, given = self.validate_argument_spec(
            argument_spec={
                "diagnosis": {"type": "raw"},
                "overviews": {"type": "dict"},
                "issue": {"type": "str", "default": ""},
                "dest": {"type": "path"},
                "show": {"type": "bool", "default": True},
            },
            mutually_exclusive=[("diagnosis", "overviews")],
            required_one_of=[("diagnosis", "overviews")],
        )
        result.update(changed=False, files=[])
        if given["overviews"] is None:
            self._report_host((task_vars or {})["inventory_hostname"], given, result)
        else:
            self._report_run(given, result)
        return result

    def _report_host(self, host: str, given: dict[str, Any], result: dict[str, Any]) -> None:
        report = data.host_report(host, given["diagnosis"], given["issue"])
        result.update(data.entry(report))
        self._write(given, result, lambda directory: [files.write_host(directory, report)])
        if given["show"]:
            # In one call: other hosts' processes show theirs at the same time.
            Display().display("\n" + text.host_text(report))

    def _report_run(self, given: dict[str, Any], result: dict[str, Any]) -> None:
        entries: dict[str, dict[str, Any]] = {}
        unreported: list[dict[str, Any]] = []
        for host, registered in given["overviews"].items():
            found = data.read_entry(registered)
            if found is None:
                unreported.append(data.host_report(host, registered, given["issue"]))
                found = data.entry(unreported[-1])
            entries[host] = found
        now = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
        overview = data.overview(entries, given["issue"], now)
        result["overview"] = overview

        def write(directory: Path) -> list[Path]:
            written = [files.write_host(directory, report) for report in unreported]
            return [*written, *files.write_summary(directory, overview)]

        self._write(given, result, write)
        if given["show"]:
            self._show_summary(overview, result["files"])

    def _write(self, given: dict[str, Any], result: dict[str, Any], write: Callable[[Path], list[Path]]) -> None:
        """Writes to `dest`. What was found is shown and returned also where that fails."""
        directory = given["dest"]
        if not directory or self._task.check_mode:
            return
        try:
            result["files"] = [str(path) for path in write(Path(directory))]
        except OSError as error:
            result["failed"] = True
            result["msg"] = (
                f"The reports could not be written to {directory}: {error.strerror} ({error.filename}). Set dest to a"
                " folder that you may write to."
            )

    def _show_summary(self, overview: dict[str, Any], written: list[str]) -> None:
        shown = "\n" + text.summary_text(overview)
        if written:
            path = min(written[-1], os.path.relpath(written[-1]), key=len)
            shown += f"\n\nThe reports are beside this summary:\n{path}\n"
        Display().display(shown)
