# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private to the collection: which files are never shown, as data.

Expressions are matched against the whole path, with links resolved and without: `/etc/…` is what it points to as well.
`/proc` and `/sys` are listed where reading gives away another process's memory, or changes something.
"""

from __future__ import annotations

_HOME = r"/(root|home/[^/]+|var/lib/[^/]+)"
_PROCESS = r"/proc/(\d+|self|thread-self)(/task/\d+)?"

# (expression, what it is)
SECRET_PATHS: list[tuple[str, str]] = [
    (r"/etc/(shadow|gshadow)[^/]*", "password hashes"),
    (r"/etc/security/opasswd.*", "password hashes"),
    (r"/etc/nannyapi(/.*)?", "this collection's own key and configuration"),
    (r"/var/lib/nannyapi(/.*)?", "records of earlier diagnoses"),
    (_HOME + r"/\.[^/].*", "hidden files of a home directory, which hold keys, tokens and histories"),
    (r".*/ssh_host_[a-z0-9]+_key([-.~][^/]*)?", "a private key"),
    (r"/etc/(ssl|pki/tls)/private(/.*)?", "private keys"),
    (r"/etc/pki/(nssdb|consumer|entitlement)(/.*)?", "private keys"),
    (r"/etc/letsencrypt/(accounts|keys)(/.*)?", "private keys"),
    (r"/etc/(wireguard|openvpn|ipsec\.d/private|swanctl/private|strongswan)(/.*)?", "private keys"),
    (r"/etc/(ipsec|strongswan)[^/]*\.secrets", "shared secrets"),
    (r"/etc/ppp/[^/]*secrets", "shared secrets"),
    (r"/etc/(NetworkManager/system-connections|wpa_supplicant)(/.*)?", "network passwords"),
    (r"/(etc|run)/NetworkManager/system-connections(/.*)?", "network passwords"),
    (r"/etc/(kubernetes|rancher)(/.*)?", "cluster credentials"),
    (r"/var/lib/(kubelet|rancher|etcd)(/.*)?", "cluster credentials"),
    (r"/(etc/docker/key\.json|var/lib/(docker|containerd|containers)(/.*)?)", "a container engine's own data"),
    (r"/run/(containerd|docker|crio|podman|runc|libpod|k3s)(/.*)?", "a container engine's own data"),
    (
        r"/var/lib/cloud/instances?/(.*/)?((user|vendor)-data[^/]*|obj\.pkl|cloud-config[^/]*|scripts/.*)",
        "a cloud's user data",
    ),
    (r"/run/cloud-init/.*(sensitive|combined-cloud-config)[^/]*", "a cloud's user data"),
    (r"/var/cache/debconf/passwords\.dat[^/]*", "passwords"),
    (r"/etc/apt/auth\.conf(\.d/.*)?", "credentials"),
    (r"/etc/(cryptsetup-keys\.d|luks|pacemaker/authkey|corosync/authkey|munge)(/.*)?", "keys"),
    (r"/var/lib/(pcsd/(tokens|known-hosts)|krb5kdc/.*|heimdal-kdc/.*|AccountsService/users/.*)", "credentials"),
    (r"/var/kerberos/krb5kdc(/.*)?", "keys"),
    (
        r"/var/lib/(mysql|mongodb|redis|ldap|clickhouse|influxdb)/(?!(.*/)?[^/]*\.(err|log|cnf|conf|pid)$).*",
        "a database's data",
    ),
    (r"/var/lib/(postgresql|pgsql)/.*/(base|global|pg_wal|pg_xact|pg_tblspc)(/.*)?", "a database's data"),
    (r"/run/(secrets|credentials|user/\d+/(keyring|gnupg))(/.*)?", "credentials"),
    (r"/etc/(credstore|credstore\.encrypted)(/.*)?", "credentials"),
    (r"/etc/(sssd|samba/private|vault\.d|consul\.d|nomad\.d|grafana/provisioning)(/.*)?", "credentials"),
    (r"/var/lib/(sss|samba/private|systemd/credential\.secret|systemd/random-seed)(/.*)?", "credentials"),
    (r"/etc/(mysql/debian\.cnf|postfix/sasl_passwd[^/]*|exim4/passwd\.client|fetchmailrc|cifs[^/]*)", "credentials"),
    (r"/var/backups/(shadow|gshadow|passwd|group)[^/]*", "password hashes"),
    (r".*/(id_(rsa|dsa|ecdsa|ed25519)(_sk)?([-.~][^/]*)?|authorized_keys)", "keys"),
    (
        r"(?i).*\.(key|p12|pfx|pkcs12|jks|keystore|kdbx|keytab|ppk|asc|gpg|ovpn|psk|keyring|priv|private)"
        r"(~|[-._](bak|backup|old|orig|save|saved|swp|copy|tmp|\d+)[^/]*)?",
        "keys",
    ),
    (
        r"(?i).*/(keyring|psk(\.txt)?|token|auth[-_]?keys?|auth\.json|(anaconda|original)-ks\.cfg|[^/]*\.ks)",
        "credentials",
    ),
    (r".*/krb5cc[^/]*", "Kerberos tickets"),
    (r"(?i)(?!/(sys|proc|run/systemd)/).*/[^/]*(passwor[dt]|passwd|passphrase|vault[-_]?pass)[^/]*", "passwords"),
    (r"/etc/(chrony\.keys|chrony/.*\.keys|ntp\.keys|ntp/(keys|crypto/.*))", "shared secrets"),
    (r"/etc/(racoon|ha\.d|restic|borg|borgmatic|pve/priv|postfix/sasl)(/.*)?", "credentials"),
    (r"/etc/(pam_radius_auth\.conf|raddb/.*|freeradius/.*|samba/smb(passwd|secrets)[^/]*)", "credentials"),
    (r"/etc/dovecot/(users|passwd[^/]*|dovecot-(sql|ldap)[^/]*)", "credentials"),
    (r"/var/lib/(snmp|net-snmp|bluetooth|amazon/ssm|cloud/seed|NetworkManager/secret_key)(/.*)?", "keys"),
    (r"/var/lib/(systemd/coredump|apport/coredump)/.*", "memory of programs that crashed"),
    (r"/var/(crash/(?!(.*/)?[^/]*dmesg[^/]*$)|spool/abrt/(.*/)?(environ|coredump|core)).*", "memory of what crashed"),
    (r"(/.*)?/(swap\.img|swapfile)[^/]*|/swap[^/]*", "what processes had in memory"),
    (r"(?i).*\.(qcow2|vmdk|vdi|vhdx?|vmem|vmss)", "the disk or the memory of a machine"),
    (r"(?!/etc/ssl/certs/|/usr/share/|/etc/pki/(ca-trust|tls/certs)/).*(?<!/cert)(?<!chain)\.pem", "a private key"),
    (r"(?i).*/\.?(env|htpasswd|netrc|pgpass|my\.cnf|git-credentials|vault-token|npmrc|pypirc|s3cfg)", "credentials"),
    (r"(?i).*/[^/]*\.env(\.[^/]*)?", "credentials"),
    (r"(?i).*/[^/]*(secret|credential)[^/]*(/.*)?", "credentials"),
    (r"(?i).*/[^/]*[._-]token", "credentials"),
    (_PROCESS + r"/environ", "a process's environment, where secrets are"),
    (_PROCESS + r"/(mem|pagemap|auxv|syscall)", "another process's memory"),
    (_PROCESS + r"/(root|cwd|fd|map_files)/.*", "files by way of another process"),
    (_PROCESS + r"/(exe|root|cwd)", "files by way of another process"),
    (r"/proc/(kcore|kmsg|vmcore|kpage[a-z]*|keys|key-users|acpi/.*)", "the kernel's memory"),
    (r"/proc/sys/net/(.*/)?[^/]*_key", "a secret of the kernel's"),
    (r"/dev(/.*)?", "devices"),
    (r"/inet[46]?/.*", "a connection to gawk, and no file"),
    (r"/proc/bus/pci/.*/.*", "a device's own memory"),
    (r"/sys/kernel/debug(?!/tracing/)(/.*)?", "the kernel's debugging files, reading which may act"),
    (r"/sys/kernel/(debug/)?tracing/(.*/)?(trace|trace_pipe|trace_pipe_raw|snapshot)(_raw)?", "a running trace"),
    (r"/sys/(.*/)?(rom|vpd|eeprom|nvmem|resource\d+(_wc)?|config)", "a device's own memory"),
    (r"/sys/firmware/efi/efivars(/.*)?", "firmware variables"),
    (r".*/g?shadow([-.~][^/]*)?", "password hashes"),
]

# Never secret, though an expression above might take them for it.
PUBLIC_PATHS: list[str] = [
    r".*\.pub",
    r"/usr/(lib|share|include)/.*",
    r"/etc/pam\.d/.*",
    r"/etc/(cron\.[a-z]+|logrotate\.d|init\.d|apparmor\.d|default)/passwd",
    r"/etc/passwd([-+]|\.[a-z]+)?",  # without passwords; those are in shadow
    # What containers print, where links below /var/log/containers lead.
    r"/var/lib/docker/containers/[0-9a-f]+/[0-9a-f]+-json\.log(\.\d+)?",
    r"/dev/null",
    r"/etc/(mysql/)?my\.cnf",
    r"/proc/config\.gz",
    # Generated afresh by systemd's generators or packages, with no key in them.
    r"/var/lib/(dpkg|apt|rpm|dbus|systemd|NetworkManager|dhcp[a-z]*|chrony|logrotate)/(?!coredump/|.*secret|.*seed$)[^.].*",
]
