#!/usr/bin/python
# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: diagnose
short_description: Find the cause of an issue on a host, with evidence from its kernel
version_added: 0.1.0
description:
  - Runs a diagnosis on the target host. A model is told the issue and what the host can do, and asks for read-only
    commands
    and eBPF programs. The host runs both and answers with real results, until the model gives a resolution.
  - The model is reached from the target host, or from the controller, as O(model_access) says. Without a model
    configured the collection's own offline diagnostician answers, which needs no network.
  - Commands are judged by a policy before they run, and run in a sandbox, as an account that is not root. Nothing in a
    resolution is ever executed.
  - Only one diagnosis runs on a host at a time. Another one waits for it.
  - The complete record of a diagnosis stays where the model is asked from, on the host readable by root alone, on the
    controller by the user who runs Ansible. Results are bounded in size.
  - What is done on a host and what leaves it is written to C(/var/log/nannyapi/diagnostics.jsonl) there, and to its
    journal, before it is done.
  - The record is written as it grows, so that a diagnosis that was interrupted goes on from its last complete round,
    see O(resume). A failure names it, and returns what was found until then.
author:
  - NannyAPI contributors (@nannyapi)
extends_documentation_fragment:
  - nannyapi.diagnostics.model_tls
  - nannyapi.diagnostics.compiler
  - nannyapi.diagnostics.privileges
  - nannyapi.diagnostics.attributes
  - nannyapi.diagnostics.attributes.info
  - nannyapi.diagnostics.attributes.actiongroup
attributes:
  check_mode:
    details:
      - Says which model would be asked and what the host can do. Nothing is asked, run or attached.
  action:
    description: Indicates this has a corresponding action plugin so some parts of the options can be executed on the
      controller.
    support: full
  async:
    description: Supports being used with the C(async) keyword.
    support: full
    details:
      - With C(async) no progress is shown. It cannot be used with O(model_access=controller).
  facts:
    description: Action returns an C(ansible_facts) dictionary that will update existing host facts.
    support: full
options:
  issue:
    description:
      - What is wrong, in a person's words, at most 4000 characters.
      - May be left out with O(resume), and must be the same as before otherwise.
    type: str
    default: ""
  resume:
    description:
      - The id of a diagnosis of this host that was interrupted or failed, as its failure names it, or V(latest) for the
        one that was begun last. It goes on from its last complete round. What was collected is not collected again, and
        an answer of the model that had arrived is not asked for again.
      - O(rounds), O(seconds), O(tokens) and O(evidence_bytes) are those of the whole diagnosis. What was used before
        counts. There is always time for a last turn. The model may be another one.
      - Of a diagnosis that has reached its resolution, that is returned from its record, and nothing is run.
      - While another process still works on it, that is waited for, for O(lock_timeout) seconds.
      - See C(docs/resume.md) of the collection.
    type: str
    default: ""
  model_access:
    description:
      - Who asks the model. With V(host) the target host does, and leads the diagnosis.
      - With V(controller) the controller does. Hosts only collect, by M(nannyapi.diagnostics.diagnosis_collect). They
        need no way to the model, no key, and neither httpx nor pydantic, which the controller's Python needs instead.
      - What is asked, answered, shown and returned is the same with either.
    type: str
    choices: [host, controller]
    default: host
    version_added: 0.1.0
  model_parallel_calls:
    description:
      - With O(model_access=controller), how many requests to one model's server may be under way at a time, of all
        hosts and all runs of this user on this controller. V(0) sets no limit.
      - Waiting for a turn takes the time of the diagnosis (O(seconds)), not that of the answer.
    type: int
    default: 8
  model_requests_per_minute:
    description:
      - With O(model_access=controller), how many requests to one model's server may be begun within any minute,
        repeated ones too, of all hosts and all runs of this user on this controller. V(0) sets no limit.
    type: int
    default: 0
  record_dir:
    description:
      - With O(model_access=controller), the folder on the controller for the records of diagnoses, in which each host
        has one of its own, by its name in the inventory. Where it is not set, C(nannyapi/diagnostics) in
        E(XDG_STATE_HOME), or in C(~/.local/state).
      - With O(model_access=host) records are in C(/var/lib/nannyapi/diagnostics) on the host, and this says nothing.
    type: path
  model:
    description:
      - The model that answers. V(offline) is the collection's own diagnostician.
      - V(tensorzero::function_name::diagnose_and_heal) is the function of a TensorZero gateway, and the default where
        an
        endpoint is configured. Anything else is a name that the server at O(endpoint) knows.
      - Where this is not set, E(NANNYAPI_MODEL) of the controller counts, then C(/etc/nannyapi/diagnostics.json) of
        the host, or of the controller with O(model_access=controller).
    type: str
  endpoint:
    description:
      - The address of an OpenAI-compatible server, such as V(http://gateway:3000/openai/v1) of a TensorZero gateway.
        The target host connects to it, or the controller, see O(model_access).
      - Where this is not set, E(NANNYAPI_ENDPOINT) of the controller counts, then C(/etc/nannyapi/diagnostics.json) as
        for O(model).
    type: str
  api_key:
    description:
      - The key that the server at O(endpoint) wants, if it wants one.
      - Where this is not set, E(NANNYAPI_API_KEY) of the controller counts, then the host's key file, which is used
        with the
        host's own endpoint only.
    type: str
  rounds:
    description:
      - How many times the model may ask for evidence. After the last it is asked for the best resolution from what is
        known.
    type: int
    default: 5
  seconds:
    description:
      - How long the diagnosis may take. Near the end the model is asked for the best resolution from what is known.
    type: float
    default: 600
  tokens:
    description:
      - How many tokens all requests and answers of the diagnosis may come to, as the server counts them, or as they are
        estimated where it does not. Each request is estimated before it is sent. Where what is left suffices for one
        more, the model is asked for the best resolution from what is known. Requests that brought no answer are not
        counted, for no server tells what they cost.
      - V(0) sets no limit. One request is kept below 100000 tokens all the same. What old rounds brought is condensed
        before what the newest brought is cut, and each cut is marked.
    type: int
    default: 0
  evidence_bytes:
    description:
      - How many bytes of evidence the model is shown, of all rounds together. What a round brings is fitted to what is
        left, and not more than 60000 characters in any case. Each cut is marked with how much is missing, and the whole
        is in RV(record). Where less than 3000 bytes are left, the model is asked for the best resolution from what is
        known.
      - V(0) sets no limit, else it is at least V(4096).
    type: int
    default: 0
    version_added: 0.1.0
  trace_seconds:
    description:
      - How long one eBPF program may trace. A longer one that the model asks for is shortened.
    type: float
    default: 60
  max_cpu_share:
    description:
      - How much of one CPU the programs of a round may take together, as the kernel measures it. V(0.5) is half of a
        CPU, V(2) is two, V(0) sets no limit. Without it, a tenth of what all CPUs of the host can do, and at
        most four.
      - Where more is taken for a second or two, the costliest program is thinned. It goes on to count and keeps nothing
        else. Where that is still too much, it is detached. Its result says so.
    type: float
  command_seconds:
    description:
      - How long one command may run.
    type: float
    default: 30
  output_bytes:
    description:
      - How much of a command's output is kept. The middle of a longer one is left out.
    type: int
    default: 65536
  unsandboxed_commands:
    description:
      - Run commands as root with the policy as the only fence, where this host has no sandbox that works. Without it,
        no command is run on such a host, and the model is told why. Where the sandbox works it is used all the same.
      - The result says it in RV(sandbox).
    type: bool
    default: false
  redact:
    description:
      - What is redacted besides secrets, which always are. Each address, host or user gets a placeholder that is the
        same throughout the diagnosis, and the model may use it in a command.
      - What the placeholders stand for is kept on the host alone, in a file beside RV(record), readable by root.
    type: list
    elements: str
    choices: [addresses, hosts, users]
    default: []
  lock_timeout:
    description:
      - How many seconds to wait for another diagnosis on the same host to end.
    type: float
    default: 900
  _bpf:
    description:
      - Set by the action plugin. The eBPF programs.
    type: str
  unrecorded_actions:
    description:
      - Go on where an action can be put on record neither in C(/var/log/nannyapi/diagnostics.jsonl) nor in the host's
        journal. Without it, a diagnosis that cannot be put on record does not begin, and where that becomes impossible
        meanwhile, nothing more is run, attached or sent.
      - The result says it in RV(action_log).
    type: bool
    default: false
  _asked_by:
    description:
      - Set by the action plugin. On whose behalf the controller runs, for the log of actions.
    type: dict
    default: {}
  _progress:
    description:
      - Set by the action plugin. Where to write what is being done.
    type: str
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
  - root on the target host
  - pydantic and bashlex, httpx for any model but V(offline), BCC and kernel headers (the role
    P(nannyapi.diagnostics.setup#role) sees to all of them)
notes:
  - While it runs, what goes on is shown on the controller. The variable C(nannyapi_progress), of a host, a play or a
    task, turns that off with V(false). Then the controller does not ask the host meanwhile.
  - With O(model_access=controller), httpx and pydantic are needed for the controller's Python and not on the host.
seealso:
  - module: nannyapi.diagnostics.diagnosis_collect
  - module: nannyapi.diagnostics.ebpf_trace
  - module: nannyapi.diagnostics.ebpf_info
"""

EXAMPLES = r"""
- name: Diagnose with whatever model is configured
  nannyapi.diagnostics.diagnose:
    issue: application randomly fails to connect to database
  become: true

- name: Diagnose without a model, in one round of short traces
  nannyapi.diagnostics.diagnose:
    issue: files cannot be opened
    model: offline
    rounds: 1
    trace_seconds: 5
  become: true
  register: diagnosis

- name: Go on with the newest diagnosis of this host, which was interrupted
  nannyapi.diagnostics.diagnose:
    resume: latest
  become: true

- name: Show the cause
  ansible.builtin.debug:
    msg: "{{ diagnosis.resolution.root_cause }} ({{ diagnosis.resolution.confidence }})"

- name: Ask a model that only the controller reaches, with a key that no host sees
  nannyapi.diagnostics.diagnose:
    issue: the host is slow since this morning
    model_access: controller
    model_parallel_calls: 4
  become: true

- name: Ask a TensorZero gateway, in the background of the playbook
  nannyapi.diagnostics.diagnose:
    issue: the host is slow since this morning
    endpoint: "{{ gateway_url }}" # such as http://gateway:3000/openai/v1
    api_key: "{{ gateway_key }}"
  become: true
  async: 900
  poll: 5
"""

RETURN = r"""
resolution:
  description: What the model concluded. Null where it reached no conclusion.
  returned: when a diagnosis was made
  type: dict
  sample:
    response_type: resolution
    root_cause: "orders (4711) cannot connect to 127.0.0.1:5432: 42 of 42 attempts were refused, and nothing listens
      there."
    resolution_plan: "1. Start the server that should listen on 127.0.0.1:5432."
    confidence: High
    ebpf_evidence: "connects_1795362582: connect(2) returned ECONNREFUSED 42 times."
grounding:
  description:
    - What of RV(resolution) was found in the evidence, and what was not. Numbers with their units, names, addresses,
      processes, paths, errors and quotes in C(root_cause) and C(ebpf_evidence) are looked up in what was collected, by
      rules, without a model. Null without a resolution.
    - A claim that is not found need not be wrong, nor one that is found the cause. At most 100 of each are listed.
  returned: when a diagnosis was made
  type: dict
  contains:
    supported:
      description:
        - Claims that were found, each with the field that it stands C(in), and the ids of commands and keys of eBPF
          results that bear it out (C(by)). V(system) is what was told of the host at the start, V(issue) the issue.
      type: list
      elements: dict
      returned: always
    unsupported:
      description: Claims that were not found, each with the field that it stands C(in), and a C(reason).
      type: list
      elements: dict
      returned: always
    correction:
      description:
        - What came of asking the model, once, to correct what was not found. V(not needed), V(made), or, with the first
          resolution kept, V(no better), V(not answered) or V(not asked for) for want of time.
      type: str
      returned: always
    left_out:
      description: How many claims of each kind are not listed.
      type: dict
      returned: when there are more than are listed
  sample:
    supported:
      - claim: ECONNREFUSED
        in: ebpf_evidence
        by: [connects_1795362582]
    unsupported:
      - claim: 10.0.0.5:5432
        in: root_cause
        reason: not found in what was collected
    correction: no better
ended:
  description:
    - How it ended. V(resolution), or V(round_limit), V(time_limit), V(token_limit) or V(evidence_limit) with the best
      resolution from what was known, or V(model_error) or V(unusable_replies) without one. Null where the run was
      stopped, or the host could not do its part any more.
  returned: when a diagnosis was made
  type: str
  sample: resolution
command_results:
  description: The commands that were asked for, with output and exit code, or why one was refused.
  returned: when a diagnosis was made
  type: list
  elements: dict
  sample:
    - id: listeners
      command: ss -tlnp
      output: "State Recv-Q Send-Q Local Address:Port Peer Address:Port Process"
      exit_code: 0
sandbox:
  description:
    - What commands ran in. C(name) is V(bubblewrap), or V(none) where C(commands) says whether they were refused or run
      as root, and C(reason) why.
  returned: when a diagnosis was made
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
privileges:
  description:
    - As whom the tracing process traced. C(mode) is V(least) or V(root), and C(reason) says why it was root.
      C(capabilities) are all that the process had, null for root.
  returned: when a diagnosis was made, and in check mode
  type: dict
  sample:
    mode: least
    account: nannyapi
    capabilities: [CAP_BPF, CAP_DAC_READ_SEARCH, CAP_PERFMON, CAP_SYSLOG]
    missing: []
    reason:
redacted:
  description: How many different secrets of each kind were redacted, and addresses, hosts and users with O(redact).
  returned: when a diagnosis was made
  type: dict
  sample:
    jwt: 1
    password: 2
notes:
  description: What a person should know besides, as sentences. That no record could be written is one.
  returned: when a diagnosis was made
  type: list
  elements: str
imitations:
  description:
    - How often text from the host imitated the model's reply (C(reply), or C(encoded) in base64 or in hexadecimal
      digits), a turn of the host (C(turn)), or the markup between turns (C(conversation)). Somebody may have tried to
      steer the diagnosis.
    - Each got a mark put into it. The results of commands and programs that had some have C(imitations) as well.
  returned: when a diagnosis was made
  type: dict
  sample:
    reply: 1
ebpf_results:
  description: The results of the eBPF programs, as M(nannyapi.diagnostics.ebpf_trace) returns them.
  returned: when a diagnosis was made
  type: dict
rounds:
  description: What each round asked for and how long it took.
  returned: when a diagnosis was made
  type: list
  elements: dict
  sample:
    - round: 1
      reasoning: Connections fail, so see which and how.
      commands: [listeners]
      ebpf_programs: [connects (tracepoint syscalls/sys_enter_connect)]
      started: "2026-01-31T02:03:05.123+00:00"
      duration_s: 10.3
      model_s: 0.1
      collect_s: 10.2
      repairs: 0
usage:
  description: Calls to the model, and tokens as far as the server told them.
  returned: when a diagnosis was made
  type: dict
  sample:
    calls: 2
    prompt_tokens: 5120
    completion_tokens: 310
    calls_without_token_counts: 0
model:
  description: The model that answered.
  returned: when a diagnosis was made
  type: str
  sample: offline
episode_id:
  description: The episode at the TensorZero gateway, null for any other server.
  returned: when a diagnosis was made
  type: str
issue:
  description: The issue.
  returned: always
  type: str
host:
  description: The host's own name.
  returned: when a diagnosis was made
  type: str
started_at:
  description: When the diagnosis began, in UTC.
  returned: when a diagnosis was made
  type: str
  sample: "2026-01-31T02:03:04.567+00:00"
duration_s:
  description: How long it took, in seconds.
  returned: when a diagnosis was made
  type: float
  sample: 21.4
diagnosis_id:
  description: Names the diagnosis.
  returned: when a diagnosis was made
  type: str
  sample: 20260131T020304Z-1f2e3d4c
record:
  description:
    - The file that has everything, also what was left out of these values. It is on the host, or on the controller with
      O(model_access=controller).
  returned: when a diagnosis was made
  type: str
  sample: /var/lib/nannyapi/diagnostics/20260131T020304Z-1f2e3d4c.json
action_log:
  description:
    - Where on the host it is on record what was done. See C(docs/record.md) of the collection.
    - C(file) is null, or C(journal) false, where not all lines are there. C(unrecorded) lines are in neither, for the
      reason in C(problem).
  returned: when a diagnosis was made
  type: dict
  sample:
    file: /var/log/nannyapi/diagnostics.jsonl
    journal: true
    lines: 31
    unrecorded: 0
    problem:
ansible_facts:
  description:
    - The same as facts of the host. There is less of the evidence, so that a controller can keep the facts of many
      hosts. Each cut is marked.
  returned: when a diagnosis was made
  type: dict
  contains:
    nannyapi_resolution:
      description: As RV(resolution).
      type: dict
      returned: when a diagnosis was made
    nannyapi_grounding:
      description: As RV(grounding), with at most 20 claims of each kind.
      type: dict
      returned: when a diagnosis was made
    nannyapi_ebpf_results:
      description: As RV(ebpf_results).
      type: dict
      returned: when a diagnosis was made
    nannyapi_command_results:
      description: As RV(command_results).
      type: list
      returned: when a diagnosis was made
    nannyapi_rounds:
      description: As RV(rounds).
      type: list
      returned: when a diagnosis was made
    nannyapi_usage:
      description: As RV(usage).
      type: dict
      returned: when a diagnosis was made
    nannyapi_episode_id:
      description: As RV(episode_id).
      type: str
      returned: when a diagnosis was made
    nannyapi_model:
      description: As RV(model).
      type: str
      returned: when a diagnosis was made
would:
  description: What would be done.
  returned: in check mode
  type: str
"""

import os

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.nannyapi.diagnostics.plugins.module_utils import deps, diagnosis
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.commands.errors import PolicyError
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.diagnosis_arguments import ARGUMENTS, options_of
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.errors import EbpfError
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.least_privilege import PrivilegesError
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.model.settings import SettingsError
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.redaction.memory import UnreadableMemory
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.session.actions import Unrecorded
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.session.between_rounds import Forgotten
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.session.ending import Ending, Stopped
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.session.lock import Busy
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.session.progress import ProgressFile
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.session.record import RecordError
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.session.runtime import respawn_where_libraries_are

PROBLEMS = (
    Busy,
    deps.MissingLibrary,
    diagnosis.DiagnosisError,
    EbpfError,
    Forgotten,
    PolicyError,
    OSError,
    PrivilegesError,
    RecordError,
    SettingsError,
    Stopped,
    Unrecorded,
    UnreadableMemory,
)


def main() -> None:
    module = AnsibleModule(
        argument_spec=ARGUMENTS,
        supports_check_mode=True,
    )
    respawn_where_libraries_are(module.params)
    if os.geteuid() != 0 and not module.check_mode:
        module.fail_json(
            msg=f"A diagnosis needs root on the host, and ran as uid {os.geteuid()}. Add become: true to the task.",
            issue=module.params["issue"],
        )
    if module.params["model_access"] == "controller":
        module.fail_json(
            msg="With model_access: controller the action plugin leads the diagnosis. Call the module by its full name,"
            " nannyapi.diagnostics.diagnose, and not through another one.",
            issue=module.params["issue"],
        )
    ending = Ending()
    ending.watch()
    try:
        if module.check_mode:
            module.exit_json(changed=False, **diagnosis.plan(options_of(module.params)))
        result = diagnosis.run(options_of(module.params), ending, ProgressFile(module.params["_progress"]))
    except PROBLEMS as error:
        found = getattr(error, "result", {})
        module.fail_json(
            msg=diagnosis.sentence(error), **{"issue": module.params["issue"], **found, **diagnosis.facts(found)}
        )
    module.exit_json(changed=False, **result, **diagnosis.facts(result))


if __name__ == "__main__":
    main()
