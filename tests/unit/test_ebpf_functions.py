# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which function a request means, and why another one takes no probe; on files recorded from Debian's kernels."""

from __future__ import annotations

import difflib
import errno
import fnmatch
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from kernel_folder import CASES, KPROBES, NOBODY, TRACEFS, TRACER, KernelFolder

from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf import capability, tracefs
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.bundle import Bundle
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.errors import (
    EbpfError,
    HostError,
    RequestError,
)
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.functions import FunctionTarget
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.kernel_files import KernelFiles
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.refusals import explain_refusal
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.request import Filters, ProgramRequest
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.symbols import Symbols
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.ebpf.targets import (
    SyscallTarget,
    Target,
    Targets,
    TracepointTarget,
)

BUNDLE = Bundle.from_directory(Path(__file__).resolve().parents[2] / "bpf")
KERNELS = ("5.10", "6.1", "6.12")
TARGETS: list[dict[str, Any]] = yaml.safe_load((CASES / "targets.yml").read_text())
TABLE = [str(case["asked"]) for case in TARGETS[:8]]


def cases() -> list[Any]:
    """Each case on each kernel that it is about."""
    found = []
    for case in TARGETS:
        for kernel in KERNELS:
            if kernel in case.get("kernels", KERNELS):
                expected = {**case, **case.get("kernels", {}).get(kernel, {})}
                found.append(pytest.param(kernel, expected, id=f"{kernel}-{case['asked'].strip()}"))
    return found


@pytest.fixture(scope="session")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> dict[str, KernelFolder]:
    """A folder for each kernel, which no test changes."""
    return {kernel: KernelFolder(tmp_path_factory.mktemp(kernel), f"debian-{kernel}") for kernel in KERNELS}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> KernelFolder:
    monkeypatch.setattr(tracefs, "_MOUNTS", (tmp_path / TRACEFS,))
    return KernelFolder(tmp_path)


def resolve(folder: KernelFolder, target: str, kind: str = "kprobe", **filters: Any) -> Target:
    targets = Targets(BUNDLE, files=KernelFiles(folder.root))
    return targets.resolve(ProgramRequest("test", kind, target, 10, Filters(**filters)))


def refusal(folder: KernelFolder, target: str, kind: str = "kprobe") -> str:
    with pytest.raises(EbpfError) as caught:
        resolve(folder, target, kind)
    return str(caught.value)


@pytest.mark.parametrize(("kernel", "expected"), cases())
def test_a_function_is_found_or_its_refusal_says_why_and_what_works(
    recorded: dict[str, KernelFolder], monkeypatch: pytest.MonkeyPatch, kernel: str, expected: dict[str, Any]
) -> None:
    folder = recorded[kernel]
    monkeypatch.setattr(tracefs, "_MOUNTS", (folder.root / TRACEFS,))
    if expected.get("error"):
        said = refusal(folder, expected["asked"])
        assert said.endswith(".")
        assert said.count(",") <= 12
    else:
        target = resolve(folder, expected["asked"])
        said = target.note or ""
        if "name" in expected:
            assert isinstance(target, FunctionTarget)
            assert (target.name, target.module) == (expected["name"], expected.get("module"))
            assert target.requested == expected["asked"]
            assert target.arguments_moved is expected.get("moved", False)
            assert target.hooked is True
        else:
            assert not isinstance(target, FunctionTarget)
            assert target.event == expected["event"]
        assert bool(said) == ("says" in expected), said
    for part in expected.get("says", []):
        assert part in said


@pytest.mark.parametrize("kernel", KERNELS)
def test_what_a_refusal_proposes_takes_a_probe(
    recorded: dict[str, KernelFolder], monkeypatch: pytest.MonkeyPatch, kernel: str
) -> None:
    folder = recorded[kernel]
    monkeypatch.setattr(tracefs, "_MOUNTS", (folder.root / TRACEFS,))
    proposed = 0
    for name in ("tcp_conect", "__schedule", "vfs_raed", "kmalloc", "tcp_sendmg", "shcedule"):
        listed = refusal(folder, name).partition("What works here: ")[2].rstrip(".").split(", ")
        assert 1 <= len(listed) <= 5
        for other in listed:
            kind, _space, event = other.rpartition(" ")
            target = resolve(folder, event, kind or "kprobe")
            assert target.note is None
            proposed += 1
    assert proposed > 10


@pytest.mark.parametrize("kind", ["kprobe", "kretprobe"])
def test_a_return_is_kept_apart_from_an_entry(folder: KernelFolder, kind: str) -> None:
    target = resolve(folder, "tcp_connect", kind)
    assert isinstance(target, FunctionTarget)
    assert target.at_return is (kind == "kretprobe")
    assert target.symbol == "tcp_connect"


def test_a_function_of_a_module_is_spelt_for_kprobes_with_its_module(folder: KernelFolder) -> None:
    target = resolve(folder, "ext4_sync_file")
    assert isinstance(target, FunctionTarget)
    assert (target.module, target.symbol) == ("ext4", "ext4:ext4_sync_file")


def test_a_function_in_the_kernel_and_in_a_module_is_asked_for_by_its_home(folder: KernelFolder) -> None:
    folder.add("proc/kallsyms", "ffffffffc0000000 t tcp_v4_connect\t[odd]\n")
    assert "2 functions are called tcp_v4_connect, in the kernel itself and the module odd" in refusal(
        folder, "tcp_v4_connect"
    )
    by_module = resolve(folder, "odd:tcp_v4_connect")
    assert isinstance(by_module, FunctionTarget)
    assert by_module.symbol == "odd:tcp_v4_connect"
    by_itself = resolve(folder, "vmlinux:tcp_v4_connect")
    assert isinstance(by_itself, FunctionTarget)
    assert by_itself.symbol == "tcp_v4_connect"


def test_code_that_programs_and_probes_brought_is_no_function_of_the_kernel(folder: KernelFolder) -> None:
    folder.remove(f"{TRACEFS}/available_filter_functions")
    folder.add("proc/kallsyms", "ffffffffc0000000 t bpf_prog_6deef7357e7b4530\t[bpf]\n")
    folder.add("proc/kallsyms", "ffffffffc0001000 t ftrace_trampoline\t[__builtin__ftrace]\n")
    for name in ("bpf_prog_6deef7357e7b4530", "ftrace_trampoline"):
        assert f"this kernel has no function {name}" in refusal(folder, name)


def test_what_does_the_work_is_traced_where_the_name_asked_for_is_only_one_way_to_it(folder: KernelFolder) -> None:
    for name, inner in (("__free_pages", "___free_pages"), ("__alloc_pages", "__alloc_frozen_pages_noprof")):
        folder.add("proc/kallsyms", f"ffffffff81000000 t {inner}\n")
        folder.add(f"{TRACEFS}/available_filter_functions", f"{inner}\n")
        if name == "__alloc_pages":
            text = (folder.root / "proc/kallsyms").read_text().replace(" __alloc_pages\n", " __alloc_pages_noprof\n")
            folder.write("proc/kallsyms", text)
            folder.add(f"{TRACEFS}/available_filter_functions", "__alloc_pages_noprof\n")
        target = resolve(folder, name)
        assert isinstance(target, FunctionTarget)
        assert target.name == inner
        assert f"only calls {inner}, to which others go directly" in str(target.note)


def test_an_inlined_function_of_which_a_rare_path_is_left_is_said_to_be_inlined(folder: KernelFolder) -> None:
    folder.add("proc/kallsyms", "ffffffff81000000 t orchard_gate.cold\n")
    assert "orchard_gate was inlined by the compiler into its callers" in refusal(folder, "orchard_gate")


def test_a_function_whose_beginning_was_inlined_is_traced_and_said_to_lack_calls(folder: KernelFolder) -> None:
    folder.add("proc/kallsyms", "ffffffff81000000 t orchard_gate.part.0\n")
    folder.add(f"{TRACEFS}/available_filter_functions", "orchard_gate.part.0\n")
    target = resolve(folder, "orchard_gate")
    assert isinstance(target, FunctionTarget)
    assert (target.name, target.arguments_moved) == ("orchard_gate.part.0", True)
    assert "calls that end early are not counted" in str(target.note)


def test_a_function_beside_its_copies_is_said_to_lack_their_calls(folder: KernelFolder) -> None:
    folder.add("proc/kallsyms", "ffffffff81000000 t tcp_connect.constprop.0\n")
    target = resolve(folder, "tcp_connect")
    assert "The compiler made tcp_connect.constprop.0 of it as well" in str(target.note)


def test_without_a_blacklist_and_a_list_of_hooks_a_function_is_taken_as_it_is(folder: KernelFolder) -> None:
    folder.remove(f"{TRACEFS}/available_filter_functions")
    folder.remove(f"{KPROBES}/blacklist")
    target = resolve(folder, "__schedule")
    assert isinstance(target, FunctionTarget)
    assert target.hooked is None
    assert "What works here: tcp_connect, " in refusal(folder, "tcp_conect")


def test_without_tracefs_functions_are_found_and_refused_all_the_same(folder: KernelFolder) -> None:
    folder.remove(TRACEFS)
    assert isinstance(resolve(folder, "tcp_connect"), FunctionTarget)
    assert "do_syscall_64 is on the kernel's own blacklist" in refusal(folder, "do_syscall_64")
    assert "is no function's name" in refusal(folder, "sched/sched_switch")
    folder.without_kprobes()
    assert "No tracefs is readable" in refusal(folder, "tcp_connect")


@pytest.mark.parametrize("name", TABLE)
@pytest.mark.parametrize("kind", ["kprobe", "kretprobe"])
def test_without_kprobes_a_tracepoint_stands_in_for_the_protocols_functions(
    folder: KernelFolder, name: str, kind: str
) -> None:
    folder.without_kprobes()
    target = resolve(folder, name, kind)
    assert isinstance(target, (SyscallTarget, TracepointTarget))
    beginning = f"{kind} {name}: this kernel was built without CONFIG_KPROBES; tracepoint"
    assert str(target.note).startswith(beginning)
    assert f"{target.event} " in str(target.note)
    if isinstance(target, SyscallTarget):
        assert target.at_exit is (kind == "kretprobe")
    else:
        assert ("no returned value" in str(target.note)) is (kind == "kretprobe")


def test_without_kprobes_system_calls_that_do_the_same_stand_in_together(folder: KernelFolder) -> None:
    folder.without_kprobes()
    target = resolve(folder, "vfs_read")
    assert isinstance(target, SyscallTarget)
    assert [call.name for call in target.syscalls] == ["read", "pread64"]


def test_without_kprobes_a_tracepoint_of_the_same_name_stands_in(folder: KernelFolder) -> None:
    folder.without_kprobes()
    folder.add(f"{TRACEFS}/available_events", "orchard:orchard_gate\n")
    folder.write(f"{TRACEFS}/events/orchard/orchard_gate/format", "name: orchard_gate\nID: 900\nformat:\n")
    assert "tracepoint orchard/orchard_gate stands in" in str(resolve(folder, "orchard_gate").note)


def test_without_kprobes_an_unknown_function_is_refused_with_tracepoints_of_close_meaning(
    folder: KernelFolder,
) -> None:
    folder.without_kprobes()
    said = refusal(folder, "tcp_conect")
    assert "without CONFIG_KPROBES, and no tracepoint is known that stands in for tcp_conect" in said
    assert "tracepoint syscalls/sys_enter_connect (for tcp_connect)" in said


def test_kprobes_that_are_switched_off_are_no_quiet_probes(folder: KernelFolder) -> None:
    folder.write(f"{KPROBES}/enabled", "0\n")
    assert "kprobes of this kernel are switched off" in str(resolve(folder, "tcp_connect").note)
    assert "kprobes of this kernel are switched off" in refusal(folder, "ext4_sync_file")


def test_a_copy_of_a_function_that_is_blacklisted_takes_no_probe_either(folder: KernelFolder) -> None:
    copied = "do_sysinfo.isra.0"
    assert isinstance(resolve(folder, copied), FunctionTarget)
    folder.add(f"{KPROBES}/blacklist", "0xffffffff950bbe80-0xffffffff950bbf80\tdo_sysinfo\n")
    assert "is on the kernel's own blacklist" in refusal(folder, copied)


def test_schedule_is_answered_by_sched_switch_where_the_kernel_refuses_it(folder: KernelFolder) -> None:
    folder.add(f"{KPROBES}/blacklist", "0xffffffff81000000-0xffffffff81000100\tschedule\n")
    target = resolve(folder, "schedule")
    assert isinstance(target, TracepointTarget)
    assert target.event == "sched_switch"
    assert "schedule is on the kernel's own blacklist" in str(target.note)


def test_filters_on_results_are_refused_where_a_stand_in_has_none(folder: KernelFolder) -> None:
    assert isinstance(resolve(folder, "do_fork", errors_only=True), FunctionTarget)
    folder.without_kprobes()
    assert isinstance(resolve(folder, "tcp_connect", errors_only=True), SyscallTarget)
    with pytest.raises(RequestError, match="sched/sched_process_fork has no result and no duration"):
        resolve(folder, "do_fork", errors_only=True)


@pytest.mark.parametrize("filters", [{"errors_only": True}, {"min_duration_us": 1000.0}])
def test_a_filter_on_what_came_of_a_call_lets_a_kprobe_watch_returns_too(
    folder: KernelFolder, filters: dict[str, Any]
) -> None:
    target = resolve(folder, "tcp_connect", **filters)
    assert isinstance(target, FunctionTarget)
    assert target.at_return is True
    assert "judged when they returned" in str(target.note)
    plain, asked = resolve(folder, "tcp_connect"), resolve(folder, "tcp_connect", "kretprobe", **filters)
    assert isinstance(plain, FunctionTarget)
    assert isinstance(asked, FunctionTarget)
    assert (plain.at_return, asked.at_return, asked.note) == (False, True, None)


def test_without_the_privilege_it_is_said_before_anything_else(folder: KernelFolder) -> None:
    folder.capabilities(NOBODY)
    with pytest.raises(HostError, match="needs root, or the capabilities BPF and PERFMON"):
        resolve(folder, "tcp_connect")
    folder.capabilities(TRACER)
    assert isinstance(resolve(folder, "tcp_connect"), FunctionTarget)


def test_a_lockdown_for_confidentiality_is_said_and_one_for_integrity_is_none(folder: KernelFolder) -> None:
    folder.write("sys/kernel/security/lockdown", "none [integrity] confidentiality\n")
    assert isinstance(resolve(folder, "tcp_connect"), FunctionTarget)
    folder.write("sys/kernel/security/lockdown", "none integrity [confidentiality]\n")
    with pytest.raises(HostError, match="locked down for confidentiality"):
        resolve(folder, "tcp_connect")


def test_symbols_that_cannot_be_read_are_said(folder: KernelFolder) -> None:
    folder.remove("proc/kallsyms")
    assert "at /proc/kallsyms could not be read: No such file or directory" in refusal(folder, "tcp_connect")


NAMES = st.sampled_from([*TABLE, "tcp_", "sys_", ".isra.0", "kvm", "sched", "syscalls", "kprobe", "nope"])
SIGNS = st.sampled_from(["", "+", ":", "/", "*", "?", "[", "]", "%return", "()", " ", ",", ".", "$", "0x1", "\0", "\n"])


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    target=st.text(max_size=30) | st.lists(NAMES | SIGNS, max_size=5).map("".join),
    kind=st.sampled_from(["kprobe", "kretprobe"]),
    kprobes=st.booleans(),
)
@example(target="\ud800", kind="kprobe", kprobes=True)
@example(target="[" * 200, kind="kprobe", kprobes=True)
@example(target="a" * 100_000, kind="kprobe", kprobes=True)
@example(target="a" * 100_000 + "*", kind="kprobe", kprobes=True)
@example(target="*" * 40 + "z", kind="kprobe", kprobes=True)
def test_any_text_as_a_function_gives_a_target_or_a_sentence(
    tmp_path_factory: pytest.TempPathFactory, target: str, kind: str, kprobes: bool
) -> None:
    root = tmp_path_factory.getbasetemp() / f"any-{kprobes}"
    if not root.exists():
        made = KernelFolder(root)
        if not kprobes:
            made.without_kprobes()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tracefs, "_MOUNTS", (root / TRACEFS,))
        targets = Targets(BUNDLE, files=KernelFiles(root))
        try:
            found = targets.resolve(ProgramRequest("test", kind, target, 10, Filters()))
        except EbpfError as error:
            said = str(error)
            assert said.strip().endswith(".")
            assert len(said) < 1200
        else:
            assert found.note is None or found.note.endswith(".")


@pytest.mark.parametrize(
    ("symbol", "code", "part"),
    [
        ("do_syscall_64", errno.EINVAL, "do_syscall_64 is on the kernel's own blacklist"),
        ("__schedule", errno.EINVAL, "__schedule is notrace"),
        ("orchard_gate", errno.ENOENT, "this kernel has no function orchard_gate"),
        ("tcp_connect", errno.EINVAL, "is notrace or on the kernel's own blacklist"),
        ("ext4:ext4_sync_file", errno.ENOENT, "no function ext4_sync_file, or no longer: the module"),
        ("tcp_connect", errno.EPERM, "a security module, a container's seccomp filter, or kernel.perf_event_paranoid"),
        ("tcp_connect", errno.EACCES, "Permission denied (EACCES): "),
        ("cleanup_module", errno.EADDRNOTAVAIL, "several functions have this name"),
        ("tcp_connect", errno.EBUSY, "another tool"),
        ("tcp_connect", errno.ENODEV, "without CONFIG_KPROBES"),
        ("tcp_connect", 524, "not supported (ENOTSUPP)"),
        ("tcp_connect", errno.EIO, "Input/output error (EIO)."),
        ("tcp_connect", None, "(error 0)."),
    ],
)
def test_a_refusal_of_the_kernel_is_explained(folder: KernelFolder, symbol: str, code: Any, part: str) -> None:
    said = explain_refusal(symbol, OSError(code, "said so") if code else OSError(), KernelFiles(folder.root))
    assert said.startswith(f"The kernel refused a probe on {symbol}: ")
    assert part in said
    assert said.endswith(".")


def test_a_refusal_for_lack_of_privilege_or_by_lockdown_is_explained(folder: KernelFolder) -> None:
    folder.write("sys/kernel/security/lockdown", "none integrity [confidentiality]\n")
    said = explain_refusal("tcp_connect", OSError(errno.EPERM, ""), KernelFiles(folder.root))
    assert "lockdown=confidentiality" in said
    folder.capabilities(NOBODY)
    said = explain_refusal("tcp_connect", OSError(errno.EPERM, ""), KernelFiles(folder.root))
    assert "become: true" in said


def test_few_of_many_names_are_compared_letter_by_letter(folder: KernelFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (folder.root / "proc/kallsyms").read_text()
    copies = 100_000 // text.count("\n") + 1
    many = [line[:-1] + f"_{copy}\n" for copy in range(copies) for line in text.replace("\t", "_").splitlines(True)]
    folder.add("proc/kallsyms", "".join(many))
    folder.remove(f"{TRACEFS}/available_filter_functions")
    symbols = Symbols(KernelFiles(folder.root))
    assert symbols.homes("tcp_connect") == [None]
    compared: list[int] = []
    alike = difflib.get_close_matches

    def counted(wanted: str, names: list[str], **options: Any) -> list[str]:
        compared.append(len(names))
        return alike(wanted, names, **options)

    monkeypatch.setattr(difflib, "get_close_matches", counted)
    assert symbols.close("tcp_conect", 5)[0] == "tcp_connect"
    assert 0 < sum(compared) < 1_000


def test_capability_tells_whether_functions_can_be_probed(folder: KernelFolder) -> None:
    able = {"available": True, "reason": None, "remedy": None}
    surveyed: dict[str, Any] = {"lockdown": {"mode": "none", "reason": None, "remedy": None}}

    def answer(tracepoint: dict[str, Any]) -> dict[str, Any]:
        return capability.function_probe(surveyed, tracepoint, KernelFiles(folder.root))

    assert answer(able) == {**able, "kernel_support": True}
    no_compiler = {"available": False, "reason": "no BCC", "remedy": "install it"}
    assert answer(no_compiler) == {**no_compiler, "kernel_support": True}
    folder.write(f"{KPROBES}/enabled", "0\n")
    assert "switched off" in answer(able)["reason"]
    assert "echo 1 >" in answer(able)["remedy"]
    folder.write(f"{KPROBES}/enabled", "1\n")
    folder.capabilities(NOBODY)
    assert answer(able)["remedy"] == "Run the task with become: true."
    folder.capabilities(TRACER)
    surveyed["lockdown"] = {"mode": "confidentiality", "reason": "locked down", "remedy": "boot"}
    assert answer(able)["reason"] == "locked down"
    folder.without_kprobes()
    answered = answer(able)
    assert (answered["available"], answered["kernel_support"]) == (False, False)
    assert answered["reason"] == "This kernel was built without CONFIG_KPROBES, so no function can be probed."


def test_a_pattern_that_fnmatch_makes_nothing_of_is_refused_in_a_sentence(
    folder: KernelFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def older(_names: list[str], pattern: str) -> list[str]:
        raise re.error(f"bad character range in {pattern}")  # as before Python 3.10.6

    monkeypatch.setattr(fnmatch, "filter", older)
    with pytest.raises(RequestError, match=r"sys_enter_\[z-a\]\* is no pattern: bad character range"):
        resolve(folder, "syscalls/sys_enter_[z-a]*", "tracepoint")


SLABS = """slabinfo - version: 2.1
# name            <active_objs> <num_objs> <objsize> <objperslab> <pagesperslab>
aio_kiocb             12     12    192   21    1
io_kiocb              {:>2}     64    256   16    1
"""


@pytest.mark.parametrize(("table", "used"), [(SLABS.format(32), True), (SLABS.format(0), False), ("", False)])
def test_it_is_seen_whether_io_uring_has_had_requests(tmp_path: Path, table: str, used: bool) -> None:
    files = KernelFiles(tmp_path)
    assert files.has_requests_of_io_uring() is False
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc" / "slabinfo").write_text(table)
    assert files.has_requests_of_io_uring() is used
