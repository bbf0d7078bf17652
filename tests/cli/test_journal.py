"""`qos-agent journal`, as a technician and a program use it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from qos_agent.cli.journal import app
from qos_agent.journal import Journal, JournalLimits, Lane
from qos_agent.model.errors import OperatorError
from tests.journal.support import bodies, change, deliver, open_journal, put
from tests.support.clocks import FakeClock


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A configuration whose journal is the test's."""
    path = tmp_path / "agent.toml"
    path.write_text(f'[journal]\nfolder = "{tmp_path}"\n')
    return path


@pytest.fixture
def journal(tmp_path: Path, clock: FakeClock) -> Journal:
    """Five points, one delivered, one refused; the agent still runs."""
    opened = open_journal(tmp_path, JournalLimits(disk_reserve_bytes=0))
    put(opened, clock, 5)
    opened.settle(opened.claim("collector", 1, Lane.FRESH))
    opened.quarantine(opened.claim("collector", 1, Lane.FRESH), "field type conflict")
    opened.flush()
    return opened


def _say(config: Path, *arguments: str) -> str:
    answer = CliRunner().invoke(app, [*arguments, "-c", str(config)])
    assert answer.exception is None, answer.exception
    return answer.output


def test_stats(config: Path, journal: Journal) -> None:
    """What is stored, owed and refused, for people and for programs."""
    said = _say(config, "stats")
    assert "owed to collector: 3" in said
    assert "refused by collector: point 2: field type conflict" in said
    found = json.loads(_say(config, "stats", "--json"))
    assert (found["journal"], found["points"]) == (journal.id, 5)
    assert found["undelivered"] == {"collector": 3}
    assert found["kinds"][0]["measurement"] == "latency"


def test_tail(config: Path, journal: Journal) -> None:
    """The newest points as stored, or as JSON."""
    lines = [line.decode() for line in bodies(journal)]
    assert _say(config, "tail", "-n", "2").splitlines() == lines[-2:]
    (record,) = _say(config, "tail", "-n", "1", "--json").splitlines()
    assert json.loads(record)["fields"]["seq"] == 5


def test_export_is_byte_for_byte(
    config: Path, journal: Journal, tmp_path: Path
) -> None:
    """A file of all lines, or of those after a number."""
    file = tmp_path / "export.lp"
    _say(config, "export", str(file))
    assert file.read_bytes().splitlines() == bodies(journal)
    assert len(_say(config, "export", "--after", "3").splitlines()) == 2


def test_verify_finds_what_was_altered_and_what_is_missing(
    config: Path, journal: Journal, tmp_path: Path
) -> None:
    """Well at first; then a changed line and a removed one are named, status 1."""
    assert _say(config, "verify") == "well: 5 points\n"
    journal.close()
    altered = "CAST(replace(CAST(line AS TEXT), 'sent=20i', 'sent=21i') AS BLOB)"
    change(
        tmp_path,
        [f"UPDATE point SET line = {altered} WHERE seq = 2",
         "DELETE FROM point WHERE seq IN (3, 4)"],
    )  # fmt: skip
    answer = CliRunner().invoke(
        app, ["verify", "--json", "-c", str(config)], standalone_mode=False
    )
    assert answer.return_value == 1
    faults = json.loads(answer.output)["faults"]
    assert faults[0].startswith("point 2: altered")
    assert "points 3 to 4: missing" in faults


def test_requeue_of_what_was_refused(config: Path, journal: Journal) -> None:
    """After the mend at the collector, refused points are owed again, live."""
    assert _say(config, "requeue") == "to be sent again: 1\n"
    assert deliver(journal) == [2, 3, 4, 5]


def test_requeue_of_a_span(config: Path, journal: Journal) -> None:
    """Points a collector lost are sent again from the local evidence."""
    deliver(journal)
    journal.flush()
    said = _say(config, "requeue", "--from", "1", "--to", "3", "--json")
    assert json.loads(said) == {"points": 3}
    assert deliver(journal) == [1, 2, 3]


def test_without_a_journal(config: Path) -> None:
    """Which file is missing, and what makes one."""
    answer = CliRunner().invoke(app, ["stats", "-c", str(config)])
    assert isinstance(answer.exception, OperatorError)
    assert "no journal file. Fix: set journal.folder" in str(answer.exception)
