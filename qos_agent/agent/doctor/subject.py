"""The device that is examined: its settings, its service and the service's user."""

from __future__ import annotations

import os
import pwd
import stat
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from qos_agent.agent import status as status_file
from qos_agent.agent.doctor.unit import Unit, read_unit
from qos_agent.agent.status import Status
from qos_agent.config.settings import CollectorSection, Settings
from qos_agent.config.sources import DEFAULT_PATH
from qos_agent.evidence.enrolment_file import PENDING_NAME
from qos_agent.model.errors import ConfigError, StorageError
from qos_agent.system.clock import SystemClock
from qos_agent.system.files import may_exist

TOKEN_FILE = DEFAULT_PATH.with_name("collector.token")
# The agent writes its status every 2 s.
FRESH_S = 60.0


@dataclass(frozen=True, slots=True)
class User:
    """A user and all groups of the user."""

    name: str
    uid: int
    groups: frozenset[int]

    def may(self, path: Path, need: int) -> bool | None:
        """Return True if the user has the permissions `need`, such as os.R_OK.

        The folders above must be searchable. None means that this process may not
        look.
        """
        if self.uid == 0:
            return True
        try:
            above = [parent.stat() for parent in path.absolute().parents]
            found = path.stat()
        except OSError as error:
            return None if isinstance(error, PermissionError) else True
        return self._has(found, need) and all(self._has(s, os.X_OK) for s in above)

    def _has(self, found: os.stat_result, need: int) -> bool:
        mode = stat.S_IMODE(found.st_mode)
        if found.st_uid == self.uid:
            return mode >> 6 & need == need
        if found.st_gid in self.groups:
            return mode >> 3 & need == need
        return mode & need == need


@dataclass(frozen=True, slots=True)
class Subject:
    """The state of the device that several checks need.

    `faults` are the errors of the configuration; `settings` are then the defaults.
    `unit` is None if these settings are not those of the installed service.
    """

    settings: Settings
    clock: SystemClock
    file: Path | None
    faults: Sequence[ConfigError]
    unit: Unit | None
    user: User
    status: Status | None

    @property
    def folder(self) -> Path:
        """The folder of the journal."""
        return self.settings.journal.folder

    def status_age_s(self) -> float | None:
        """Return the age of the status file, or None without one of this boot."""
        if self.status is None:
            return None
        age_s = (self.clock.boot_ns() - self.status.boot_ns) / 1e9
        return age_s if age_s >= 0 else None

    def running(self) -> Status | None:
        """Return the status of the running agent, or None if it is old."""
        age_s = self.status_age_s()
        return self.status if age_s is not None and age_s < FRESH_S else None

    def restart(self) -> str:
        """Return the command that restarts the agent."""
        if self.unit is None:
            return "stop the agent, then start it again: qos-agent run"
        return "sudo systemctl restart qos-agent"

    def collector(self) -> CollectorSection:
        """Return the collector with the token that the installed service gets."""
        section = self.settings.collector
        if self.unit is None or section.token_file or section.token:
            return section
        if not os.access(TOKEN_FILE, os.R_OK):
            return section
        return section.model_copy(update={"token_file": TOKEN_FILE})

    def is_enrolment_pending(self) -> bool:
        """Return True if an enrolment from a USB stick is not complete."""
        return self.file is not None and may_exist(self.file.with_name(PENDING_NAME))

    def may_read_token(self) -> bool:
        """Return True if this process uses the same token as the service."""
        section = self.settings.collector
        file = section.token_file
        if file is None and self.unit is not None and section.token is None:
            file = TOKEN_FILE
        return file is None or not may_exist(file) or os.access(file, os.R_OK)


def examine(
    settings: Settings,
    clock: SystemClock,
    file: Path | None = None,
    faults: Sequence[ConfigError] = (),
) -> Subject:
    """Return the subject; the installed file belongs to the installed service."""
    unit = read_unit() if file == DEFAULT_PATH else None
    name = unit.user if unit is not None else ""
    status = None
    with suppress(StorageError):
        status = status_file.read(settings.runtime_folder())
    return Subject(settings, clock, file, faults, unit, user_named(name), status)


def user_named(name: str) -> User:
    """Return a user by name; the user of this process if there is none."""
    try:
        entry = pwd.getpwnam(name)
    except (KeyError, ValueError):
        groups = {os.getegid(), *os.getgroups()}
        return User(_name_of(os.geteuid()), os.geteuid(), frozenset(groups))
    groups = set(os.getgrouplist(name, entry.pw_gid))
    return User(name, entry.pw_uid, frozenset(groups))


def _name_of(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
