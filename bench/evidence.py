"""Measures what seals cost, and what the journal writes by cause.

`python -m bench.evidence [MINUTES]` stores a day of points in `pre` and in `voting`,
with and without seals, and counts the bytes that the process passed to the kernel
(/proc/self/io), its processor time and that of its children, and its memory. The last
table counts the pages in each commit of the write-ahead log by table and index.
"""

from __future__ import annotations

import resource
import sqlite3
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from bench.journal import DAY_MINUTES, IDENTITY, MB, RHYTHMS, Rhythm, commits
from bench.table import show
from qos_agent.agent import sealing
from qos_agent.agent.sealing import Sealer
from qos_agent.evidence import keys
from qos_agent.journal import Journal, JournalLimits, Lane
from qos_agent.journal.tables import FILE_NAME, PAGE_BYTES
from qos_agent.journal.wal import current_frames, read
from qos_agent.model import Phase
from qos_agent.model.line_protocol import points
from qos_agent.system.clock import SystemClock

_PHASES = {"pre": Phase.PRE, "voting": Phase.VOTING}
_CAUSES_MINUTES = 300


@dataclass(frozen=True, slots=True)
class Cost:
    """Resources that one day used."""

    written_bytes: int
    cpu_s: float
    children_s: float
    peak_kib: int
    seals: int


def written_bytes() -> int:
    """Return the bytes that this process has passed to the kernel for writing."""
    text = Path("/proc/self/io").read_text()
    return int(text.split("\nwrite_bytes: ")[1].split()[0])


def run(folder: Path, rhythm: Rhythm, minutes: int, *, sealed: bool) -> Cost:
    """Store points for a time, and seal as the agent does."""
    phase = _PHASES[rhythm.name.partition(",")[0]]
    path = folder / keys.FILE_NAME
    if sealed:
        keys.create_key(path)
    journal = Journal.open(
        folder,
        IDENTITY,
        ("collector",),
        lambda _: phase,
        JournalLimits(disk_reserve_bytes=0),
    )
    sealer = sealing.load(journal, IDENTITY.device, folder, path)
    before = written_bytes(), _cpu_s(resource.RUSAGE_SELF), _children_s()
    seals = store(journal, sealer, rhythm, minutes, phase)
    journal.close()
    after = written_bytes(), _cpu_s(resource.RUSAGE_SELF), _children_s()
    written, cpu_s, children_s = (a - b for a, b in zip(after, before, strict=True))
    peak_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return Cost(int(written), cpu_s, children_s, peak_kib, seals)


def store(
    journal: Journal, sealer: Sealer, rhythm: Rhythm, minutes: int, phase: Phase
) -> int:
    """Store the points of each minute and return the number of seals."""
    clock, seals = SystemClock(0), 0
    for minute in range(minutes):
        boot_ns = (minute + 1) * 60 * 10**9
        rows = []
        if sealer.due(phase, boot_ns):
            readings = sealer.seal("interval", phase, boot_ns)
            rows = [p for reading in readings for p in points(reading, IDENTITY)]
            seals += len(rows)
        for batch in commits(rhythm, minute, boot_ns):
            journal.put([*batch, *rows], clock.state(), clock.boot_id)
            rows = []
            journal.settle(journal.claim("collector", 100, Lane.FRESH))
    return seals


def causes(folder: Path, rhythm: Rhythm, minutes: int) -> Counter[str]:
    """Return the pages in the write-ahead log by the table or index they belong to."""
    journal = Journal.open(
        folder,
        IDENTITY,
        ("collector",),
        lambda _: Phase.PRE,
        JournalLimits(disk_reserve_bytes=0),
    )
    sealer = sealing.load(journal, IDENTITY.device, folder, folder / keys.FILE_NAME)
    # The file as it is now, before the log is emptied at the end.
    store(journal, sealer, rhythm, minutes, Phase.PRE)
    pages = [f.page for f in current_frames(read(folder / FILE_NAME), PAGE_BYTES)]
    with closing(sqlite3.connect(folder / FILE_NAME)) as db:
        owners = dict(db.execute("SELECT pageno, name || ' ' || pagetype FROM dbstat"))
    journal.close()
    return Counter(
        "file header" if page == 1 else owners.get(page, "free") for page in pages
    )


def _cpu_s(who: int) -> float:
    usage = resource.getrusage(who)
    return usage.ru_utime + usage.ru_stime


def _children_s() -> float:
    return _cpu_s(resource.RUSAGE_CHILDREN)


def _row(name: str, sealed: bool, cost: Cost, minutes: int) -> tuple[str, ...]:
    scale = DAY_MINUTES / minutes
    return (
        name,
        "yes" if sealed else "no",
        f"{cost.seals * scale:.0f}",
        f"{cost.written_bytes * scale / MB:.1f} MB",
        f"{cost.cpu_s * scale:.1f} s",
        f"{cost.children_s * scale:.1f} s",
        f"{cost.peak_kib / 1024:.1f} MiB",
    )


def main(arguments: Sequence[str] = ()) -> int:
    """Print the tables; an argument shortens the day to a number of minutes."""
    minutes = int(arguments[0]) if arguments else DAY_MINUTES
    table = []
    for rhythm in RHYTHMS[::2]:
        for sealed in (False, True):
            with tempfile.TemporaryDirectory() as folder:
                cost = run(Path(folder), rhythm, minutes, sealed=sealed)
            table.append(_row(rhythm.name, sealed, cost, minutes))
    heads = ("phase", "sealed", "seals", "written", "processor", "openssl", "peak")
    show(f"A day with and without seals ({minutes} minutes run)", heads, table)
    with tempfile.TemporaryDirectory() as folder:
        found = causes(Path(folder), RHYTHMS[0], _CAUSES_MINUTES)
    show(
        f"Pages in the log in pre, {_CAUSES_MINUTES} commits",
        ("cause", "pages a commit"),
        [(name, f"{n / _CAUSES_MINUTES:.2f}") for name, n in found.most_common()],
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
