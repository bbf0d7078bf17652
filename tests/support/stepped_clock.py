"""Runs a schedule whose wall clock is stepped, under libfaketime; prints what ran.

A program of its own, for the clock of a process can only be changed from outside it:
libfaketime reads the shift from a file, anew at every call.
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


def _step(shift: Path, text: str) -> None:
    """At once: every clock call of every thread reads the file."""
    half = shift.with_suffix(".half")
    half.write_text(text)
    half.replace(shift)


def main() -> None:
    """Fifteen slots, a year forward, fifteen slots, two years back, fifteen slots."""
    shift = Path(os.environ["FAKETIME_TIMESTAMP_FILE"])
    clock = SystemClock(0)
    ran: list[tuple[int, float, float]] = []
    missed: list[tuple[int, int]] = []
    done = threading.Event()

    def due(_job: Job, due_boot_ns: int) -> None:
        late_s = (clock.boot_ns() - due_boot_ns) / 1e9
        ran.append((due_boot_ns, late_s, time.time()))
        if len(ran) == SLOTS:
            _step(shift, f"+{YEAR_S}s")
        if len(ran) == 2 * SLOTS:
            _step(shift, f"-{YEAR_S}s")
        if len(ran) == 3 * SLOTS:
            done.set()

    def skip(_job: Job, what: Missed, _reason: str) -> None:
        missed.append((what.first_due_boot_ns, what.slots))

    schedule = Schedule(clock, "s", due, skip)
    schedule.set_jobs([Job("host", None, None, 0.2)])
    schedule.start()
    ended = done.wait(60)
    schedule.stop()
    json.dump({"ended": ended, "ran": ran, "missed": missed}, sys.stdout)


if __name__ == "__main__":
    main()
