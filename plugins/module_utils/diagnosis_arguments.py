# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The arguments of the module diagnose, the same wherever its loop runs. Private to the collection."""

from __future__ import annotations

from typing import Any

from .diagnosis import Options
from .ebpf.bundle import Bundle
from .model.settings import Layer
from .model.tls_arguments import TLS_ARGUMENTS, tls_of

ARGUMENTS: dict[str, dict[str, Any]] = {
    "issue": {"type": "str", "default": ""},
    "resume": {"type": "str", "default": ""},
    "model_access": {"type": "str", "choices": ["host", "controller"], "default": "host"},
    "model_parallel_calls": {"type": "int", "default": 8},
    "model_requests_per_minute": {"type": "int", "default": 0},
    "record_dir": {"type": "path"},
    "model": {"type": "str"},
    "endpoint": {"type": "str"},
    "api_key": {"type": "str", "no_log": True},
    **TLS_ARGUMENTS,
    "rounds": {"type": "int", "default": 5},
    "seconds": {"type": "float", "default": 600},
    "tokens": {"type": "int", "default": 0, "no_log": False},
    "evidence_bytes": {"type": "int", "default": 0},
    "trace_seconds": {"type": "float", "default": 60},
    "max_cpu_share": {"type": "float"},
    "command_seconds": {"type": "float", "default": 30},
    "output_bytes": {"type": "int", "default": 65536},
    "unsandboxed_commands": {"type": "bool", "default": False},
    "unrecorded_actions": {"type": "bool", "default": False},
    "redact": {
        "type": "list",
        "elements": "str",
        "choices": ["addresses", "hosts", "users"],
        "default": [],
    },
    "privileges": {"type": "str", "choices": ["auto", "least", "root"]},
    "lock_timeout": {"type": "float", "default": 900},
    "compiler": {"type": "str", "choices": ["needed", "always", "never"], "default": "needed"},
    "_bpf": {"type": "str", "no_log": True},
    "_progress": {"type": "str"},
    "_asked_by": {"type": "dict", "default": {}},
    "_model": {"type": "str"},
    "_endpoint": {"type": "str"},
    "_api_key": {"type": "str", "no_log": True},
}
"""An argument spec, as AnsibleModule takes it."""


def options_of(given: dict[str, Any]) -> Options:
    """The options of a run, from checked arguments. Raises EbpfError where the programs in them cannot be read."""
    return Options(
        issue=given["issue"],
        resume=given["resume"].strip(),
        rounds=given["rounds"],
        tokens=given["tokens"],
        evidence_bytes=given["evidence_bytes"],
        seconds=given["seconds"],
        trace_seconds=given["trace_seconds"],
        max_cpu_share=given["max_cpu_share"],
        command_seconds=given["command_seconds"],
        output_bytes=given["output_bytes"],
        unsandboxed_commands=given["unsandboxed_commands"],
        unrecorded_actions=given["unrecorded_actions"],
        asked_by=given["_asked_by"],
        redact=tuple(given["redact"]),
        lock_timeout=given["lock_timeout"],
        privileges=given["privileges"],
        compiler=given["compiler"],
        bundle=Bundle.unpack(given["_bpf"] or ""),
        parameters=Layer(given["model"], given["endpoint"], given["api_key"], tls_of(given)),
        environment=Layer(given["_model"], given["_endpoint"], given["_api_key"]),
    )
