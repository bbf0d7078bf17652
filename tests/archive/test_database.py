"""The databases in which archives are sorted and compared."""

from __future__ import annotations

from pathlib import Path

from qos_agent.archive.database import connected


def test_a_database_prints_no_progress_of_its_own(tmp_path: Path) -> None:
    """After two seconds DuckDB would print a bar into the output of a command."""
    with connected(None, tmp_path) as db:
        setting = "SELECT current_setting('enable_progress_bar')"
        assert db.execute(setting).fetchone() == (False,)
