"""The status file: the agent's present state for commands and people.

The agent writes a whole file and renames it into place, so a reader never sees half
of it. The file is not part of the record: that is the journal.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from qos_agent.agent.events import HeartbeatFigures
from qos_agent.model import Reading, json_text
from qos_agent.model.errors import StorageError
from qos_agent.system.files import read_bytes, regular, write_atomically

FILE_NAME = "status.json"

# Some hundred links and targets; numbers must fit into 64 bits.
_MAX_BYTES = 4_000_000
_NUMBER_MAX = 2**63
_NOT_RUNNING = "not_running"
_KEY_TAGS = ("link", "target", "layer", "direction", "technology")


@dataclass(frozen=True, slots=True)
class Latest:
    """The newest reading of one measurement, link and target, with a few fields.

    `reason` is the cause of a failed reading or the reason of a skipped one.
    """

    measurement: str
    tags: dict[str, str]
    boot_ns: int
    outcome: str
    reason: str | None
    fields: dict[str, int | float | str]


class LatestReadings:
    """The newest reading of each measurement, link and target. Thread-safe."""

    def __init__(self, shown_fields: Sequence[str]) -> None:
        self._shown_fields = shown_fields
        self._lock = threading.Lock()
        self._latest: dict[tuple[str, ...], Latest] = {}

    def add(self, reading: Reading) -> None:
        """Replace an older reading of the same measurement, link and target.

        Slots before the start are a fact for the journal, and no result of this run.
        """
        if reading.reason == _NOT_RUNNING:
            return
        with self._lock:
            for latest in self._entries(reading):
                key = (latest.measurement, *latest.tags.values())
                known = self._latest.get(key)
                if known is None or known.boot_ns <= latest.boot_ns:
                    self._latest[key] = latest

    def all(self) -> list[Latest]:
        """Return the newest readings in a stable order."""
        with self._lock:
            return [self._latest[key] for key in sorted(self._latest)]

    def _entries(self, reading: Reading) -> Iterable[Latest]:
        for sample in reading.samples:
            yield Latest(
                reading.measurement,
                {tag: sample.tags[tag] for tag in _KEY_TAGS if tag in sample.tags},
                reading.boot_ns,
                reading.outcome.value,
                reading.cause or reading.reason,
                {f: sample.fields[f] for f in self._shown_fields if f in sample.fields},
            )


@dataclass(frozen=True, slots=True)
class Upcoming:
    """A task that is due next."""

    task: str
    in_s: float


@dataclass(frozen=True, slots=True)
class LinkStatus:
    """The state of one link. None means unknown."""

    name: str
    operator: str
    interface: str | None
    verdict: str | None
    verdict_kpi: str | None
    moved_bytes: int | None
    month_left_bytes: int | None
    day_left_bytes: int | None
    month_need_bytes: int | None


@dataclass(frozen=True, slots=True)
class Status:
    """The content of the status file. Counts in `figures` are since the start.

    `sealed_size` is the number of points in the last seal, and `not_sealed` the reason
    for which the journal is not sealed.
    """

    pid: int
    station: str
    device: str
    phase: str
    written_ns: int
    boot_ns: int
    journal: str
    clock_synced: bool
    clock_trusted: bool
    clock_error_ms: float | None
    collector: str | None
    collector_state: str
    collector_error: str | None
    sent_points: int
    stored_points: int
    outcomes: dict[str, int]
    causes: dict[str, int]
    reasons: dict[str, int]
    figures: HeartbeatFigures
    links: Sequence[LinkStatus]
    latest: Sequence[Latest]
    upcoming: Sequence[Upcoming]
    paused: Sequence[str]
    sealed_size: int | None = None
    not_sealed: str | None = None


def write(status: Status, folder: Path) -> None:
    """Write the status file and rename it into place. Raises OSError."""
    write_atomically(folder / FILE_NAME, json.dumps(asdict(status), indent=1))


def read(folder: Path) -> Status | None:
    """Return the status last written, or None if there is no status file.

    Raises StorageError if the file cannot be read, is damaged, or is from another
    version of the agent.
    """
    path = folder / FILE_NAME
    try:
        content = read_bytes(path, _MAX_BYTES, regular)
    except FileNotFoundError:
        return None
    except OSError as error:
        reason = f"{error.strerror}. Fix: check the disk and the permissions"
        raise StorageError("cannot read", str(path), reason) from error
    try:
        return _checked(content)
    except ValueError as error:
        reason = "damaged, or written by another version. Fix: restart the agent"
        raise StorageError("cannot use", str(path), reason) from error


def _checked(content: bytes) -> Status:
    """Return the status in the content of a file. Raises ValueError."""
    from pydantic import TypeAdapter

    adapter = TypeAdapter(Status)
    status = adapter.validate_json(content, strict=False)
    names = {field.name for field in fields(Status)}
    if set(json_text.loads(content)) != names:
        raise ValueError("unknown keys")
    if not all(abs(number) <= _NUMBER_MAX for number in _numbers(asdict(status))):
        raise ValueError("a number is out of range")  # also if it is NaN
    return status


def _numbers(value: object) -> Iterator[float]:
    """Yield all numbers in a nested value."""
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, list | tuple):
        for entry in value:
            yield from _numbers(entry)
    elif isinstance(value, int | float):
        yield value
