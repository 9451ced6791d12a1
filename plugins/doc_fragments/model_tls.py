# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """The options of modules that connect to a model's server: whom they trust, and as who they come."""

    DOCUMENTATION = r"""
options:
  ca_path:
    description:
      - Certificates of authorities that are trusted besides those of the system, on the machine that connects. A file
        in PEM format, or a folder of such files as C(openssl rehash) makes it.
      - Where this is not set, C(ca_path) of C(/etc/nannyapi/diagnostics.json) counts, with its own endpoint only. So it
        is for the next three.
    type: path
    version_added: 0.1.0
  validate_certs:
    description:
      - With V(false), a server's certificate is not looked at, and whoever is on the way can read and change what is
        sent and answered, the key too. Without it, certificates are validated.
    type: bool
    version_added: 0.1.0
  client_cert:
    description:
      - The certificate to show to a server that asks who connects, a file in PEM format on the machine that connects.
    type: path
    version_added: 0.1.0
  client_key:
    description:
      - The key that belongs to O(client_cert), a file in PEM format without a password. Not needed where
        O(client_cert) holds both.
    type: path
    version_added: 0.1.0
"""
