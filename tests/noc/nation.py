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


def scenario(**given: Any) -> Scenario:
    """A scenario on voting day, 11:00 in WIB."""
    base = {
        "name": "test",
        "stations": 60,
        "minutes": 10,
        "start": START,
        "calendar": "2024-02-14",
        "provinces": ["31", "94"],
    }
    return Scenario.model_validate(base | given)


def begin(made: Scenario) -> Nation:
    """The nation of a scenario."""
    return Nation(made, START)


def deliver(database: Database, lines: list[bytes]) -> None:
    """Write what arrived, as it stands."""
    for start in range(0, len(lines), 5000):
        answer = database.write(b"\n".join(lines[start : start + 5000]))
        assert answer.status == 204, answer.body


def lived(made: Scenario, folder: Path, raw: Database) -> list[bytes]:
    """Register a scenario's stations and deliver all of it; every line."""
    registered(made, folder)
    arrived = [
        line
        for batch in begin(made).run()
        for lines in batch.lines.values()
        for line in lines
    ]
    deliver(raw, arrived)
    return arrived


def settings(
    raw: Database, rollup: Database, folder: Path, /, **more: Any
) -> NocSettings:
    """Settings that read one database and write the other."""
    return NocSettings.model_validate(
        {
            "folder": folder,
            "collectors": [{**raw.section, "provinces": ["31", "94"]}],
            "rollup": rollup.section,
            "election": {"calendar": "2024-02-14"},
        }
        | more
    )


def registered(made: Scenario, folder: Path) -> Register:
    """A register of all stations of a scenario, from the day before on."""
    path = folder / "stations.csv"
    write_register(path, nation(made))
    register = Register(folder / "register.sqlite3")
    found = stage(register, path, lambda _: None)
    assert found.faults == []
    register.apply(START_NS // 10**9 - 86400, close_missing=False)
    return register


def settled(folder: Path, stations: dict[str, list[tuple[str, str, str]]]) -> Register:
    """A register of stations by code, each with (link, operator, ticket) rows."""
    register = Register(folder / "register.sqlite3")
    register.stage(
        (code, f"TPS {code[-3:]}", code[:2], code[:4], None, None, -6.1, 106.8,
         "Asia/Jakarta", "Ketua", json.dumps(links), None)
        for code, links in stations.items()
    )  # fmt: skip
    register.apply(START_NS // 10**9 - 86400, close_missing=False)
    return register


def beat(station: str, at_ns: int, **fields: Value) -> bytes:
    """A station's heartbeat."""
    return _encoded("agent", station, {}, {"beats": 1, **fields}, at_ns)


def judged(
    station: str, operator: str, judged: str, at_ns: int, link: str = "main",
    **fields: Value,
) -> bytes:  # fmt: skip
    """A link's verdict."""
    classes = {name: int(name == judged) for name in _CLASSES}
    tags = {"link": link, "operator": operator}
    return _encoded(
        "verdict", station, tags, {**classes, "class": judged, **fields}, at_ns
    )


_CLASSES = ("good", "degraded", "bad", "unknown")


def _encoded(
    measurement: str, station: str, tags: dict[str, str], fields: dict[str, Value],
    at_ns: int,
) -> bytes:  # fmt: skip
    place = {"station": station, "province": station[:2], "regency": station[:4]}
    where = {**place, "phase": "voting", **tags}
    return encode(Record(measurement, where, fields, at_ns))
