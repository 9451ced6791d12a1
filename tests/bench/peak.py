# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs a command, and prints its peak memory in KiB as a last line.

The kernel counts what a process's memory was before its exec with its peak, so that of a process which a large one
starts says nothing. This is a small one.
"""

import os
import sys

_pid, status, used = os.wait4(os.posix_spawnp(sys.argv[1], sys.argv[1:], os.environ), 0)
print(used.ru_maxrss, flush=True)
sys.exit(os.waitstatus_to_exitcode(status))
