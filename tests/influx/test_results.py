"""Results of queries that are not whole are errors, or are read in chunks."""

from __future__ import annotations

import json

import pytest

from qos_agent.config.settings import CollectorSection
from qos_agent.influx.query import QueryError, Server
from qos_agent.influx.results import PartialResultError, ResultError, tables
from qos_agent.noc.census import queries
from tests.servers.fixtures import MakeInfluxDB
from tests.servers.influxdb import Settings
from tests.servers.raw import Reply, raw_server, response

SERIES = {"name": "a", "columns": ["time", "n"], "values": [[0, 1], [1, 2]]}
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def _body(*results: object) -> bytes:
    return json.dumps({"results": results}).encode()


def _chunk(content: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(content), content)


def test_chunks_of_one_series_become_one_table() -> None:
    """In a chunked response `partial` means that more follows."""
    one = {"series": [SERIES | {"tags": {"r": "1"}, "partial": True}], "partial": True}
    two = {"series": [SERIES | {"tags": {"r": "1"}}], "partial": True}
    three = {"series": [SERIES | {"tags": {"r": "2"}}]}
    body = b"\n".join(map(_body, (one, two, three))) + b"\n"
    first, second = tables(body)
    assert (first.tags, list(first.rows)) == ({"r": "1"}, 2 * SERIES["values"])  # type: ignore[operator]
    assert second.tags == {"r": "2"}
    with pytest.raises(PartialResultError):
        tables(body[: body.rindex(b"\n", 0, -1)])


@pytest.mark.parametrize(
    "body",
    [
        _body({"series": [SERIES | {"partial": True}]}),
        _body({"series": [SERIES], "partial": True}),
    ],
    ids=["series", "result"],
)
def test_a_partial_result_is_an_error(body: bytes) -> None:
    """1.8 marks the truncated series, or only the result if it left out series."""
    with pytest.raises(PartialResultError):
        tables(body)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b"1",
        b'{"results": []}',
        b'{"results": null}',
        b'{"results": 5}',
        b'{"results": [1]}',
        b'{"results": {"series": []}}',
        b'{"results": [{"series": [{"columns": ["a"], "values": [[1, 2]]}]}]}',
        b'{"results": [{"series": [{"values": [[1]]}]}]}',
        b'{"results": [{"series": [{"columns": ["a"], "values": [1]}]}]}',
        b'{"results": [{"series": [{"columns": ["a"], "tags": {"a": 1}}]}]}',
        b'{"results": [{"series": [{"columns": ["a"], "tags": 5}]}]}',
        b'{"results": [{"series": 5}]}',
        b'{"results": [NaN]}',
        b"\xff\xfe{}",
        b"<html>log in</html>",
        _body({"series": [SERIES]})[:-20],
        b"[" * 100_000,
        b'{"results": [' + b'{"a":' * 5000,
    ],
)
def test_another_body_is_not_from_influxdb(body: bytes) -> None:
    """No body causes another exception, or a result with missing rows."""
    with pytest.raises(ResultError, match="not from InfluxDB"):
        tables(body)


@pytest.mark.parametrize(
    "body",
    [
        _body({"series": [SERIES], "error": "engine stopped"}),
        _body({"series": [SERIES]}, {"error": "engine stopped"}),
        _body({"series": [SERIES | {"error": "engine stopped"}]}),
        _body({"series": [SERIES]}) + b"\n" + b'{"error": "engine stopped"}',
    ],
    ids=["same result", "next result", "series", "next chunk"],
)
def test_an_error_next_to_a_series_is_an_error(body: bytes) -> None:
    """The rows that came before the error are not the whole result."""
    with pytest.raises(ResultError, match="engine stopped"):
        tables(body)


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        (response("200 OK"), "not from InfluxDB"),
        (response("204 No Content"), "not from InfluxDB"),
        ([CHUNKED, _chunk(_body({"series": [SERIES]}))], "roken|ncomplete"),
        ([CHUNKED, b"400\r\n" + _body({"series": [SERIES]})], "roken|ncomplete"),
        (
            [b"HTTP/1.1 200 OK\r\nContent-Length: 400\r\n\r\n" + _body({})],
            "roken|ncomplete",
        ),
        (
            [b"HTTP/1.1 200 OK\r\n\r\n" + _body({"series": [SERIES]})[:-9]],
            "not from InfluxDB",
        ),
    ],
    ids=["empty", "204", "no last chunk", "half a chunk", "short body", "no length"],
)
def test_a_cut_or_empty_response_is_an_error(reply: Reply, message: str) -> None:
    """No row of it counts."""
    with raw_server(reply) as server:
        section = CollectorSection.model_validate({"url": server.url})
        with pytest.raises(QueryError, match=message):
            list(Server(section, 5.0).select("SELECT 1"))


@pytest.mark.parametrize("limit", [1, 5])
def test_a_row_limit_of_the_server_hides_no_station(
    make_influxdb: MakeInfluxDB, limit: int
) -> None:
    """With any max-row-limit all regencies and all of their stations count."""
    influxdb = make_influxdb(Settings(max_row_limit=limit))
    influxdb.write(
        b"\n".join(
            b"agent,province=31,regency=31%02d,station=s%d beats=1i %d" % (r, s, s)
            for r in range(12)
            for s in range(5)
        )
    )
    server = Server(CollectorSection.model_validate(influxdb.view.section), 5.0)
    counts = queries.heard(server, "31", (0, 100))
    assert counts == {f"31{regency:02d}": 5 for regency in range(12)}
    roll_call = queries.roll_call(server, "31", (0, 100), counts)
    assert [len(stations) for stations in roll_call.values()] == [5] * 12
    assert len(list(server.select("SELECT * FROM agent"))) == 60
    server.close()


def test_a_result_that_stays_partial_names_the_setting() -> None:
    """A gateway that ignores `chunked` leaves only the error."""
    partial = response("200 OK", _body({"series": [SERIES | {"partial": True}]}))
    with raw_server(partial) as server:
        section = CollectorSection.model_validate({"url": server.url})
        with pytest.raises(QueryError, match="set max-row-limit = 0"):
            list(Server(section, 5.0).select("SELECT 1"))
