# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sends the eBPF programs along with the module ebpf_trace."""

from __future__ import annotations

from ansible_collections.nannyapi.diagnostics.plugins.plugin_utils.tracing_action import TracingAction


class ActionModule(TracingAction):
    """Runs ebpf_trace."""
