"""A journal that was not opened, or was replaced in vain, holds no file."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from unittest import mock

import pytest

from qos_agent.journal import recovery, session
from qos_agent.journal.tables import FILE_NAME
from qos_agent.model.errors import StorageError
from tests.journal.support import open_journal
from tests.support.open_files import open_files

FULL = mock.Mock(side_effect=sqlite3.OperationalError("database or disk is full"))


def test_a_journal_that_cannot_be_opened_is_released(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither its file nor its lock stays open, so that it can be opened again."""
    with monkeypatch.context() as patch:
        patch.setattr(session, "remove_other_collectors", FULL)
        with pytest.raises(StorageError):
            open_journal(tmp_path)
    assert open_files(tmp_path) == []
    journal = open_journal(tmp_path)
    assert not journal.in_memory
    journal.close()
    assert open_files(tmp_path) == []


def test_a_journal_that_replaces_a_damaged_one_in_vain_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The journal is then in memory, and of the folder only the lock is open."""
    (tmp_path / FILE_NAME).write_bytes(b"damaged" * 1000)
    monkeypatch.setattr(recovery, "recover", FULL)
    monkeypatch.setattr(recovery, "read_newest", lambda *_: 0)
    journal = open_journal(tmp_path)
    assert journal.in_memory
    assert open_files(tmp_path) == ["journal.lock"]
    journal.close()
