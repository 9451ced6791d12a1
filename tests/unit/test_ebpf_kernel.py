# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is read of the kernel's own descriptions of the machine."""

from __future__ import annotations

import pytest

from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.kernel import parse_cpus


@pytest.mark.parametrize(
    ("text", "ids"),
    [("0\n", (0,)), ("0-3\n", (0, 1, 2, 3)), ("0-1,8-9\n", (0, 1, 8, 9)), ("0,2,4\n", (0, 2, 4))],
)
def test_a_list_of_cpus_may_have_gaps(text: str, ids: tuple[int, ...]) -> None:
    assert parse_cpus(text) == ids


def test_what_is_no_list_of_cpus_is_an_error() -> None:
    with pytest.raises(ValueError, match="invalid literal"):
        parse_cpus("all")
