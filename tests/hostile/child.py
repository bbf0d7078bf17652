"""A client in a process of its own, whose memory and time a test measures.

It reads cases as JSON lines on standard input, and writes a report for each. The first
case loads the libraries, so a test does not look at its memory.
"""

from __future__ import annotations

import json
import logging
import resource
import ssl
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qos_agent.config.settings import CollectorSection, FormSection
from qos_agent.influx.query import QueryError, Server
from qos_agent.model import Layer, ProbeResult, Target, Task
from qos_agent.model.errors import ConfigError, ProbeError
from qos_agent.probes.http.connection import HttpClient
from qos_agent.probes.throughput import BACKENDS
from qos_agent.probes.throughput.backend import Backend, Order, Rate
from qos_agent.probes.throughput.speedtest import Speedtest
from qos_agent.probes.web.upload import Form
from tests.probes.time_left import TimeLeft
from tests.probes.web import pages
from tests.support.waiting import eventually
from tests.uplink.support import Bench, make_settings

TIMEOUT_S = 1.0
_LIMIT_S = 20.0


@dataclass(frozen=True, slots=True)
class Case:
    """A server to talk to, and the file of its authority."""

    name: str
    url: str
    ca_file: str | None = None

    def section(self) -> dict[str, object]:
        """Return the settings of a collector."""
        token = {"token": "PLANTED-secret", "ca_file": self.ca_file}
        return {"url": self.url, "timeout": f"{TIMEOUT_S}s", **token}


def uplink(case: Case) -> dict[str, object]:
    """Deliver three points until the first failure."""
    settings = make_settings(case.section(), backoff="60s")
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), settings)
        bench.start()
        bench.put(3)
        eventually(lambda: _has_result(bench), _LIMIT_S)
        status, counts = bench.uplink.status(), bench.journal.counts()
        alive = "uplink" in {thread.name for thread in threading.enumerate()}
        kept = counts.undelivered["collector"] + counts.quarantined
        bench.end()
    return {"message": status.error or "", "kept": kept, "alive": alive}


def _has_result(bench: Bench) -> bool:
    status = bench.uplink.status()
    return status.state != "sending" and bool(
        status.failures or status.quarantined == 3 or status.acknowledged.all
    )


def query(case: Case) -> dict[str, object]:
    """Send a query to the server."""
    section = CollectorSection.model_validate(case.section())
    server = Server(section, TIMEOUT_S)
    try:
        rows = list(server.select("SELECT 1"))
    except QueryError as error:
        return {"message": str(error)}
    finally:
        server.close()
    return {"message": f"{len(rows)} rows"}


def retention(case: Case) -> dict[str, object]:
    """Ask for the retention of a bucket with the client's library."""
    section = CollectorSection.model_validate(case.section())
    try:
        kept_s = Server(section, TIMEOUT_S)._bucket_retention_s()
    except (QueryError, ConfigError) as error:
        return {"message": str(error)}
    return {"message": f"unknown: {kept_s}" if kept_s is None else str(kept_s)}


def page(case: Case) -> dict[str, object]:
    """Load a page."""
    web = pages.probe(case.url)
    return _probed(lambda: web.measure(pages.task(case.url), TimeLeft(TIMEOUT_S)))


def form(case: Case) -> dict[str, object]:
    """Upload a form of 100 kB."""
    settings = FormSection.model_validate({"size": "100kB"})
    probe = Form(settings, HttpClient(ssl.create_default_context(), TIMEOUT_S))
    target = Target("forms", case.url, Layer.APPLICATION)
    task = Task("form", 0, None, target, None)
    return _probed(lambda: probe.measure(task, TimeLeft(TIMEOUT_S)))


def _probed(measure: Callable[[], ProbeResult]) -> dict[str, object]:
    try:
        return {"message": measure().cause or "ok"}
    except ProbeError as error:
        return {"message": str(error)}


def throughput(case: Case) -> dict[str, object]:
    """Measure both directions with the http backend."""
    return _transferred(BACKENDS["http"], case)


def speedtest(case: Case) -> dict[str, object]:
    """Measure both directions with a server of our own and speedtest-cli."""
    report = _transferred(Speedtest(environment={}), case)
    peak_kib = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return {**report, "child_bytes": peak_kib * 1024}


def _transferred(backend: Backend, case: Case) -> dict[str, object]:
    order = Order(
        link=None,
        interface="lo",
        server=case.url,
        limits={"down": 4_000_000_000, "up": 4_000_000_000},
        time_limit_s=3 * TIMEOUT_S,
    )
    try:
        results = backend.run(order, TimeLeft(3 * TIMEOUT_S))
    except ProbeError as error:
        return {"message": str(error)}
    return {"message": " | ".join(map(_shown, results.values()))}


def _shown(result: Rate | ProbeError) -> str:
    return str(result) if isinstance(result, ProbeError) else f"{result.rate_bps} bps"


CLIENTS: Mapping[str, Callable[[Case], dict[str, object]]] = {
    "uplink": uplink,
    "query": query,
    "retention": retention,
    "page": page,
    "form": form,
    "throughput": throughput,
    "speedtest": speedtest,
}


def main() -> None:
    """Run the client of the first argument for each case."""
    logging.basicConfig(level=logging.INFO, stream=sys.stderr)
    client = CLIENTS[sys.argv[1]]
    for line in sys.stdin:
        case = Case(**json.loads(line))
        print(json.dumps(_measured(client, case)), flush=True)


def _measured(
    client: Callable[[Case], dict[str, object]], case: Case
) -> dict[str, Any]:
    # "5" resets the maximum of the resident memory; see proc(5).
    Path("/proc/self/clear_refs").write_text("5")
    before, start_s = _resident_bytes("VmRSS"), time.monotonic()
    result = client(case)
    took_s = time.monotonic() - start_s
    growth = _resident_bytes("VmHWM") - before
    return {**result, "took_s": took_s, "growth_bytes": growth}


def _resident_bytes(name: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        key, _, value = line.partition(":")
        if key == name:
            return int(value.split()[0]) * 1024
    raise LookupError(name)


if __name__ == "__main__":
    main()
