"""What the agent sees, as one file that commands and people can read.

The agent writes it whole and renames it into place; a reader never sees half. It
is no record: what counts is in the journal.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from qos_agent.model import Reading
from qos_agent.system.files import write_atomically

FILE_NAME = "status.json"

_SHOWN_FIELDS = (
    "rtt_p50_ms", "rtt_p95_ms", "sent", "received", "rate_bps", "total_ms",
    "upload_ms", "rsrp_dbm", "sinr_db", "cpu_share", "temperature_c", "data_bytes",
)  # fmt: skip
_KEY_TAGS = ("link", "target", "layer", "direction", "technology")


@dataclass(frozen=True, slots=True)
class Latest:
    """The newest reading of one kind, link and target, with what is worth showing."""

    measurement: str
    tags: dict[str, str]
    boot_ns: int
    outcome: str
    word: str | None
    fields: dict[str, Any]


class LatestReadings:
    """The newest reading of each kind, link and target."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._latest: dict[tuple[str, ...], Latest] = {}

    def see(self, reading: Reading) -> None:
        """Take note of a reading; a skipped one does not hide what was measured."""
        with self._lock:
            for latest in _latest(reading):
                key = (latest.measurement, *latest.tags.values())
                self._latest[key] = latest

    def all(self) -> list[Latest]:
        """One of each, in a steady order."""
        with self._lock:
            return [self._latest[key] for key in sorted(self._latest)]


def _latest(reading: Reading) -> Iterable[Latest]:
    for sample in reading.samples:
        yield Latest(
            reading.measurement,
            {tag: sample.tags[tag] for tag in _KEY_TAGS if tag in sample.tags},
            reading.boot_ns,
            reading.outcome.value,
            reading.cause or reading.reason,
            {f: sample.fields[f] for f in _SHOWN_FIELDS if f in sample.fields},
        )


@dataclass(frozen=True, slots=True)
class Upcoming:
    """A task to come."""

    task: str
    in_s: float


@dataclass(frozen=True, slots=True)
class LinkStatus:
    """One link as the agent sees it; None where it is not known."""

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
    """Everything `status` and the live screen show."""

    version: str
    pid: int
    station: str
    device: str
    phase: str
    written_ns: int
    boot_ns: int
    uptime_s: float
    journal: str
    in_memory: bool
    clock_synced: bool
    clock_trusted: bool
    clock_error_ms: float | None
    collector: str | None
    collector_state: str
    backlog_points: int
    oldest_unsent_s: float | None
    pending_points: int
    quarantined_points: int
    sent_points: int
    stored_points: int
    outcomes: dict[str, int]
    causes: dict[str, int]
    reasons: dict[str, int]
    links: Sequence[LinkStatus]
    latest: Sequence[Latest]
    upcoming: Sequence[Upcoming]
    paused: Sequence[str]


def write(status: Status, folder: Path) -> None:
    """Put the status file in place, whole."""
    write_atomically(folder / FILE_NAME, json.dumps(asdict(status), indent=1))


def read(folder: Path) -> Status | None:
    """The status last written; None where no agent ever wrote one here.

    Raises ValueError where the file is of another version.
    """
    try:
        found = json.loads((folder / FILE_NAME).read_text())
    except FileNotFoundError:
        return None
    lists = {"links": LinkStatus, "latest": Latest, "upcoming": Upcoming}
    try:
        for name, kind in lists.items():
            found[name] = [kind(**entry) for entry in found[name]]
        return Status(**found)
    except (TypeError, KeyError) as error:
        raise ValueError(f"{folder / FILE_NAME}: written by another version") from error
