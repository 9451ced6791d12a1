# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the playbook diagnose passes on to the module: each variable that its header names, each by an option's name."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from ansible_collections.nannyapi.diagnostics.plugins.module_utils.diagnosis_arguments import ARGUMENTS

PLAYBOOK = Path(__file__).resolve().parents[2] / "playbooks" / "diagnose.yml"
# Who calls for a model by name or key does so in the environment or in the host's configuration, where no report shows
# it; the others are for tasks of a playbook's own.
NOT_OF_THE_PLAYBOOK = {
    *("model", "endpoint", "api_key", "trace_seconds", "max_cpu_share", "command_seconds", "output_bytes"),
    *("unsandboxed_commands", "unrecorded_actions", "redact", "privileges", "lock_timeout"),
}
VARIABLE = re.compile(r"\bnannyapi_[a-z_]+")


def test_every_option_is_passed_on_or_left_to_tasks_on_purpose() -> None:
    text = PLAYBOOK.read_text("utf-8")
    (task, *_others) = yaml.safe_load(text)[0]["tasks"]
    passed = task["nannyapi.diagnostics.diagnose"]
    options = {name for name in ARGUMENTS if not name.startswith("_")}
    assert passed.keys() <= options
    assert options - passed.keys() == NOT_OF_THE_PLAYBOOK
    header = text.partition("- name:")[0]
    for option in passed.keys() - {"issue", "resume"}:
        assert f"nannyapi_{option} " in f"{passed[option]} "
        assert f"nannyapi_{option}" in VARIABLE.findall(header), option
