"""Files by which commands reach a running agent: a pause for each probe, a reload.

The command writes the file whole and renames it into place; the agent reads it before
each task. Nothing needs to be running on either side, and what cannot be read holds
nothing: a damaged file must not silence a station.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from qos_agent.model import Clock
from qos_agent.model.errors import StorageError
from qos_agent.system.files import write_atomically

EVERYTHING = "all"
PAUSABLE = (EVERYTHING, "latency", "throughput", "web", "form", "signal", "host")

_RELOAD = "reload"

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Pause:
    """A probe, or all, held until a moment.

    Boot time decides, so that a stepped wall clock neither ends a pause nor prolongs
    it; after a reboot there is only the wall clock to go by.
    """

    what: str
    boot_id: str
    until_boot_ns: int
    until_wall_ns: int

    def holds(self, clock: Clock) -> bool:
        """Whether the pause is still on."""
        if self.boot_id == clock.boot_id:
            return clock.boot_ns() < self.until_boot_ns
        return clock.wall_ns() < self.until_wall_ns

    def until(self) -> str:
        """Its end by the wall clock at the time it was made, in UTC."""
        end = datetime.fromtimestamp(self.until_wall_ns // 10**9, UTC)
        return f"{end:%Y-%m-%d %H:%M:%S}Z"


def pause(folder: Path, what: str, length_s: float, clock: Clock) -> Pause:
    """Hold `what` for a time from now; one there already is replaced.

    Raises StorageError where the file cannot be written.
    """
    length_ns = int(length_s * 1e9)
    made = Pause(
        what,
        clock.boot_id,
        clock.boot_ns() + length_ns,
        clock.wall_ns() + length_ns,
    )
    path = _file(folder, what)
    try:
        write_atomically(path, json.dumps(asdict(made)))
    except OSError as error:
        hint = f"{error.strerror}; run this as the user the agent runs as"
        raise StorageError("cannot write", str(path), hint) from error
    return made


def resume(folder: Path, what: str) -> list[str]:
    """Let `what` go on, or everything; says what had been paused.

    Raises StorageError where the file cannot be removed.
    """
    names = PAUSABLE if what == EVERYTHING else (what,)
    ended = []
    for name in names:
        path = _file(folder, name)
        try:
            path.unlink()
        except FileNotFoundError:
            continue
        except OSError as error:
            hint = f"{error.strerror}; run this as the user the agent runs as"
            raise StorageError("cannot remove", str(path), hint) from error
        ended.append(name)
    return ended


def ask_reload(folder: Path, now: bool) -> None:
    """Ask the agent to read its configuration again; `now` even while votes are cast.

    Raises StorageError where the file cannot be written.
    """
    path = folder / _RELOAD
    try:
        write_atomically(path, "now" if now else "")
    except OSError as error:
        hint = f"{error.strerror}; run this as the user the agent runs as"
        raise StorageError("cannot write", str(path), hint) from error


def take_reload(folder: Path) -> bool | None:
    """Whether a reload was asked for, and if so, whether now; asked once each."""
    path = folder / _RELOAD
    try:
        now = path.read_text() == "now"
        path.unlink()
    except OSError:
        return None
    return now


class Pauses:
    """What is paused, as a running agent sees it."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        self._folder = folder
        self._clock = clock
        self._known: dict[str, Pause] = {}
        self._unreadable: set[str] = set()

    def holds(self, probe: str) -> bool:
        """Whether a task of this probe must be skipped now; reads the files anew."""
        return any(self._read(name) for name in (EVERYTHING, probe))

    def active(self) -> list[Pause]:
        """All that is paused now."""
        return list(self._active())

    def changes(self) -> list[tuple[str, str]]:
        """What changed since the last call: kind of event (pause, resume), in words."""
        now = {each.what: each for each in self._active()}
        begun = [
            ("pause", f"{what} until {each.until()}")
            for what, each in now.items()
            if self._known.get(what) != each
        ]
        ended = [("resume", what) for what in self._known if what not in now]
        self._known = now
        return begun + ended

    def _active(self) -> Iterator[Pause]:
        for name in PAUSABLE:
            found = self._read(name)
            if found is not None:
                yield found

    def _read(self, what: str) -> Pause | None:
        path = _file(self._folder, what)
        try:
            found = Pause(**json.loads(path.read_text()))
            return found if found.holds(self._clock) else None
        except FileNotFoundError:
            self._unreadable.discard(what)
        except (OSError, ValueError, TypeError) as error:
            self._complain(what, path, error)
        return None

    def _complain(self, what: str, path: Path, error: Exception) -> None:
        """Once for each damaged file, not before each task."""
        if what not in self._unreadable:
            self._unreadable.add(what)
            _log.warning("%s: %s; nothing is paused by it; remove it", path, error)


def _file(folder: Path, what: str) -> Path:
    return folder / f"pause-{what}.json"
