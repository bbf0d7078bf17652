"""Single damaged values in a journal whose structure is sound, as of a worn card."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from qos_agent.archive.csv import export_csv
from qos_agent.journal import wal
from qos_agent.journal.reader import EVERY_SEQ, reading
from qos_agent.journal.tables import FILE_NAME
from qos_agent.model.line_protocol import decode
from tests.journal.support import bodies, change, open_journal, put, seqs
from tests.support.clocks import FakeClock

_VERSION = 60  # PRAGMA user_version, in the header (sqlite.org/fileformat2.html).


def filled(folder: Path, *, trusted: bool = True) -> FakeClock:
    """Create a closed journal of three points; return its clock."""
    clock = FakeClock(trusted=trusted)
    journal = open_journal(folder)
    put(journal, clock, 3)
    journal.close()
    return clock


def overwrite(folder: Path, offset: int, data: bytes) -> None:
    """Write bytes into the file."""
    with (folder / FILE_NAME).open("r+b") as file:
        file.seek(offset)
        file.write(data)


def test_a_version_that_never_existed_is_damage(tmp_path: Path) -> None:
    """The points are recovered; the agent ended with an internal error before."""
    clock = filled(tmp_path)
    overwrite(tmp_path, _VERSION, b"\xff")
    journal = open_journal(tmp_path)
    assert [event.kind for event in journal.take_events()] == ["damage"]
    assert len(bodies(journal)) == 3
    assert put(journal, clock)


@pytest.mark.parametrize(
    ("before", "after"),
    [(b"time_ns INTEGER", b"time_nr INTEGER"), (b"point_time", b"point_timd")],
)
def test_a_renamed_column_or_index_is_damage(
    tmp_path: Path, before: bytes, after: bytes
) -> None:
    """SQLite accepts such a schema, and every commit would fail."""
    clock = filled(tmp_path)
    content = (tmp_path / FILE_NAME).read_bytes()
    assert before in content
    (tmp_path / FILE_NAME).write_bytes(content.replace(before, after))
    journal = open_journal(tmp_path)
    assert [event.kind for event in journal.take_events()] == ["damage"]
    assert put(journal, clock)


def test_a_schema_that_is_not_utf8_is_damage(tmp_path: Path) -> None:
    """SQLite prints the name of the table, and Python cannot decode it."""
    clock = filled(tmp_path)
    file = tmp_path / FILE_NAME
    where = file.read_bytes().index(b"tablepointpoint")
    overwrite(tmp_path, where + len(b"tablep"), b"\x80")
    journal = open_journal(tmp_path)
    assert [event.kind for event in journal.take_events()] == ["damage"]
    assert put(journal, clock)


@pytest.mark.parametrize(
    "change_of_row",
    [
        "content = substr(content, 1, 20)",
        "content = replace(content, 'latency', 'nothing')",
        "content = replace(content, 'telkomsel', '?')",
        "content = replace(content, '20.0', '1e999')",
        "content = CAST(x'ff' || content AS TEXT)",
        "boot_ns = 9223372036854775807",
        "boot_id = CAST(x'ff' AS TEXT)",
    ],
)
def test_a_damaged_point_that_waits_blocks_no_other(
    tmp_path: Path, change_of_row: str
) -> None:
    """Every point gets a line; that of the damaged one reports it."""
    clock = filled(tmp_path, trusted=False)
    change(tmp_path, [f"UPDATE pending SET {change_of_row} WHERE seq = 2"])
    journal = open_journal(tmp_path)
    clock.trusted = True
    put(journal, clock)
    assert seqs(journal) == [1, 2, 3, 4]
    assert journal.counts().pending == 0
    assert {decode(line).measurement for line in bodies(journal)} <= {
        "latency",
        "event",
    }


@pytest.mark.parametrize("value", ["boot-1 x", "boot-1 ", f"boot-1 {10**30}"])
@pytest.mark.parametrize("key", ["trusted_offset", "held_offset"])
def test_a_damaged_offset_is_none(tmp_path: Path, key: str, value: str) -> None:
    """The offset is stored again as soon as the clock is trusted."""
    clock = filled(tmp_path)
    journal = open_journal(tmp_path)
    journal.set_state(key, value)
    journal.spend("main", "latency", 1, clock.boot_id, clock.boot_ns())
    put(journal, clock)
    assert len(seqs(journal)) == 4


def test_a_line_of_another_type_is_shown_as_damaged(tmp_path: Path) -> None:
    """A number in place of a line does not fill the memory with as many bytes."""
    filled(tmp_path)
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as db, db:
        db.execute("PRAGMA writable_schema = ON")
        db.execute("UPDATE sqlite_schema SET sql = replace(sql, ' STRICT', '')")
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as db, db:
        db.execute("UPDATE point SET line = 10000000000 WHERE seq = 1")
        db.execute("UPDATE point SET line = 'text' WHERE seq = 2")
    with reading(tmp_path) as journal:
        lines = list(journal.lines(EVERY_SEQ))
        faults = journal.verify().faults
    assert lines[:2] == [b"10000000000", b"text"]
    assert len([fault for fault in faults if "altered" in fault]) == 2


def test_damaged_lines_are_exported_as_they_are(tmp_path: Path) -> None:
    """The CSV files have all other points, and the result counts the damaged ones."""
    filled(tmp_path)
    change(tmp_path, ["UPDATE point SET line = x'ff00' WHERE seq = 2"])
    with reading(tmp_path) as journal:
        exported = export_csv(journal.lines(EVERY_SEQ), tmp_path / "out")
    assert (exported.points, exported.damaged) == ({"latency": 2}, 1)
    assert (tmp_path / "out/points.lp").read_bytes().count(b"\n") == 3


def test_a_log_with_page_zero_is_damaged(tmp_path: Path) -> None:
    """It is no error of the disk, so the journal is replaced and not kept in memory."""
    clock = FakeClock()
    journal = open_journal(tmp_path)
    for _ in range(5):
        put(journal, clock)
    log = wal.log_path(tmp_path / FILE_NAME)
    raw = bytearray(log.read_bytes())
    journal.close()
    raw[0:4] = b"\0\0\0\0"
    raw[32:36] = b"\0\0\0\0"
    log.write_bytes(raw)
    with pytest.raises(sqlite3.DatabaseError, match="the header of the log"):
        wal.check(tmp_path / FILE_NAME)


def test_json_of_a_damaged_line_names_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`journal tail --json` prints an object for each line."""
    from qos_agent.cli.journal import tail

    filled(tmp_path)
    change(tmp_path, ["UPDATE point SET line = x'ff00' WHERE seq = 3"])
    monkeypatch.setenv("QOS_AGENT_JOURNAL__FOLDER", str(tmp_path))
    tail(None, 20, True)
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert "damaged" in rows[2]
    assert rows[0]["measurement"] == "latency"
