# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """The option of modules that trace: as whom."""

    DOCUMENTATION = r"""
options:
  privileges:
    description:
      - As whom the host is traced. With V(least) a process of an account that owns nothing traces, with no more than
        the capabilities that tracing takes, and no way to get others. It is the account C(nannyapi) where the
        role P(nannyapi.diagnostics.privileges#role) has made it, else a user id that nobody has.
      - V(auto) is V(least) where the kernel allows it, from Linux 5.8 on, and otherwise V(root). The result says which,
        and why.
      - With V(least) a task fails where it cannot be had. With V(root) the task's own process traces.
      - Where this is not set, what the role P(nannyapi.diagnostics.privileges#role) has written to
        C(/etc/nannyapi/privileges.json) counts, then V(auto).
    type: str
    choices: [auto, least, root]
"""
