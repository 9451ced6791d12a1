# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Arguments that action plugins add to a task's own: their names begin with `_`. Private to the collection."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Optional

from ansible.errors import AnsibleActionFail


def refuse_hidden(arguments: Mapping[str, Any]) -> None:
    """Raises AnsibleActionFail where a task sets one of them itself."""
    hidden = sorted(str(name) for name in arguments if str(name).startswith("_"))
    if hidden:
        raise AnsibleActionFail(f"{', '.join(hidden)} cannot be set by a task.")


def of_this_environment(*names: str) -> dict[str, Optional[str]]:
    """The controller's NANNYAPI_ variables, such as `api_key`, as such arguments: AWX puts credentials there."""
    return {f"_{name}": os.environ.get(f"NANNYAPI_{name.upper()}") for name in names}
