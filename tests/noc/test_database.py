"""The databases of the operations centre are closed when nothing needs them."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from unittest import mock

import pytest

from qos_agent.model.errors import StorageError
from qos_agent.noc.register.store import Register
from qos_agent.noc.state import State
from tests.support.open_files import open_files


@pytest.mark.parametrize("kind", [Register, State])
def test_a_file_that_is_no_database_is_closed(
    kind: type[Register | State], tmp_path: Path
) -> None:
    """It can be replaced with a backup while the program goes on."""
    path = tmp_path / "file.sqlite3"
    path.write_bytes(b"damaged" * 1000)
    with pytest.raises(StorageError, match="replace the file with a backup"):
        kind(path)
    assert open_files(tmp_path) == []


def test_a_state_that_cannot_be_upgraded_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next start upgrades it."""
    full = mock.Mock(side_effect=sqlite3.OperationalError("database or disk is full"))
    with monkeypatch.context() as patch:
        patch.setattr(State, "_upgrade", full)
        with pytest.raises(sqlite3.OperationalError):
            State(tmp_path / "census.sqlite3")
    assert open_files(tmp_path) == []
