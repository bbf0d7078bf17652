"""Savings of deliveries of five minutes: requests, and processor time of InfluxDB.

Devices write the same points, in one request a minute or one of five minutes.
`python -m bench.delivery [DEVICES]` also writes the same points in bodies of 9 and 500.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import psutil

from bench.noc_stages import processor_s
from bench.table import show
from qos_agent.config.settings import CollectorSection
from qos_agent.influx.transport import InfluxTransport, pack
from qos_agent.noc.simulator.run import Nation
from qos_agent.noc.simulator.scenario import Scenario
from tests.servers import influxd
from tests.servers.influxdb import InfluxDB

DEVICES, MINUTES = 300, 10
START = datetime(2024, 2, 10, 3, tzinfo=UTC)
_TIMEOUT_S = 60.0


def _lines(devices: int) -> list[list[list[bytes]]]:
    """Return the points by device and minute."""
    scenario = Scenario(
        name="delivery",
        stations=devices,
        minutes=MINUTES,
        start=START,
        calendar="2024-02-14",
    )
    by_station: dict[bytes, list[list[bytes]]] = {}
    for minute, batch in enumerate(Nation(scenario, START).run()):
        for line in (line for lines in batch.lines.values() for line in lines):
            station = line.partition(b"station=")[2].partition(b",")[0]
            station = station.partition(b" ")[0]
            of_station = by_station.setdefault(station, [[] for _ in range(MINUTES)])
            of_station[min(minute, MINUTES - 1)].append(line)
    return list(by_station.values())


def _bodies(devices: list[list[list[bytes]]], minutes: int) -> Iterator[list[bytes]]:
    """Yield the requests of all devices, of a few minutes each."""
    for start in range(0, MINUTES, minutes):
        for by_minute in devices:
            parts = by_minute[start : start + minutes]
            if points := [line for part in parts for line in part]:
                yield points


def _cut(devices: list[list[list[bytes]]], size: int) -> Iterator[list[bytes]]:
    """Yield the points of all devices in bodies of a size."""
    points = [line for device in devices for part in device for line in part]
    for start in range(0, len(points), size):
        yield points[start : start + size]


def _row(name: str, server: InfluxDB, bodies: list[list[bytes]]) -> tuple[str, ...]:
    """Write the bodies over one connection, and return the figures."""
    database = server.view.fresh()
    transport = InfluxTransport(CollectorSection.model_validate(database.section))
    before_s = processor_s(server)
    for body in bodies:
        transport.post(pack(body), _TIMEOUT_S)
    used_s = processor_s(server) - before_s
    transport.close()
    points = sum(map(len, bodies))
    return (
        name,
        str(len(bodies)),
        f"{points / len(bodies):.1f}",
        f"{used_s:.2f}",
        f"{points / used_s:.0f}",
    )


def main(arguments: Sequence[str] = ()) -> int:
    """Print the table."""
    devices = int(arguments[0]) if arguments else DEVICES
    program = influxd.find()
    if program is None:
        print(f"{influxd.MISSING}; {influxd.INSTALL}", file=sys.stderr)
        return 1
    lines = _lines(devices)
    ways = {
        "each minute": list(_bodies(lines, 1)),
        "every five minutes": list(_bodies(lines, 5)),
        "bodies of 9": list(_cut(lines, 9)),
        "bodies of 500": list(_cut(lines, 500)),
    }
    with tempfile.TemporaryDirectory() as folder:
        server = InfluxDB(program, Path(folder) / "influxdb").start()
        try:
            rows = [_row(name, server, bodies) for name, bodies in ways.items()]
        finally:
            server.stop()
    load = " ".join(f"{figure:.1f}" for figure in psutil.getloadavg())
    title = f"{devices} devices, {MINUTES} minutes; load {load}"
    head = ("delivery", "requests", "points each", "InfluxDB CPU s", "points a CPU s")
    show(title, head, rows)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
