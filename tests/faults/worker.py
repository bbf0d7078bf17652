"""An agent's journal and uplink in a separate process, which the test kills.

    python -m tests.faults.worker FOLDER URL DATABASE [SECONDS]

It stores points as fast as it can and writes a line `journal seq` to standard output
after each commit, unbuffered, so that every printed point was committed. With SECONDS
it stores nothing and delivers the stored points.
"""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path
from random import Random

from qos_agent.system.link_lock import LinkLock
from tests.journal.support import open_journal, point
from tests.uplink.support import make_settings, make_uplink, system_clock


def main(folder: str, url: str, database: str, drain_s: str = "") -> int:
    """Store and deliver until killed, or deliver and end."""
    section = {"url": url, "bucket": database, "token": "unused", "insecure": True}
    settings = make_settings(section, batch=50, backoff="200ms")
    clock, stop = system_clock(), threading.Event()
    journal = open_journal(Path(folder))
    uplink = make_uplink(journal, settings, clock, stop, LinkLock())
    if drain_s:
        done = uplink.drain(float(drain_s))
        journal.close()
        return 0 if done else 1
    threading.Thread(target=uplink.run, daemon=True).start()
    chance = Random()
    while True:
        points = [point(clock.boot_ns() + n) for n in range(chance.randint(1, 5))]
        seqs = journal.put(points, clock.state(), clock.boot_id)
        lines = "".join(f"{journal.id} {seq}\n" for seq in seqs)
        os.write(1, lines.encode())
        uplink.wake()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
