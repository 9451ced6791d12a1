# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private to the collection nannyapi.diagnostics: gives the model that the settings name."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Optional

from .exchange import Account
from .port import Model
from .settings import OFFLINE, Settings


def make_model(
    settings: Settings,
    account: Optional[Account] = None,
    episode_id: Optional[str] = None,
    sleep: Callable[[float], None] = time.sleep,
    tags: Callable[[], dict[str, str]] = dict,
    servers: Optional[Path] = None,
) -> Model:
    """The model behind the port; raises MissingLibrary (of deps.py) and SettingsError.

    `account`: who is told of each request that leaves for a server. `episode_id`: what the same server issued in an
    earlier run of the diagnosis. `sleep`: what waits so many seconds before a request is tried again. `tags`: what a
    TensorZero gateway labels requests with. `servers`: the folder in which it is kept what servers do not take.
    """
    # Imported here, so that who asks the one does not need the libraries of the other.
    if settings.model == OFFLINE or settings.url is None:
        from .offline.diagnostician import OfflineModel

        return OfflineModel()
    from .client import ChatClient
    from .reply_form import Refusals

    return ChatClient(
        settings.model,
        settings.url,
        settings.api_key,
        account=account,
        episode_id=episode_id,
        tags=tags,
        tls=settings.tls,
        refusals=Refusals(servers),
        sleep=sleep,
    )
