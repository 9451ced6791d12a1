# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private to the collection: what the commands room raises."""

from __future__ import annotations


class Refused(Exception):
    """A command that is not run; the text is a sentence for the model: why, and what would be accepted."""


class PolicyError(Exception):
    """A policy that cannot be used; the text is a sentence for the operator."""
