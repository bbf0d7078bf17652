"""The time to import a register of all stations: `python -m bench.register [STATIONS]`.

The simulator writes the file. "read" checks and stages every row, "compare" calculates
the difference, and "apply" changes the register in one transaction. Then the same file
is imported again, and one in which 1 % of the stations have moved. The goal is to
import 823,220 rows in under a minute.
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
    """Yield the stations, every hundredth in another regency of its province."""
    places = list(regencies().values())
    for station in stations:
        if station.number % 100 == 0:
            regency = station.regency
            others = [
                p for p in places if p.province == regency.province and p is not regency
            ]
            yield replace(station, regency=next(iter(others), regency))
        else:
            yield station


def imported(register: Register, path: Path, at_s: int, label: str) -> tuple[str, ...]:
    """Import a file and return a row of the table."""
    started = time.perf_counter()
    staged = stage(register, path, lambda _: None)
    if staged.faults:
        raise RuntimeError(str(staged.faults[0]))
    read = time.perf_counter()
    difference = register.difference()
    compared = time.perf_counter()
    register.apply(at_s, close_missing=False)
    applied = time.perf_counter()
    expected = sum(register.expected(at_s).values())
    if expected != staged.stations:
        raise RuntimeError(
            f"{expected} stations expected, {staged.stations} in the file"
        )
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    total = applied - started
    counts = (staged.stations, len(difference.added), len(difference.changed))
    times_s = (read - started, compared - read, applied - compared, total)
    return (
        label,
        *(f"{count:,}" for count in counts),
        *(f"{time_s:.1f}" for time_s in times_s),
        f"{memory:.0f}",
        "yes" if total < GOAL_S else "no",
    )


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
            imported(register, first, 2_000, "same file again"),
            imported(register, second, 3_000, "1 % moved"),
        ]
        register.close()
    head = (
        "import",
        "rows",
        "added",
        "changed",
        "read s",
        "compare s",
        "apply s",
        "total s",
        "peak MiB",
        f"under {GOAL_S:.0f} s",
    )
    show("Import of the register", head, rows)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
