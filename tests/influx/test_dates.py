"""The Date header of a collector as evidence of the time, over a real connection."""

from __future__ import annotations

import time
from email.utils import formatdate

import pytest

from qos_agent.config.settings import CollectorSection
from qos_agent.influx.transport import InfluxTransport, pack
from qos_agent.system.clock import SystemClock
from tests.servers.raw import raw_server, response

IMPOSSIBLE = [
    "Fri, 31 Dec 9999 23:59:59 GMT",
    "Mon, 01 Jan 0001 00:00:00 GMT",
    "Thu, 01 Jan 1970 00:00:00 GMT",
    "Wed, 14 Feb 2024 00:00:00 GMT",
    "Thu, 07 Feb 2036 06:28:16 GMT",
    "Tue, 19 Jan 2038 03:14:07 GMT",
    "Fri, 01 Jan 2100 00:00:00 GMT",
    "Fri, 31 Dec 99999 23:59:59 GMT",
    "Fri, 31 Dec 9999 23:59:59 -1400",
    "soon",
    "",
]


def _offset_ms(date: str) -> float | None:
    answer = response("204 No Content", b"", f"Date: {date}".encode())
    with raw_server(answer) as server:
        section = CollectorSection.model_validate({"url": server.url})
        transport = InfluxTransport(section)
        exchange = transport.post(pack([b"a b=1 1"]), 5.0)
        transport.close()
    return exchange.offset_ms


@pytest.mark.parametrize("date", IMPOSSIBLE)
def test_a_date_that_no_clock_shows_is_no_evidence(date: str) -> None:
    """The points are acknowledged, and the trust in the own clock does not change."""
    clock = SystemClock(0)
    before = clock.doubt()
    offset_ms = _offset_ms(date)
    clock.compared(offset_ms)
    assert offset_ms is None
    assert clock.doubt() == before


def test_the_date_of_a_working_clock_is_evidence() -> None:
    """The header is cut to the second."""
    offset_ms = _offset_ms(formatdate(time.time(), usegmt=True))
    assert offset_ms is not None
    assert abs(offset_ms) < 1500
