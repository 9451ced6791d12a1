#!/usr/bin/python
# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: diagnosis_report
short_description: Show and write the report of a host, or of a run
version_added: 0.1.0
description:
  - With O(diagnosis), for one host, shows what was looked at, the root cause, the evidence, the plan and the
    confidence, writes all of it to C(hosts/<host>.json), and returns in few values what became of the host.
  - With O(overviews), for the run, shows and writes what became of each host, as C(summary.json) and C(summary.md).
  - In two tasks, because evidence is large and hosts are many. Register the first task by the name that the diagnosis
    is registered by, so that the evidence is not kept in memory any longer.
  - The files are written on the controller, and only their owner may read them. No host is connected to.
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
  diagnosis:
    description:
      - What a task of M(nannyapi.diagnostics.diagnose) registered for this host. An unreachable or failed host is
        reported as such, and so is a result that cannot be read.
      - Exactly one of O(diagnosis) and O(overviews) is needed.
    type: raw
  overviews:
    description:
      - What tasks of this module with O(diagnosis) registered, by host name. A host for which there is nothing, or an
        empty dictionary, is reported as failed, and its C(hosts/<host>.json) says so.
      - Exactly one of O(diagnosis) and O(overviews) is needed.
    type: dict
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

- name: Report the host
  nannyapi.diagnostics.diagnosis_report:
    diagnosis: "{{ diagnosis }}"
    dest: reports
  register: diagnosis

- name: Report the run
  nannyapi.diagnostics.diagnosis_report:
    overviews: "{{ dict(ansible_play_hosts_all | zip(ansible_play_hosts_all | map('extract', hostvars)
      | map(attribute='diagnosis', default={}))) }}"
    issue: files cannot be opened
    dest: reports
  run_once: true
"""

RETURN = r"""
status:
  description: What became of the host, V(diagnosed), V(failed), V(unreachable) or V(skipped).
  returned: with O(diagnosis)
  type: str
  sample: diagnosed
resolution:
  description: The resolution, null where there is none. Each text is cut at 4000 characters; the file has all of it.
  returned: with O(diagnosis)
  type: dict
  sample:
    response_type: resolution
    root_cause: "orders (4711) may open no more files."
    resolution_plan: "1. Raise LimitNOFILE of the service."
    confidence: High
    ebpf_evidence: "opens_1795362582: 10,235 of 10,235 calls returned EMFILE."
root_cause:
  description: The root cause of the resolution.
  returned: with O(diagnosis)
  type: str
  sample: "orders (4711) may open no more files."
confidence:
  description: The confidence of the resolution.
  returned: with O(diagnosis)
  type: str
  sample: High
claims:
  description:
    - How many claims of the resolution were found in the evidence (C(supported)), and how many were not
      (C(unsupported)). The file lists them.
  returned: with O(diagnosis)
  type: dict
  sample: {supported: 5, unsupported: 0}
ended:
  description: How the diagnosis ended, as M(nannyapi.diagnostics.diagnose) returns it.
  returned: with O(diagnosis)
  type: str
  sample: resolution
error:
  description: A sentence where there is no resolution.
  returned: with O(diagnosis)
  type: str
model:
  description: The model that answered.
  returned: with O(diagnosis)
  type: str
  sample: offline
started_at:
  description: When the diagnosis began, in UTC.
  returned: with O(diagnosis)
  type: str
  sample: "2026-01-31T02:03:04.567+00:00"
duration_s:
  description: How long it took, in seconds.
  returned: with O(diagnosis)
  type: float
  sample: 21.4
events:
  description: How many events all eBPF programs counted.
  returned: with O(diagnosis)
  type: int
  sample: 10235
diagnosis_id:
  description: Names the diagnosis.
  returned: with O(diagnosis)
  type: str
  sample: 20260131T020304Z-1f2e3d4c
overview:
  description: The run at a glance, as in C(summary.json). C(hosts) has by host name what is returned with O(diagnosis).
  returned: with O(overviews)
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
        claims: {supported: 5, unsupported: 0}
        ended: resolution
        error:
        model: offline
        started_at: "2026-01-31T02:03:04.567+00:00"
        duration_s: 21.4
        events: 10235
        diagnosis_id: 20260131T020304Z-1f2e3d4c
files:
  description: Paths of the files that were written.
  returned: always
  type: list
  elements: str
  sample: [/home/ann/reports/summary.json, /home/ann/reports/summary.md]
"""

from ansible.module_utils.basic import AnsibleModule


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "diagnosis": {"type": "raw"},
            "overviews": {"type": "dict"},
            "issue": {"type": "str", "default": ""},
            "dest": {"type": "path"},
            "show": {"type": "bool", "default": True},
        },
        mutually_exclusive=[("diagnosis", "overviews")],
        required_one_of=[("diagnosis", "overviews")],
        supports_check_mode=True,
    )
    module.fail_json(
        msg="This works on the controller: call it by its full name, nannyapi.diagnostics.diagnosis_report."
    )


if __name__ == "__main__":
    main()
