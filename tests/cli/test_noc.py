"""`qos-agent noc register` and `noc simulate`, as somebody at the centre types them."""

from __future__ import annotations

import csv
import json
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner, Result

from qos_agent.cli.noc import app
from qos_agent.cli.noc_options import Progress
from qos_agent.model.errors import ConfigError


@pytest.fixture
def centre(tmp_path: Path) -> Path:
    """A configuration whose register is the test's own."""
    path = tmp_path / "noc.toml"
    path.write_text(f'folder = "{tmp_path}"\n')
    return path


def typed(centre: Path, *words: str) -> Result:
    """Type a command."""
    return CliRunner().invoke(app, [*words, "-c", str(centre)], catch_exceptions=False)


@pytest.fixture
def stations(centre: Path, tmp_path: Path) -> Path:
    """The stations of a simulated nation, as its CSV."""
    path = tmp_path / "stations.csv"
    made = typed(centre, "simulate", "healthy", "--dry", "--count", "30",
                 "--stations", str(path))  # fmt: skip
    assert made.output == "healthy: 30 stations\n"
    return path


def test_an_import_shows_before_it_applies(centre: Path, stations: Path) -> None:
    """Nothing is there until --apply; then all are expected, and no second time."""
    shown = typed(centre, "register", "import", str(stations))
    assert shown.output.startswith("30 added, 0 changed")
    assert "nothing imported yet" in shown.output
    assert typed(centre, "register", "count", "--json").output == "{}\n"
    applied = typed(centre, "register", "import", str(stations), "--apply")
    assert "imported: 30 stations are expected" in applied.output
    again = typed(centre, "register", "import", str(stations))
    assert again.output.startswith("0 added, 0 changed")


def test_one_bad_row_stops_an_import_or_is_left_out(
    centre: Path, stations: Path
) -> None:
    """Nothing is imported, the row is told, and --partial takes the sound ones."""
    rows = list(csv.reader(stations.read_text().splitlines()))
    rows[4][rows[0].index("latitude")] = "106.8"
    with stations.open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    refused = typed(centre, "register", "import", str(stations), "--apply")
    assert "nothing imported: mend" in refused.output
    assert refused.output.startswith("row 5, latitude: '106.8': between -11.5 and 6.5")
    assert typed(centre, "register", "count").output == "0 stations\n"
    part = typed(centre, "register", "import", str(stations), "--apply", "--partial")
    assert "imported: 29 stations are expected" in part.output
    # A faulty row's station is not missing from the file.
    with pytest.raises(ConfigError, match="--close-missing"):
        typed(centre, "register", "import", str(stations), "--apply", "--partial",
              "--close-missing")  # fmt: skip


def test_every_fault_goes_to_a_file(
    centre: Path, stations: Path, tmp_path: Path
) -> None:
    """The first fifty are shown, and all have row, column, value and why."""
    rows = list(csv.reader(stations.read_text().splitlines()))
    bad = [[*row[:1], "", *row[2:]] for row in rows[1:] * 2]
    with stations.open("w", newline="") as file:
        csv.writer(file).writerows([rows[0], *bad])
    path = tmp_path / "faults.csv"
    said = typed(centre, "register", "import", str(stations), "--faults", str(path))
    head, *told = csv.reader(path.read_text().splitlines())
    assert head == ["row", "column", "value", "why"]
    assert told[0] == ["2", rows[0][1], "", "must be given"]
    assert len(told) == 90  # thirty names, then again, and thirty stations twice
    assert [int(row) for row, *_ in told] == sorted(int(row) for row, *_ in told)
    assert (
        said.output.splitlines()[:50]
        == [
            f"row {row}, {column}: {value!r}: {why}" for row, column, value, why in told
        ][:50]
    )
    assert "… and 40 more faults: --faults FILE.csv has all" in said.output


@pytest.mark.parametrize(
    ("scope", "to", "said"),
    [
        ("9999", "2099-01-01T00:00:00+07:00", "a registered station"),
        ("3171010001999", "2099-01-01T00:00:00+07:00", "a registered station"),
        ("31", "2026-01-01T00:00:00+07:00", "after --from"),
    ],
)
def test_a_note_that_nobody_would_see_is_refused(
    centre: Path, stations: Path, scope: str, to: str, said: str
) -> None:
    """Of nowhere, or over before it begins: told, and nothing is on record."""
    typed(centre, "register", "import", str(stations), "--apply")
    with pytest.raises(ConfigError, match=said):
        typed(centre, "register", "note", "maintenance", scope, "--from",
              "2026-01-01T00:00:00+07:00", "--to", to, "--words", "PLN")  # fmt: skip
    assert typed(centre, "register", "notes", "--all").output == ""


def test_mismatches_cannot_be_told_without_a_collector(centre: Path) -> None:
    """That nobody was asked is no sign that all is well."""
    with pytest.raises(ConfigError, match=r"\[\[collectors\]\]"):
        typed(centre, "register", "mismatches")


def test_notes_are_recorded_shown_and_ended(centre: Path, stations: Path) -> None:
    """Maintenance is on record, and no station leaves the count for it."""
    typed(centre, "register", "import", str(stations), "--apply")
    before = typed(centre, "register", "count").output
    said = typed(centre, "register", "note", "maintenance", "31", "--from",
                 "2026-01-01T00:00:00+07:00", "--to", "2099-01-01T00:00:00+07:00",
                 "--words", "PLN")  # fmt: skip
    assert said.output == "maintenance of 31: recorded\n"
    assert typed(centre, "register", "count").output == before
    (shown,) = json.loads(typed(centre, "register", "notes", "--json").output)
    assert (shown["kind"], shown["scope"], shown["words"]) == (
        "maintenance", "31", "PLN"
    )  # fmt: skip
    assert typed(centre, "register", "end-note", "1").output == "1: ended\n"
    assert typed(centre, "register", "notes").output == ""
    assert "1: maintenance of 31" in typed(centre, "register", "notes", "--all").output


def test_a_station_is_closed_by_its_code(centre: Path, stations: Path) -> None:
    """It is expected no more; its history is shown."""
    typed(centre, "register", "import", str(stations), "--apply")
    code = list(csv.reader(stations.read_text().splitlines()))[1][0]
    assert typed(centre, "register", "close", code).output == f"{code}: closed\n"
    assert "no such station" in typed(centre, "register", "close", code).output
    assert "29 stations" in typed(centre, "register", "count").output
    until = datetime.now(UTC).strftime("valid_to=%Y-%m-%dT")
    assert until in typed(centre, "register", "show", code).output
    unknown = typed(centre, "register", "show", "9999999999999")
    assert unknown.output == "9999999999999: no such station\n"


def test_a_simulation_goes_to_a_file_with_its_key(centre: Path, tmp_path: Path) -> None:
    """Points, answer key and stations of one run belong together."""
    out, key = tmp_path / "lines", tmp_path / "key.json"
    said = typed(centre, "simulate", "never", "--count", "40", "--minutes", "2",
                 "--out", str(out), "--key", str(key))  # fmt: skip
    lines = out.read_bytes().splitlines()
    assert said.output == f"never: 40 stations, {len(lines)} points\n"
    (planted,) = json.loads(key.read_text())
    assert planted["stations"]
    assert not any(code.encode() in out.read_bytes() for code in planted["stations"])


@pytest.mark.parametrize("option", ["--out", "--key", "--stations", "--faults"])
def test_a_file_that_cannot_be_written_is_told_by_its_option(
    centre: Path, stations: Path, tmp_path: Path, option: str
) -> None:
    """Before any work is done for it, and as no fault of ours."""
    words = ["simulate", "never", "--count", "5", "--minutes", "1"]
    if option == "--faults":
        words = ["register", "import", str(stations)]
    with pytest.raises(ConfigError, match=rf"{option}.*No such file"):
        typed(centre, *words, option, str(tmp_path / "nowhere" / "file"))


def test_progress_says_how_many_how_fast_and_where(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In a log every ten seconds, however often it hears of it."""
    passed_s = iter(range(0, 60, 5))
    clock = SimpleNamespace(monotonic=lambda: next(passed_s))
    monkeypatch.setattr("qos_agent.cli.noc_options.time", clock)
    say = Progress("points")
    for number in range(1000, 6000, 1000):
        say(number, ", minute 1 of 2")
    assert capsys.readouterr().err.splitlines() == [
        "2,000 points, 200/s, minute 1 of 2", "4,000 points, 200/s, minute 1 of 2"
    ]  # fmt: skip


@pytest.mark.parametrize("part", ["3/2", "0/1", "half"])
def test_a_part_that_is_none_is_refused(centre: Path, part: str) -> None:
    """With what it should be."""
    with pytest.raises(ConfigError, match="1/1, or such as 2/3"):
        typed(centre, "simulate", "healthy", "--part", part)
