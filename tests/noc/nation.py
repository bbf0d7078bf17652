"""A small simulated nation in a real InfluxDB, for the tests of this folder."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from qos_agent.model import Record, Value
from qos_agent.model.line_protocol import encode
from qos_agent.noc.register.importing import stage
from qos_agent.noc.register.store import Register
from qos_agent.noc.settings import NocSettings
from qos_agent.noc.simulator.population import nation, write_register
from qos_agent.noc.simulator.run import Nation
from qos_agent.noc.simulator.scenario import Scenario
from tests.servers.database import Database

START = datetime(2024, 2, 14, 4, 0, tzinfo=UTC)
START_NS = int(START.timestamp()) * 10**9
MINUTE_NS = 60 * 10**9
CLASSES = ("good", "degraded", "bad", "unknown")


def scenario(**changes: Any) -> Scenario:
    """Return a scenario on voting day, from 11:00 in WIB."""
    base = {
        "name": "test",
        "stations": 60,
        "minutes": 10,
        "start": START,
        "calendar": "2024-02-14",
        "provinces": ["31", "94"],
    }
    return Scenario.model_validate(base | changes)


def begin(simulated: Scenario) -> Nation:
    """Return the nation of a scenario."""
    return Nation(simulated, START)


def all_lines(simulated: Scenario) -> list[bytes]:
    """Return every line that a scenario delivers."""
    return [
        line
        for batch in begin(simulated).run()
        for lines in batch.lines.values()
        for line in lines
    ]


def deliver(database: Database, lines: list[bytes]) -> None:
    """Write lines in batches."""
    for start in range(0, len(lines), 5000):
        response = database.write(b"\n".join(lines[start : start + 5000]))
        assert response.status == 204, response.body


def deliver_all(simulated: Scenario, folder: Path, raw: Database) -> list[bytes]:
    """Register a scenario's stations and deliver all its lines; return them."""
    register_scenario(simulated, folder)
    lines = all_lines(simulated)
    deliver(raw, lines)
    return lines


def settings(
    raw: Database, rollup: Database, folder: Path, /, **changes: Any
) -> NocSettings:
    """Return settings that read one database and write the other."""
    return NocSettings.model_validate(
        {
            "folder": folder,
            "collectors": [{**raw.section, "provinces": ["31", "94"]}],
            "rollup": rollup.section,
            "election": {"calendar": "2024-02-14"},
        }
        | changes
    )


def register_scenario(simulated: Scenario, folder: Path) -> Register:
    """Return a register of all stations of a scenario, valid since the day before."""
    path = folder / "stations.csv"
    write_register(path, nation(simulated))
    register = Register(folder / "register.sqlite3")
    staged = stage(register, path, lambda _: None)
    assert staged.faults == []
    register.apply(START_NS // 10**9 - 86400, close_missing=False)
    return register


def register_stations(
    folder: Path, stations: dict[str, list[tuple[str, str, str]]]
) -> Register:
    """Return a register of stations by code; links are (link, operator, ticket)."""
    register = Register(folder / "register.sqlite3")
    register.stage(_station(code, links) for code, links in stations.items())
    register.apply(START_NS // 10**9 - 86400, close_missing=False)
    return register


def _station(code: str, links: list[tuple[str, str, str]]) -> tuple[Any, ...]:
    """Return a row of the register's table `staged`."""
    area = (code[:2], code[:4], None, None)
    place = (-6.1, 106.8, "Asia/Jakarta")
    sample = (None, None, None)
    name = f"TPS {code[-3:]}"
    return (code, name, *area, *place, "Ketua", *sample, json.dumps(links), None)


def beat(station: str, at_ns: int, **fields: Value) -> bytes:
    """Return a station's heartbeat."""
    return _encoded("agent", station, {}, {"beats": 1, **fields}, at_ns)


def verdict(
    station: str,
    operator: str,
    name: str,
    at_ns: int,
    link: str = "main",
    **fields: Value,
) -> bytes:
    """Return a link's verdict of a class."""
    classes = {class_: int(class_ == name) for class_ in CLASSES}
    tags = {"link": link, "operator": operator}
    values: dict[str, Value] = {**classes, "class": name, **fields}
    return _encoded("verdict", station, tags, values, at_ns)


def _encoded(
    measurement: str,
    station: str,
    tags: dict[str, str],
    fields: dict[str, Value],
    at_ns: int,
) -> bytes:
    place = {"station": station, "province": station[:2], "regency": station[:4]}
    return encode(
        Record(measurement, {**place, "phase": "voting", **tags}, fields, at_ns)
    )
