"""Reads a journal that belongs to a running agent, and changes nothing in it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from qos_agent.errors import OperatorError
from qos_agent.journal.tables import FILE_NAME


def read_lines(folder: Path, after_seq: int = 0) -> Iterator[tuple[int, bytes]]:
    """Number and canonical line of every stamped point after a number.

    Raises OperatorError where there is no journal, or it cannot be read.
    """
    path = folder / FILE_NAME
    if not path.is_file():
        raise OperatorError(f"{folder}: no journal here; has the agent run?")
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
            yield from db.execute(
                "SELECT seq, line FROM point WHERE seq > ? ORDER BY seq", (after_seq,)
            )
    except sqlite3.Error as error:
        said = f"{path}: {error}; try: qos-agent journal verify"
        raise OperatorError(said) from error
