"""Runs one slot as the agent does and prints its result and remains as JSON.

`python -m tests.probes.whole PROBE SETTINGS` runs inside the client of a laboratory.
All traffic on the interface there belongs to the slot.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from pathlib import Path

from qos_agent.config.settings import Settings
from qos_agent.model import Link, Target
from qos_agent.probes.envelope import Envelope
from qos_agent.probes.registry import PROBES
from qos_agent.schedule.allowance_account import AllowanceAccount, Grant
from qos_agent.schedule.runner import Runner, link_count
from qos_agent.system.clock import SystemClock
from qos_agent.system.link_lock import LinkLock
from tests.support.children import adopting, children

LINK = Link("main", "operator", "eth0")


class _Account(AllowanceAccount):
    """An allowance account that grants all and records the bytes used."""

    def __init__(self) -> None:
        self.spent_bytes = 0

    def reserve(self, link: Link, probe: str, worst_case_bytes: int) -> Grant:
        return Grant(1, link.name, worst_case_bytes)

    def settle(self, grant: Grant, spent_bytes: int) -> None:
        self.spent_bytes = spent_bytes


def main() -> int:
    """Run the slot and print its result."""
    name, settings = sys.argv[1], Settings.model_validate(json.loads(sys.argv[2]))
    probe, account, clock = PROBES[name].make(settings), _Account(), SystemClock(0)
    envelope = Envelope(clock, threading.Event())
    runner = Runner(
        {name: probe}, envelope, LinkLock(), account, lambda _: False, link_count
    )
    files, threads, before = _files(), threading.active_count(), link_count(LINK)
    started_s = time.monotonic()
    with adopting():
        reading = runner.run(name, LINK, _target(name, settings), clock.boot_ns())
        took_s = time.monotonic() - started_s
    after = link_count(LINK)
    moved = (after.since(before) if before and after else None) or 0
    counts = [sample.fields.get("data_bytes") for sample in reading.samples]
    result = {
        "outcome": reading.outcome.value,
        "cause": reading.cause,
        "reported_bytes": sum(int(count) for count in counts if count is not None),
        "spent_bytes": account.spent_bytes,
        "moved_bytes": moved,
        "left_s": probe.deadline_s - took_s,
        "files": _files() - files,
        "threads": threading.active_count() - threads,
        "children": len(children()),
    }
    json.dump(result, sys.stdout)
    return 0


def _files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def _target(name: str, settings: Settings) -> Target | None:
    targets = {
        "latency": settings.target_list(),
        "web": settings.web.targets(),
        "form": settings.form.targets(),
    }
    return targets[name][0] if name in targets else None


if __name__ == "__main__":
    raise SystemExit(main())
