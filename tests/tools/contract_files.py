# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes the files that state the wire contract outside of Python, from the code that keeps it.

Run it in the checkout after the prompt or the protocol has changed: ``PYTHONPATH=.cache/src python
tests/tools/contract_files.py``. A unit test compares what is committed with what this would write.
"""

from __future__ import annotations

import json
from pathlib import Path

from ansible_collections.nannyapi.diagnostics.plugins.module_utils import protocol_schema
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.model.prompt import SYSTEM_PROMPT

ROOT = Path(__file__).resolve().parents[2]


def contract_files() -> dict[str, str]:
    """The content of each file, by its path in the checkout."""
    schemas = {name: _as_text(schema) for name, schema in protocol_schema.all_schemas().items()}
    return {
        **{f"schemas/{name}": text for name, text in schemas.items()},
        "tensorzero/reply.schema.json": schemas["reply.schema.json"],
        # The gateway takes this for a template; the prompt holds nothing that one would act on, and a test says so.
        "tensorzero/system_prompt.minijinja": SYSTEM_PROMPT,
    }


def _as_text(schema: object) -> str:
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    for path, content in contract_files().items():
        (ROOT / path).write_text(content, "utf-8")
        print(path)
