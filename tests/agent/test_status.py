"""The status file: complete or absent, and read as it was written."""

from __future__ import annotations

import io
import json
import os
import tempfile
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from qos_agent.agent import status
from qos_agent.agent.events import HeartbeatFigures
from qos_agent.agent.status import LatestReadings, LinkStatus, Status, Upcoming
from qos_agent.cli.screen import render
from qos_agent.model import Outcome, Reading, Sample
from qos_agent.model.errors import StorageError
from qos_agent.probes.registry import STATUS_FIELDS
from qos_agent.system.language import Translator
from tests.support.readings import LATENCY_TAGS, latency


def figures(**changes: object) -> HeartbeatFigures:
    """Return the figures of an agent with three points in its backlog."""
    values = {field.name: None for field in fields(HeartbeatFigures)}
    known = {"version": "0.1.0", "uptime_s": 60.0, "in_memory": 0}
    backlog = {"backlog_points": 3, "oldest_unsent_s": 12.0}
    return HeartbeatFigures(**(values | known | backlog | changes))  # type: ignore[arg-type]


def complete_figures() -> HeartbeatFigures:
    """Return figures in which only those are None that may be unknown."""
    zeros: dict[str, object] = {
        field.name: 0
        for field in fields(HeartbeatFigures)
        if "None" not in str(field.type)
    }
    known = {"version": "0.1.0", "config_hash": "abc", "uptime_s": 60.0}
    return figures(**(zeros | known | {"backlog_points": 3}))


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
        "collector_error": None,
        "sent_points": 40,
        "stored_points": 43,
        "outcomes": {"ok": 41, "failed": 1, "skipped": 1},
        "causes": {"timeout": 1},
        "reasons": {"link_busy": 1},
        "figures": complete_figures(),
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


def test_the_screen_shows_why_delivery_fails() -> None:
    """The line names the setting that delivery waits for."""
    text = "insecure: must be true before the token is sent over plain HTTP"
    for state, is_shown in (("failing", True), ("idle", False)):
        failing = example(collector_state=state, collector_error=text)
        console = Console(width=300, file=io.StringIO(), markup=False)
        console.print(render(failing, failing.boot_ns, Translator("en")))
        assert isinstance(console.file, io.StringIO)
        assert (text in console.file.getvalue()) is is_shown


def test_only_results_of_this_run_are_listed() -> None:
    """Slots before the start are no news, and no old reading replaces a newer one."""
    latest_readings = LatestReadings(STATUS_FIELDS)
    before = Reading(
        "latency",
        Outcome.SKIPPED,
        10**11,
        (Sample(LATENCY_TAGS, {}),),
        reason="not_running",
    )
    latest_readings.add(before)
    assert latest_readings.all() == []
    latest_readings.add(latency())
    for late in (before, replace(before, reason="paused")):
        latest_readings.add(late)
    assert [latest.outcome for latest in latest_readings.all()] == ["ok"]


def test_without_a_file_there_is_no_status(tmp_path: Path) -> None:
    """The result is None, and no error, if no agent wrote a file."""
    assert status.read(tmp_path) is None


def test_the_file_of_another_version_is_an_error(tmp_path: Path) -> None:
    """A file with an unknown key is an error with its path."""
    status.write(example(), tmp_path)
    path = tmp_path / status.FILE_NAME
    path.write_text(json.dumps(json.loads(path.read_text()) | {"new": 1}))
    with pytest.raises(StorageError, match="another version"):
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


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"x"',
        b"\xff\xfe\x00",
        b"[" * 100_000,
        b"1" * 5_000_000,
        b'{"pid": 1}',
    ],
    ids=lambda content: str(content[:8]),
)
def test_a_damaged_file_is_one_error(tmp_path: Path, content: bytes) -> None:
    """Whatever the file has, the error names it and what to do."""
    (tmp_path / status.FILE_NAME).write_bytes(content)
    with pytest.raises(StorageError, match=r"status\.json: .*Fix: "):
        status.read(tmp_path)


def test_a_folder_or_a_device_is_one_error(tmp_path: Path) -> None:
    """A read ends, also of a device without an end and of a pipe without a writer."""
    path = tmp_path / status.FILE_NAME
    path.symlink_to("/dev/zero")
    with pytest.raises(StorageError, match="symbolic links"):
        status.read(tmp_path)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(StorageError, match="not a regular file"):
        status.read(tmp_path)
    path.unlink()
    path.mkdir()
    with pytest.raises(StorageError, match="Is a directory"):
        status.read(tmp_path)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=5,
)


@settings(deadline=None)
@given(data=st.data())
def test_a_changed_value_is_refused_or_shown(data: st.DataObject) -> None:
    """A value of any kind at any place is an error of the file, or can be drawn."""
    values = json.loads(json.dumps(asdict(example())))
    place: Any = values
    key: Any = data.draw(st.sampled_from(sorted(place)))
    while isinstance(place[key], dict | list) and place[key]:
        if data.draw(st.booleans()):
            break
        place = place[key]
        keys = sorted(place) if isinstance(place, dict) else range(len(place))
        key = data.draw(st.sampled_from(keys))
    place[key] = data.draw(JSON)
    with tempfile.TemporaryDirectory() as name:
        (Path(name) / status.FILE_NAME).write_text(json.dumps(values))
        try:
            changed = status.read(Path(name))
        except StorageError:
            return
    assert changed is not None
    screen = render(changed, changed.boot_ns, Translator("en"))
    Console(file=io.StringIO(), markup=False).print(screen)
