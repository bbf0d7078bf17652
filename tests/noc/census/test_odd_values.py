"""Answers whose values have another type than the agents write."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from qos_agent.config.settings import CollectorSection
from qos_agent.influx.query import QueryError, Server
from qos_agent.noc.census import queries
from qos_agent.noc.census.heartbeats import read_heartbeats
from qos_agent.noc.census.spans import Spans
from qos_agent.noc.rollup.baseline import baseline_lines
from qos_agent.noc.rollup.sums import ROLLUPS, read_lines
from qos_agent.noc.settings import CensusSection
from tests.noc.nation import MINUTE_NS, START_NS
from tests.servers.raw import raw_server, response

SPAN = (START_NS, START_NS + MINUTE_NS)
LATENCY = next(rollup for rollup in ROLLUPS if rollup.measurement == "latency")


def answer(columns: list[str], row: list[object]) -> bytes:
    """Return an InfluxDB's response with one row of a regency."""
    tags = {"regency": "3171", "operator": "xl", "station": "3171010001001"}
    series = {"name": "x", "tags": tags, "columns": columns, "values": [row]}
    body = json.dumps({"results": [{"series": [series]}]}).encode()
    return response("200 OK", body, b"Content-Type: application/json")


@pytest.mark.parametrize(
    ("read", "columns", "row"),
    [
        (queries.newest, ["time", "last"], ["2024-02-14T00:00:00Z", 1]),
        (queries.newest, ["last"], [1]),
        (queries.heard, ["time", "n"], [0, "x"]),
        (queries.links_with_verdict, ["time", "n"], [0, [1]]),
        (queries.links_not_good, ["time", "bad", "since_s"], [0, 1, "long"]),
        (queries.links_not_good, ["time", "good"], [0, "x"]),
        (queries.heard, ["time", "n"], [0, True]),
        (queries.heard, ["time", "n"], [0, 10**30]),
    ],
)
def test_a_query_of_the_census_fails_with_the_server_and_the_fix(
    read: Callable[[Server, str, tuple[int, int]], object],
    columns: list[str],
    row: list[object],
) -> None:
    """It is an error of this server, and no exception that ends the whole minute."""
    with raw_server(answer(columns, row)) as server:
        client = Server(CollectorSection.model_validate({"url": server.url}), 5.0)
        with pytest.raises(QueryError, match=r"must be a number .*\. Fix: check"):
            read(client, "31", SPAN)
        client.close()


@pytest.mark.parametrize(
    ("read", "columns", "row", "wanted"),
    [
        (queries.heard, ["time", "n"], [0, -1], "n must be 0 or more"),
        (queries.heard, ["time", "n"], [0, 0.5], "n must be a whole number"),
        (queries.newest, ["time", "last"], [0, 1], "time must be from"),
        (queries.newest, ["time", "last"], [2**62, 1], "time must be from"),
        (queries.links_not_good, ["time", "bad", "kpi"], [0, 1, 5], "must be a text"),
    ],
)
def test_a_number_without_sense_is_an_error(
    read: Callable[[Server, str, tuple[int, int]], object],
    columns: list[str],
    row: list[object],
    wanted: str,
) -> None:
    """Counts are whole and not negative, and times are within the query's span."""
    with raw_server(answer(columns, row)) as server:
        client = Server(CollectorSection.model_validate({"url": server.url}), 5.0)
        with pytest.raises(QueryError, match=wanted):
            read(client, "31", SPAN)
        client.close()


def test_other_provinces_are_counted() -> None:
    """Only the province of the server with the odd answer fails."""
    odd = answer(["time", "n"], [0, "x"])
    with raw_server(odd) as first, raw_server(response("200 OK", _EMPTY)) as second:
        servers = {
            code: Server(CollectorSection.model_validate({"url": url}), 5.0)
            for code, url in (("31", first.url), ("32", second.url))
        }
        failed: dict[str, str] = {}
        spans = dict.fromkeys(servers, Spans.until(SPAN[1], CensusSection()))
        beats = read_heartbeats(servers, spans, ["3171", "3273"], {}, failed)
    assert (list(beats), list(failed)) == (["32"], ["31"])


_EMPTY = b'{"results":[{"statement_id":0}]}'


@pytest.mark.parametrize(
    ("time_ns", "value"),
    [(START_NS, "x"), (START_NS, True), ("x", 1), (None, 1), (0, 1), (2**62, 1)],
)
def test_a_sum_over_another_type_is_an_error_of_the_query(
    time_ns: object, value: object
) -> None:
    """Another program may have written a field of this name as a text."""
    row = [time_ns, *(value for _ in LATENCY.fields)]
    columns = ["time", *(field.name for field in LATENCY.fields)]
    with raw_server(answer(columns, row)) as server:
        client = Server(CollectorSection.model_validate({"url": server.url}), 5.0)
        with pytest.raises(QueryError, match=r"latency: .*\. Fix: check"):
            list(read_lines(client, LATENCY, "31", *SPAN))
        client.close()


def test_a_baseline_over_a_text_is_an_error_of_the_query() -> None:
    """The province has no new baseline, and its heartbeat reports the error."""
    columns = ["time", "sent", "lost", "received", "rtt_sum_us"]
    with raw_server(answer(columns, [0, "x", 1, 1, 1])) as server:
        client = Server(CollectorSection.model_validate({"url": server.url}), 5.0)
        with pytest.raises(QueryError, match="sent must be a number"):
            baseline_lines(client, "31", SPAN[1], 60.0)
        client.close()
