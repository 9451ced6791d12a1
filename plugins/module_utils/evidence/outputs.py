# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The results of a round, redacted, what imitates the protocol marked, and then cut. Private to the collection.

Of a long output more is kept at first than will be shown: what lies beside the place where its middle was left out, and
could be a piece of a secret that is not known by itself any more, is never shown.
"""

from __future__ import annotations

from typing import Any

from ansible_collections.nannyapi.diagnostics.plugins.module_utils.commands.output import BoundedOutput
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.injection.imitations import marked
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.redaction.redactor import Redactor

_MARGIN = 16 * 1024
"""Bytes on each side of a cut that are dropped: longer than the longest private keys in use."""

_NO_TEXT_OF_THE_HOST = frozenset(("id", "command", "program_name", "type", "target", "filters", "granted"))


def raw_limit(output_bytes: int) -> int:
    """How many bytes of an output are kept until it is redacted, for so many that are shown."""
    return output_bytes + 2 * _MARGIN


def redacted_results(
    redactor: Redactor, commands: list[dict[str, Any]], programs: dict[str, dict[str, Any]], output_bytes: int
) -> dict[str, Any]:
    """`command_results` and `ebpf_results`, redacted together, each output cut to `output_bytes`.

    A result with text that imitates the protocol has it marked, and how often of which kind in `imitations`.
    """
    parts = [_parted(result) for result in commands]
    ran, traced = redactor.value([parts, list(programs.values())])
    return {
        "command_results": [_joined(_marked(result), output_bytes) for result in ran],
        "ebpf_results": dict(zip(programs, [_marked(result) for result in traced])),
    }


def _marked(result: dict[str, Any]) -> dict[str, Any]:
    shown, counts = marked(result, _NO_TEXT_OF_THE_HOST)
    return {**shown, "imitations": counts} if counts else dict(shown)


def _parted(result: dict[str, Any]) -> dict[str, Any]:
    """A result whose output is what stands before its cut and, where it has one, what stands behind it."""
    output, missing = str(result.get("output", "")), result.get("truncated_bytes")
    head, mark, tail = output.partition(f"\n[… {missing} bytes left out here …]\n")
    return {**result, "output": {"head": head, "tail": tail}} if missing and mark else dict(result)


def _joined(result: dict[str, Any], output_bytes: int) -> dict[str, Any]:
    output, missing = result.get("output", ""), int(result.get("truncated_bytes") or 0)
    if isinstance(output, dict):
        head, tail = output["head"][: -_MARGIN or None], output["tail"][_MARGIN:]
        missing += len((output["head"][len(head) :] + output["tail"][:_MARGIN]).encode("utf-8", "replace"))
        result["output"] = f"{head}\n[… {missing} bytes left out here …]\n{tail}"
        result["truncated_bytes"] = missing
        return result
    encoded = str(output).encode("utf-8", "replace")
    if len(encoded) > output_bytes:
        bounded = BoundedOutput(output_bytes)
        bounded.add(encoded)
        result["output"], left_out = bounded.text()
        result["truncated_bytes"] = missing + left_out
    return result
