"""A valid calendar, which tests change."""

from __future__ import annotations

from pathlib import Path

from qos_agent.config import calendar_file
from qos_agent.model.calendar import Calendar

VALID_CALENDAR = """
[[election]]
name = "test"
[[election.period]]
kind = "pre"
start = 2029-01-01T00:00:00
end = 2029-01-10T07:00:00
[[election.period]]
kind = "voting"
start = 2029-01-10T07:00:00
end = 2029-01-10T13:00:00
[[election.period]]
kind = "counting"
start = 2029-01-10T13:00:00
end = 2029-01-11T12:00:00
[[election.period]]
kind = "post"
start = 2029-01-11T12:00:00
end = 2029-02-01T00:00:00
"""


def calendar_of(folder: Path, text: str) -> Calendar:
    """Write the text to a calendar file and load it."""
    path = folder / "calendar.toml"
    path.write_text(text)
    return calendar_file.load(path)
