"""Sources of the settings: file, environment and credentials."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from qos_agent.model.errors import ConfigError
from qos_agent.model.text import path_problem
from qos_agent.system.files import may_exist

DEFAULT_PATH = Path("/etc/qos-agent/agent.toml")
# The folders of the installed service. They apply to every command that reads the
# installed file, so that service and commands use the same ones.
INSTALLED_FOLDERS = {
    "journal": {"folder": "/var/lib/qos-agent"},
    "runtime": {"folder": "/run/qos-agent"},
}


@dataclass(frozen=True, slots=True)
class Sources:
    """The file, the environment and the credentials folder to read settings from."""

    file: Path | None
    environment: Mapping[str, str]
    credentials: Path | None

    @classmethod
    def of_process(cls, path: Path | None) -> Sources:
        """Return the sources of this process.

        The file is `path`, else QOS_AGENT_CONFIG, else the installed file if it exists.
        Raises ConfigError.
        """
        named = path or _path("QOS_AGENT_CONFIG")
        installed = DEFAULT_PATH if may_exist(DEFAULT_PATH) else None
        credentials = _path("CREDENTIALS_DIRECTORY")
        return cls(named or installed, dict(os.environ), credentials)


def _path(variable: str) -> Path | None:
    """Return the path in a variable; None if it is empty. Raises ConfigError."""
    text = os.environ.get(variable)
    if not text:
        return None
    if (problem := path_problem(text)) is not None:
        raise ConfigError(variable, repr(text), problem, "correct the variable")
    return Path(text)
