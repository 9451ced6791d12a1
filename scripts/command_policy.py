# Copyright: (c) 2026, NannyAPI contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes the part of docs/command-policy.md that follows from the rules; `--check` says whether it is as they are."""

from __future__ import annotations

import inspect
import sys
from pathlib import Path

from ansible_collections.nannyapi.diagnostics.plugins.module_utils.commands import kinds
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.commands.rules.refused import REFUSED
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.commands.rules.schema import Rule
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.commands.rules.table import RULES
from ansible_collections.nannyapi.diagnostics.plugins.module_utils.commands.secrets import PUBLIC_PATHS, SECRET_PATHS

PAGE = Path(__file__).parents[1] / "docs" / "command-policy.md"
MARK = "<!-- made by scripts/command-policy from here on: do not edit -->\n"


def page() -> str:
    """The whole page: what is written by hand, then what the rules say."""
    return PAGE.read_text(encoding="utf-8").partition(MARK)[0] + MARK + made()


def made() -> str:
    """The keys of a rule, the kinds of values, each rule, what is refused by name, and the secret paths."""
    keys = inspect.cleandoc(Rule.__doc__ or "").partition("\n\n")[2]
    about_kinds = inspect.cleandoc(kinds.__doc__ or "").partition("\n\n")[2]
    parts = [
        f"\n{keys}\n",
        f"### Kinds of values\n\n{about_kinds}\n",
        "## The built-in rules\n",
        *(_rule(name, RULES[name]) for name in sorted(RULES)),
        "",
        "## Refused by name\n\nEvery program without a rule is refused; of these the model is told more.\n",
        _refused(),
        "## Files that are not shown\n",
        "As expressions for the whole path. Names, sizes and modes are shown (`ls -l`, `stat`).\n",
        _table(("expression", "what it is"), [(_code(expression), what) for expression, what in SECRET_PATHS]),
        "Never taken for secret: " + ", ".join(map(_code, PUBLIC_PATHS)) + ".\n",
    ]
    return "\n".join(parts)


def _rule(name: str, rule: Rule) -> str:
    rows: list[tuple[str, str]] = []
    if rule.get("flags"):
        rows.append(("options", _code(rule["flags"])))
    if rule.get("bsd_flags"):
        rows.append(("letters", _code(rule["bsd_flags"])))
    for key, said in (
        ("values", "with a value"),
        ("optional", "perhaps with a value"),
        ("bsd_values", "letters with a value"),
    ):
        options = rule.get(key, {})
        if options:
            rows.append((said, ", ".join(f"{_code(names)} {_code(kind)}" for names, kind in options.items())))
    if rule.get("matching"):
        rows.append(("words", ", ".join(map(_code, rule["matching"]))))
    forms = rule.get("forms", [""])
    shown = [_code(form) if form else "none" for form in forms]
    shown += [f"with {_code(names)}: {_code(' / '.join(other))}" for names, other in rule.get("forms_with", {}).items()]
    rows.append(("operands", ", ".join(shown) + (f" ({rule['operands_note']})" if "operands_note" in rule else "")))
    if "runs" in rule:
        rows.append(("runs", "the command behind its operands, which is judged by its own rule"))
    rows += [("needs", f"{_code(names)}: {why}") for names, why in rule.get("needs", {}).items()]
    for given, needed in rule.get("needs_with", {}).items():
        rows += [("needs", f"{_code(names)} with {_code(given)}: {why}") for names, why in needed.items()]
    rows += [("series", f"{name}: {_code(' / '.join(ones))}") for name, ones in rule.get("series", {}).items()]
    for given, others in rule.get("excludes", {}).items():
        rows += [("not together", f"{_code(given)} with {_code(names)}: {why}") for names, why in others.items()]
    rows += [("refused", f"{_code(names)}: {why}") for names, why in rule.get("refused", {}).items()]
    inserted = rule.get("insert", []) + [
        f"{' '.join(words)} (where it is {real})" for real, words in rule.get("insert_for", {}).items()
    ]
    if inserted:
        rows.append(("started with", _code(" ".join(map(str, inserted)))))
    for names, words in rule.get("insert_with", {}).items():
        rows += [(f"started with, for {_code(names)} {_code(value)}", _code(word)) for value, word in words.items()]
    for key in ("capability", "network"):
        uses = rule.get(key, {})
        rows += [(key, f"{names}{f' with {_code(given)}' if given else ''}") for given, names in uses.items()]
    if rule.get("capability_without"):
        rows.append(("no capability with", _code(rule["capability_without"])))
    for given, expression in rule.get("local", {}).items():
        operands = f"on {_code(expression)}" if expression else "without operands"
        rows.append(("asks this host alone", f"with {_code(given)} {operands}" if given else operands))
    if rule.get("dbus"):
        rows.append(("dbus", ", ".join(method.rpartition(".")[2] for method in rule["dbus"])))
    if rule.get("example"):
        rows.append(("example", _code(rule["example"])))
    return f"- **{name}** " + "; ".join(f"*{left}* {right}" for left, right in rows)


def _refused() -> str:
    by_reason: dict[str, list[str]] = {}
    for name, reason in REFUSED.items():
        by_reason.setdefault(reason, []).append(name)
    return _table(("programs", "why"), [(", ".join(map(_code, names)), why) for why, names in by_reason.items()])


def _table(head: tuple[str, str], rows: list[tuple[str, str]]) -> str:
    lines = [f"| {head[0]} | {head[1]} |", "|---|---|"]
    cells = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    return "\n".join(lines + [f"| {left} | {right} |" for left, right in cells]) + "\n"


def _code(text: str) -> str:
    fence = "``" if "`" in text else "`"
    return f"{fence}{text}{fence}"


def main() -> int:
    """Writes the page, or says whether it is up to date; the exit code."""
    wanted = page()
    if "--check" in sys.argv:
        if PAGE.read_text(encoding="utf-8") == wanted:
            return 0
        print("docs/command-policy.md is not as the rules are; run scripts/command-policy.", file=sys.stderr)
        return 1
    PAGE.write_text(wanted, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
