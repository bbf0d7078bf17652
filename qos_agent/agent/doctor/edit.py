"""Commands that change one setting of a configuration file."""

from __future__ import annotations

import re
from pathlib import Path
from shlex import quote

from qos_agent.config.sources import DEFAULT_PATH
from qos_agent.system.files import read_text

RELOAD = "sudo systemctl reload qos-agent"


def set_text(file: Path, section: str, key: str, value: str) -> str:
    """Return the command that sets a text in a section that the file has.

    It replaces the line of the key, or adds one below the head of the section.
    """
    head, line = rf"^\[{section}\]", f'{key} = "{value}"'
    if _has(file, section, key):
        edit = rf"/{head}/,/^\[/ s|^{key} *=.*|{line}|"
    else:
        edit = rf"/{head}/a {line}"
    return f"sudo sed -i {quote(edit)} {quote(str(file))}{_reload(file)}"


def replace_text(file: Path, old: str, new: str) -> str:
    """Return the command that replaces a text in quotes everywhere in the file."""
    edit = f's|"{old}"|"{new}"|'
    return f"sudo sed -i {quote(edit)} {quote(str(file))}{_reload(file)}"


def _reload(file: Path) -> str:
    return f" && {RELOAD}" if file == DEFAULT_PATH else ""


def _has(file: Path, section: str, key: str) -> bool:
    """Return True if the section has a line with the key."""
    _, _, rest = (read_text(file) or "").partition(f"[{section}]")
    own = rest.partition("\n[")[0]
    return re.search(rf"^{key} *=", own, re.MULTILINE) is not None
