"""The version of the software that the centre wants, for the updater."""

from __future__ import annotations

import logging
from pathlib import Path

from qos_agent.config.remote.in_force import Remote
from qos_agent.system.files import write_atomically

FILE_NAME = "wanted-version"
_log = logging.getLogger(__name__)


def write_wanted(folder: Path, remote: Remote | None) -> None:
    """Write the version of the software that the centre wants, or remove the file.

    The updater reads it. Its absence means that the centre wants no other version.
    """
    path = folder / FILE_NAME
    wanted = remote.wanted if remote else None
    try:
        if wanted is None:
            path.unlink(missing_ok=True)
        elif not path.exists() or path.read_text().strip() != wanted:
            write_atomically(path, f"{wanted}\n")
    except OSError as error:
        _log.warning("remote: cannot write %s: %s", path, error)
