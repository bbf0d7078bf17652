"""A wrong calendar file is refused with one clear line for each error."""

from __future__ import annotations

from pathlib import Path

import pytest

from qos_agent.config import calendar_file
from qos_agent.model.errors import InvalidConfigError
from tests.support.calendars import VALID_CALENDAR, calendar_of

STATION = 'province = "{}"\nstations = ["3171011001001"]'
BAD = {
    "election: is missing. Fix: add election to FILE.": ("", ""),
    "elections: unknown key. Fix: rename it to election in FILE, or remove it.": (
        "[[election]]",
        "[[elections]]",
    ),
    "election.0.period.1.begin: unknown key. Fix: remove it in FILE (known keys: end, "
    "kind, province, provinces, start, stations, zones).": (
        "start = 2029-01-10T07",
        "begin = 2029-01-10T07",
    ),
    "election.0.period.1.kind: must be 'pre', 'voting', 'counting', 'recapitulation' "
    "or 'post' (found: 'votting'). Fix: edit election.0.period.1.kind in FILE.": (
        '"voting"',
        '"votting"',
    ),
    "election.0.period: must contain a period of kind voting (found: pre, pre, "
    "counting, post). Fix: add an [[election.period]] table with the voting hours.": (
        '"voting"',
        '"pre"',
    ),
    "election.0.name: must be 1 to 64 letters, digits, hyphens or underscores "
    "(found: 'a b'). Fix: edit election.0.name in FILE.": ('"test"', '"a b"'),
    "election.0.period.1.end: must be later than start, 2029-01-10T07:00:00 "
    "(found: 2029-01-10T06:00:00). Fix: edit election.0.period.1.end in FILE.": (
        "end = 2029-01-10T13",
        "end = 2029-01-10T06",
    ),
    "election.0.period.1.start: must be a local date and time without offset, such as "
    "2024-02-14T07:00:00 (found: 2029-01-10T07:00:00+07:00). Fix: edit "
    "election.0.period.1.start in FILE.": (
        "start = 2029-01-10T07:00:00",
        "start = 2029-01-10T07:00:00+07:00",
    ),
    "election.0.period.1.start: must be a local date and time without offset, such as "
    "2024-02-14T07:00:00 (found: 2029-01-10). Fix: edit election.0.period.1.start in "
    "FILE.": (
        "start = 2029-01-10T07:00:00",
        "start = 2029-01-10",
    ),
    "election.0.period.2: overlaps election.0.period.1, which is voting 2029-01-10 "
    "07:00 to 2029-01-10 13:00 (found: counting 2029-01-10 12:00 to 2029-01-11 12:00). "
    "Fix: move a start or an end.": (
        "start = 2029-01-10T13",
        "start = 2029-01-10T12",
    ),
    "election.0.period.1.zones.1: must be 'WIB', 'WITA' or 'WIT' (found: 'WIS'). "
    "Fix: edit election.0.period.1.zones.1 in FILE.": (
        'kind = "voting"',
        'kind = "voting"\nzones = ["WIB", "WIS"]',
    ),
    "election.0.period.1.zones: must have at least one entry (found: an empty list). "
    "Fix: edit election.0.period.1.zones in FILE.": (
        'kind = "voting"',
        'kind = "voting"\nzones = []',
    ),
    "election.0.period.1.provinces.0: must be the code of a province, two digits in "
    "quotes from 11 to 96 (found: '99'). Fix: edit election.0.period.1.provinces.0 in "
    "FILE.": (
        'kind = "voting"',
        'kind = "voting"\nprovinces = ["99"]',
    ),
    "election.0.period.1.provinces.0: must be the code of a province, two digits in "
    "quotes from 11 to 96 (found: 31). Fix: edit election.0.period.1.provinces.0 in "
    "FILE.": (
        'kind = "voting"',
        'kind = "voting"\nprovinces = [31]',
    ),
    "election.0.period.1.stations.0: must be 1 to 64 letters, digits, hyphens or "
    "underscores (found: '31/71'). Fix: edit election.0.period.1.stations.0 in FILE.": (
        'kind = "voting"',
        'kind = "voting"\nprovince = "31"\nstations = ["31/71"]',
    ),
    "election.0.period.1: must have province and stations together (found: only "
    "stations). Fix: add the other one.": (
        'kind = "voting"',
        'kind = "voting"\nstations = ["3171011001001"]',
    ),
    "election.0.period.1: must have only one of zones, provinces and stations (found: "
    "zones, provinces). Fix: write one period for each.": (
        'kind = "voting"',
        'kind = "voting"\nzones = ["WIB"]\nprovinces = ["31"]',
    ),
    "election.0.period.2: station 3171011001001 is in province 31 in "
    "election.0.period.1, but in another province here (found: '32'). Fix: correct one "
    "of the two.": (
        'kind = "voting"\nSTART\nkind = "counting"',
        "",
    ),
}


@pytest.mark.parametrize(("line", "change"), BAD.items(), ids=[k[:60] for k in BAD])
def test_each_error_is_one_line(
    tmp_path: Path, line: str, change: tuple[str, str]
) -> None:
    """Each error names its key, the problem, the value found and the fix."""
    old, new = change
    text = VALID_CALENDAR.replace(old, new, 1) if old else ""
    if "START" in old:
        text = VALID_CALENDAR
        for kind, province in (("voting", "31"), ("counting", "32")):
            line_of_kind = f'kind = "{kind}"'
            scope = STATION.format(province)
            text = text.replace(line_of_kind, f"{line_of_kind}\n{scope}")
    with pytest.raises(InvalidConfigError) as raised:
        calendar_of(tmp_path, text)
    file = str(tmp_path / "calendar.toml")
    lines = [str(fault).replace(file, "FILE") for fault in raised.value.faults]
    assert line in lines
    assert all("\n" not in text for text in lines)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"[[election]", "is not valid TOML"),
        (b"\xff\xfe", "is UTF-16, and must be UTF-8"),
        (None, "cannot be read: No such file .* calendar: 2024-02-14, 2024-11-27"),
    ],
)
def test_an_unreadable_file_is_an_error(
    tmp_path: Path, content: bytes | None, message: str
) -> None:
    """A missing, binary or incomplete file gives an error, not a traceback."""
    path = tmp_path / "calendar.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InvalidConfigError, match=message):
        calendar_file.load(path)


def test_the_template_is_complete_but_for_its_dates() -> None:
    """The template as shipped is refused, and the errors name what to fill in."""
    with pytest.raises(InvalidConfigError) as raised:
        calendar_file.load(calendar_file.template())
    keys = [fault.key for fault in raised.value.faults]
    edges = [f"election.0.period.{n}.{e}" for n in range(5) for e in ("start", "end")]
    assert keys == ["election.0.name", *edges]


def test_the_examples_of_the_template_are_valid(tmp_path: Path) -> None:
    """The commented examples of the template can be used without change."""
    lines = calendar_file.template().read_text().splitlines()
    examples = [line[2:].strip() for line in lines if line.startswith("#   ")]
    toml = [line for line in examples if not line.startswith("qos-agent")]
    calendar = calendar_of(tmp_path, '[[election]]\nname = "x"\n' + "\n".join(toml))
    assert len(calendar.periods) == 4
