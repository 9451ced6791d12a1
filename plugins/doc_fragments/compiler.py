# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """The option of modules that trace: whether a host compiles."""

    DOCUMENTATION = r"""
options:
  compiler:
    description:
      - Whether the eBPF programs may be compiled on the host. They come with the collection as bytecode that serves
        every kernel, so V(needed) compiles nothing but what a kernel without type information (BTF) needs to show the
        arguments of its functions. V(never) does not compile that either, and their registers are shown as numbers.
      - With V(always) the programs are compiled on the host, once for each kernel, and kept in
        C(/var/cache/nannyapi/diagnostics). It needs BCC and kernel headers there.
    type: str
    choices: [needed, always, never]
    default: needed
"""
