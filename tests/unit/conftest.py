# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What holds for all unit tests."""

from __future__ import annotations

import pytest

from ansible_collections.nannyapi.diagnostics.plugins.module_utils.commands import kinds


@pytest.fixture(autouse=True)
def _interfaces(monkeypatch: pytest.MonkeyPatch) -> None:
    """The host has the interfaces that the lines name, whatever it is called here."""
    monkeypatch.setattr(kinds, "is_interface", {"eth0", "lo"}.__contains__)
