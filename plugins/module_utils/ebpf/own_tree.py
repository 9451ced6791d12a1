# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the process tree of the diagnosis itself begins. Private to the collection.

What the diagnosis causes (its own Python, the commands that it runs, the connection that carries it) is no symptom:
programs count it apart.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Optional

_ANCESTORS = 64  # more than any chain of processes that is not a loop of our own making


def _status(pid: int) -> dict[str, str]:
    try:
        text = Path(f"/proc/{pid}/status").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return {}
    return dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)


def _command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
    except OSError:
        return ""


def connection_root(pid: Optional[int] = None) -> int:
    """The oldest ancestor that exists only for this diagnosis; `pid` itself where there is none.

    That is the run of ansible that works on its own machine, or the sshd of the one connection over which ansible
    works here: never the sshd that listens, a login shell or anything above it.
    """
    start = pid if pid is not None else os.getpid()
    chain = [start]
    while len(chain) < _ANCESTORS:
        parent = int(_status(chain[-1]).get("PPid", "0"))
        if parent <= 1:
            break
        chain.append(parent)
    for index, ancestor in enumerate(chain):
        name = _status(ancestor).get("Name", "").strip()
        if name.startswith("sshd"):
            return _top_of_connection(chain[index:])
        if _is_ansible_run(ancestor):
            return _top_of_run(chain[index:])
    return start


def _top_of_connection(chain: list[int]) -> int:
    """The last sshd of the chain that is not the one that listens (that one has children of other connections)."""
    top = chain[0]
    for ancestor in chain[1:]:
        parent = _status(ancestor)
        listens = "[listener]" in _command_line(ancestor) or int(parent.get("PPid", "0")) <= 1
        if not parent.get("Name", "").startswith("sshd") or listens:
            break
        top = ancestor
    return top


def _is_ansible_run(pid: int) -> bool:
    names = [os.path.basename(word) for word in _command_line(pid).split()[:3]]  # python, perhaps an option, the script
    return any(name in ("ansible", "ansible-playbook", "ansible-runner", "ansible-pull") for name in names)


def _top_of_run(chain: list[int]) -> int:
    top = chain[0]
    for ancestor in chain[1:]:
        if not _is_ansible_run(ancestor):
            break
        top = ancestor
    return top
