"""One measurement with one backend: `python -m bench.one '{"backend": ...}'`.

Other benches run it inside a laboratory's client. It prints the fields as JSON.
Earlier tests of the link may be given as `past`.
"""

from __future__ import annotations

import json
import sys
import threading
from dataclasses import astuple

from qos_agent.model import Link
from qos_agent.model.errors import ProbeError
from qos_agent.model.rate_statistics import PastTest
from qos_agent.probes.throughput import BACKENDS
from qos_agent.probes.throughput.backend import Order, Rate
from qos_agent.system.clock import SystemClock, TaskDeadline


def main() -> int:
    """Read the order and print the fields or the cause of each direction."""
    order = json.loads(sys.argv[1])
    order["past"] = {
        direction: [PastTest(*test) for test in tests]
        for direction, tests in order.get("past", {}).items()
    }
    backend = BACKENDS[order.pop("backend")]
    clock = SystemClock(0)
    end_ns = clock.boot_ns() + int(order["time_limit_s"] * 1e9)
    deadline = TaskDeadline(clock, end_ns, threading.Event())
    link = Link("lab", "lab", order["interface"])
    try:
        results = backend.run(Order(link=link, **order), deadline)
    except ProbeError as error:
        results = dict.fromkeys(order["limits"], error)
    json.dump({d: _plain(result) for d, result in results.items()}, sys.stdout)
    return 0


def _plain(result: Rate | ProbeError) -> dict[str, object]:
    if isinstance(result, ProbeError):
        return {"cause": result.cause, "detail": result.detail}
    fields: dict[str, object] = {**result.fields(), "data_bytes": result.used_bytes}
    if result.measured_start_s is None:
        return fields
    # On CLOCK_MONOTONIC, as the log of a laboratory's trace.
    fields["measured_start_s"] = result.measured_start_s
    if (past := result.past_test()) is not None:
        fields["past"] = astuple(past)
    return fields


if __name__ == "__main__":
    raise SystemExit(main())
