"""One measurement by one backend, as JSON: `python -m bench.one '{"backend": ...}'`.

Run inside a laboratory's client, so that interface, routes and names are its own.
"""

from __future__ import annotations

import json
import sys
import threading

from qos_agent.model import Link
from qos_agent.model.errors import ProbeError
from qos_agent.probes.throughput import BACKENDS
from qos_agent.probes.throughput.backend import Order, Rate
from qos_agent.system.clock import SystemClock, TaskDeadline


def main() -> int:
    """Read the order, print each direction's fields or cause."""
    given = json.loads(sys.argv[1])
    backend = BACKENDS[given.pop("backend")]
    clock = SystemClock(0)
    end_ns = clock.boot_ns() + int(given["time_limit_s"] * 1e9)
    deadline = TaskDeadline(clock, end_ns, threading.Event())
    link = Link("lab", "lab", given["interface"])
    try:
        results = backend.run(Order(link=link, **given), deadline)
    except ProbeError as error:
        results = dict.fromkeys(given["limits"], error)
    json.dump({d: _plain(result) for d, result in results.items()}, sys.stdout)
    return 0


def _plain(result: Rate | ProbeError) -> dict[str, object]:
    if isinstance(result, ProbeError):
        return {"cause": result.cause, "detail": result.detail}
    return {**result.fields(), "data_bytes": result.used_bytes}


if __name__ == "__main__":
    raise SystemExit(main())
