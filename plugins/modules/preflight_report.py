#!/usr/bin/python
# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: preflight_report
short_description: Show and write the table of a preflight
version_added: 0.1.0
description:
  - Makes one table of what tasks of M(nannyapi.diagnostics.preflight_info) registered for the hosts of a run, and says
    below it what is to be mended on which hosts. Written, it is C(preflight.json) and C(preflight.md).
  - The verdicts on a model hold for all hosts that ask the same one from the same side. Hosts that did not ask get
    those of the host that did.
  - It works on the controller, and no host is connected to. Only their owner may read the files.
author:
  - NannyAPI contributors (@nannyapi)
extends_documentation_fragment:
  - nannyapi.diagnostics.attributes
  - nannyapi.diagnostics.attributes.actiongroup
attributes:
  check_mode:
    support: full
    details:
      - Shows the table and writes no file.
  diff_mode:
    support: none
  action:
    description: Indicates this has a corresponding action plugin so some parts of the options can be executed on the
      controller.
    support: full
options:
  registered:
    description:
      - By host name, what its tasks of M(nannyapi.diagnostics.preflight_info) registered, as a list. A host for which
        there is nothing is reported as failed.
    type: dict
    required: true
  dest:
    description:
      - The folder on the controller to write to. It is made if it is not there. Without it nothing is written.
    type: path
  show:
    description:
      - Whether to show the table in the terminal.
    type: bool
    default: true
seealso:
  - module: nannyapi.diagnostics.preflight_info
"""

EXAMPLES = r"""
- name: Look at the hosts
  nannyapi.diagnostics.preflight_info:
  become: true
  register: preflight
  ignore_errors: true
  ignore_unreachable: true

- name: Show the table
  nannyapi.diagnostics.preflight_report:
    registered: "{{ dict(ansible_play_hosts_all | zip(ansible_play_hosts_all | map('extract', hostvars)
      | map(attribute='preflight', default={}))) }}"
    dest: reports
  run_once: true
"""

RETURN = r"""
overview:
  description:
    - C(counts) says how many hosts are V(ready), V(limited), V(failed) or V(unreachable). C(hosts) has for each its
      C(status), its C(checks) as M(nannyapi.diagnostics.preflight_info) returns them, C(asks), C(asked_from) where
      the model's verdicts are those of another host, and C(error) where a task failed.
  returned: always
  type: dict
  sample:
    time: "2026-01-31T02:03:04.567+00:00"
    counts: {ready: 1, limited: 0, failed: 0, unreachable: 0}
    hosts:
      db1:
        status: ready
        checks:
          sandbox: {verdict: ok, found: A command that does nothing was run in bubblewrap 0.8.0., remedy: null}
        asks: offline, from the host
        asked_from: null
        error: null
files:
  description: Paths of the files that were written.
  returned: always
  type: list
  elements: str
  sample: [/home/ann/reports/preflight.json, /home/ann/reports/preflight.md]
"""

from ansible.module_utils.basic import AnsibleModule


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "registered": {"type": "dict", "required": True},
            "dest": {"type": "path"},
            "show": {"type": "bool", "default": True},
        },
        supports_check_mode=True,
    )
    module.fail_json(
        msg="This works on the controller: call it by its full name, nannyapi.diagnostics.preflight_report."
    )


if __name__ == "__main__":
    main()
