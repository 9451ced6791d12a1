#!/usr/bin/python
# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: ebpf_info
short_description: Say what eBPF a host can do, and why not where it cannot
version_added: 0.1.0
description:
  - Finds out what decides whether a host can be traced, which is the kernel, BTF, headers, tracefs, lockdown,
    capabilities, BCC and the types of probes.
  - Whatever is not available comes with its reason and with what would change that.
  - Whether the kernel accepts programs is found out by attaching an empty program to a tracepoint for an instant.
    In check mode this is left out.
  - It is found out with the capabilities that tracing gets here, see RV(privileges).
author:
  - NannyAPI contributors (@nannyapi)
extends_documentation_fragment:
  - nannyapi.diagnostics.attributes
  - nannyapi.diagnostics.attributes.info
  - nannyapi.diagnostics.attributes.actiongroup
requirements:
  - root on the target host, or the capabilities BPF and PERFMON (without them, that is what the module reports)
seealso:
  - module: nannyapi.diagnostics.ebpf_trace
  - module: nannyapi.diagnostics.diagnose
"""

EXAMPLES = r"""
- name: What can be traced here?
  nannyapi.diagnostics.ebpf_info:
  become: true
  register: ebpf

- name: Stop where tracepoints cannot be traced
  ansible.builtin.assert:
    that: ebpf.probe_types.tracepoint.available
    fail_msg: "{{ ebpf.probe_types.tracepoint.reason }} {{ ebpf.probe_types.tracepoint.remedy }}"
"""

RETURN = r"""
kernel:
  description: Release of the running kernel.
  returned: always
  type: str
  sample: 6.1.0-32-amd64
architecture:
  description: Machine type of the kernel.
  returned: always
  type: str
  sample: x86_64
btf:
  description: The kernel's own type information.
  returned: always
  type: dict
  sample:
    available: true
    reason:
    remedy:
    path: /sys/kernel/btf/vmlinux
headers:
  description:
    - The headers that programs are compiled with. C(kind) is V(kernel) for those of the running
      kernel, V(archive) for those that it carries itself, V(stand-in) for another version's, and V(named) for what
      E(BCC_KERNEL_SOURCE) names.
  returned: always
  type: dict
  sample:
    available: true
    reason:
    remedy:
    path: /lib/modules/6.1.0-32-amd64/build
    kind: kernel
tracefs:
  description: Where the kernel describes its tracepoints.
  returned: always
  type: dict
  sample:
    available: false
    reason: No tracefs is readable at /sys/kernel/tracing.
    remedy: "Run the task with become: true."
    path:
lockdown:
  description:
    - The kernel's lockdown. C(mode) is V(none), V(integrity), V(confidentiality), or null where the host does
      not say.
  returned: always
  type: dict
  sample:
    available: true
    reason:
    remedy:
    mode: none
capabilities:
  description: Which of the capabilities that tracing may use the process had that looked, as one that traces has them.
  returned: always
  type: dict
  sample:
    CAP_BPF: true
    CAP_PERFMON: true
    CAP_SYS_ADMIN: false
settings:
  description: The kernel's settings that restrict tracing, null where the kernel has no such setting.
  returned: always
  type: dict
  sample:
    perf_event_paranoid: 2
    unprivileged_bpf_disabled: 2
    kptr_restrict: 0
privileges:
  description:
    - As whom this host is traced, unless a task says otherwise. What else is returned was found out as that account,
      with these capabilities.
    - C(mode) is V(least), an account that owns nothing with no more than C(capabilities); V(root); or V(own), where the
      task was not started by root. C(reason) says why it is not V(least), and C(missing) which capabilities root itself
      would have to have for it.
    - C(lent) is what a process without CAP_SYS_ADMIN cannot open by itself, and is handed.
  returned: always
  type: dict
  sample:
    mode: least
    account: nannyapi
    capabilities: [CAP_BPF, CAP_DAC_READ_SEARCH, CAP_PERFMON, CAP_SYSLOG]
    missing: []
    reason:
    lent:
      - have the kernel measure what programs cost
bcc:
  description: The compiler of the eBPF programs.
  returned: always
  type: dict
  sample:
    available: true
    reason:
    remedy:
    version: 0.26.0
sandbox:
  description:
    - What this host has for fencing commands in. C(name) is V(bubblewrap), or V(none) with the C(reason), and then
      M(nannyapi.diagnostics.diagnose) refuses commands. Null in check mode, as it takes a trial to know.
  returned: always
  type: dict
  sample:
    name: bubblewrap
    commands: sandboxed
    version: 0.8.0
    accounts: 60900 to 60999
    user_namespace: false
    seccomp: true
    trusted_reader: true
    dbus_filter: true
    reason:
probe_types:
  description:
    - For V(tracepoint), V(kprobe) and V(kretprobe), whether this collection can use it on this host.
    - For the latter two, C(kernel_support) says whether the kernel itself could.
  returned: always
  type: dict
  sample:
    tracepoint:
      available: true
      reason:
      remedy:
    kprobe:
      available: false
      reason: This kernel was built without CONFIG_KPROBES, so no function can be probed.
      remedy: >-
        Ask all the same: where a tracepoint can stand in for the function, it is traced and the result says so.
      kernel_support: false
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.nannyapi.diagnostics.plugins.module_utils.commands import fence
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.capability import survey
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.needs import LENT, NEEDS
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.least_privilege import (
    LEAST,
    PrivilegesError,
    decide,
)
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.session.ending import Ending
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.tracing import survey_as_traced


def main() -> None:
    module = AnsibleModule(argument_spec={}, supports_check_mode=True)
    try:
        if module.check_mode:
            privileges, found, sandbox = decide().describe(), survey(attach=False), None
        else:
            privileges, found = survey_as_traced(Ending())
            sandbox = fence.survey()
    except PrivilegesError as error:
        module.fail_json(msg=str(error))
    lent = [need.what for need in NEEDS if need.how == LENT] if privileges["mode"] == LEAST else []
    module.exit_json(changed=False, sandbox=sandbox, privileges={**privileges, "lent": lent}, **found)


if __name__ == "__main__":
    main()
