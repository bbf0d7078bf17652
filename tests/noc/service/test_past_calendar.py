"""A calendar of a past election, which the database no longer keeps."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from qos_agent.influx.writer import WriteError
from qos_agent.noc.service.service import Service
from qos_agent.noc.settings import NocSettings
from tests.noc.nation import register_stations

DAY_S = 86_400
MINUTE_NS = 60 * 10**9
AT_NS = 1_796_000_000 * 10**9  # November 2026
PAST = (
    "census: the calendar is of a past election. Fix: set election.calendar in noc.toml"
)


@pytest.mark.parametrize(
    ("keep_days", "expected"),
    [
        (200, [PAST]),
        (2000, ["census: cannot write the calendar: qos: refused"] * 2),
    ],
)
def test_a_past_calendar_is_one_line_in_the_log(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    keep_days: int,
    expected: list[str],
) -> None:
    """A longer retention would not make it the calendar of this election."""
    register_stations(tmp_path, {}).close()
    section = {"url": "http://127.0.0.1:1", "bucket": "qos"}
    service = Service(
        NocSettings.model_validate(
            {
                "folder": tmp_path,
                "collectors": [{**section, "provinces": ["31"]}],
                "rollup": section,
                "election": {"calendar": "2024-02-14"},
            }
        ),
        lambda _: None,
    )

    def refuse(lines: Sequence[bytes]) -> None:
        raise WriteError("qos", "refused")

    monkeypatch.setattr(service.writer, "write", refuse)
    monkeypatch.setattr(service.rollups, "retention_s", lambda: keep_days * DAY_S)
    for minute in range(2):
        service._write_calendar(AT_NS + minute * MINUTE_NS)
    service.close()
    about = [r.message for r in caplog.records if "calendar" in r.message]
    assert about == expected
