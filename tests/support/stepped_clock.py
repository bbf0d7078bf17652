"""Runs a schedule with a stepped wall clock under libfaketime and prints its slots.

This is a separate program, because the clock of a process can only be changed from
outside. At every clock call libfaketime reads the offset from a file.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from pathlib import Path

from qos_agent.schedule.scheduler import Job, Missed, Schedule
from qos_agent.system.clock import SystemClock

YEAR_S = 365 * 86_400
SLOTS = 15
SLOT_S = 0.2
# Only a schedule that stands still needs this long.
MAX_S = 300


def _step(offset: Path, text: str) -> None:
    """Replace the file atomically, because every clock call reads it."""
    temporary = offset.with_suffix(".tmp")
    temporary.write_text(text)
    temporary.replace(offset)


def _tick(clock: SystemClock, done: threading.Event, ticks: list[int]) -> None:
    """Note the time once per slot, so that a report shows how busy the machine was."""
    while not done.wait(SLOT_S):
        ticks.append(clock.boot_ns())


def main() -> None:
    """Run 15 slots, step a year forward, run 15, step two years back, run 15."""
    offset = Path(os.environ["FAKETIME_TIMESTAMP_FILE"])
    clock = SystemClock(0)
    ran: list[tuple[int, float, float]] = []
    missed: list[tuple[int, int]] = []
    ticks: list[int] = []
    done = threading.Event()

    def due(_job: Job, due_boot_ns: int) -> None:
        late_s = (clock.boot_ns() - due_boot_ns) / 1e9
        ran.append((due_boot_ns, late_s, time.time()))
        if len(ran) == SLOTS:
            _step(offset, f"+{YEAR_S}s")
        if len(ran) == 2 * SLOTS:
            _step(offset, f"-{YEAR_S}s")
        if len(ran) == 3 * SLOTS:
            done.set()

    def skip(_job: Job, what: Missed, _reason: str) -> None:
        missed.append((what.first_due_boot_ns, what.slots))

    ticker = threading.Thread(target=_tick, args=(clock, done, ticks))
    schedule = Schedule(clock, "s", due, skip)
    schedule.set_jobs([Job("host", None, None, SLOT_S)])
    schedule.start()
    ticker.start()
    ended = done.wait(MAX_S)
    schedule.stop()
    done.set()
    ticker.join()
    report = {"ended": ended, "ran": ran, "missed": missed, "ticks": ticks}
    json.dump(report, sys.stdout)


if __name__ == "__main__":
    main()
