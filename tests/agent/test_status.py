"""The status file: complete or absent, and read as it was written."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path

import pytest

from qos_agent.agent import status
from qos_agent.agent.events import HeartbeatFigures
from qos_agent.agent.status import LatestReadings, LinkStatus, Status, Upcoming
from qos_agent.model import Outcome, Reading, Sample
from qos_agent.probes.registry import STATUS_FIELDS
from tests.support.readings import LATENCY_TAGS, latency


def figures(**changes: object) -> HeartbeatFigures:
    """Return the figures of an agent with three points in its backlog."""
    values = {field.name: None for field in fields(HeartbeatFigures)}
    known = {"version": "0.1.0", "uptime_s": 60.0, "in_memory": 0}
    backlog = {"backlog_points": 3, "oldest_unsent_s": 12.0}
    return HeartbeatFigures(**(values | known | backlog | changes))  # type: ignore[arg-type]


def example(**changes: object) -> Status:
    """Return a status with a link, a reading and an upcoming task."""
    latest_readings = LatestReadings(STATUS_FIELDS)
    latest_readings.add(latency(received=18))
    values: dict[str, object] = {
        "pid": 1,
        "station": "3171010001001",
        "device": "pi-1",
        "phase": "voting",
        "written_ns": 1,
        "boot_ns": 2 * 10**12,
        "journal": "abc",
        "clock_synced": True,
        "clock_trusted": True,
        "clock_error_ms": 1.5,
        "collector": "collector",
        "collector_state": "idle",
        "sent_points": 40,
        "stored_points": 43,
        "outcomes": {"ok": 41, "failed": 1, "skipped": 1},
        "causes": {"timeout": 1},
        "reasons": {"link_busy": 1},
        "figures": figures(),
        "links": [
            LinkStatus(
                "main", "xl", "wwan0", "good", None, 5000, 10**9, None, 2 * 10**9
            )
        ],
        "latest": latest_readings.all(),
        "upcoming": [Upcoming("latency/main/gateway", 4.5)],
        "paused": [],
    }
    return Status(**(values | changes))  # type: ignore[arg-type]


def test_a_written_status_is_read_unchanged(tmp_path: Path) -> None:
    """Every part of the status is in the file, and no temporary file is left."""
    status.write(example(), tmp_path)
    assert status.read(tmp_path) == example()
    assert [path.name for path in tmp_path.iterdir()] == [status.FILE_NAME]


def test_without_a_file_there_is_no_status(tmp_path: Path) -> None:
    """The result is None, and no error, if no agent wrote a file."""
    assert status.read(tmp_path) is None


def test_the_file_of_another_version_is_an_error(tmp_path: Path) -> None:
    """A file with an unknown key raises ValueError with its path."""
    status.write(example(), tmp_path)
    path = tmp_path / status.FILE_NAME
    path.write_text(json.dumps(json.loads(path.read_text()) | {"new": 1}))
    with pytest.raises(ValueError, match="another version"):
        status.read(tmp_path)


def test_the_newest_of_each_target_is_kept() -> None:
    """A second train to a target replaces the first; other targets have their own."""
    latest_readings = LatestReadings(STATUS_FIELDS)
    latest_readings.add(latency(boot_ns=1))
    latest_readings.add(latency(boot_ns=2, received=0))
    other = Sample(LATENCY_TAGS | {"target": "anchor"}, {"sent": 20})
    latest_readings.add(Reading("latency", Outcome.OK, 3, (other,)))
    assert [(e.boot_ns, e.outcome, e.reason) for e in latest_readings.all()] == [
        (3, "ok", None),
        (2, "failed", "timeout"),
    ]
