"""Dossiers of incidents, from the records of devices to the page."""

from __future__ import annotations

from pathlib import Path

import pytest

from qos_agent.archive.exporting import export
from qos_agent.model import Record, Value
from qos_agent.model.line_protocol import encode
from qos_agent.report.content.dossier import AROUND_NS, end_of
from qos_agent.report.facts import Facts, gather
from qos_agent.report.readings import open_readings
from qos_agent.report.selection import Selection
from qos_agent.report.template import Template
from qos_agent.report.writing import Format, write_dossier
from tests.archive.support import VOTING_NS
from tests.report.support import LINK, archive_of, train

_MINUTE = 60 * 10**9
_START_NS = VOTING_NS + 60 * _MINUTE


def _incident(seq: int, at_ns: int, change: str) -> bytes:
    fields: dict[str, Value] = {
        "seq": seq,
        "journal": "j1",
        "schema": 1,
        change: 1,
        "incident": "pi-1-main",
        "cause": "timeout",
        "sign_1": "trains: lost",
        "sign_2": "radio: searching",
        "side": "access",
        "start_ns": _START_NS,
        "lasted_s": 0.0,
    }
    return encode(Record("incident", LINK, fields, at_ns))


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """Return an archive with an incident of 30 minutes."""
    lines = [
        train(n, [10] * 20 if n < 12 or n >= 18 else [], lost=20 * (12 <= n < 18),
              time_ns=VOTING_NS + n * 5 * _MINUTE)
        for n in range(30)
    ]  # fmt: skip
    opened = _incident(100, _START_NS + 2 * _MINUTE, "opened")
    closed = _incident(101, _START_NS + 30 * _MINUTE, "closed")
    return archive_of(tmp_path, [*lines, opened, closed])


@pytest.fixture
def facts(archive: Path) -> Facts:
    """Return the facts of the archive."""
    return gather(archive, Selection(), Template())


def test_an_incident_has_start_end_cause_and_both_signs(facts: Facts) -> None:
    """It begins at the first loss, and ends when the device closed it."""
    (place,) = facts.incidents
    found = place.incident
    assert found.incident_id.startswith("3171-telkomsel-")
    assert found.start_ns == _START_NS
    assert found.end_ns == _START_NS + 30 * _MINUTE
    assert (found.cause, found.side) == ("timeout", "access")
    assert found.signs == ("radio: searching", "trains: lost")
    assert (found.stations, place.outages[0].seq) == (1, 100)


def test_the_dossier_has_the_loss_before_during_and_after(
    archive: Path, facts: Facts, tmp_path: Path
) -> None:
    """All packets were lost during the incident, and none before it."""
    (place,) = facts.incidents
    last_ns = end_of(place, facts) + AROUND_NS
    with open_readings(archive, facts.chosen) as readings:
        first_ns = _START_NS - AROUND_NS
        around = readings.around(["s1"], "telkomsel", first_ns, last_ns)
    assert sum(a.lost for a in around) == 6 * 20
    out = tmp_path / "out"
    formats = (Format.HTML, Format.PDF)
    export(lambda work: write_dossier(facts, place, around, work, formats, "en"), out)
    page = (out / "dossier.html").read_text(encoding="utf-8")
    rows = [line for line in page.splitlines() if line.startswith("<tr><td>")]
    (before,) = [row for row in rows if "the hour before" in row]
    (during,) = [row for row in rows if "<td>during" in row]
    assert 'data-v="0.0"' in before
    assert 'data-v="1.0"' in during
    assert place.incident.incident_id in page
    assert "radio: searching" in page
    assert (out / "dossier.pdf").stat().st_size > 10_000
    assert "pi-1-main" in (out / "outages.csv").read_text(encoding="utf-8")
