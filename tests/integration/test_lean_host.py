# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What setting a host up does for compiling eBPF programs, by the role's variable. Only looked at, never done."""

from __future__ import annotations

from pathlib import Path

import pytest

from playbooks import Ansible

HAS_BTF = Path("/sys/kernel/btf/vmlinux").exists()


@pytest.mark.parametrize(("compiler", "compiles"), [("never", False), ("needed", not HAS_BTF), ("always", True)])
def test_a_host_gets_headers_and_bcc_only_where_something_may_be_compiled(
    ansible: Ansible, compiler: str, compiles: bool
) -> None:
    role = {"ansible.builtin.include_role": {"name": "nannyapi.diagnostics.setup"}}
    variables = {"nannyapi_setup_force": True, "nannyapi_compiler": compiler}
    looked = ansible.tasks([{"block": [role], "check_mode": True}], variables, environment={"ANSIBLE_VERBOSITY": "1"})
    # The packages that are looked for, as they stand in the command that asks for them.
    assert '"python3-venv"' in looked.output
    assert ('"python3-bpfcc"' in looked.output) == compiles
    assert ("TASK [nannyapi.diagnostics.kernel_headers : " in looked.output) == compiles
