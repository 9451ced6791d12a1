# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private to the collection: what of the host's tree a sandboxed command finds masked.

Most secrets only root may read, and a command is not root. A mask hides what the account could read all the same, and
everything from commands that are granted DAC_READ_SEARCH. Sockets by which something could be made to act are masked
always.
"""

from __future__ import annotations

import glob
import itertools
import os
import stat
from dataclasses import dataclass, field

# File name patterns; a directory is masked as a whole.
SECRETS = (
    "/etc/shadow*",
    "/etc/gshadow*",
    "/etc/security/opasswd*",
    "/var/backups/*shadow*",
    "/etc/nannyapi",
    "/var/lib/nannyapi",
    "/etc/ssh/ssh_host_*_key",
    "/etc/ssh/ssh_host_*_key[-.~][!p]*",  # copies; NAME.pub is for everybody
    "/etc/ssl/private",
    "/etc/pki/tls/private",
    "/etc/pki/nssdb",
    "/etc/pki/consumer",
    "/etc/pki/entitlement",
    "/etc/letsencrypt/accounts",
    "/etc/letsencrypt/archive",
    "/etc/letsencrypt/keys",
    "/etc/wireguard",
    "/etc/openvpn",
    "/etc/ipsec.d/private",
    "/etc/swanctl/private",
    "/etc/*.secrets",
    "/etc/ppp/*secrets",
    "/etc/NetworkManager/system-connections",
    "/run/NetworkManager/system-connections",
    "/etc/wpa_supplicant",
    "/etc/kubernetes",
    "/etc/rancher",
    "/var/lib/kubelet/pki",
    # Not all of it: volumes are mounted below, of which df tells.
    "/var/lib/kubelet/*config*",
    "/var/lib/kubelet/*.env",
    "/var/lib/rancher",
    "/var/lib/etcd",
    "/etc/docker/key.json",
    "/run/secrets",
    "/run/credentials",
    "/run/user/*/keyring",
    "/run/user/*/gnupg",
    "/etc/credstore",
    "/etc/credstore.encrypted",
    "/etc/sssd",
    "/etc/samba/private",
    "/var/lib/samba/private",
    "/var/lib/sss/db",
    "/var/lib/sss/secrets",
    "/etc/vault.d",
    "/etc/consul.d",
    "/etc/nomad.d",
    "/var/lib/systemd/credential.secret",
    "/var/lib/systemd/random-seed",
    "/etc/mysql/debian.cnf",
    "/etc/postfix/sasl_passwd*",
    "/etc/exim4/passwd.client",
    "/etc/krb5.keytab",
    "/etc/cifs*",
    "/etc/apt/auth.conf",
    "/etc/apt/auth.conf.d",
    "/etc/ceph/*.keyring",
    "/etc/corosync/authkey",
    "/etc/pacemaker/authkey",
    "/etc/cryptsetup-keys.d",
    "/etc/luks",
    "/etc/munge",
    "/etc/zabbix/*.psk",
    "/var/lib/cloud/instances/*/user-data*",
    "/var/lib/cloud/instances/*/vendor-data*",
    "/var/lib/cloud/instances/*/obj.pkl",
    "/run/cloud-init/*sensitive*",
    "/run/cloud-init/combined-cloud-config.json",
    "/var/cache/debconf/passwords.dat*",
    "/var/lib/pcsd",
    "/var/lib/krb5kdc",
    "/var/kerberos/krb5kdc",
    "/etc/chrony*/chrony.keys",
    "/etc/chrony.keys",
    "/etc/ntp.keys",
    "/etc/ntp/keys",
    "/etc/racoon",
    "/etc/ha.d/authkeys",
    "/etc/restic",
    "/etc/borg*",
    "/etc/pve/priv",
    "/etc/rsync*.passwd",
    "/etc/rsync*.secrets",
    "/etc/postfix/sasl",
    "/etc/samba/smbpasswd",
    "/etc/dovecot/users",
    "/etc/pam_radius_auth.conf",
    "/etc/raddb",
    "/etc/freeradius",
    "/var/lib/snmp",
    "/var/lib/net-snmp",
    "/var/lib/bluetooth",
    "/var/lib/amazon/ssm",
    "/var/lib/cloud/seed",
    "/var/lib/NetworkManager/secret_key",
    "/var/lib/ceph/*/*/keyring",
    "/run/containers/*/auth.json",
    "/tmp/krb5cc*",
    # What processes had in memory.
    "/swap.img",
    "/swapfile*",
    "/var/lib/systemd/coredump",
    "/var/crash",
    "/var/spool/abrt/*/coredump",
    "/var/spool/abrt/*/environ",
    # Backups and other trees, as far as they are where such usually are.
    "/mnt/*/etc/*shadow*",
    "/media/*/etc/*shadow*",
    "/srv/*/etc/*shadow*",
    "/root/*shadow*",
    "/root/*-ks.cfg",
    "/opt/*/.env*",
    "/srv/*/.env*",
    "/var/www/*/.env*",
    # Files and not their folders, which may be mounts that df tells of.
    "/var/lib/mysql/mysql/*",
    "/var/lib/postgresql/*/*/global",
    "/var/lib/pgsql/data/global",
    "/var/lib/pgsql/*/data/global",
    "/var/lib/ldap/*.mdb",
    "/var/lib/redis/*.rdb",
    "/var/lib/redis/*.aof",
    *(
        f"{home}/{name}"
        for home in ("/root", "/home/*")
        for name in (
            ".ssh",
            ".gnupg",
            ".aws",
            ".azure",
            ".config/gcloud",
            ".config/gh",
            ".docker",
            ".kube",
            ".netrc",
            ".pgpass",
            ".my.cnf",
            ".git-credentials",
            ".npmrc",
            ".pypirc",
            ".vault-token",
            ".password-store",
            ".local/share/keyrings",
            ".mozilla",
            ".*_history",
        )
    ),
)

SOCKETS = (
    "/run/docker.sock",
    "/run/docker",
    "/run/containerd",
    "/run/podman",
    "/run/crio",
    "/run/k3s",
    "/run/lxd*",
    "/var/snap/lxd/common/lxd",
    "/var/lib/lxd",
    "/run/libvirt",
    "/run/systemd/private",
    "/run/systemd/io.system*",
    "/run/dbus",
    "/run/user/*/bus",
    "/run/user/*/systemd",
    "/run/user/*/podman",
    "/run/snapd*.socket",
)

# With more, the homes are masked as a whole, and with still more there is no sandbox: nothing may be left open.
_MOST = 1000
_HOMES = ("/root", "/home")


class TooMuchToMask(Exception):
    """A host with more secrets than a sandbox can mask one by one; the message is a clause."""


@dataclass(frozen=True)
class Masks:
    """What is there to be masked: (path, whether it is a directory)."""

    always: tuple[tuple[str, bool], ...] = field(default=())
    for_account: tuple[tuple[str, bool], ...] = field(default=())
    for_capable: tuple[tuple[str, bool], ...] = field(default=())

    def options(self, capable: bool, spare: str | None = None) -> list[str]:
        """bwrap's options; `spare` is a path below which nothing is masked by itself."""
        found = (*self.always, *(self.for_capable if capable else self.for_account))
        options: list[str] = []
        for path, is_directory in found:
            if path == spare:
                continue
            if is_directory:
                options += ["--tmpfs", path, "--remount-ro", path]
            else:
                options += ["--ro-bind", "/dev/null", path]
        return options


def find_masks(also_secret: tuple[str, ...] = ()) -> Masks:
    """What this host has of it; `also_secret` are further file name patterns. Raises TooMuchToMask."""
    wanted = (*also_secret, *SECRETS)
    try:
        named = _existing(wanted)
    except TooMuchToMask:
        named = _existing((*_HOMES, *(pattern for pattern in wanted if not pattern.startswith(_HOMES))))
    # What a site names is masked for every command, whoever may read it.
    chosen = set(_existing(also_secret))
    readable = tuple(one for one in named if one in chosen or _open_to_others(*one))
    return Masks(_existing(SOCKETS), readable, named)


def _existing(patterns: tuple[str, ...]) -> tuple[tuple[str, bool], ...]:
    """Real paths, none of them within another. Raises TooMuchToMask."""
    names = list(itertools.islice((name for pattern in patterns for name in glob.iglob(pattern)), _MOST + 1))
    if len(names) > _MOST:
        raise TooMuchToMask(f"it has more than {_MOST} files with secrets to be masked")
    paths = sorted({os.path.realpath(name) for name in names} - {"/"})
    kept: list[tuple[str, bool]] = []
    for path in paths:
        inside = any(is_directory and path.startswith(f"{outer}/") for outer, is_directory in kept)
        try:
            mode = os.lstat(path).st_mode
        except OSError:
            continue
        if not inside and (stat.S_ISDIR(mode) or stat.S_ISREG(mode) or stat.S_ISSOCK(mode)):
            kept.append((path, stat.S_ISDIR(mode)))
    return tuple(kept)


def _open_to_others(path: str, is_directory: bool) -> bool:
    return may_be_read_by_others(path, 0o1 if is_directory else 0o4)


def may_be_read_by_others(path: str, needed: int = 0o4) -> bool:
    """Whether the mode bits for others give `needed` at `path` and the way to it."""
    try:
        if os.stat(path).st_mode & needed != needed:
            return False
        parent = os.path.dirname(path)
        while True:
            if not os.stat(parent).st_mode & 0o1:
                return False
            if parent == "/":
                return True
            parent = os.path.dirname(parent)
    except OSError:
        return False
