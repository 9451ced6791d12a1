# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A process to be ended: it answers whoever connects to 127.0.0.1:7997, several at a time."""

import select
import socket

listening = socket.create_server(("127.0.0.1", 7997))
open_ones = [listening]
while True:
    for ready in select.select(open_ones, [], [])[0]:
        if ready is listening:
            open_ones.append(listening.accept()[0])
            continue
        try:
            said = ready.recv(100)
            if said:
                ready.sendall(said)
        except OSError:
            said = b""
        if not said:
            open_ones.remove(ready)
            ready.close()
