"""Calendar files that are wrong: one clear line for each fault."""

from __future__ import annotations

from pathlib import Path

import pytest

from qos_agent.config import calendar_file
from qos_agent.model.errors import InvalidConfigError
from tests.support.calendars import WELL, calendar_of

STATION = 'province = "{}"\nstations = ["3171011001001"]'
BAD = {
    "election: found nothing; allowed: tables [[election]]; edit election": ("", ""),
    "elections: found an unknown key; allowed: election; did you mean election?": (
        "[[election]]",
        "[[elections]]",
    ),
    "election.0.period.1.begin: found an unknown key; allowed: end, kind, province, "
    "provinces, start, stations, zones; remove it": (
        "start = 2029-01-10T07",
        "begin = 2029-01-10T07",
    ),
    "election.0.period.1.kind: found 'votting'; allowed: pre, voting, counting, "
    "recapitulation, post; edit election.0.period.1.kind": ('"voting"', '"votting"'),
    "election.0.period: found ['pre', 'pre', 'counting', 'post']; allowed: "
    "[[election.period]], at least one of kind voting; add when votes are cast": (
        '"voting"',
        '"pre"',
    ),
    "election.0.name: found 'a b'; allowed: letters, digits, - and _; "
    "edit election.0.name": ('"test"', '"a b"'),
    "election.0.period.1.end: found 2029-01-10T06:00:00; allowed: later than its "
    "start, 2029-01-10T07:00:00; edit election.0.period.1.end": (
        "end = 2029-01-10T13",
        "end = 2029-01-10T06",
    ),
    "election.0.period.1.start: found 2029-01-10T07:00:00+07:00; allowed: a local date "
    "and time without offset, such as 2024-02-14T07:00:00; edit "
    "election.0.period.1.start": (
        "start = 2029-01-10T07:00:00",
        "start = 2029-01-10T07:00:00+07:00",
    ),
    "election.0.period.1.start: found 2029-01-10; allowed: a local date and time "
    "without offset, such as 2024-02-14T07:00:00; edit election.0.period.1.start": (
        "start = 2029-01-10T07:00:00",
        "start = 2029-01-10",
    ),
    "election.0.period.2: found counting 2029-01-10 12:00 to 2029-01-11 12:00, over "
    "election.0.period.1, voting 2029-01-10 07:00 to 2029-01-10 13:00; allowed: "
    "periods that do not overlap where they hold alike; move a start or an end": (
        "start = 2029-01-10T13",
        "start = 2029-01-10T12",
    ),
    "election.0.period.1.zones: found 'WIS'; allowed: WIB, WITA, WIT; "
    "edit election.0.period.1.zones": (
        'kind = "voting"',
        'kind = "voting"\nzones = ["WIB", "WIS"]',
    ),
    "election.0.period.1.zones: found []; allowed: a list with something in it; "
    "edit election.0.period.1.zones": (
        'kind = "voting"',
        'kind = "voting"\nzones = []',
    ),
    "election.0.period.1.provinces: found '99'; allowed: two digits in quotes, 11 to "
    "96; edit election.0.period.1.provinces": (
        'kind = "voting"',
        'kind = "voting"\nprovinces = ["99"]',
    ),
    "election.0.period.1.provinces: found 31; allowed: two digits in quotes, 11 to "
    "96; edit election.0.period.1.provinces": (
        'kind = "voting"',
        'kind = "voting"\nprovinces = [31]',
    ),
    "election.0.period.1.stations: found '31/71'; allowed: station codes in quotes; "
    "edit election.0.period.1.stations": (
        'kind = "voting"',
        'kind = "voting"\nprovince = "31"\nstations = ["31/71"]',
    ),
    "election.0.period.1: found only stations; allowed: province and stations "
    "together; say in which province these stations are": (
        'kind = "voting"',
        'kind = "voting"\nstations = ["3171011001001"]',
    ),
    "election.0.period.1: found ['zones', 'provinces']; allowed: one of zones, "
    "provinces, stations; make two periods": (
        'kind = "voting"',
        'kind = "voting"\nzones = ["WIB"]\nprovinces = ["31"]',
    ),
    "election.0.period.2: found station 3171011001001 in province 32; allowed: one "
    "province a station; election.0.period.1 says 31; correct one of the two": (
        'kind = "voting"\nSTART\nkind = "counting"',
        "",
    ),
}


@pytest.mark.parametrize(("line", "change"), BAD.items(), ids=[k[:60] for k in BAD])
def test_a_bad_file_is_said_in_one_line(
    tmp_path: Path, line: str, change: tuple[str, str]
) -> None:
    """Each fault names its key, what was found, what is allowed, and the mend."""
    old, new = change
    text = WELL.replace(old, new, 1) if old else ""
    if "START" in old:
        text = WELL
        for kind, province in (("voting", "31"), ("counting", "32")):
            given = f'kind = "{kind}"'
            text = text.replace(given, f"{given}\n{STATION.format(province)}")
    with pytest.raises(InvalidConfigError) as raised:
        calendar_of(tmp_path, text)
    assert line in [str(fault) for fault in raised.value.faults]
    assert all("\n" not in str(fault) for fault in raised.value.faults)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"[[election]", "TOML"),
        (b"\xff\xfe", "TOML"),
        (None, "a readable file, or one of 2024-02-14, 2024-11-27"),
    ],
)
def test_a_file_that_cannot_be_read_is_said_so(
    tmp_path: Path, content: bytes | None, words: str
) -> None:
    """No traceback for a missing, binary or half-written file."""
    path = tmp_path / "calendar.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InvalidConfigError, match=words):
        calendar_file.load(path)


def test_the_template_is_complete_but_for_its_dates() -> None:
    """Unfilled it is refused, naming what to fill in; filled in it is well."""
    with pytest.raises(InvalidConfigError) as raised:
        calendar_file.load(calendar_file.template())
    keys = [fault.key for fault in raised.value.faults]
    edges = [f"election.0.period.{n}.{e}" for n in range(5) for e in ("start", "end")]
    assert keys == ["election.0.name", *edges]


def test_the_templates_examples_are_well(tmp_path: Path) -> None:
    """What stands commented out can be used as it stands."""
    lines = calendar_file.template().read_text().splitlines()
    examples = [line[2:].strip() for line in lines if line.startswith("#   ")]
    kept = [line for line in examples if not line.startswith("qos-agent")]
    calendar = calendar_of(tmp_path, '[[election]]\nname = "x"\n' + "\n".join(kept))
    assert len(calendar.periods) == 4
