# Copyright: (c) 2026, NannyAPI contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which files are secret by their place and name, and which are not though they sound so."""

from __future__ import annotations

import pytest

from ansible_collections.nannyapi.diagnostics.plugins.module_utils.commands import paths, sandbox_mounts
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.commands.errors import Refused
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.commands.paths import PathJudge

SECRET = [
    "/swapfile", "/swap.img", "/var/swapfile", "/var/crash/1/vmcore", "/var/crash/_usr_bin_app.0.crash",
    "/var/lib/systemd/coredump/core.app.zst", "/var/spool/abrt/ccpp-1/environ", "/srv/images/web.qcow2",
    "/tmp/krb5cc_0", "/etc/chrony/chrony.keys", "/etc/chrony.keys", "/etc/ntp.keys", "/etc/ntp/keys",
    "/var/lib/ceph/osd/ceph-0/keyring", "/etc/racoon/psk.txt", "/etc/ha.d/authkeys",
    "/var/lib/NetworkManager/secret_key", "/etc/restic/password", "/etc/borg/passphrase", "/etc/ansible/vault_pass",
    "/etc/pve/priv/known", "/etc/rsyncd.passwd", "/etc/app/token", "/etc/postfix/sasl/sasl_passwd",
    "/etc/samba/smbpasswd", "/etc/dovecot/users", "/etc/pam_radius_auth.conf", "/etc/raddb/server",
    "/var/lib/snmp/snmpd.conf", "/run/containers/0/auth.json", "/var/lib/cloud/seed/nocloud/user-data",
    "/root/anaconda-ks.cfg", "/var/lib/bluetooth/00/11/info", "/x/app.key.bak", "/x/app.key~", "/x/id_rsa.old",
    "/x/app.priv", "/x/app.private", "/mnt/backup/shadow",
]  # fmt: skip

PUBLIC = [
    "/etc/passwd", "/etc/passwd-", "/etc/pam.d/passwd", "/etc/pam.d/common-password", "/etc/cron.daily/passwd",
    "/etc/login.defs", "/usr/share/doc/passwd/copyright", "/var/lib/dpkg/info/passwd.list",
    "/var/crash/202601/dmesg.202601", "/proc/swaps", "/proc/sys/vm/swappiness", "/var/log/swap.log",
    "/var/lib/systemd/timers/stamp-apt-daily.timer", "/var/lib/NetworkManager/NetworkManager.state",
    "/etc/ssh/sshd_config", "/x/id_rsa.pub", "/etc/chrony/chrony.conf", "/etc/dovecot/dovecot.conf",
    "/etc/postfix/main.cf", "/etc/samba/smb.conf", "/var/log/auth.log", "/etc/fstab", "/etc/crypttab",
    "/etc/tokens.conf", "/etc/security/limits.conf",
]  # fmt: skip


@pytest.mark.parametrize("path", SECRET)
def test_what_is_secret_is_not_shown(path: str) -> None:
    with pytest.raises(Refused, match="is not shown"):
        PathJudge().may_read(path)


@pytest.mark.parametrize("path", PUBLIC)
def test_what_only_sounds_secret_is_shown(path: str) -> None:
    PathJudge().may_read(path)


def test_what_the_kernel_swaps_to_is_secret_wherever_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "_swap_files", lambda: frozenset({"/data/pages 1"}))
    with pytest.raises(Refused, match="had in memory"):
        PathJudge().may_read("/data/pages 1")


def test_where_there_is_too_much_to_mask_homes_are_masked_whole_and_then_nothing_is_run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> None:
    tried: list[tuple[str, ...]] = []

    def existing(patterns: tuple[str, ...]) -> tuple[tuple[str, bool], ...]:
        tried.append(patterns)
        if any(pattern.startswith("/home/") for pattern in patterns):
            raise sandbox_mounts.TooMuchToMask("it has more")
        return tuple((pattern, True) for pattern in patterns)

    monkeypatch.setattr(sandbox_mounts, "_existing", existing)
    masks = sandbox_mounts.find_masks(("/srv/vault/*",))
    assert tried[0][0] == "/srv/vault/*"
    assert {("/home", True), ("/root", True), ("/srv/vault/*", True), ("/etc/wireguard", True)} <= set(
        masks.for_capable
    )
    monkeypatch.undo()
    monkeypatch.setattr(sandbox_mounts, "_MOST", 0)
    with pytest.raises(sandbox_mounts.TooMuchToMask, match="more than 0 files"):
        sandbox_mounts.find_masks(("/etc/host*",))
