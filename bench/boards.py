"""Load of InfluxDB by one look at each board, and by one minute of the alerts.

`python -m bench.boards [STATIONS [MINUTES]]` simulates a nation with its census. Then
it asks every query of every board and rule once, as Grafana does, and measures the
processor time of InfluxDB. That of Grafana is not measured.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

from bench.noc_stages import processor_s
from bench.table import show
from grafana.boards import BOARDS, board_json
from grafana.panels import RAW, ROLLUP
from qos_agent.config.settings import CollectorSection
from qos_agent.influx.writer import WriteError, Writer
from qos_agent.noc.register.importing import stage
from qos_agent.noc.register.store import Register
from qos_agent.noc.service.service import Service
from qos_agent.noc.simulator.population import nation, write_register
from qos_agent.noc.simulator.run import Nation
from qos_agent.noc.simulator.scenario import Scenario
from tests.grafana.day import All, substitute
from tests.grafana.panel_queries import AGES_S
from tests.grafana.test_alerts import RULES
from tests.noc.nation import settings
from tests.servers import influxd
from tests.servers.database import Database
from tests.servers.influxdb import InfluxDB

STATIONS, MINUTES = 1000, 6
START = datetime(2024, 2, 14, 3, tzinfo=UTC)
# The range that the boards show first.
_TRIES = 5
_RANGE_S = 3 * 3600.0
_STATION_RANGE_S = {"rollout": 14 * 86400.0}
# Without these, roll-ups of empty weeks would take most of the time.
_SUMS = {"settle": "1m", "again": ["2m"], "back": "30m", "span": "30m"}
Asked = tuple[str, Database]


def _filled(
    server: InfluxDB, folder: Path, stations: int, minutes: int
) -> tuple[Database, Database, int, dict[str, Any]]:
    """Simulate minutes with the census; return databases, end and a station."""
    raw, rollup = server.view.fresh(), server.view.fresh()
    scenario = Scenario(
        name="boards",
        stations=stations,
        minutes=minutes,
        start=START,
        calendar="2024-02-14",
    )
    path = folder / "stations.csv"
    write_register(path, nation(scenario))
    register = Register(folder / "register.sqlite3")
    stage(register, path, lambda _: None)
    register.apply(int(START.timestamp()) - 86400, close_missing=False)
    shard = raw.section | {"timeout": "600s"}
    writer = Writer(CollectorSection.model_validate(shard))
    service = Service(settings(raw, rollup, folder, collectors=[shard], rollups=_SUMS))
    for batch in Nation(scenario, START).run():
        _write(writer, [line for lines in batch.lines.values() for line in lines])
        report = service.minute(batch.ends_ns)
    for _ in service.pending(report):
        pass
    regency = max(register.expected(batch.ends_ns // 10**9).items(), key=_second)[0]
    station = min(register.stations(regency, batch.ends_ns // 10**9))
    for part in (service, register, writer):
        part.close()
    chosen = {"regency": regency, "station": station, "search": station[4:9]}
    return raw, rollup, batch.ends_ns, chosen


def _write(writer: Writer, lines: list[bytes]) -> None:
    """Write the points of a minute; InfluxDB times out on a busy machine."""
    for _ in range(_TRIES):
        try:
            writer.write(lines)
        except WriteError as error:
            failure = error
            writer.wake()
        else:
            return
    raise failure


def _second(pair: tuple[str, int]) -> int:
    return pair[1]


def _board_queries(
    raw: Database, rollup: Database, at_ns: int, chosen: dict[str, Any]
) -> Iterator[tuple[str, list[Asked]]]:
    """Yield the queries of each board with its first selection."""
    databases = {RAW: raw, ROLLUP: rollup}
    nation_wide = {"province": All, "regency": All, "link": All, "worst": All}
    for board in BOARDS:
        one_place = board.name in {"station", "find"}
        variables = nation_wide | (chosen if one_place else {})
        variables |= {"place": chosen["regency"]}
        span_s = _STATION_RANGE_S.get(board.name, _RANGE_S)
        asked = []
        for panel in board_json(board, 0)["panels"]:
            range_s = AGES_S.get(panel.get("timeFrom"), span_s)
            for target in panel["targets"]:
                database = databases.get(target["datasource"]["uid"], rollup)
                query = substitute(target["query"], at_ns, range_s, variables)
                asked.append((query, database))
        yield board.name, asked


def _rule_queries(rollup: Database, at_ns: int) -> list[Asked]:
    """Return the queries of one evaluation of all rules."""
    nodes = [
        n for rule in RULES.values() for n in rule["data"] if "query" in n["model"]
    ]
    return [
        (
            substitute(
                node["model"]["query"],
                at_ns - int(node["relativeTimeRange"]["to"] * 1e9),
                node["relativeTimeRange"]["from"] - node["relativeTimeRange"]["to"],
            ),
            rollup,
        )
        for node in nodes
    ]


def _asked(asked: Iterable[Asked], cpu_s: Callable[[], float]) -> tuple[str, ...]:
    """Ask all queries; return their number, processor time, sum and slowest."""
    before_s, times = cpu_s(), []
    for query, database in asked:
        began_mono = time.monotonic()
        database.query(query)
        times.append(time.monotonic() - began_mono)
    used_s = cpu_s() - before_s
    return str(len(times)), f"{used_s:.2f}", f"{sum(times):.2f}", f"{max(times):.2f}"


def _rows(
    server: InfluxDB, folder: Path, stations: int, minutes: int
) -> Iterator[tuple[str, ...]]:
    """Yield the row of the rules, and of each board."""
    raw, rollup, at_ns, chosen = _filled(server, folder, stations, minutes)
    asked = {"rules": _rule_queries(rollup, at_ns)}
    asked |= dict(_board_queries(raw, rollup, at_ns, chosen))
    for name, queries in asked.items():
        yield name, *_asked(queries, lambda: processor_s(server))


def main(arguments: Sequence[str] = ()) -> int:
    """Print the table."""
    numbers = [int(word) for word in arguments]
    stations, minutes = [*numbers, *(STATIONS, MINUTES)[len(numbers) :]]
    program = influxd.find()
    if program is None:
        print(f"{influxd.MISSING}; {influxd.INSTALL}", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as folder:
        server = InfluxDB(program, Path(folder) / "influxdb").start()
        try:
            rows = list(_rows(server, Path(folder), stations, minutes))
        finally:
            server.stop()
    load = " ".join(f"{figure:.1f}" for figure in psutil.getloadavg())
    title = f"{stations} stations, {minutes} minutes; load {load}"
    show(title, ("asked", "queries", "InfluxDB CPU s", "sum s", "slowest s"), rows)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
