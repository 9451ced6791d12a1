# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Private to the collection: what a command rule may say.

A rule is data: it lists what a program may be given, and whatever it does not list is refused. Options that are
one and the same are written side by side (`"-n --lines"`). The kinds of values are described in `kinds.py`.
"""

from __future__ import annotations

from typing import TypedDict


class Rule(TypedDict, total=False):
    """How one program may be run; every key may be missing.

    - `style`: how its options are written: `getopt` (the usual: short ones may be joined, long ones take `=`),
      `words` (each option is a word of its own, as in find or ip), `plain` (no options: every word is an operand),
      `ps` (getopt and, without a dash, BSD letters).
    - `flags`: options that take no value. `values`: options that take one, with its kind. `optional`: options whose
      value, if any, is attached to them. `matching`: regular expressions for whole words that are accepted anywhere.
    - `refused`: options with the particular reason why they are not accepted.
    - `options_first`: options end at the first operand, as they do in ip.
    - `excludes`: options that are not accepted beside others, as `{"-T -L": {"-H --forest": "the reason"}}`.
    - `needs`: options of which one must be there, with the reason. `needs_with`: the same, where another one is given.
    - `forms`: what the operands may look like, one string per form. A word of a form is a literal (`show|list`), or
      `@kind`, followed by `?` where it may be missing and by `...` where it may come any number of times.
      Without `forms` a program takes no operands. `forms_with`: other forms, where a certain option is given.
      `*NAME` at the end stands for any number of what `series` holds under that name.
    - `series`: by name, what words may follow each other: a keyword with its values, written like a form.
    - `recursive`: options that make the program read whole directories.
    - `insert`: words put in front of the arguments, so that the program leaves nothing behind.
    - `insert_for`: the same, only where the program is really this one, as `{"gawk": ["--sandbox"]}` for `awk`.
    - `insert_with`: a word put in front where an option has a value that an expression matches, as
      `{"-o --output": {"json": "--output-fields=MESSAGE"}}`, unless the option put in is given already.
    - `runs`: how many operands come before a command that the program runs; that command is judged by its own rule.
    - `bsd_flags`, `bsd_values`: letters of the `ps` style.
    - `capability`: what a use of it needs, as `{"-p --processes": "SYS_PTRACE"}`: the use is named by options of which
      one is given, or is `""` for every use; of `DAC_READ_SEARCH`, `SYS_PTRACE`, `SYSLOG`, `NET_ADMIN`. Only for a use
      in which no path and no code of the caller's choice is opened or run. `NET_ADMIN` is given to listings of the
      firewall alone (`docs/sandbox.md`).
    - `capability_on`: the same for uses that are known by their operands: an expression that each of them matches.
    - `capability_without`: options with which no capability is granted.
    - `network`: the same for address families: `inet`, `inet6`, `netlink`, `packet`, `unix`, `vsock`.
    - `local`: uses in which, whatever the families are for, only this host is asked, each with an expression for the
      operands, joined by blanks. All others speak to other hosts.
    - `dbus`: methods that it may call on the system bus, as `org.freedesktop.systemd1.Manager.GetUnit`.
    - `operands_note`: why other operands are not accepted. `example`: a line that is.
    """

    style: str
    flags: str
    values: dict[str, str]
    optional: dict[str, str]
    matching: list[str]
    refused: dict[str, str]
    options_first: bool
    excludes: dict[str, dict[str, str]]
    needs: dict[str, str]
    needs_with: dict[str, dict[str, str]]
    forms: list[str]
    forms_with: dict[str, list[str]]
    series: dict[str, list[str]]
    recursive: str
    insert: list[str]
    insert_for: dict[str, list[str]]
    insert_with: dict[str, dict[str, str]]
    runs: int
    bsd_flags: str
    bsd_values: dict[str, str]
    capability: dict[str, str]
    capability_on: dict[str, str]
    capability_without: str
    network: dict[str, str]
    local: dict[str, str]
    dbus: list[str]
    operands_note: str
    example: str
