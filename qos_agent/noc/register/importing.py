"""Import of a CSV file into the register.

All rows are checked first, and the difference is known before anything is changed.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator
from dataclasses import astuple, dataclass, field
from pathlib import Path

from qos_agent.noc.register import spreadsheet
from qos_agent.noc.register.faults import Fault, InvalidRegisterError
from qos_agent.noc.register.rows import Station, read
from qos_agent.noc.register.store import Difference, Register

_BATCH = 20_000
# A station has moved if one of these columns has changed.
_PLACE = {"province", "regency", "district", "village", "latitude", "longitude"}


@dataclass(slots=True)
class Staged:
    """The result of reading a file: number of valid stations, and the faults."""

    stations: int = 0
    faults: list[Fault] = field(default_factory=list)


def stage(register: Register, path: Path, progress: Callable[[int], None]) -> Staged:
    """Read and check a file, and stage its valid rows for a comparison.

    `progress` is called with the number of rows so far. Raises InvalidRegisterError if
    the file cannot be read as a register or has no rows. An empty file would otherwise
    close every station of the nation.
    """
    staged = Staged()
    try:
        with spreadsheet.opened(path) as lines:
            for batch in _batches(read(lines, str(path)), staged):
                staged.stations = register.stage(batch)
                progress(staged.stations + len(staged.faults))
    except OSError as error:
        problem = f"cannot be read: {error.strerror}"
        raise InvalidRegisterError(str(path), problem, "check the path") from error
    except csv.Error as error:
        limit = csv.field_size_limit()
        problem = f"is not a CSV file: a value has more than {limit} characters"
        raise InvalidRegisterError(str(path), problem, "save it as CSV") from error
    if not staged.stations and not staged.faults:
        problem = "has no row below its head"
        raise InvalidRegisterError(str(path), problem, "add a row for each station")
    return staged


def _batches(
    rows: Iterator[Station | list[Fault]], staged: Staged
) -> Iterator[list[Station]]:
    batch: list[Station] = []
    for row in rows:
        if isinstance(row, list):
            staged.faults += row
            continue
        batch.append(row)
        if len(batch) == _BATCH:
            yield batch
            batch = []
    yield batch


def write_faults(faults: Iterable[Fault], path: Path) -> None:
    """Write all faults as CSV. Bytes that are not UTF-8 are written unchanged."""
    with path.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("row", "column", "value", "problem"))
        writer.writerows(astuple(fault)[:4] for fault in faults)


def described(
    difference: Difference, faults: Iterable[Fault] = (), limit: int = 10
) -> Iterator[str]:
    """Yield lines for a person: the totals, then the first changes of each kind.

    A registered station in a faulty row is not missing from the file.
    """
    in_faults = {fault.station for fault in faults}
    faulty = tuple(code for code in difference.missing if code in in_faults)
    missing = tuple(code for code in difference.missing if code not in in_faults)
    moved = [c for c in difference.changed if _PLACE.intersection(c[1])]
    renamed = [c for c in difference.changed if "name" in c[1]]
    yield (
        f"{len(difference.added)} added, {len(difference.changed)} changed "
        f"({len(moved)} moved, {len(renamed)} renamed), "
        f"{len(difference.replaced)} replaced, {difference.unchanged} unchanged, "
        f"{len(missing)} of the register not in the file"
        + (f", {len(faulty)} in a faulty row" if faulty else "")
    )
    yield from _first("+", difference.added, limit)
    changes = tuple(f"{code}: {', '.join(names)}" for code, names in difference.changed)
    yield from _first("~", changes, limit)
    yield from _first("replaced", difference.replaced, limit)
    yield from _first("not in the file", missing, limit)
    yield from _first("in a faulty row", faulty, limit)


def _first(label: str, lines: tuple[str, ...], limit: int) -> Iterator[str]:
    yield from (f"{label} {line}" for line in lines[:limit])
    if len(lines) > limit:
        yield f"{label} … and {len(lines) - limit} more"
