"""Permission to replace the program while votes are cast or counted.

The packages ask before they upgrade. Only root can give the permission, because only
root writes the folder of the file. The service cannot give it to itself.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from zoneinfo import ZoneInfo

from qos_agent.agent import status
from qos_agent.config import calendar_file
from qos_agent.config.settings import Settings
from qos_agent.model import Clock, Phase
from qos_agent.model.calendar import StationCalendar
from qos_agent.model.errors import OperatorError, StorageError
from qos_agent.system.files import read_number, write_atomically

FILE = Path("/run/qos-agent-maintenance")
MAX_S = 24 * 3600.0
# A running agent writes its status every 2 s.
_FRESH_NS = 60 * 10**9


def allow(length_s: float, clock: Clock, path: Path = FILE) -> None:
    """Allow an upgrade for a time. The file holds the end on the boot clock.

    Raises OperatorError if this process may not write the file.
    """
    try:
        write_atomically(path, f"{clock.boot_ns() + int(length_s * 1e9)}\n")
    except OSError as error:
        fix = "run sudo qos-agent maintenance --allow TIME"
        problem = f"{path}: cannot be written: {error.strerror}"
        raise OperatorError(f"{problem}. Fix: {fix}.") from error


def allowed_s(clock: Clock, path: Path = FILE) -> float:
    """Return how long the permission still lasts; 0.0 if there is none.

    A file of another user or a link gives no permission.
    """
    try:
        found = os.lstat(path)
    except OSError:
        return 0.0
    if not stat.S_ISREG(found.st_mode) or found.st_uid != 0:
        return 0.0
    left_s = ((read_number(path) or 0) - clock.boot_ns()) / 1e9
    return left_s if 0.0 < left_s <= MAX_S else 0.0


def phase(settings: Settings, clock: Clock) -> Phase:
    """Return the present phase, from the running agent and from the calendar.

    The agent knows its phase also without a trusted clock. If the two differ, the one
    in which no configuration may change counts.
    """
    by_calendar = _by_calendar(settings, clock)
    of_agent = _phase_of_agent(settings.runtime_folder(), clock)
    if of_agent is None or not calendar_file.may_reload(by_calendar):
        return by_calendar
    return of_agent


def _phase_of_agent(folder: Path, clock: Clock) -> Phase | None:
    try:
        current = status.read(folder)
    except StorageError:
        return None
    if current is None or abs(clock.boot_ns() - current.boot_ns) > _FRESH_NS:
        return None
    return {phase.value: phase for phase in Phase}.get(current.phase)


def _by_calendar(settings: Settings, clock: Clock) -> Phase:
    identity = settings.identity()
    timeline = calendar_file.named(settings.election.calendar).timeline(identity)
    station = StationCalendar(timeline, ZoneInfo(identity.time_zone))
    return station.timeline.phase_at(clock.wall_ns())
