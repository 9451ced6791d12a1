# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""As whom is traced where the process for tracing cannot be made."""

from __future__ import annotations

from typing import Any
from unittest.mock import Mock

import pytest

from ansible_collections.nannyapi.diagnostics.plugins.module_utils import tracing
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.least_privilege import (
    LEAST,
    ROOT,
    Privileges,
    PrivilegesError,
)
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.session.apart import ApartError


@pytest.fixture
def no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_arguments: Any, **_named: Any) -> None:
        raise ApartError("no more processes")

    monkeypatch.setattr(tracing, "Apart", refuse)


def begin(monkeypatch: pytest.MonkeyPatch, decided: Privileges) -> tracing.Tracing:
    monkeypatch.setattr(tracing, "decide", lambda wanted: decided)
    return tracing.Tracing(Mock(), Mock(), Mock())


@pytest.mark.usefixtures("no_process")
def test_root_traces_and_the_result_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    told = begin(monkeypatch, Privileges(LEAST, user=60880)).privileges
    assert told.mode == ROOT
    assert told.reason is not None
    assert "no more processes" in told.reason


@pytest.mark.usefixtures("no_process")
def test_root_does_not_trace_where_the_task_or_the_host_requires_least_privilege(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(PrivilegesError, match="no more processes"):
        begin(monkeypatch, Privileges(LEAST, user=60880, required=True))
