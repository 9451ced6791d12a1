#!/usr/bin/python
# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: diagnosis_feedback
short_description: Tell the gateway that answered a diagnosis whether it was right
version_added: 0.1.0
description:
  - Posts to the C(/feedback) of a TensorZero gateway whether the resolution of a diagnosis was right, a comment, or
    both. The gateway keeps them with all requests of the diagnosis, which is how variants of the function and models
    are compared there.
  - The verdict is the metric C(diagnosis_correct), which the role P(nannyapi.diagnostics.gateway_function#role)
    installs. Comments need nothing.
  - The gateway must have a database. One without keeps nothing and says so.
author:
  - NannyAPI contributors (@nannyapi)
extends_documentation_fragment:
  - nannyapi.diagnostics.model_tls
  - nannyapi.diagnostics.attributes
  - nannyapi.diagnostics.attributes.actiongroup
attributes:
  check_mode:
    support: full
    details:
      - The gateway is asked whether it would take the feedback, and keeps nothing of it.
  diff_mode:
    support: none
  action:
    description: Indicates this has a corresponding action plugin so some parts of the options can be executed on the
      controller.
    support: full
options:
  diagnosis_id:
    description:
      - The id of a diagnosis, or V(latest) for the one that was begun last. Its record says which episode it was, and
        at which gateway.
      - Exactly one of O(diagnosis_id) and O(episode_id) is needed.
    type: str
    default: ""
  episode_id:
    description:
      - The episode, as M(nannyapi.diagnostics.diagnose) returned it. No record is needed, and none is looked at.
      - Exactly one of O(diagnosis_id) and O(episode_id) is needed.
    type: str
    default: ""
  correct:
    description:
      - Whether the resolution was right. At least one of O(correct) and O(comment) is needed.
    type: bool
  comment:
    description:
      - What to say about it. Secrets are redacted, and what the diagnosis redacted besides.
    type: str
    default: ""
  model_access:
    description:
      - Who reaches the gateway and has the record, as with O(nannyapi.diagnostics.diagnose#module:model_access). With
        V(host) the target host, with V(controller) the controller, and no host is connected to.
    type: str
    choices: [host, controller]
    default: host
  record_dir:
    description:
      - With O(model_access=controller), the folder of records, as with
        O(nannyapi.diagnostics.diagnose#module:record_dir).
    type: path
  endpoint:
    description:
      - The gateway, as with O(nannyapi.diagnostics.diagnose#module:endpoint), such as V(http://gateway:3000/openai/v1).
      - Where neither this, nor E(NANNYAPI_ENDPOINT) of the controller, nor C(/etc/nannyapi/diagnostics.json) names one,
        it is the one that the record names. Where both name one, they must be the same.
    type: str
  api_key:
    description:
      - The key for the gateway, as with O(nannyapi.diagnostics.diagnose#module:api_key).
    type: str
  timeout:
    description:
      - How many seconds each of verdict and comment may take, repeated attempts included.
    type: float
    default: 30
  _endpoint:
    description:
      - Set by the action plugin. E(NANNYAPI_ENDPOINT) of the controller.
    type: str
  _api_key:
    description:
      - Set by the action plugin. E(NANNYAPI_API_KEY) of the controller.
    type: str
requirements:
  - httpx and pydantic where the gateway is reached from
  - root on the target host, to read a record there
seealso:
  - module: nannyapi.diagnostics.diagnose
notes:
  - Feedback is added, not replaced. The gateway counts the newest verdict of an episode.
  - Where the gateway's answer gets lost, it is told again, and may keep a comment twice.
"""

EXAMPLES = r"""
- name: Say that the newest diagnosis of this host was right
  nannyapi.diagnostics.diagnosis_feedback:
    diagnosis_id: latest
    correct: true
    comment: The limit of open files was it.
  become: true

- name: Say from the controller that a diagnosis was wrong
  nannyapi.diagnostics.diagnosis_feedback:
    episode_id: "{{ diagnosis.episode_id }}"
    correct: false
    endpoint: "{{ gateway_url }}" # such as http://gateway:3000/openai/v1
    api_key: "{{ gateway_key }}"
    model_access: controller
"""

RETURN = r"""
diagnosis_id:
  description: The diagnosis.
  returned: with O(diagnosis_id)
  type: str
  sample: 20260131T020304Z-1f2e3d4c
host:
  description: The host's own name in the record.
  returned: with O(diagnosis_id)
  type: str
  sample: db1
episode_id:
  description: The episode at the gateway.
  returned: when the gateway was asked
  type: str
  sample: 0199f0a1-7c1d-7a63-9d1e-3f4b5a6c7d8e
gateway:
  description: The address that was posted to.
  returned: when the gateway was asked
  type: str
  sample: http://gateway:3000/feedback
feedback_ids:
  description: The id at the gateway for each of C(diagnosis_correct) and C(comment) that it took. Empty in check mode.
  returned: when the gateway was asked
  type: dict
  sample:
    diagnosis_correct: 0199f0a2-0d54-7b11-8f0f-a1b2c3d4e5f6
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.nannyapi.diagnostics.plugins.module_utils import deps, feedback
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.model.settings import SettingsError
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.session.runtime import respawn_where_libraries_are


def main() -> None:
    module = AnsibleModule(argument_spec=feedback.ARGUMENTS, supports_check_mode=True)
    respawn_where_libraries_are(module.params)
    if module.params["model_access"] == "controller":
        module.fail_json(
            msg="With model_access: controller the action plugin gives the feedback. Call the module by its full name,"
            " nannyapi.diagnostics.diagnosis_feedback, and not through another one."
        )
    try:
        result = feedback.give(module.params, dry_run=module.check_mode)
    except (feedback.FeedbackError, SettingsError, deps.MissingLibrary) as error:
        module.fail_json(msg=str(error), **getattr(error, "result", {}))
    module.exit_json(changed=True, **result)


if __name__ == "__main__":
    main()
