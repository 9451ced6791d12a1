#!/usr/bin/python
# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: preflight_info
short_description: Look whether a host and its model are ready for a diagnosis
version_added: 0.1.0
description:
  - Gives a verdict on each of O(checks), with a sentence that says what was found, and one that says what mends it.
  - The host is looked at with the code that a diagnosis uses. The model is asked by real requests, from where the loop
    of a diagnosis would run, and what it asks for is not run.
  - A check that fails does not fail the task. The playbook C(nannyapi.diagnostics.preflight) looks at a whole
    inventory, and shows one table.
author:
  - NannyAPI contributors (@nannyapi)
extends_documentation_fragment:
  - nannyapi.diagnostics.model_tls
  - nannyapi.diagnostics.attributes
  - nannyapi.diagnostics.attributes.info
  - nannyapi.diagnostics.attributes.actiongroup
attributes:
  check_mode:
    details:
      - The model is not asked, nothing is attached, and no sandbox is started. Those verdicts are V(not tried).
  action:
    description: Indicates this has a corresponding action plugin so some parts of the options can be executed on the
      controller.
    support: full
options:
  checks:
    description:
      - What to look at.
      - V(setup), the libraries that a diagnosis needs on the host. V(privileges), as whom it is traced. V(probes),
        which types of probes it can use. V(sandbox), what commands run in. V(policy), whether the rules for commands
        can be read. V(records), whether records and the log of actions can be written.
      - V(model), whether the model answers. V(prompt), whether a gateway's function has the prompt of this version of
        the collection.
      - V(network), V(process), V(file_io), V(performance) and V(memory), whether the model's reply to an issue of that
        category can be used. It is told what this host is and can do.
    type: list
    elements: str
    choices:
      - setup
      - privileges
      - probes
      - sandbox
      - policy
      - records
      - model
      - prompt
      - network
      - process
      - file_io
      - performance
      - memory
    default: [setup, privileges, probes, sandbox, policy, records, model, prompt]
  answer_seconds:
    description:
      - How long the model may take for one answer, repeated attempts included.
    type: float
    default: 60
  model_access:
    description:
      - Who asks the model, as with O(nannyapi.diagnostics.diagnose#module:model_access). With V(controller), the
        host is not connected to for V(model) and V(prompt).
    type: str
    choices: [host, controller]
    default: host
  model_parallel_calls:
    description: As with O(nannyapi.diagnostics.diagnose#module:model_parallel_calls).
    type: int
    default: 8
  model_requests_per_minute:
    description: As with O(nannyapi.diagnostics.diagnose#module:model_requests_per_minute).
    type: int
    default: 0
  model:
    description: As with O(nannyapi.diagnostics.diagnose#module:model).
    type: str
  endpoint:
    description: As with O(nannyapi.diagnostics.diagnose#module:endpoint).
    type: str
  api_key:
    description: As with O(nannyapi.diagnostics.diagnose#module:api_key).
    type: str
  redact:
    description: As with O(nannyapi.diagnostics.diagnose#module:redact).
    type: list
    elements: str
    choices: [addresses, hosts, users]
    default: []
  unrecorded_actions:
    description:
      - Ask the model also where that can be put on record neither in the host's log of actions nor in its journal.
    type: bool
    default: false
  _asked_by:
    description:
      - Set by the action plugin. On whose behalf the controller runs, for the log of actions.
    type: dict
    default: {}
  _tell:
    description:
      - Set by the action plugin. Whether to return what a model would be told of the host.
    type: bool
    default: false
  _model:
    description:
      - Set by the action plugin. E(NANNYAPI_MODEL) of the controller.
    type: str
  _endpoint:
    description:
      - Set by the action plugin. E(NANNYAPI_ENDPOINT) of the controller.
    type: str
  _api_key:
    description:
      - Set by the action plugin. E(NANNYAPI_API_KEY) of the controller.
    type: str
requirements:
  - root on the target host (without it, that is what V(privileges) says)
  - httpx and pydantic where the model is asked from
seealso:
  - module: nannyapi.diagnostics.preflight_report
  - module: nannyapi.diagnostics.ebpf_info
  - module: nannyapi.diagnostics.diagnose
"""

EXAMPLES = r"""
- name: Is this host ready?
  nannyapi.diagnostics.preflight_info:
  become: true
  register: preflight

- name: Stop where commands would not be run
  ansible.builtin.assert:
    that: preflight.checks.sandbox.verdict != 'failed'
    fail_msg: "{{ preflight.checks.sandbox.found }} {{ preflight.checks.sandbox.remedy }}"

- name: Can the model's replies be used?
  nannyapi.diagnostics.preflight_info:
    checks: [model, prompt, network, memory]
    model_access: controller
  become: true
"""

RETURN = r"""
checks:
  description:
    - By the name of each check, the C(verdict), V(ok), V(limited) where a diagnosis goes with less, V(failed) where it
      does not go, or V(not tried). C(found) says what was found, C(remedy) what mends it, null where nothing is to be
      mended.
  returned: always
  type: dict
  sample:
    sandbox:
      verdict: failed
      found: "No command would be run: bwrap is not installed."
      remedy: Run the playbook nannyapi.diagnostics.setup on this host.
asks:
  description:
    - Who would ask which model, and at which server, in one line that is the same for hosts that ask the same one.
  returned: always
  type: str
  sample: tensorzero::function_name::diagnose_and_heal at gateway:3000, from the host
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.nannyapi.diagnostics.plugins.module_utils.preflight import checks
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.session.runtime import respawn_where_libraries_are


def main() -> None:
    module = AnsibleModule(argument_spec=checks.ARGUMENTS, supports_check_mode=True)
    respawn_where_libraries_are(module.params, asks_model=module.params["model_access"] == "host")
    try:
        result = checks.on_host(module.params, dry=module.check_mode)
    except checks.PreflightError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=False, **result)


if __name__ == "__main__":
    main()
