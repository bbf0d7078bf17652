"""Damaged journals and damaged values in a journal, as mutations."""

from __future__ import annotations

import gzip
import json
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict
from pathlib import Path

import pytest

from qos_agent.archive.csv import export_csv
from qos_agent.cli.journal import _as_json, _text
from qos_agent.config.settings import Settings
from qos_agent.journal import Journal, carving, wal
from qos_agent.journal.reader import EVERY_SEQ, reading
from qos_agent.journal.tables import FILE_NAME
from qos_agent.model import Phase
from qos_agent.model.errors import OperatorError, StorageError
from qos_agent.schedule.allowance import Allowance
from qos_agent.verdict.incidents import Now
from qos_agent.verdict.monitor import LinkMonitor
from tests.fuzz.mutations import fuzz, seeds
from tests.fuzz.test_parsers import file_of
from tests.journal.support import open_journal, point, put
from tests.support.clocks import FakeClock
from tests.support.ledgers import MAIN, MemoryLedger, make_account

pytestmark = [
    pytest.mark.slow,
    # A journal has more bytes than Hypothesis likes to print.
    pytest.mark.filterwarnings("ignore:Generating overly large repr"),
]

_JOURNAL = gzip.decompress(
    (Path(__file__).parent.parent / "golden/journal.sqlite3.gz").read_bytes()
)
_HOUR_NS = 3600 * 10**9


@contextmanager
def opened(data: bytes) -> Iterator[Journal]:
    """Open a journal of any bytes; it is in a folder of its own."""
    with (
        file_of(data, FILE_NAME) as path,
        closing(open_journal(path.parent)) as journal,
    ):
        yield journal


@fuzz([_JOURNAL])
def test_damaged_files(data: bytes) -> None:
    """The remains of a damaged journal or of its log are found, and nothing raises."""
    with file_of(data, FILE_NAME) as path:
        for found in carving.carve(path):
            assert found.seq >= 0
        wal.log_path(path).write_bytes(data)
        list(carving.carve(path))
        with suppress(sqlite3.DatabaseError):
            wal.check(path)


@fuzz([_JOURNAL])
def test_the_agent_starts_on_a_damaged_journal(data: bytes) -> None:
    """It opens the journal, stores a point, and stamps those that waited."""
    clock = FakeClock()
    with opened(data) as journal:
        LinkMonitor(Settings(), journal, clock.boot_id)
        make_account(journal, clock, Allowance())
        before = journal.counts().points
        put(journal, clock, 2)
        assert journal.counts().points >= min(before, 1)
        assert journal.counts().pending == 0
        journal.usage("main", "2024-01-01")


@fuzz([_JOURNAL])
def test_commands_print_what_a_damaged_journal_has(data: bytes) -> None:
    """Each command prints its points, or reports an error with the fix."""
    with (
        file_of(data, FILE_NAME) as path,
        suppress(OperatorError, StorageError),
        reading(path.parent) as journal,
    ):
        export_csv(journal.lines(EVERY_SEQ), path.parent / "export")
        journal.verify()
        json.dumps(asdict(journal.stats()), default=_text)
        assert all(map(_as_json, journal.lines(EVERY_SEQ)))


@fuzz(seeds("pending"))
def test_points_that_wait_for_a_clock(data: bytes) -> None:
    """A damaged one becomes an event, and all later points are stored."""
    clock = FakeClock(trusted=False)
    with tempfile.TemporaryDirectory() as folder:
        with closing(open_journal(Path(folder))) as journal:
            put(journal, clock, 3)
        with closing(sqlite3.connect(Path(folder) / FILE_NAME)) as db, db:
            text = data.decode("utf-8", "replace").replace("\0", "")
            row = (text, int.from_bytes(data[-7:], "big"))
            db.execute("UPDATE pending SET content = ?, boot_ns = ? WHERE seq = 2", row)
        with closing(open_journal(Path(folder))) as journal:
            clock.trusted = True
            put(journal, clock)
            assert [seq for seq, _ in journal.lines()] == [1, 2, 3, 4]


@fuzz(seeds("state"))
def test_stored_values(data: bytes) -> None:
    """A damaged value is as good as none: the agent starts and judges."""
    clock = FakeClock()
    text = data.decode("utf-8", "replace")
    ledger = MemoryLedger(clock)
    for key in ("baseline/main", "incident/main", "allowance_undated"):
        ledger.set_state(key, text)
    settings = Settings.model_validate({"links": [{"name": "main"}]})
    monitor = LinkMonitor(settings, ledger, clock.boot_id)
    for minute in range(1, 4):
        monitor.cycle(Now(minute * _HOUR_NS, minute * _HOUR_NS), Phase.PRE, True)
    monitor.close()
    account = make_account(ledger, clock, Allowance())
    account.reserve(MAIN, "latency", 1000)
    with (
        tempfile.TemporaryDirectory() as folder,
        closing(open_journal(Path(folder))) as journal,
    ):
        stored = f"{clock.boot_id} {text.replace(chr(0), '')}"
        journal.set_state("trusted_offset", stored)
        journal.set_state("held_offset", stored)
        journal.put([point(1)], clock.state(), clock.boot_id)
        clock.trusted = False
        journal.spend("main", "latency", 1, clock.boot_id, 1)
        journal.put([point(2)], clock.state(), clock.boot_id)
