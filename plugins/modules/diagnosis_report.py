#!/usr/bin/python
# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: diagnosis_report
short_description: Show and write the reports of a run of diagnoses
version_added: 0.1.0
description:
  - Shows for each host what was looked at, the root cause, the evidence, the plan and the confidence, and the run at a
    glance.
  - Writes C(hosts/<host>.json), C(summary.json) and C(summary.md) on the controller. Only their owner may read them.
  - Works on the controller alone and connects to no host.
author:
  - NannyAPI contributors (@nannyapi)
extends_documentation_fragment:
  - nannyapi.diagnostics.attributes
  - nannyapi.diagnostics.attributes.actiongroup
attributes:
  check_mode:
    support: full
    details:
      - Shows the reports and writes no file.
  diff_mode:
    support: none
  action:
    description: Indicates this has a corresponding action plugin so some parts of the options can be executed on the
      controller.
    support: full
options:
  diagnoses:
    description:
      - What the tasks of M(nannyapi.diagnostics.diagnose) registered, by host name. An unreachable or failed host is
        reported as such.
    type: dict
    required: true
  issue:
    description:
      - The issue, for hosts whose result does not name it.
    type: str
    default: ""
  dest:
    description:
      - The folder on the controller to write to. It is made if it is not there. Without it nothing is written.
    type: path
  show:
    description:
      - Whether to show the reports in the terminal.
    type: bool
    default: true
seealso:
  - module: nannyapi.diagnostics.diagnose
"""

EXAMPLES = r"""
- name: Diagnose
  nannyapi.diagnostics.diagnose:
    issue: files cannot be opened
  become: true
  register: diagnosis
  ignore_errors: true
  ignore_unreachable: true

- name: Report
  nannyapi.diagnostics.diagnosis_report:
    diagnoses: "{{ dict(ansible_play_hosts_all | zip(ansible_play_hosts_all | map('extract', hostvars, 'diagnosis')))
      }}"
    dest: reports
  run_once: true
"""

RETURN = r"""
overview:
  description: The run at a glance, as in C(summary.json).
  returned: always
  type: dict
  sample:
    started: "2026-01-31T02:03:04.567+00:00"
    issue: files cannot be opened
    counts:
      diagnosed: 1
      failed: 0
      unreachable: 0
      skipped: 0
    hosts:
      db1:
        status: diagnosed
        resolution:
          response_type: resolution
          root_cause: "orders (4711) may open no more files."
          resolution_plan: "1. Raise LimitNOFILE of the service."
          confidence: High
          ebpf_evidence: "opens_1795362582: 10,235 of 10,235 calls returned EMFILE."
        root_cause: "orders (4711) may open no more files."
        confidence: High
        ended: resolution
        error:
        model: offline
        duration_s: 21.4
        events: 10235
files:
  description: Paths of the files that were written.
  returned: always
  type: list
  elements: str
  sample: [/home/ann/reports/hosts/db1.json, /home/ann/reports/summary.json, /home/ann/reports/summary.md]
"""

from ansible.module_utils.basic import AnsibleModule


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "diagnoses": {"type": "dict", "required": True},
            "issue": {"type": "str", "default": ""},
            "dest": {"type": "path"},
            "show": {"type": "bool", "default": True},
        },
        supports_check_mode=True,
    )
    module.fail_json(
        msg="This works on the controller: call it by its full name, nannyapi.diagnostics.diagnosis_report."
    )


if __name__ == "__main__":
    main()
