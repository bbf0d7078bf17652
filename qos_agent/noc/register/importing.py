"""From a CSV to the register: everything checked first, the difference before it."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator
from dataclasses import astuple, dataclass, field
from pathlib import Path

from qos_agent.noc.register.rows import (
    Fault,
    InvalidRegisterError,
    Station,
    read,
)
from qos_agent.noc.register.store import Difference, Register

_BATCH = 20_000
# A change in any of these is a move.
_PLACE = {"province", "regency", "district", "village", "latitude", "longitude"}


@dataclass(slots=True)
class Reading:
    """What a file holds: stations staged, faults found."""

    stations: int = 0
    faults: list[Fault] = field(default_factory=list)


def stage(register: Register, path: Path, progress: Callable[[int], None]) -> Reading:
    """Read and check a file, and hold its sound rows ready for a comparison.

    `progress` hears the number of rows so far. Raises InvalidRegisterError where
    the file cannot be read as a register, or has no row: an empty one, by mistake,
    must not close a nation.
    """
    found = Reading()
    try:
        with path.open(
            encoding="utf-8-sig", errors="surrogateescape", newline=""
        ) as lines:
            for batch in _batches(read(lines, str(path)), found):
                found.stations = register.stage(batch)
                progress(found.stations + len(found.faults))
    except (OSError, csv.Error) as error:
        said = getattr(error, "strerror", None) or str(error)
        raise InvalidRegisterError(str(path), said) from error
    if not found.stations and not found.faults:
        raise InvalidRegisterError(str(path), "has no row below its head")
    return found


def _batches(
    rows: Iterator[Station | list[Fault]], found: Reading
) -> Iterator[list[Station]]:
    batch: list[Station] = []
    for row in rows:
        if isinstance(row, list):
            found.faults += row
            continue
        batch.append(row)
        if len(batch) == _BATCH:
            yield batch
            batch = []
    yield batch


def write_faults(faults: Iterable[Fault], path: Path) -> None:
    """All faults as a CSV. Bytes that are no UTF-8 stand as they came."""
    with path.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("row", "column", "value", "why"))
        writer.writerows(map(astuple, faults))


def described(difference: Difference, limit: int = 10) -> Iterator[str]:
    """The difference for a person: totals, then the first of each kind."""
    moved = [c for c in difference.changed if _PLACE.intersection(c[1])]
    renamed = [c for c in difference.changed if "name" in c[1]]
    yield (
        f"{len(difference.added)} added, {len(difference.changed)} changed "
        f"({len(moved)} moved, {len(renamed)} renamed), "
        f"{len(difference.replaced)} replaced, {difference.unchanged} as before, "
        f"{len(difference.missing)} of the register not in the file"
    )
    yield from _some("+", difference.added, limit)
    changes = tuple(f"{code}: {', '.join(names)}" for code, names in difference.changed)
    yield from _some("~", changes, limit)
    yield from _some("replaced", difference.replaced, limit)
    yield from _some("not in the file", difference.missing, limit)


def _some(sign: str, lines: tuple[str, ...], limit: int) -> Iterator[str]:
    yield from (f"{sign} {line}" for line in lines[:limit])
    if len(lines) > limit:
        yield f"{sign} … and {len(lines) - limit} more"
