#!/usr/bin/python
# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: diagnosis_collect
short_description: Do a host's part of a diagnosis that the controller leads
version_added: 0.1.0
description:
  - M(nannyapi.diagnostics.diagnose) runs this on the target host where its C(model_access) is V(controller). It is not
    for tasks. A task that wants evidence without a diagnosis uses M(nannyapi.diagnostics.ebpf_trace).
  - Each call does one part. The host says what it is, collects a round of evidence, or learns that the diagnosis is
    over.
  - Commands are judged by this host's policy and run in its sandbox, and what they print is redacted here, as in a
    diagnosis that is led from the host itself. Neither the model nor its key is known here.
author:
  - NannyAPI contributors (@nannyapi)
extends_documentation_fragment:
  - nannyapi.diagnostics.compiler
  - nannyapi.diagnostics.privileges
  - nannyapi.diagnostics.attributes
  - nannyapi.diagnostics.attributes.info
attributes:
  check_mode:
    details:
      - Says what eBPF the host can do. Nothing is attached or run.
options:
  part:
    description:
      - V(begin) says what the host is and can do, V(take_up) goes on with a diagnosis that was interrupted, V(round)
        collects evidence, V(end) stops what may still run of the diagnosis and frees the host for others.
    type: str
    choices: [begin, take_up, round, end]
    required: true
  diagnosis_id:
    description: Names the diagnosis.
    type: str
    required: true
  issue:
    description: What is wrong, in a person's words.
    type: str
    default: ''
  model:
    description: Which model the controller asks, for the log of actions.
    type: str
  commands:
    description: Commands of the round, as the model asked for them.
    type: list
    elements: dict
    default: []
  programs:
    description: eBPF programs of the round, as the model asked for them.
    type: list
    elements: dict
    default: []
  seconds:
    description: How long the round may take. After that, no command goes on.
    type: float
    default: 600
  lease_seconds:
    description:
      - How long after this part no other diagnosis may use the host, while the controller asks the model.
    type: float
    default: 0
  trace_seconds:
    description: As for M(nannyapi.diagnostics.diagnose).
    type: float
    default: 60
  max_cpu_share:
    description: As for M(nannyapi.diagnostics.diagnose).
    type: float
  command_seconds:
    description: As for M(nannyapi.diagnostics.diagnose).
    type: float
    default: 30
  output_bytes:
    description: As for M(nannyapi.diagnostics.diagnose).
    type: int
    default: 65536
  unsandboxed_commands:
    description: As for M(nannyapi.diagnostics.diagnose).
    type: bool
    default: false
  unrecorded_actions:
    description: As for M(nannyapi.diagnostics.diagnose).
    type: bool
    default: false
  redact:
    description: As for M(nannyapi.diagnostics.diagnose).
    type: list
    elements: str
    choices: [addresses, hosts, users]
    default: []
  lock_timeout:
    description: As for M(nannyapi.diagnostics.diagnose).
    type: float
    default: 900
  resumable:
    description: For V(end), whether the host is to remember what later rounds need.
    type: bool
    default: false
  _bpf:
    description:
      - Set by the action plugin. The eBPF programs.
    type: str
  _asked_by:
    description:
      - Set by the action plugin. On whose behalf the controller runs, for the log of actions.
    type: dict
    default: {}
  _progress:
    description:
      - Set by the action plugin. Where to write what is being done.
    type: str
requirements:
  - root on the target host
  - bashlex and the bindings of libseccomp for commands (the role P(nannyapi.diagnostics.setup#role) sees to them)
seealso:
  - module: nannyapi.diagnostics.diagnose
  - module: nannyapi.diagnostics.ebpf_trace
"""

EXAMPLES = r"""
- name: Diagnose with the model at the controller, which runs this module on the host
  nannyapi.diagnostics.diagnose:
    issue: application randomly fails to connect to database
    model_access: controller
  become: true
"""

RETURN = r"""
system_information:
  description: What the host is.
  returned: with O(part=begin)
  type: dict
capabilities:
  description: What eBPF the host can do, as M(nannyapi.diagnostics.ebpf_info) returns it.
  returned: with O(part=begin), and in check mode
  type: dict
sandbox:
  description: What commands run in, as M(nannyapi.diagnostics.diagnose) returns it.
  returned: with O(part=begin) and O(part=take_up)
  type: dict
privileges:
  description: As whom the host traces, as M(nannyapi.diagnostics.diagnose) returns it.
  returned: with O(part=begin) and O(part=take_up)
  type: dict
machine:
  description: Which machine the host is, as a hash.
  returned: with O(part=begin) and O(part=take_up)
  type: str
boot:
  description: Since which start it runs.
  returned: with O(part=begin) and O(part=take_up)
  type: str
issue:
  description: The issue, redacted.
  returned: with O(part=begin)
  type: str
command_results:
  description: The commands with their results, redacted.
  returned: with O(part=round)
  type: list
  elements: dict
ebpf_results:
  description: The results of the eBPF programs, redacted.
  returned: with O(part=round)
  type: dict
redacted:
  description: How many different secrets of each kind were redacted so far.
  returned: with O(part=begin) and O(part=round)
  type: dict
action_log:
  description: Where on the host it is on record what was done, as M(nannyapi.diagnostics.diagnose) returns it.
  returned: with O(part=begin) and O(part=round)
  type: dict
identities:
  description: The file on the host that says what placeholders stand for, null where there are none.
  returned: with O(part=end)
  type: str
"""

import os

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.nannyapi.diagnostics.plugins.module_utils import host_part
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.session.ending import Ending
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.session.progress import ProgressFile
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.session.runtime import respawn_where_libraries_are


def main() -> None:
    module = AnsibleModule(
        argument_spec=host_part.ARGUMENTS,
        supports_check_mode=True,
    )
    given = module.params
    if module.check_mode:
        module.exit_json(changed=False, capabilities=host_part.capabilities())
    respawn_where_libraries_are(given, asks_model=False)
    if os.geteuid() != 0:
        module.fail_json(
            msg=f"A diagnosis needs root on the host, and ran as uid {os.geteuid()}. Add become: true to the task."
        )
    ending = Ending()
    ending.watch()
    try:
        result = host_part.run(given, ending, ProgressFile(given["_progress"]))
    except host_part.PROBLEMS as error:
        module.fail_json(msg=host_part.sentence(error))
    module.exit_json(changed=False, **result)


if __name__ == "__main__":
    main()
