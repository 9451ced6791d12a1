# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Python libraries that the role `runtime` installs, for machines that reach no package index."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import yaml
from images import CACHE, HERE, locked

# Where they are on a machine, and how the role is told.
PLACE = "/opt/libraries"
ROLE_VARIABLES = {"nannyapi_runtime_pip_arguments": ["--no-index", f"--find-links={PLACE}"]}

_DEFAULTS = HERE.parents[1] / "roles" / "runtime" / "defaults" / "main.yml"
_PLATFORMS = ("manylinux2014_x86_64", "manylinux_2_28_x86_64", "any")
_TARGET = ("--only-binary=:all:", "--python-version=3.11", "--implementation=cp")
_SECONDS = 600


def provide() -> Path:
    """A folder with them, from the cache or downloaded by pip. Raises subprocess.SubprocessError."""
    wanted: list[str] = yaml.safe_load(_DEFAULTS.read_text())["nannyapi_runtime_python_packages"]
    key = hashlib.sha256(json.dumps([wanted, _TARGET, _PLATFORMS]).encode()).hexdigest()[:12]
    folder = CACHE / f"libraries-{key}"
    CACHE.mkdir(parents=True, exist_ok=True)
    with locked(CACHE / "libraries.lock"):
        if not folder.exists():
            building = folder.with_name(f"{folder.name}.downloading")
            shutil.rmtree(building, ignore_errors=True)
            command = [sys.executable, "-m", "pip", "download", "-qq", "--no-input", "--disable-pip-version-check"]
            platforms = [f"--platform={name}" for name in _PLATFORMS]
            subprocess.run(
                [*command, *_TARGET, *platforms, f"--dest={building}", *wanted], check=True, timeout=_SECONDS
            )
            building.rename(folder)
    return folder
