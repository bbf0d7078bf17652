"""`qos-agent noc register` and `noc simulate`, run as a NOC operator would."""

from __future__ import annotations

import csv
import json
import shutil
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner, Result

from qos_agent.cli.noc import app
from qos_agent.cli.noc_options import Progress
from qos_agent.model.errors import (
    ConfigError,
    InvalidConfigError,
    OperatorError,
    StorageError,
)
from qos_agent.noc.census import mismatches as census_mismatches
from tests.support.open_files import open_files

START = "2026-01-01T00:00:00+07:00"
END = "2099-01-01T00:00:00+07:00"


@pytest.fixture
def centre(tmp_path: Path) -> Path:
    """Write a configuration with a register in the test's folder."""
    path = tmp_path / "noc.toml"
    path.write_text(f'folder = "{tmp_path}"\n')
    return path


def run(centre: Path, *arguments: str) -> Result:
    """Run a command with the configuration."""
    command = [*arguments, "-c", str(centre)]
    return CliRunner().invoke(app, command, catch_exceptions=False)


def note_maintenance(centre: Path, scope: str, end: str = END) -> Result:
    """Record maintenance from `START` on."""
    span = ("--from", START, "--to", end)
    command = ("register", "note", "maintenance", scope)
    return run(centre, *command, *span, "--reason", "PLN")


@pytest.fixture
def stations(centre: Path, tmp_path: Path) -> Path:
    """Write the stations of a simulated nation as a CSV file."""
    path = tmp_path / "stations.csv"
    files = ("--stations", str(path))
    result = run(centre, "simulate", "healthy", "--dry", "--count", "30", *files)
    assert result.output == "healthy: 30 stations\n"
    return path


def test_a_dry_simulation_without_files_reports_it(centre: Path) -> None:
    """The output says that nothing was written, and names the options."""
    result = run(centre, "simulate", "healthy", "--dry", "--count", "3")
    text = "Nothing was written. To write files, add --stations or --key."
    assert result.output == f"healthy: 3 stations\n{text}\n"


def test_an_import_shows_before_it_applies(centre: Path, stations: Path) -> None:
    """Without --apply nothing changes; a second import changes nothing."""
    shown = run(centre, "register", "import", str(stations))
    assert shown.output.startswith("30 added, 0 changed")
    assert "Nothing was imported yet" in shown.output
    register = centre.parent / "register.sqlite3"
    assert shown.output.endswith(f"register: {register}\n")
    assert not register.exists()
    with pytest.raises(OperatorError, match=r"there is no register\. Fix: name the"):
        run(centre, "register", "count", "--json")
    assert not register.exists()
    applied = run(centre, "register", "import", str(stations), "--apply")
    assert "imported: 30 stations are expected" in applied.output
    assert applied.output.endswith(f"register: {register}\n")
    again = run(centre, "register", "import", str(stations))
    assert again.output.startswith("0 added, 0 changed")


def test_one_bad_row_stops_an_import_or_is_left_out(
    centre: Path, stations: Path
) -> None:
    """The row is reported, and --partial imports the valid ones."""
    good = Path(shutil.copy(stations, stations.with_name("good.csv")))
    rows = list(csv.reader(stations.read_text().splitlines()))
    rows[4][rows[0].index("latitude")] = "106.8"
    with stations.open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    rejected = run(centre, "register", "import", str(stations), "--apply")
    assert "Nothing was imported. Correct the rows" in rejected.output
    fault = "row 5, latitude: must be between -11.5 and 6.5 (found: '106.8')"
    assert rejected.output.startswith(fault)
    assert run(centre, "register", "count").output == "0 stations\n"
    partial = ("register", "import", str(stations), "--apply", "--partial")
    result = run(centre, *partial)
    assert "imported: 29 stations are expected" in result.output
    # A faulty row's station is not missing from the file.
    again = run(centre, "register", "import", str(good), "--apply")
    assert again.exit_code == 0
    result = run(centre, "register", "import", str(stations))
    assert ", 0 of the register not in the file, 1 in a faulty row\n" in result.output
    assert f"in a faulty row {rows[4][0]}\n" in result.output
    assert "not in the file 3" not in result.output
    with pytest.raises(ConfigError, match="--close-missing"):
        run(centre, *partial, "--close-missing")


def test_every_command_closes_the_register(centre: Path, stations: Path) -> None:
    """Also after an error and after an import that changed nothing."""
    commands = [
        ("import", str(stations), "--apply"),
        ("import", str(stations)),
        ("show", "3171010001999"),
        ("count",),
        ("notes",),
        ("end-note", "7"),
        ("close", "3171010001999"),
    ]
    for command in commands:
        run(centre, "register", *command)
        assert open_files(centre.parent) == [], command
    with pytest.raises(ConfigError, match="scope"):
        note_maintenance(centre, "3171010001999")
    assert open_files(centre.parent) == []


def test_every_fault_goes_to_a_file(
    centre: Path, stations: Path, tmp_path: Path
) -> None:
    """The first fifty are printed, and the file has them all."""
    rows = list(csv.reader(stations.read_text().splitlines()))
    bad = [[*row[:1], "", *row[2:]] for row in rows[1:] * 2]
    with stations.open("w", newline="") as file:
        csv.writer(file).writerows([rows[0], *bad])
    path = tmp_path / "faults.csv"
    result = run(centre, "register", "import", str(stations), "--faults", str(path))
    head, *faults = csv.reader(path.read_text().splitlines())
    assert head == ["row", "column", "value", "problem"]
    assert faults[0] == ["2", rows[0][1], "", "is missing"]
    assert len(faults) == 90  # thirty names, then again, and thirty stations twice
    numbers = [int(row) for row, *_ in faults]
    assert numbers == sorted(numbers)
    printed = [
        f"row {row}, {column}: {problem}" + (f" (found: {value!r})" if value else "")
        for row, column, value, problem in faults
    ]
    assert result.output.splitlines()[:50] == printed[:50]
    assert "… and 40 more faults. To write all: --faults FILE.csv" in result.output


@pytest.mark.slow
@pytest.mark.parametrize(
    ("scope", "end", "problem"),
    [
        ("9999", END, "a registered station"),
        ("3171010001999", END, "a registered station"),
        ("31", START, "must be after --from"),
    ],
)
def test_a_note_that_would_never_be_shown_is_rejected(
    centre: Path, stations: Path, scope: str, end: str, problem: str
) -> None:
    """Its area is unknown, or it ends before it starts. Nothing is recorded."""
    run(centre, "register", "import", str(stations), "--apply")
    with pytest.raises(ConfigError, match=problem):
        note_maintenance(centre, scope, end)
    assert run(centre, "register", "notes", "--all").output == "no notes\n"
    with pytest.raises(ConfigError, match="must be a date and time") as raised:
        note_maintenance(centre, "31", "tomorrow")
    assert raised.value.key == "--to"


def test_the_former_name_of_a_setting_is_one_error_with_the_new_name(
    centre: Path,
) -> None:
    """Other errors of the same table are not mixed with it."""
    with centre.open("a") as file:
        file.write('[census]\nexceptions = 5\nlate = "long"\n')
    with pytest.raises(InvalidConfigError) as caught:
        run(centre, "register", "count")
    assert str(caught.value) == (
        "census.exceptions: has a new name. Fix: rename it to worst_stations."
    )


def test_mismatches_need_a_collector(centre: Path) -> None:
    """An empty list without a query would look as if all were well."""
    with pytest.raises(ConfigError, match=r"\[\[collectors\]\]"):
        run(centre, "register", "mismatches")


def test_no_mismatch_is_one_line(
    centre: Path, stations: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a line, nobody could see that the command had compared anything."""
    run(centre, "register", "import", str(stations), "--apply")
    with centre.open("a") as file:
        file.write('[[collectors]]\nurl = "http://127.0.0.1:1"\nbucket = "qos"\n')
    monkeypatch.setattr(census_mismatches, "mismatches", lambda *_: iter(()))
    result = run(centre, "register", "mismatches")
    assert (result.output, result.exit_code) == ("no mismatches\n", 0)
    assert run(centre, "register", "mismatches", "--json").output == "[]\n"


def test_notes_are_recorded_shown_and_ended(centre: Path, stations: Path) -> None:
    """Maintenance is on record, and stations under maintenance are still counted."""
    run(centre, "register", "import", str(stations), "--apply")
    before = run(centre, "register", "count").output
    result = note_maintenance(centre, "31")
    assert result.output.startswith("maintenance of 31: recorded until 20")
    assert run(centre, "register", "count").output == before
    (note,) = json.loads(run(centre, "register", "notes", "--json").output)
    values = (note["kind"], note["scope"], note["reason"])
    assert values == ("maintenance", "31", "PLN")
    assert run(centre, "register", "end-note", "1").output == "1: ended\n"
    assert run(centre, "register", "end-note", "99").output == (
        "number: is not the number of a note (found: 99). Fix: use a number that "
        "`qos-agent noc register notes --all` prints.\n"
    )
    assert run(centre, "register", "notes").output == "no notes\n"
    assert "1: maintenance of 31" in run(centre, "register", "notes", "--all").output


def test_a_station_is_closed_by_its_code(centre: Path, stations: Path) -> None:
    """It is no longer expected; its history is shown."""
    run(centre, "register", "import", str(stations), "--apply")
    code = list(csv.reader(stations.read_text().splitlines()))[1][0]
    assert run(centre, "register", "close", code).output == f"{code}: closed\n"
    assert run(centre, "register", "close", code).output == (
        f"station: is already closed at that time (found: '{code}'). Fix: see its "
        f"history: qos-agent noc register show {code}.\n"
    )
    assert "29 stations" in run(centre, "register", "count").output
    until = datetime.now(UTC).strftime("valid_to=%Y-%m-%dT")
    assert until in run(centre, "register", "show", code).output
    for command in ("show", "close"):
        unknown = run(centre, "register", command, "9999999999999")
        assert unknown.output == (
            "station: is not in the register (found: '9999999999999'). "
            "Fix: check the 13-digit code.\n"
        )


@pytest.mark.parametrize("name", ["file/below", "/proc/nosuch"])
def test_a_folder_that_cannot_be_used_is_an_error_with_a_fix(
    centre: Path, stations: Path, name: str
) -> None:
    """A folder below a file, or one that cannot be created, is no traceback."""
    (centre.parent / "file").touch()
    centre.write_text(f'folder = "{centre.parent / name}"\n')
    with pytest.raises(StorageError, match=r"^cannot open .*Fix: set folder in noc"):
        run(centre, "register", "import", str(stations), "--apply")


def test_a_register_that_is_no_database_is_an_error_with_a_fix(centre: Path) -> None:
    """The folder is not blamed for the content of the file."""
    centre.write_text(f'folder = "{centre.parent}"\n')
    (centre.parent / "register.sqlite3").write_text("not a database, but some text")
    with pytest.raises(StorageError, match=r"Fix: replace the file with a backup"):
        run(centre, "register", "count")


def test_a_simulation_goes_to_a_file_with_its_key(centre: Path, tmp_path: Path) -> None:
    """The points and the answer key come from the same run."""
    out, key = tmp_path / "lines", tmp_path / "key.json"
    files = ("--out", str(out), "--key", str(key))
    size = ("--count", "40", "--minutes", "2")
    result = run(centre, "simulate", "never", *size, *files)
    lines = out.read_bytes().splitlines()
    assert result.output == f"never: 40 stations, {len(lines)} points\n"
    (injected,) = json.loads(key.read_text())
    assert injected["stations"]
    assert not any(code.encode() in out.read_bytes() for code in injected["stations"])


@pytest.mark.parametrize("end", [8, 7])
def test_a_fault_ends_after_it_begins(centre: Path, tmp_path: Path, end: int) -> None:
    """A fault that is never active is an error of its key `to`."""
    path = tmp_path / "scenario.toml"
    fault = f'kind = "power_cut"\nfrom = 8\nto = {end}\n'
    path.write_text(f'name = "x"\n[[fault]]\n{fault}')
    problem = rf"fault\.0\.to: must be after from, which is 8 \(found: {end}\)"
    with pytest.raises(InvalidConfigError, match=problem):
        run(centre, "simulate", str(path), "--dry")


@pytest.mark.parametrize("option", ["--out", "--key", "--stations", "--faults"])
def test_a_file_that_cannot_be_written_is_reported_by_its_option(
    centre: Path, stations: Path, tmp_path: Path, option: str
) -> None:
    """The error comes before any work, and it is not reported as a bug."""
    command = ["simulate", "never", "--count", "5", "--minutes", "1"]
    if option == "--faults":
        command = ["register", "import", str(stations)]
    with pytest.raises(ConfigError, match=rf"{option}.*No such file"):
        run(centre, *command, option, str(tmp_path / "nowhere" / "file"))


def test_progress_has_a_number_a_rate_and_a_detail(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In a log it prints every ten seconds, however often it is called."""
    passed_s = iter(range(0, 60, 5))
    clock = SimpleNamespace(monotonic=lambda: next(passed_s))
    monkeypatch.setattr("qos_agent.cli.noc_options.time", clock)
    progress = Progress("points")
    for number in range(1000, 6000, 1000):
        progress(number, ", minute 1 of 2")
    assert capsys.readouterr().err.splitlines() == [
        "2,000 points, 200/s, minute 1 of 2",
        "4,000 points, 200/s, minute 1 of 2",
    ]


@pytest.mark.parametrize("part", ["3/2", "0/1", "half"])
def test_an_impossible_part_is_rejected(centre: Path, part: str) -> None:
    """The error shows a valid part."""
    with pytest.raises(ConfigError, match="must be a part such as 2/3"):
        run(centre, "simulate", "healthy", "--part", part)
