"""Delivery and queries to a collector with an IPv6 address in its URL."""

from __future__ import annotations

from qos_agent.config.settings import CollectorSection
from qos_agent.influx.query import Server
from qos_agent.influx.responses import Action, decide
from qos_agent.influx.transport import InfluxTransport, pack
from tests.servers.raw import raw_server, response

BODY = b'{"results":[{"series":[{"columns":["time","n"],"values":[[0,1]]}]}]}'


def test_points_are_delivered_and_queried() -> None:
    """The Host header has the address with brackets and port."""
    replies = (response("204 No Content"), response("200 OK", BODY))
    with raw_server(*replies, address="::1") as server:
        section = CollectorSection.model_validate({"url": server.url})
        transport = InfluxTransport(section)
        exchange = transport.post(pack([b"a b=1 1"]), 5.0)
        transport.close()
        (row,) = Server(section, 5.0).select("SELECT 1")
        heads = server.heads
    assert decide(exchange.result).action is Action.DELIVERED
    assert row.values["n"] == 1
    assert all(f"Host: {server.netloc}\r\n".encode() in head for head in heads)
    assert len(heads) == 2
