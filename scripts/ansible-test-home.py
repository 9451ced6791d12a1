# SPDX-License-Identifier: GPL-3.0-or-later
# Copyright: (c) 2026, NannyAPI contributors
"""Prepares $HOME for ansible-test where the site that it fetches pip's bootstrap script from cannot be reached.

ansible-test makes bare environments and fills them by a script that it downloads. The same pip is a wheel on every
package index, and a wheel can be run as it is: this writes a script that does so to where ansible-test caches its
download. It also writes pip's settings to that home, because ansible-test passes no PIP_* variables on.
"""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check")

BOOTSTRAP = '''"""Runs pip from its wheel."""
import sys

sys.path.insert(0, {wheel!r})
unknown_to_pip = ("--no-setuptools", "--no-wheel")
sys.argv[1:] = ["install"] + [argument for argument in sys.argv[1:] if argument not in unknown_to_pip]

from pip._internal.cli.main import main

sys.exit(main())
'''


def wanted_pip() -> str:
    """The version of pip that the installed ansible-test puts into its environments."""
    import ansible_test

    text = Path(ansible_test.__path__[0], "_internal", "python_requirements.py").read_text(encoding="utf-8")
    found = re.search(r"default_packages = dict\(\s*pip='([0-9.]+)'", text)
    if not found:
        sys.exit(
            "This ansible-test does not say which pip it wants; scripts/ansible-test-home.py must learn where it does."
        )
    return found.group(1)


def write_bootstrap(cache: Path, version: str) -> None:
    script = cache / f"get_pip_{version.replace('.', '_')}.py"
    if script.exists():
        return
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            [*PIP, "download", "-qq", "--no-deps", "--only-binary=:all:", "--dest", folder, f"pip=={version}"],
            check=True,
            env={**os.environ, "HOME": real_home()},
        )
        (downloaded,) = Path(folder).glob("*.whl")
        wheel = cache / downloaded.name
        wheel.write_bytes(downloaded.read_bytes())
    script.write_text(BOOTSTRAP.format(wheel=str(wheel)), encoding="utf-8")


def real_home() -> str:
    import pwd

    return pwd.getpwuid(os.getuid()).pw_dir


def write_pip_settings(home: Path) -> None:
    """What pip reads from its files and from the environment outside, as one file inside."""
    listed = subprocess.run(
        [*PIP, "config", "list"],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "HOME": real_home()},
    ).stdout
    settings: dict[str, str] = {}
    for line in listed.splitlines():
        name, value = line.split("=", 1)
        section, option = name.rsplit(".", 1)
        # Sorted as pip ranks them: what the environment says comes last and wins.
        if section == "global" or (section in ("install", ":env:") and option != "config-file"):
            settings[option] = str(ast.literal_eval(value)).replace("\n", "\n    ")
    target = home / ".config" / "pip" / "pip.conf"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.touch(mode=0o600)
    target.write_text(
        "[global]\n" + "".join(f"{option} = {value}\n" for option, value in settings.items()), encoding="utf-8"
    )


def main() -> None:
    home = Path(os.environ["HOME"])
    write_bootstrap(home / ".ansible" / "test" / "cache", wanted_pip())
    write_pip_settings(home)


main()
