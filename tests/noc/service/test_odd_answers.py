"""A whole minute of the census service with a server whose answers are odd."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest

from qos_agent.influx.query import QueryError
from qos_agent.noc.census.mismatches import mismatches
from qos_agent.noc.service.service import Service
from qos_agent.noc.settings import NocSettings
from tests.noc.nation import MINUTE_NS, START_NS, register_stations

STATION = "3171010001001"
AT_NS = START_NS + 30 * MINUTE_NS
PLACE = {"province": "31", "regency": "3171", "station": STATION, "link": "main"}
Series = dict[str, Any]
Change = Callable[[Series], object]


def series_of(query: str) -> Series:
    """Return a row with a plausible number for each name of a query."""
    names = re.findall(r'"(\w+)"', query.partition(" FROM ")[0])
    times = re.search(r"time >= (-?\d+) AND time < (\d+)", query)
    time_ns = int(times[2]) - 1 if times else 0
    values = [time_ns, *(None if name in ("kpi", "side") else 1 for name in names)]
    tags = {**PLACE, "operator": "xl", "phase": "voting", "layer": "anchor"}
    grouped = re.findall(r'"(\w+)"', query.rpartition("GROUP BY")[2])
    shown = {name: tag for name, tag in tags.items() if name in grouped}
    return {"name": "x", "tags": shown, "columns": ["time", *names], "values": [values]}


def _values(value: object) -> Change:
    def change(series: Series) -> None:
        series["values"] = [
            [row[0], *[value] * (len(row) - 1)] for row in series["values"]
        ]

    return change


def _time(value: object) -> Change:
    return lambda series: series["values"][0].__setitem__(0, value)


def _tags(**tags: object) -> Change:
    return lambda series: series["tags"].update(
        {name: tag for name, tag in tags.items() if name in series["tags"]}
    )


ODD: Mapping[str, Change] = {
    "nothing": lambda _: None,
    "texts": _values("x"),
    "empty texts": _values(""),
    "number texts": _values("1"),
    "booleans": _values(True),
    "lists": _values([1]),
    "objects": _values({"a": 1}),
    "nulls": _values(None),
    "negative": _values(-1),
    "fractions": _values(0.5),
    "1e300": _values(1e300),
    "1e18": _values(10**18),
    "65 bits": _values(2**64),
    "1e30": _values(10**30),
    "1e400": _values(10**400),
    "no time": _time(None),
    "time text": _time("2024-02-14T00:00:00Z"),
    "time 0": _time(0),
    "time fraction": _time(0.5),
    "time true": _time(True),
    "time negative": _time(-(2**62)),
    "time huge": _time(10**30),
    "time of the year 2262": _time(2**63 - 1),
    "no columns": lambda s: s.update(columns=[], values=[[]]),
    "no column time": lambda s: s["columns"].__setitem__(0, "x"),
    "time only": lambda s: s.update(columns=["time"], values=[[s["values"][0][0]]]),
    "two columns of one name": lambda s: s.update(
        columns=["time", "n", "n"], values=[[s["values"][0][0], 1, 2]]
    ),
    "columns of numbers": lambda s: s.update(columns=[1] * len(s["columns"])),
    "short row": lambda s: s["values"][0].pop(),
    "no rows": lambda s: s.update(values=[]),
    "null rows": lambda s: s.update(values=None),
    "rows of null": lambda s: s.update(values=[None]),
    "no tags": lambda s: s.pop("tags"),
    "null tags": lambda s: s.update(tags=None),
    "other tags": lambda s: s.update(tags={"a": "b"}),
    "more tags": lambda s: s["tags"].update(b="c"),
    "tags of numbers": _tags(regency=3171, station=1),
    "tags of null": _tags(regency=None, station=None),
    "empty tags": _tags(regency="", station="", operator="", province=""),
    "tags with spaces": _tags(regency="31 71", station="a b", operator="x y"),
    "tags in another script": _tags(regency="३१७१", station="é", operator="\u0000"),
    "unknown places": _tags(regency="3199", station="9", province="99"),
    "other places": _tags(regency="nation", province="all"),
}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # One segment for each response: two would wait for an acknowledgement.
    wbufsize = -1

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if "/write" in self.path:
            self._reply(204, b"")
            return
        (query,) = parse_qs(body.decode())["q"]
        series = series_of(query)
        if not query.startswith("SHOW"):
            self.server.change(series)  # type: ignore[attr-defined]
        content = {"results": [{"statement_id": 0, "series": [series]}]}
        self._reply(200, json.dumps(content).encode())

    def do_GET(self) -> None:
        self._reply(204 if self.path.startswith("/ping") else 404, b"")

    def _reply(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("X-Influxdb-Version", "3.0.0")
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@dataclass(slots=True)
class _Odd:
    """A service, and the server that it queries and writes to."""

    service: Service
    server: ThreadingHTTPServer

    def minute(self, at_ns: int, change: Change) -> list[str]:
        """Return the errors of a minute and of some remaining work."""
        self.server.change = change  # type: ignore[attr-defined]
        report = self.service.minute(at_ns)
        for _ in islice(self.service.pending(report), 4):
            pass
        return [*report.failed.values(), *report.pending_failed.values()]

    def mismatches(self, at_ns: int) -> list[str]:
        """Return the lines of the command, or its error."""
        service = self.service
        try:
            found = mismatches(service.settings, service.register, at_ns)
            return list(map(str, found))
        except QueryError as error:
            return [str(error)]


@pytest.fixture
def odd(tmp_path: Path) -> Iterator[_Odd]:
    """Return a service of one station."""
    register_stations(tmp_path, {STATION: [("main", "xl", "")]}).close()
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        section = {"url": url, "token": "x", "insecure": True}
        settings = NocSettings.model_validate(
            {
                "folder": tmp_path,
                "collectors": [{**section, "provinces": ["31"]}],
                "rollup": section,
                "election": {"calendar": "2024-02-14"},
            }
        )
        service = Service(settings, lambda _: None)
        yield _Odd(service, server)
        service.close()
        server.shutdown()


@pytest.mark.slow
def test_an_odd_answer_is_no_internal_error(
    odd: _Odd, caplog: pytest.LogCaptureFixture
) -> None:
    """Census, roll-ups, baselines and troubles skip it, or name server and value."""
    wrong: dict[str, object] = {}
    for number, (name, change) in enumerate(ODD.items()):
        caplog.clear()
        at_ns = AT_NS + number * MINUTE_NS
        errors = odd.minute(at_ns, change)
        lines = odd.mismatches(at_ns)
        bugs = [record.message for record in caplog.records if record.exc_info]
        internal = [text for text in errors if "internal error" in text]
        if bugs or internal or len(lines) > 1 or (name == "nothing" and errors):
            wrong[name] = (bugs, internal, lines, errors)
    assert wrong == {}
