"""DuckDB connections with bounded memory, and their errors for people."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from qos_agent.model.errors import OperatorError, StorageError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

# DuckDB's own memory. Sorting and joining continue on the disk above it.
MEMORY_MB = 512
_NO_SPACE = ("no space left", "disk quota", "max_temp_directory_size", "file too large")


def need_duckdb() -> None:
    """Raise OperatorError if DuckDB is not installed."""
    try:
        import duckdb  # noqa: F401  a device does not have it
    except ImportError:
        raise missing("duckdb") from None


def missing(package: str) -> OperatorError:
    """Return the error of a package that is not installed."""
    fix = "pip install 'qos-agent[archive]'"
    return OperatorError(f"{package}: this package is missing. Fix: {fix}.")


@contextmanager
def connected(
    path: Path | None, temporary: Path, memory_mb: int = MEMORY_MB
) -> Iterator[DuckDBPyConnection]:
    """Open a database file, or one in memory, that spills to a folder.

    One thread writes, because only then the same rows give the same bytes. Raises
    StorageError for an error of the disk or of the files.
    """
    need_duckdb()
    import duckdb

    place = str(temporary if path is None else path)
    settings: dict[str, str | bool | int | float | list[str]] = {
        "threads": 1,
        "memory_limit": f"{memory_mb}MB",
        "temp_directory": str(temporary),
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
    }
    try:
        with duckdb.connect(str(path or ":memory:"), config=settings) as db:
            db.execute("SET TimeZone = 'UTC'")
            # It would print to standard output after two seconds.
            db.execute("SET enable_progress_bar = false")
            yield db
    except duckdb.Error as error:
        raise storage_error(place, error) from error


def storage_error(place: str, error: Exception) -> StorageError:
    """Return the error of DuckDB on one line, with a fix."""
    text = " ".join(str(error).split())[:300]
    if any(sign in text.lower() for sign in _NO_SPACE):
        return StorageError("cannot write", place, f"{text}. Fix: free disk space")
    return StorageError("cannot use", place, text)


def quoted(name: str) -> str:
    """Return a name of the schema as an SQL identifier."""
    return f'"{name}"'


def text(value: str | Path) -> str:
    """Return an SQL literal."""
    return "'" + str(value).replace("'", "''") + "'"


def csv_rows(path: Path, types: Mapping[str, str]) -> str:
    """Return a query of a file with the rows that `Parser` returns."""
    listed = ", ".join(f"{text(name)}: {text(kind)}" for name, kind in types.items())
    return (
        f"read_csv({text(path)}, header = false, delim = ',', quote = '\"',"
        " escape = '\\', new_line = '\\n', nullstr = '', auto_detect = false,"
        f" allow_quoted_nulls = false, columns = {{{listed}}})"
    )
