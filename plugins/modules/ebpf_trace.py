#!/usr/bin/python
# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: ebpf_trace
short_description: Trace kernel events with eBPF and return them as data
version_added: 0.1.0
description:
  - Attaches eBPF programs to tracepoints and functions of the running kernel, all at once, each for its own duration,
    and returns exact counts and a bounded sample of decoded events.
  - System calls, and functions whose returns are asked for, are traced with their results. Each event has its arguments
    at entry, the value or the error that it returned, and its duration.
  - Arguments of functions have the names and types that the kernel has for them. Of sockets, files and other objects of
    the kernel it is shown what they are, such as C(destination) or C(path).
  - No model is involved, and nothing stays attached, however the task ends.
  - Where one of the programs cannot be traced as it is written, nothing is attached and the task fails with the reason
    and with what would work instead. Where the kernel refuses one, the others are traced and the task fails with the
    results of all.
author:
  - NannyAPI contributors (@nannyapi)
extends_documentation_fragment:
  - nannyapi.diagnostics.compiler
  - nannyapi.diagnostics.privileges
  - nannyapi.diagnostics.attributes
  - nannyapi.diagnostics.attributes.info
  - nannyapi.diagnostics.attributes.actiongroup
attributes:
  check_mode:
    details:
      - Checks the programs against the host's kernel and says what would be traced, attaching nothing.
  action:
    description: Indicates this has a corresponding action plugin so some parts of the options can be executed on the
      controller.
    support: full
  async:
    description: Supports being used with the C(async) keyword.
    support: full
options:
  programs:
    description:
      - What to trace, at most 16 programs.
      - In the kernel they may take a sixteenth of the host's memory together, 64 MiB at least and 512 MiB at most. A
        program that does not fit is an error.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description:
          - Names the result. Without it, O(programs[].target) does.
        type: str
      type:
        description:
          - How to attach. V(kprobe) traces the calls of a kernel function, V(kretprobe) also what comes of them.
          - A function that was renamed in this kernel is traced by its name there. Where a kernel has no kprobes, the
            nearest tracepoint is traced, if one is known. The result says so in its C(notes).
          - A function that the kernel refuses or has not is an error that says why, and names what works.
        type: str
        choices: [tracepoint, kprobe, kretprobe]
        default: tracepoint
      target:
        description:
          - The tracepoint as V(category/event), or the kernel function as V(name) or V(module:name).
          - V(syscalls/sys_enter_*) traces all system calls, V(syscalls/sys_enter_open*) those that match.
        type: str
        required: true
      duration:
        description:
          - For how many seconds to trace, 1 to 300.
        type: float
        default: 10
      filters:
        description:
          - Only events that match all of these are counted. The kernel filters.
        type: dict
        suboptions:
          pid:
            description: The process (thread group) that causes the event.
            type: int
          children:
            description: Whether what descends from O(programs[].filters.pid) counts as well. That is what has been
              started already, and what is started while the trace runs.
            type: bool
          comm:
            description: The name of the process, at most 15 characters. V(post*) matches every name that begins so.
            type: str
          uid:
            description: The user that the process runs as.
            type: int
          cgroup:
            description:
              - The control group of the process, or one above it. A path such as V(/system.slice/nginx.service), or an
                id.
              - On hosts that have only version 1 of control groups, the processes that are in it when the trace begins
                are followed with all that they start. The same holds for O(programs[].filters.unit) and
                O(programs[].filters.container).
            type: str
          unit:
            description: The systemd unit of the process. V(nginx) means V(nginx.service).
            type: str
          container:
            description: The container of the process, by its id, or by the first 12 hex digits of it at least. Names of
              containers are not known to the kernel.
            type: str
          errors_only:
            description:
              - For system calls and functions, only calls that fail. With it, a V(kprobe) watches returns as a
                V(kretprobe) does.
              - Asked of other tracepoints, or of a function that returns no error, it is an error.
            type: bool
          min_duration_us:
            description: For system calls and functions, only calls that take at least so many microseconds. With it, a
              V(kprobe) watches returns as a V(kretprobe) does. Asked of other tracepoints, it is an error.
            type: float
      description:
        description: Why it is traced. For readers only.
        type: str
  max_events:
    description:
      - How many events of each program are returned at most. They are spread over the time of the trace. Failures and
        the slowest calls come before others.
      - With V(0) there are only counts, which are in all, by process and by system call. That costs a host the least.
    type: int
    default: 50
  max_cpu_share:
    description:
      - How much of one CPU the programs of the task may take together, as the kernel measures it. V(0.5) is half of a
        CPU, V(2) is two, V(0) sets no limit. Without it, a tenth of what all CPUs of the host can do, and at
        most four.
      - Where more is taken for a second or two, the costliest program is thinned. It goes on to count and keeps nothing
        else. Where that is still too much, it is detached. Its result says so.
    type: float
  _asked_by:
    description:
      - Set by the action plugin. On whose behalf the controller runs, for the log of actions.
    type: dict
    default: {}
  _bpf:
    description:
      - Set by the action plugin. The eBPF programs.
    type: str
  _progress:
    description:
      - Set by the action plugin. Where to write what is being done.
    type: str
requirements:
  - root on the target host
  - BCC for the system's Python, and kernel headers (the role P(nannyapi.diagnostics.setup#role) sees to both)
notes:
  - While it runs, what goes on is shown on the controller. The variable C(nannyapi_progress), of a host, a play or a
    task, turns that off with V(false). Then the controller does not ask the host meanwhile.
seealso:
  - module: nannyapi.diagnostics.ebpf_info
  - module: nannyapi.diagnostics.diagnose
"""

EXAMPLES = r"""
- name: Which files are opened, and which of them cannot be?
  nannyapi.diagnostics.ebpf_trace:
    programs:
      - name: opens
        target: syscalls/sys_enter_openat
        duration: 5
  become: true
  register: trace

- name: Show the most frequent failures
  ansible.builtin.debug:
    msg: "{{ (trace.ebpf_results.values() | first).failures[:5] }}"

- name: Which system calls does a process make, and which connections change their state meanwhile?
  nannyapi.diagnostics.ebpf_trace:
    programs:
      - name: calls_of_sshd
        target: syscalls/sys_enter_*
        filters:
          comm: sshd
      - name: tcp_states
        target: sock/inet_sock_set_state
    max_events: 10
  become: true

- name: Which files are read, by whom, and how long does it take?
  nannyapi.diagnostics.ebpf_trace:
    programs:
      - name: reads
        type: kretprobe
        target: vfs_read
        duration: 5
  become: true

- name: Which calls of a service take longer than 10 ms?
  nannyapi.diagnostics.ebpf_trace:
    programs:
      - name: slow_calls
        target: syscalls/sys_enter_*
        filters:
          comm: "postgres*"
          min_duration_us: 10000
  become: true
"""

RETURN = r"""
privileges:
  description:
    - As whom the tracing process traced. C(mode) is V(least) or V(root), and C(reason) says why it was root.
      C(capabilities) are all that the process had, null for root.
  returned: when something was to be traced
  type: dict
  sample:
    mode: least
    account: nannyapi
    capabilities: [CAP_BPF, CAP_DAC_READ_SEARCH, CAP_PERFMON, CAP_SYSLOG]
    missing: []
    reason:
ebpf_results:
  description:
    - A result for each program. The key is the program's name and the time of its start in seconds since the Unix
      epoch.
  returned: always
  type: dict
  contains:
    program_name:
      description: The name of the program.
      type: str
      returned: always
    event_count:
      description: How often the event fired and passed the filters, counted in the kernel.
      type: int
      returned: always
    events:
      description:
        - A sample of events. C(timestamp) is in nanoseconds since the Unix epoch.
      type: list
      elements: dict
      returned: always
      sample:
        - timestamp: 1795362582377714682
          process_id: 11603
          process_name: python3
          thread_id: 11603
          event_type: sys_enter_connect
          data:
            fd: 3
            addrlen: 16
            destination: 127.0.0.1:5999
            family: AF_INET
            duration_us: 814.3
            error: ECONNREFUSED
    summary:
      description: What was seen, in a few sentences.
      type: str
      returned: always
    attached_to:
      description:
        - What the programs were attached to in the kernel. Where that is not what was asked for, RV(ebpf_results.notes)
          say why.
      type: list
      elements: str
      returned: success
    exact:
      description: Whether RV(ebpf_results.event_count) is exact.
      type: bool
      returned: success
    missed:
      description: How many events the kernel is known to have skipped.
      type: int
      returned: success
    own_events:
      description: How many events this very task caused. They are not in RV(ebpf_results.event_count).
      type: int
      returned: success
    events_not_carried:
      description: How many of the events that were counted are not in RV(ebpf_results.events), nor among the calls in
        RV(ebpf_results.in_flight).
      type: int
      returned: success
    duration_s:
      description: For how many seconds it was attached.
      type: float
      returned: success
    cost:
      description:
        - What its programs took, measured by the kernel. C(cpu_share) of one CPU and nanoseconds for each run
          (C(ns_per_run)). What the kernel spends on calling them comes on top.
        - Measuring has its price, so the kernel does it for a moment in each half second, and for longer where
          that is too much. C(measured_s) seconds were measured, and C(runs_measured) runs.
        - Null where the kernel does not measure, which it does from Linux 5.8 on for CAP_SYS_ADMIN.
          RV(ebpf_results.notes) say so.
      type: dict
      returned: success
      sample: {cpu_share: 0.012, ns_per_run: 310, runs_measured: 40125, measured_s: 1.036}
    thinned_after_s:
      description: From when on, in seconds, events were only counted, in all, by process and by system call. What else
        is told of them is of the time before.
      type: float
      returned: when O(max_cpu_share) was passed
    detached_after_s:
      description: When, in seconds, it was detached before its time. RV(ebpf_results.duration_s) says the same.
      type: float
      returned: when O(max_cpu_share) was passed by counting alone
    notes:
      description: What limits the numbers, in sentences.
      type: list
      elements: str
      returned: success
    by_process:
      description: Counts by process, the busiest first.
      type: list
      elements: dict
      returned: success
    by_result:
      description:
        - For system calls and C(kretprobe), how many returned without an error (C(ok)), and how many with which. Of
          functions that return a pointer or a truth value also C(null), C(true) and C(false). For a function that
          allocates, C(null) is a failure, and C(null_is_failure) beside it is true.
        - Absent for functions whose result does not tell whether they failed.
      type: dict
      returned: success, for what returns
    failures:
      description: Calls that failed, by process, error and what the call was about (a destination, a path).
      type: list
      elements: dict
      returned: success, for what returns
    failed_events:
      description:
        - Of how many events the record says that what they are about failed, such as a request to a disk. They come
          first into RV(ebpf_results.events). Events that were only counted, as RV(ebpf_results.notes) say, are not
          looked at for it.
      type: int
      returned: success, for tracepoints whose records tell that, unless events were only counted
    by_key:
      description:
        - Counts by what the call or event was about (a destination, a path, a device, who is woken, from where memory
          is allocated), the most frequent first. C(by_key_other) has the rest. Calls that have not returned are among
          them, and events that the kernel only counted.
        - Both are absent where nothing is known to tell one event of the target from another.
      type: list
      elements: dict
      returned: success
      sample:
        - key: write sda
          count: 117
        - key: flush sda
          count: 4
    latency_us:
      description:
        - How long the calls took in microseconds, as C(p50), C(p95), C(p99), C(max), and C(histogram) by
          the upper ends of powers of two. Percentiles are known to within a quarter.
      type: dict
      returned: success, for what returns
      sample:
        p50: 12.3
        p95: 40.9
        p99: 163.8
        max: 200418.2
        histogram:
          "16.384": 9000
          "65.536": 998
          "262.144": 2
    by_syscall:
      description: For system calls, how often each was made.
      type: dict
      returned: success, for system calls
    in_flight:
      description: Calls that had not returned when the trace ended, with how long they had been under way.
      type: dict
      returned: success, for what returns
    returns_missed:
      description:
        - How many returns were lost. The kernel drops them with a kretprobe of a function that many are in, and with
          fexit when another program is attached to the function meanwhile. Of system calls it skips some on newer
          kernels while many are traced.
        - A dropped return is known by where its thread waits, or by another call in its place. What shows neither is
          among those in RV(ebpf_results.in_flight).
      type: int
      returned: success, for what returns
    never_returned:
      description: How many calls ended with their thread instead of returning.
      type: int
      returned: success, for a kretprobe on a function
    error:
      description: Why the program was not traced, and what would work instead.
      type: str
      returned: failure
trace_id:
  description: Names the trace in the log of actions.
  returned: when something was traced
  type: str
  sample: 20260131T020304Z-1f2e3d4c
action_log:
  description:
    - Where on the host it is on record what was traced. See C(docs/record.md) of the collection.
    - C(file) is null, or C(journal) false, where not all lines are there. C(unrecorded) lines are in neither, for the
      reason in C(problem). A trace is made all the same.
  returned: when something was traced
  type: dict
  sample:
    file: /var/log/nannyapi/diagnostics.jsonl
    journal: true
    lines: 4
    unrecorded: 0
    problem:
would_trace:
  description: What would be traced.
  returned: in check mode
  type: list
  elements: str
  sample: [tracepoint syscalls/sys_enter_openat for 5 s]
"""

import contextlib
import json
import os

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.bundle import Bundle
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.errors import EbpfError
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.own_tree import connection_root
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.programs import Programs
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.tracer import TraceLimits, Tracer
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.least_privilege import PrivilegesError
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.session.actions import TRACE, ActionLog
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.session.asker import who_asked
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.session.ending import Ending, Stopped
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.session.progress import ProgressFile
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.session.record import new_id
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.tracing import Tracing

MAX_PROGRAMS = 16
FILTERS = {
    "pid": {"type": "int"},
    "children": {"type": "bool"},
    "comm": {"type": "str"},
    "uid": {"type": "int"},
    "cgroup": {"type": "str"},
    "unit": {"type": "str"},
    "container": {"type": "str"},
    "errors_only": {"type": "bool"},
    "min_duration_us": {"type": "float"},
}
PROGRAM = {
    "name": {"type": "str"},
    "type": {"type": "str", "choices": ["tracepoint", "kprobe", "kretprobe"], "default": "tracepoint"},
    "target": {"type": "str", "required": True},
    "duration": {"type": "float", "default": 10},
    "filters": {"type": "dict", "options": FILTERS},
    "description": {"type": "str"},
}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "programs": {"type": "list", "elements": "dict", "options": PROGRAM, "required": True},
            "max_events": {"type": "int", "default": 50},
            "max_cpu_share": {"type": "float"},
            "compiler": {"type": "str", "choices": ["needed", "always", "never"], "default": "needed"},
            "privileges": {"type": "str", "choices": ["auto", "least", "root"]},
            "_asked_by": {"type": "dict", "default": {}},
            "_bpf": {"type": "str", "no_log": True},
            "_progress": {"type": "str"},
        },
        supports_check_mode=True,
    )
    ending = Ending()
    ending.watch()
    try:
        trace(module, ending)
    except (EbpfError, PrivilegesError, Stopped) as error:
        module.fail_json(msg=str(error))


def trace(module: AnsibleModule, ending: Ending) -> None:
    share = module.params["max_cpu_share"]
    bundle = Bundle.unpack(module.params["_bpf"] or "")
    programs_ready = Programs(bundle, module.params["compiler"])
    tracer = Tracer(
        bundle,
        own_roots=[os.getpid(), connection_root()],
        stop=ending.event,
        limits=TraceLimits(programs=MAX_PROGRAMS, events=max(0, module.params["max_events"]), cpu_share=share),
        programs=programs_ready,
    )
    with contextlib.closing(Tracing(tracer, programs_ready, ending, module.params["privileges"])) as tracing:
        _trace(module, ending, tracing)


def _trace(module: AnsibleModule, ending: Ending, tracing: Tracing) -> None:
    programs, share = module.params["programs"], module.params["max_cpu_share"]
    problems = tracing.check(programs)
    if share is not None and share < 0:
        problems.append(f"The parameter max_cpu_share is {share:g}; it can be 0 (no limit) or more.")
    if problems or not programs:
        module.fail_json(msg=" ".join(problems) or "There is no program to trace: the list is empty.")
    if module.check_mode:
        would = [f"{program['type']} {program['target']} for {program['duration']:g} s" for program in programs]
        module.exit_json(changed=False, would_trace=would)
    # What is traced is what the playbook says, so that a host where it cannot be put on record is traced all the same.
    actions = ActionLog(new_id(), kind=TRACE, required=False)
    about = {"programs": [f"{program['type']} {program['target']}" for program in programs]}
    options = {name: module.params[name] for name in ("max_events", "max_cpu_share", "compiler", "privileges")}
    with actions.recorded(who_asked(module.params["_asked_by"]), about, options) as outcome:
        for program in programs:
            actions.program_started(program)
        results = tracing.run(programs, ProgressFile(module.params["_progress"]))
        for key, result in results.items():
            actions.program_ended(key, result)
        ending.check()
        errors = [result["error"] for result in results.values() if "error" in result]
        found = {"ebpf_results": results, "trace_id": actions.identifier, "action_log": actions.describe()}
        found["privileges"] = tracing.describe()
        outcome.update(bytes_returned=len(json.dumps(found, default=str)))
        if errors:
            outcome.update(ended="failed", error=" ".join(dict.fromkeys(errors)))
    if errors:
        module.fail_json(msg=outcome["error"], **found)
    module.exit_json(changed=False, **found)


if __name__ == "__main__":
    main()
