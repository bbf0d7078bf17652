"""The status file: the agent's present state for commands and people.

The agent writes a whole file and renames it into place, so a reader never sees half
of it. The file is not part of the record: that is the journal.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from qos_agent.agent.events import HeartbeatFigures
from qos_agent.model import Reading, json_text
from qos_agent.system.files import write_atomically

FILE_NAME = "status.json"

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
    fields: dict[str, Any]


class LatestReadings:
    """The newest reading of each measurement, link and target. Thread-safe."""

    def __init__(self, shown_fields: Sequence[str]) -> None:
        self._shown_fields = shown_fields
        self._lock = threading.Lock()
        self._latest: dict[tuple[str, ...], Latest] = {}

    def add(self, reading: Reading) -> None:
        """Replace the reading of the same measurement, link and target."""
        with self._lock:
            for latest in self._entries(reading):
                key = (latest.measurement, *latest.tags.values())
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
    """The content of the status file. Counts in `figures` are since the start."""

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


def write(status: Status, folder: Path) -> None:
    """Write the status file and rename it into place. Raises OSError."""
    write_atomically(folder / FILE_NAME, json.dumps(asdict(status), indent=1))


def read(folder: Path) -> Status | None:
    """Return the status last written, or None if there is no status file.

    Raises ValueError if another version of the agent wrote the file.
    """
    try:
        values = json_text.loads((folder / FILE_NAME).read_text())
    except FileNotFoundError:
        return None
    lists = {"links": LinkStatus, "latest": Latest, "upcoming": Upcoming}
    try:
        for name, kind in lists.items():
            values[name] = [kind(**entry) for entry in values[name]]
        values["figures"] = HeartbeatFigures(**values["figures"])
        return Status(**values)
    except (TypeError, KeyError) as error:
        raise ValueError(f"{folder / FILE_NAME}: written by another version") from error
