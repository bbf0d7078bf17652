"""Checks of the journal: damage, locks and what it contains."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from qos_agent.agent.doctor import journal
from qos_agent.agent.doctor.check import Health
from qos_agent.journal import tables
from qos_agent.journal.opening import open_journal
from tests.agent.doctor.support import of

LOCKS = """\
1: POSIX  ADVISORY  WRITE 4242 08:02:131 120 120
2: FLOCK  ADVISORY  WRITE 17 00:2f:99 0 EOF
2: -> FLOCK  ADVISORY  WRITE 18 00:2f:99 0 EOF
3: POSIX  ADVISORY  READ  4243 08:02:131 124 124
4: FLOCK  ADVISORY  WRITE 0 00:2f:100 0 EOF
5: nonsense
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with a new journal that no process uses."""
    open_journal(tmp_path, ["collector"], writable=True).connection.close()
    return tmp_path


def test_a_sound_journal_passes(folder: Path) -> None:
    """The result has the number of points that are not delivered."""
    check = journal.journal(of(folder))
    assert check.health is Health.OK
    assert check.result == "0 points are not delivered yet"


@pytest.mark.parametrize("start", [0, 4096, 8192])
def test_damage_anywhere_is_found(folder: Path, start: int) -> None:
    """A page of junk is bad, and a restart of the agent replaces the file."""
    file = folder / tables.FILE_NAME
    content = bytearray(file.read_bytes())
    content[start : start + 4096] = b"junk" * 1024
    file.write_bytes(content)
    check = journal.journal(of(folder, {"MainPID": "1"}))
    assert check.health is Health.BAD
    assert check.result.startswith("damaged: ")
    assert check.fix == "sudo systemctl restart qos-agent"


@pytest.mark.slow
def test_a_process_that_holds_the_journal_is_named(folder: Path) -> None:
    """The fix ends that process and lets the service write again."""
    with _writer(folder) as other:
        check = journal.journal(of(folder, {"MainPID": "1"}))
        assert check.health is Health.BAD
        assert f"({other.pid})" in check.result
        fix = f"sudo kill {other.pid} && sudo systemctl restart qos-agent"
        assert check.fix == fix
    assert journal.journal(of(folder, {"MainPID": "1"})).health is Health.OK


def test_a_short_commit_is_no_lock(folder: Path) -> None:
    """A process that writes and ends is not an error."""
    with closing(tables.connect(folder / tables.FILE_NAME)) as other:
        other.execute("BEGIN IMMEDIATE")
        other.execute("COMMIT")
        assert journal.journal(of(folder, {"MainPID": "1"})).health is Health.OK


@pytest.mark.parametrize(
    ("state", "health"), [("active", Health.BAD), ("inactive", Health.WARN)]
)
def test_without_a_journal_a_stopped_service_is_the_problem(
    state: str, health: Health, tmp_path: Path
) -> None:
    """A service that runs has created it, and the check of the service comes first."""
    check = journal.journal(of(tmp_path, {"ActiveState": state}))
    assert check.health is health


def test_locks_for_writing_are_parsed() -> None:
    """Waiting processes, readers and foreign processes are left out."""
    assert [*journal.write_locks(LOCKS)] == [(4242, 131), (17, 99)]


@contextmanager
def _writer(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Run a process with an open write transaction on the journal."""
    script = (
        "import sqlite3, sys\n"
        f"db = sqlite3.connect({str(folder / tables.FILE_NAME)!r})\n"
        "db.execute('BEGIN IMMEDIATE')\n"
        "print('ready', flush=True)\n"
        "sys.stdin.read()\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    yield process
    process.kill()
    process.communicate()
