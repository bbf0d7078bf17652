"""Files that control a running agent: one per paused probe, and one for a reload.

A command writes a file, and the agent reads it before each task. The command works
while the agent is stopped, too. An unreadable file pauses nothing, because a damaged
file must not stop the measurements of a station. A file counts only if the user of the
agent, root or a member of the group qos-agent wrote it, and if it is no symbolic link.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from qos_agent.model import Clock, json_text
from qos_agent.model.errors import StorageError
from qos_agent.model.time_span import LAST_NS
from qos_agent.probes.registry import PROBES
from qos_agent.system.files import (
    from_administrator,
    name_once,
    read_bytes,
    write_atomically,
)

EVERYTHING = "all"
PAUSABLE = (EVERYTHING, *PROBES)

_RELOAD = "reload"
_MAX_BYTES = 10_000

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Pause:
    """A pause of one probe, or of all ("all").

    In the boot in which it was made, boot time decides, so that a step of the wall
    clock does not change its length. After a reboot only the wall clock is left.
    """

    what: str
    boot_id: str
    until_boot_ns: int
    until_wall_ns: int

    def is_active(self, clock: Clock) -> bool:
        """Return True until the pause ends."""
        if self.boot_id == clock.boot_id:
            return clock.boot_ns() < self.until_boot_ns
        return clock.wall_ns() < self.until_wall_ns

    def check(self, what: str) -> None:
        """Raise ValueError if a value from a file has no sense."""
        times = (self.until_boot_ns, self.until_wall_ns)
        if self.what != what or not isinstance(self.boot_id, str):
            raise ValueError(f"is not a pause of {what}")
        if not all(type(time_ns) is int and 0 <= time_ns < 2**63 for time_ns in times):
            raise ValueError("has no time")
        if self.until_wall_ns >= LAST_NS:
            raise ValueError("ends in the far future")

    def until(self) -> str:
        """Return its end in UTC, by the wall clock at the time it was made."""
        end = datetime.fromtimestamp(self.until_wall_ns // 10**9, UTC)
        return f"{end:%Y-%m-%d %H:%M:%S}Z"


def pause(folder: Path, what: str, length_s: float, clock: Clock) -> Pause:
    """Pause a probe or all from now on, and replace an earlier pause of it.

    Raises StorageError if the file cannot be written.
    """
    length_ns = int(length_s * 1e9)
    new_pause = Pause(
        what=what,
        boot_id=clock.boot_id,
        until_boot_ns=clock.boot_ns() + length_ns,
        until_wall_ns=clock.wall_ns() + length_ns,
    )
    _write(_file(folder, what), json.dumps(asdict(new_pause)))
    return new_pause


def resume(folder: Path, what: str) -> list[str]:
    """End the pause of a probe, or all pauses, and return the names of those ended.

    Raises StorageError if a file cannot be removed.
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
            raise StorageError("cannot remove", str(path), _hint(error)) from error
        ended.append(name)
    return ended


def request_reload(folder: Path, now: bool) -> None:
    """Request that the agent reads its configuration again; `now` even while voting.

    Raises StorageError if the file cannot be written.
    """
    _write(folder / _RELOAD, "now" if now else "")


def take_reload(folder: Path) -> bool | None:
    """Remove a reload request; return its `now`, or None if there is no request."""
    path = folder / _RELOAD
    try:
        content = _content(path)
        path.unlink()
    except FileNotFoundError:
        return None
    except OSError as error:
        name_once(path, f"requests no reload ({error.strerror})")
        return None
    return content == b"now"


class Pauses:
    """The pauses as the running agent sees them."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        self._folder = folder
        self._clock = clock
        self._known: dict[str, Pause] = {}
        self._unreadable: set[str] = set()

    def is_paused(self, probe: str) -> bool:
        """Return True if tasks of this probe must be skipped now. Reads the files."""
        return any(self._read(name) for name in (EVERYTHING, probe))

    def active(self) -> list[Pause]:
        """Return all active pauses."""
        return list(self._active())

    def changes(self) -> list[tuple[str, str]]:
        """Return kind (pause, resume) and detail of each change since the last call."""
        now = {pause.what: pause for pause in self._active()}
        begun = [
            ("pause", f"{what} until {pause.until()}")
            for what, pause in now.items()
            if self._known.get(what) != pause
        ]
        ended = [("resume", what) for what in self._known if what not in now]
        self._known = now
        return begun + ended

    def _active(self) -> Iterator[Pause]:
        for name in PAUSABLE:
            active_pause = self._read(name)
            if active_pause is not None:
                yield active_pause

    def _read(self, what: str) -> Pause | None:
        path = _file(self._folder, what)
        try:
            stored = Pause(**json_text.loads(_content(path)))
            stored.check(what)
        except FileNotFoundError:
            self._unreadable.discard(what)
        except (OSError, ValueError, TypeError) as error:
            self._log_unreadable(what, path, error)
        else:
            return stored if stored.is_active(self._clock) else None
        return None

    def _log_unreadable(self, what: str, path: Path, error: Exception) -> None:
        """Log a damaged file once, not before each task."""
        if what not in self._unreadable:
            self._unreadable.add(what)
            message = "pause: cannot read %s (%s); it pauses nothing. Fix: remove it"
            _log.warning(message, path, error)


def _content(path: Path) -> bytes:
    return read_bytes(path, _MAX_BYTES, from_administrator)


def _write(path: Path, text: str) -> None:
    try:
        write_atomically(path, text)
    except OSError as error:
        raise StorageError("cannot write", str(path), _hint(error)) from error


def _hint(error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        fix = "start the agent first, or name its configuration with --config"
    else:
        fix = "run this command with sudo, or as a member of the group qos-agent"
    return f"{error.strerror}. Fix: {fix}"


def _file(folder: Path, what: str) -> Path:
    return folder / f"pause-{what}.json"
