# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where libraries are missing, everything still imports, and what is missing is said in a sentence."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

ROOM = "ansible_collections.nannyapi.diagnostics.plugins.module_utils"

WITHOUT_LIBRARIES = f"""
import sys
class Hide:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("httpx", "pydantic", "bashlex"):
            raise ImportError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Hide())
from {ROOM} import deps
from {ROOM}.model.settings import Layer, resolve, Settings
from {ROOM}.model import client, port, prompt
from {ROOM} import loop, protocol, protocol_schema
for action in (lambda: client.ChatClient("m", "http://h/v1"), lambda: protocol.parse_reply("{{}}")):
    try:
        action()
    except deps.MissingLibrary as error:
        print(error)
print(sorted(deps.missing()))
"""


def test_without_httpx_and_pydantic_everything_imports_and_use_is_a_sentence() -> None:
    run = subprocess.run(
        [sys.executable, "-c", WITHOUT_LIBRARIES],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.stderr == ""
    client, protocol, missing = run.stdout.splitlines()
    assert "httpx (No module named 'httpx')" in client
    assert sys.executable in client
    assert "nannyapi.diagnostics.setup" in client
    assert "pydantic (No module named 'pydantic')" in protocol
    assert missing == "['httpx', 'pydantic']"


def test_a_library_that_is_there_is_not_missing_and_one_that_is_not_is() -> None:
    from ansible_collections.nannyapi.diagnostics.plugins.module_utils import deps

    with deps.declare("json"):
        import json  # noqa: F401  # the import is the point
    with deps.declare("nothing_of_that_name"):
        import nothing_of_that_name  # type: ignore[import-not-found]  # noqa: F401  # the import is the point
    assert deps.missing("json", "nothing_of_that_name") == ["nothing_of_that_name"]
    deps.require("json")
    with pytest.raises(deps.MissingLibrary, match=r"The Python library is missing for .*nothing_of_that_name"):
        deps.require("json", "nothing_of_that_name")
