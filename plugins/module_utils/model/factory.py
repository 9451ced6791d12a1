# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private to the collection nannyapi.diagnostics: gives the model that the settings name."""

from __future__ import annotations

from .port import Model
from .settings import OFFLINE, Settings


def make_model(settings: Settings) -> Model:
    """The model behind the port; raises MissingLibrary (of deps.py) and SettingsError."""
    # Imported here, so that who asks the one does not need the libraries of the other.
    if settings.model == OFFLINE or settings.url is None:
        from .offline.diagnostician import OfflineModel

        return OfflineModel()
    from .client import ChatClient

    return ChatClient(settings.model, settings.url, settings.api_key)
