# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What can go wrong between a request and its evidence. Private to the collection.

Every message is a sentence for the person (or the model) who asked: what was tried, on what, what the system said,
what would work instead.
"""

from __future__ import annotations


class EbpfError(Exception):
    """The family of errors that a result can carry; modules catch nothing broader."""


class RequestError(EbpfError):
    """The request itself cannot be served as written (unknown filter, duration out of range, unknown target)."""


class HostError(EbpfError):
    """This host cannot do it (no privilege, no BCC, no tracefs, refused by the kernel)."""
