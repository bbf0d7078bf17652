"""Interim responses and large heads, in delivery and in queries."""

from __future__ import annotations

import gzip
import socket
import time
from contextlib import suppress
from io import BufferedReader, BytesIO
from typing import Any
from unittest import mock

import psutil
import pytest
import urllib3
from hypothesis import given
from hypothesis import strategies as st

from qos_agent.config.settings import CollectorSection
from qos_agent.influx.limited_http import LimitedResponse, limit_responses
from qos_agent.influx.query import QueryError, Server
from qos_agent.influx.responses import Action, Response, decide
from qos_agent.influx.transport import Exchange, InfluxTransport, pack
from qos_agent.model.limits import QUERY, WRITE
from tests.servers.raw import RawServer, Reply, raw_server, response

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
PROCESSING = b"HTTP/1.1 102 Processing\r\n\r\n"
HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\nLink: </b>\r\n\r\n"
MANY = [b"X-Header-%d: %d" % (n, n) for n in range(500)]
LONG = [b"X-Long: " + b"a" * 200_000]
FOLDED = [b"X-Folded: a", b" b", b"\tContent-Length: 7"]
BODY = b'{"results":[{"series":[{"columns":["time","n"],"values":[[0,1]]}]}]}'
BODY_TYPE = b"Content-Type: application/json"


def _post(server: RawServer, count: int = 1) -> list[Exchange]:
    """Send requests on one connection if the server keeps it open."""
    section = CollectorSection.model_validate({"url": server.url})
    transport = InfluxTransport(section)
    exchanges = [transport.post(pack([b"a b=1 1"]), 5.0) for _ in range(count)]
    transport.close()
    return exchanges


INTERIM = [CONTINUE, PROCESSING, HINTS, CONTINUE + PROCESSING + HINTS + HINTS]


@pytest.mark.parametrize("interim", INTERIM, ids=["100", "102", "103", "all"])
def test_interim_responses_are_skipped(interim: bytes) -> None:
    """Each request gets its own final response, and no part of the one before."""
    rejected = response(
        "400 Bad Request", b'{"error":"field type conflict"}', BODY_TYPE
    )
    delivered = response("204 No Content")
    with raw_server(interim + delivered, interim + rejected, delivered) as server:
        actions = [decide(exchange.result).action for exchange in _post(server, 3)]
    assert actions == [Action.DELIVERED, Action.BISECT, Action.DELIVERED]
    with raw_server(interim + response("200 OK", BODY)) as server:
        section = CollectorSection.model_validate({"url": server.url})
        (row,) = Server(section, 5.0).select("SELECT 1")
    assert row.values == {"time": 0, "n": 1}


@pytest.mark.parametrize(
    "headers", [MANY, LONG, FOLDED], ids=["500 lines", "200 kB", "folded"]
)
def test_large_heads_are_read(headers: list[bytes]) -> None:
    """The headers that matter are found behind the others."""
    late = (*headers, b"Retry-After: 7", BODY_TYPE)
    busy = response("503 Service Unavailable", b'{"error":"busy"}', *late)
    with raw_server(busy, response("204 No Content", b"", *headers)) as server:
        first, second = _post(server, 2)
    decision = decide(first.result)
    assert (decision.action, decision.wait_s) == (Action.KEEP, 7.0)
    assert decision.message == "HTTP 503: server not available: busy"
    assert decide(second.result).action is Action.DELIVERED
    with raw_server(response("200 OK", BODY, *headers)) as server:
        section = CollectorSection.model_validate({"url": server.url})
        assert len(list(Server(section, 5.0).select("SELECT 1"))) == 1


@pytest.mark.parametrize(
    "reply",
    [
        [b"HTTP/1.1 204 No Content\r\n", *[b"X-Y: z" * 20_000 + b"\r\n"] * 10],
        [HINTS * 20_000],
        [b"HTTP/1.1 103 Early Hints\r\n"],
        [b"HTTP/1.1 204"],
        [b"HTTP/1.1 204 No Content\r\n"],
        [b"HTTP/1.1 204 No Content\r\nDate: "],
        [CONTINUE, b"HTTP/1.1 1x3 Hm\r\n\r\n"],
        [b"a" * 2_000_000],
        [b""],
    ],
    ids=[
        "headers",
        "interim",
        "cut",
        "cut status",
        "status",
        "cut line",
        "no number",
        "no HTTP",
        "nothing",
    ],
)
def test_a_head_without_an_end_keeps_the_points(reply: Reply) -> None:
    """The size of a head is limited, and every error is a failed request."""
    with raw_server(reply) as server:
        (exchange,) = _post(server)
        assert decide(exchange.result).action is Action.KEEP
        section = CollectorSection.model_validate({"url": server.url})
        with pytest.raises(QueryError):
            list(Server(section, 5.0).select("SELECT 1"))


TWO_LENGTHS = b"Content-Length: 42, 43"
MANY_ENCODINGS = b"Content-Encoding: " + b", ".join([b"gzip"] * 7)


@pytest.mark.parametrize(
    ("header", "whole_body"),
    [(TWO_LENGTHS, True), (TWO_LENGTHS, False), (MANY_ENCODINGS, True)],
)
def test_a_refused_head_closes_its_socket(header: bytes, *, whole_body: bool) -> None:
    """The error may be kept, so the socket must not wait for the collector.

    urllib3 refuses some heads after http.client has given the socket away.
    """
    head = b"HTTP/1.1 200 OK\r\nConnection: close\r\n" + header + b"\r\n\r\nabc"
    with raw_server([head]) as server, urllib3.PoolManager() as pool:
        limit_responses(pool, QUERY)
        with pytest.raises(urllib3.exceptions.HTTPError) as kept:
            pool.request(
                "GET",
                server.url,
                retries=False,
                preload_content=whole_body,
                timeout=urllib3.Timeout(total=5.0),
            )
        assert kept.value.__traceback__ is not None
        assert _clients_of(server) == 0


def _clients_of(server: RawServer) -> int:
    """Return the number of open sockets of this process that a server accepted."""
    port = int(server.netloc.rpartition(":")[2])
    connections = psutil.Process().net_connections("tcp")
    return sum(bool(c.raddr) and c.raddr.port == port for c in connections)


def test_switching_protocols_is_no_interim_response() -> None:
    """101 is final (RFC 9110 section 15.2.2); the uplink never asks for it."""
    with raw_server([b"HTTP/1.1 101 Switching Protocols\r\n\r\n"]) as server:
        (exchange,) = _post(server)
    assert isinstance(exchange.result, Response)
    assert exchange.result.status == 101


@given(st.binary() | st.text().map(lambda text: b"HTTP/1.1 " + text.encode()))
def test_any_head_is_a_response_or_an_error(content: bytes) -> None:
    """http.client raises only its own errors and ValueError."""
    import http.client

    sock = mock.create_autospec(socket.socket, instance=True)
    raw: Any = BytesIO(content)
    sock.makefile.return_value = BufferedReader(raw)
    with suppress(http.client.HTTPException, ValueError, OSError):
        LimitedResponse(WRITE, time.monotonic() + 60, sock).begin()


_PAGE = "<title>Servidor não disponível</title>".encode("latin-1")
_ZIPPED = gzip.compress(b'{"error":"busy"}', mtime=0)


@pytest.mark.parametrize("body", [_PAGE, _ZIPPED], ids=["latin-1", "gzip"])
@pytest.mark.parametrize(
    ("status", "action"),
    [
        ("503 Busy", Action.KEEP),
        ("413 Too Large", Action.HALVE),
        ("401 Unauthorized", Action.RENEW_TOKEN),
    ],
)
def test_the_status_counts_whatever_the_body_is(
    body: bytes, status: str, action: Action
) -> None:
    """Pages of proxies in other encodings do not hide the status and Retry-After."""
    with raw_server(response(status, body, b"Retry-After: 7")) as server:
        (exchange,) = _post(server)
    decision = decide(exchange.result)
    assert (decision.action, decision.wait_s) == (action, 7.0)
    assert decision.message.startswith(f"HTTP {status[:3]}: ")
    assert "\\x" not in decision.message
