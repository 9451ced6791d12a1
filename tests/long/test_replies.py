# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A million arbitrary replies, made from real ones: no traceback, no hang, bounded memory.

scripts/test-long tests/long/test_replies.py --replies 20000 --seed 4711 --processes 2
"""

from __future__ import annotations

import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import pytest
from replies_run import Tally, run

MEBIBYTE = 1024 * 1024
MOST_MEMORY = 256 * MEBIBYTE
"""What may be held at a time beyond what the process had when it began; a response is read up to a limit of its own."""
MOST_GROWTH = 32 * MEBIBYTE
"""What four fifths of the run may add to what is held after the first one: nothing is kept of replies."""


def test_a_million_arbitrary_replies_are_replies_or_sentences_in_bounded_memory(request: pytest.FixtureRequest) -> None:
    wanted, processes = request.config.getoption("--replies"), request.config.getoption("--processes")
    seed = request.config.getoption("--seed") or time.time_ns()
    print("seed", seed)
    tally = Tally()
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        shares = [pool.submit(run, seed, each, processes, -(-wanted // processes)) for each in range(processes)]
        for share in shares:
            tally.add(share.result())
    print(f"{tally.replies} replies in {tally.diagnoses} diagnoses and {tally.seconds:.0f} s, {dict(tally.ends)}")
    print(f"the slowest took {tally.slowest:.2f} s: {tally.slowest_is}")
    print(f"memory: at most {tally.peak / MEBIBYTE:.0f} MiB more, grown by {tally.grown / MEBIBYTE:.0f} MiB")
    assert tally.replies >= wanted
    assert tally.ends.keys() >= {"resolution", "round_limit", "model_error", "unusable_replies"}
    assert tally.peak <= MOST_MEMORY
    assert tally.grown <= MOST_GROWTH
