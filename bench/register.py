"""How long the register of a nation takes: `python -m bench.register [STATIONS]`.

The file is the simulator's. Read: every row checked and staged. Compared: the
difference to what is there. Applied: in one transaction. Then the same file again,
and one in which a hundredth of the stations have moved. Goal: an import of 823,220
rows in under a minute in all.
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from bench.table import show
from qos_agent.config.places import regencies
from qos_agent.noc.register.importing import stage
from qos_agent.noc.register.store import Register
from qos_agent.noc.simulator.population import (
    SimulatedStation,
    nation,
    write_register,
)
from qos_agent.noc.simulator.scenario import load

STATIONS = 823_220
GOAL_S = 60.0


def moved(stations: Iterator[SimulatedStation]) -> Iterator[SimulatedStation]:
    """Every hundredth station in another regency of its province."""
    places = list(regencies().values())
    for station in stations:
        if station.number % 100 == 0:
            own = station.regency
            others = [p for p in places if p.province == own.province and p is not own]
            yield replace(station, regency=next(iter(others), own))
        else:
            yield station


def imported(register: Register, path: Path, at_s: int, what: str) -> tuple[str, ...]:
    """One import as a row of the table."""
    began = time.perf_counter()
    found = stage(register, path, lambda _: None)
    if found.faults:
        raise RuntimeError(str(found.faults[0]))
    read = time.perf_counter()
    difference = register.difference()
    compared = time.perf_counter()
    register.apply(at_s, close_missing=False)
    applied = time.perf_counter()
    expected = sum(register.expected(at_s).values())
    if expected != found.stations:
        raise RuntimeError(
            f"{expected} stations expected, {found.stations} in the file"
        )
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    total = applied - began
    return (what, f"{found.stations:,}", f"{len(difference.added):,}",
            f"{len(difference.changed):,}", f"{read - began:.1f}",
            f"{compared - read:.1f}", f"{applied - compared:.1f}", f"{total:.1f}",
            f"{memory:.0f}", "yes" if total < GOAL_S else "no")  # fmt: skip


def main(arguments: Sequence[str] = ()) -> int:
    """Print the table."""
    count = int(arguments[0]) if arguments else STATIONS
    scenario = load("healthy", stations=count)
    with tempfile.TemporaryDirectory() as folder:
        first, second = Path(folder) / "first.csv", Path(folder) / "second.csv"
        write_register(first, nation(scenario))
        write_register(second, moved(nation(scenario)))
        register = Register(Path(folder) / "register.sqlite3")
        rows = [
            imported(register, first, 1_000, "first import"),
            imported(register, first, 2_000, "the same again"),
            imported(register, second, 3_000, "1 % moved"),
        ]
        register.close()
    head = ("import", "rows", "added", "changed", "read s", "compared s", "applied s",
            "in all s", "peak MiB", f"under {GOAL_S:.0f} s")  # fmt: skip
    show("The register of a nation", head, rows)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
