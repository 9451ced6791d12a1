# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private to the collection: kernel modules that a host would load because somebody only asked.

Who asks with NET_ADMIN for a table of the firewall has the kernel load what provides it. A host that had no connection
tracking then has it, with hooks on every packet and a table that can fill up: nothing that a look may bring about.
Where the module is not loaded there is nothing to list either, so the capability is not given and the result says why.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

_LEGACY = {
    "iptables": "iptable_",
    "iptables-save": "iptable_",
    "ip6tables": "ip6table_",
    "ip6tables-save": "ip6table_",
}
_BY_NFT = "nf_tables"
_ALWAYS = {"nft": _BY_NFT, "conntrack": "nf_conntrack_netlink"}
_TABLE = ("-t", "--table")


def would_load(path: str, words: Sequence[str], root: str = "/") -> str:
    """The module that the kernel would load for a listing of the firewall; empty where it would load none.

    `path`: the program, which says by where it leads whether iptables means the old tables or those of nft; `words`:
    its name and arguments, of a form that `listing_forms.lists` takes. `root`: of the tree with `sys` and `lib`.
    Where the modules of the running kernel cannot be read (a container, a kernel without any) it can load none of them.
    """
    module = _provider(path, words)
    if not module or Path(root, "sys/module", module).exists():
        return ""
    try:
        known = Path(root, "lib/modules", os.uname().release, "modules.dep").read_text(errors="replace")
    except OSError:
        return ""
    # Built into the kernel it is not listed here.
    return module if re.search(rf"^(?:\S*/)?{re.escape(module)}\.ko", known, re.MULTILINE) else ""


def _provider(path: str, words: Sequence[str]) -> str:
    prefix = _LEGACY.get(words[0])
    if prefix is None:
        return _ALWAYS.get(words[0], "")
    if "nft" in os.path.basename(os.path.realpath(path)):
        return _BY_NFT
    tables = [after for word, after in zip(words[1:], words[2:]) if word in _TABLE]
    if not tables and words[0].endswith("-save"):
        # It asks for the tables that there are.
        return ""
    return prefix + (tables[-1] if tables else "filter")
