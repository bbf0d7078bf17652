"""The parts of the support file, before secrets are removed."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from functools import partial

from qos_agent import __version__
from qos_agent.agent import status
from qos_agent.agent.doctor.check import Check
from qos_agent.agent.doctor.subject import Subject
from qos_agent.agent.doctor.unit import SERVICE
from qos_agent.config.loading import shown
from qos_agent.journal.reader import EVERY_SEQ, reading
from qos_agent.model.errors import OperatorError, ProbeError, StorageError
from qos_agent.system.child_process import clean_environment, run_child
from qos_agent.system.files import read_bytes

_LOG_LINES, _READINGS = 3000, 500
_PART_MAX_BYTES = 1_000_000
_COMMAND_S = 10.0
_LOG = ("journalctl", "--no-pager", "--no-hostname", "--output=short-iso")


def parts(subject: Subject) -> dict[str, Callable[[], str]]:
    """Return the functions that read each file of the archive."""
    log = (*_LOG, f"--lines={_LOG_LINES}", "--unit", SERVICE)
    return {
        "configuration.json": partial(_configuration, subject),
        "log.txt": partial(_output, log),
        "readings.txt": partial(_readings, subject),
        "status.json": partial(_status, subject),
        "system.txt": _system,
        "unit.txt": partial(_output, ("systemctl", "--no-pager", "status", SERVICE)),
    }


def _configuration(subject: Subject) -> str:
    """Return the settings in force; the file's comments are left out."""
    if subject.faults:
        return "\n".join(map(str, subject.faults))
    return json.dumps(shown(subject.settings), indent=1, sort_keys=True)


def as_json(checks: Sequence[Check]) -> str:
    """Return the results of the doctor."""
    names = ("name", "health", "result", "fix", "cause")
    plain = [{name: getattr(check, name) for name in names} for check in checks]
    return json.dumps(plain, indent=1)


def _status(subject: Subject) -> str:
    path = subject.settings.runtime_folder() / status.FILE_NAME
    try:
        return read_bytes(path, _PART_MAX_BYTES).decode("utf-8", "replace")
    except OSError as error:
        return str(error)


def _readings(subject: Subject) -> str:
    """Return the newest points as line protocol."""
    try:
        with reading(subject.folder) as journal:
            lines = b"\n".join(journal.lines(EVERY_SEQ, _READINGS))
    except (StorageError, OperatorError) as error:
        return str(error)
    return lines.decode("utf-8", "replace")


def _system() -> str:
    names = os.uname()
    return f"qos-agent {__version__}\n{names.sysname} {names.release} {names.machine}\n"


def _output(argv: Sequence[str]) -> str:
    """Return the output of a command, or why there is none."""
    try:
        result = run_child(
            argv,
            timeout_s=_COMMAND_S,
            output_limit_bytes=4 * _PART_MAX_BYTES,
            env=clean_environment(),
        )
    except ProbeError as error:
        return str(error)
    text = result.stdout or result.stderr
    return text[-_PART_MAX_BYTES:].decode("utf-8", "replace")
