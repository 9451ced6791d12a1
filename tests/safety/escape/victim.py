# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A process to be attacked: it keeps a canary in memory, a file open, and says on request whether it is unharmed."""

import ctypes
import os
import signal
import sys

canary = os.environ["CANARY"].encode()
kept = ctypes.create_string_buffer(canary, 24)
opened = os.open(sys.argv[1], os.O_RDONLY)
held = [os.open(path, os.O_RDONLY) for path in sys.argv[2:]]
signalled = []
for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1):
    signal.signal(number, lambda *got: signalled.append(got[0]))
print(ctypes.addressof(kept), opened, flush=True)
for _line in sys.stdin:
    print("unharmed" if kept.raw == canary and not signalled else "harmed", flush=True)
