# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private to the collection nannyapi.diagnostics: what is looked at before a diagnosis is relied on."""
