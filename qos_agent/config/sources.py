"""Where settings are read from: file, environment, credentials."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

DEFAULT_PATH = Path("/etc/qos-agent/agent.toml")


@dataclass(frozen=True, slots=True)
class Sources:
    """Where settings are read from; injected, so that tests have their own."""

    file: Path | None
    environment: Mapping[str, str]
    credentials: Path | None

    @classmethod
    def of_process(cls, path: Path | None) -> Sources:
        """The command line's file or the installed one; this process's environment."""
        named = path or _path(os.environ.get("QOS_AGENT_CONFIG"))
        installed = DEFAULT_PATH if DEFAULT_PATH.exists() else None
        credentials = _path(os.environ.get("CREDENTIALS_DIRECTORY"))
        return cls(named or installed, dict(os.environ), credentials)


def _path(text: str | None) -> Path | None:
    return Path(text) if text else None
