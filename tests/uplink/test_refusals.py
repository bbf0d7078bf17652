"""Answers that refuse a whole request, through a front before a real InfluxDB."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import ClassVar

import pytest

from qos_agent.journal import Batch
from qos_agent.model import Point
from qos_agent.uplink.refusals import are_alike, names_any
from tests.journal.support import point
from tests.servers.answers import Exchange, Pass, Status
from tests.servers.database import Database
from tests.servers.fixtures import MakeFront
from tests.servers.front import Front
from tests.uplink.conftest import MakeBench
from tests.uplink.support import Bench, make_settings, towards

JSON = {"Content-Type": "application/json"}
HOUR_NS = 3600 * 10**9


def _says(status: int, message: str) -> Status:
    return Status(status, json.dumps({"message": message}).encode(), JSON)


REFUSALS = {
    "Kong": (_says(400, "no Route matched with those values"), "no Route matched"),
    "organisation": (_says(400, 'organization name "x" not found'), "Fix: set org"),
    "disk": (_says(422, "engine: no space left on device"), "Fix: free space"),
    "closed": (_says(422, "engine is closed"), "engine is closed"),
    "gzip": (_says(400, "gzip: invalid header"), "gzip: invalid header"),
    "empty": (Status(400), "not from InfluxDB"),
    "page": (Status(400, b"<title>Oops</title>", JSON), 'page "Oops"'),
    "columns": (
        _says(422, "Update to schema would exceed number of columns per table limit"),
        "raise the server's limit of columns",
    ),
    "echo": (
        _says(403, "unable to parse 'event x=\"max-values-per-tag\"': bad timestamp"),
        "give the token write permission",
    ),
    "413": (Status(413, b"<h1>413</h1>"), "request too large"),
    "too large": (Status(400, b"http: request body too large\n"), "too large"),
    "alike": (_says(400, "field type conflict dropped=1"), "with the same text"),
    "another's": (
        _says(400, "unable to parse 'cpu value=': missing field value"),
        "with the same text",
    ),
    "clock": (
        _says(400, "partial write: points beyond retention policy dropped=1"),
        "with the same text",
    ),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_a_refusal_of_everything_quarantines_nothing(
    make_bench: MakeBench, influxdb: Database, front: MakeFront, name: str
) -> None:
    """The status shows the text, and all points arrive once the cause is removed."""
    answer, text = REFUSALS[name]
    between = front()
    between.always(answer)
    bench = make_bench(make_settings(towards(influxdb, between.url), backoff="200ms"))
    bench.put(15)
    assert not bench.uplink.drain(0.3)
    status = bench.uplink.status()
    assert text in str(status.error)
    assert (status.state, status.quarantined) == ("failing", 0)
    assert bench.undelivered() == 15
    between.always(Pass())
    assert bench.uplink.drain(60)
    assert influxdb.count("latency", "seq") == 15
    assert bench.journal.take_events() == ()


def test_a_refusal_of_everything_costs_few_requests(
    make_bench: MakeBench, influxdb: Database, front: MakeFront
) -> None:
    """A batch of 300 points is not divided into all its points at each attempt."""
    between = front()
    between.always(_says(400, "field type conflict dropped=1"))
    bench = make_bench(make_settings(towards(influxdb, between.url), backoff="60s"))
    bench.put(300)
    bench.uplink.drain(0.5)
    assert bench.journal.counts().quarantined == 0
    assert len(between.requests) <= 50


@dataclass(frozen=True, slots=True)
class _Judge:
    """Answers a request after reading its points; None forwards it."""

    front: Front
    answer: Callable[[list[bytes]], Status | None]
    reads: ClassVar[float] = 1.0

    def play(self, exchange: Exchange) -> None:
        lines = self.front.requests[-1].lines
        (self.answer(lines) or Pass()).play(exchange)


def test_some_points_that_are_rejected_alike_are_quarantined(
    make_bench: MakeBench, influxdb: Database, front: MakeFront
) -> None:
    """An accepted point shows that the server judges points."""

    def answer(lines: list[bytes]) -> Status | None:
        is_bad = any(b"seq=%di" % seq in line for line in lines for seq in range(1, 16))
        return _says(400, "field type conflict dropped=1") if is_bad else None

    between = front()
    between.always(_Judge(between, answer))
    bench = make_bench(make_settings(towards(influxdb, between.url)))
    bench.put(20)
    assert bench.uplink.drain(60)
    assert bench.journal.counts().quarantined == 15
    assert influxdb.count("latency", "seq") == 5


def test_points_of_a_field_with_another_type_are_quarantined(
    make_bench: MakeBench, influxdb: Database
) -> None:
    """A real server names the field in each rejection, so the points are to blame."""
    bench = make_bench(make_settings(towards(influxdb)))
    influxdb.write(b'latency,station=S1 sent="not a number"')
    _put(bench, [point(bench.clock.boot_ns() + n) for n in range(12)])
    assert bench.uplink.drain(60)
    assert bench.journal.counts().quarantined == 12


def test_a_large_batch_with_one_wrong_line_each_is_quarantined(
    make_bench: MakeBench, influxdb: Database, front: MakeFront
) -> None:
    """The server repeats all lines, more than the agent reads of an answer."""

    def answer(lines: list[bytes]) -> Status:
        texts = [f"unable to parse '{n.decode()}': bad timestamp" for n in lines]
        return _says(400, "\n".join(texts))

    between = front()
    between.always(_Judge(between, answer))
    bench = make_bench(make_settings(towards(influxdb, between.url)))
    bench.put(20)
    bench.uplink.drain(60)
    assert bench.journal.counts().quarantined == 20
    (event,) = bench.journal.take_events()
    assert event.detail == "HTTP 400: points rejected: unable to parse: bad timestamp"


def _put(bench: Bench, points: list[Point]) -> None:
    tags = {"station": "S1", "province": "31", "regency": "3171"}
    with_tags = [replace(p, tags=tags, fields={"sent": 20}) for p in points]
    bench.journal.put(with_tags, bench.clock.state(), bench.clock.boot_id)


def test_old_points_may_be_beyond_a_retention() -> None:
    """No server has a retention below an hour, so only older points can be meant."""
    part = Batch("j", "c", (1, 2), (b"x y=1 0", b"x y=1 %d" % HOUR_NS))
    text = "partial write: points beyond retention policy dropped=1"
    assert names_any(text, part, HOUR_NS + 1)
    assert not names_any(text, part.part(1, 2), HOUR_NS + 1)


def test_texts_are_compared_without_numbers() -> None:
    """A gateway may number its requests."""
    assert are_alike(["refused, request 17", "refused, request 8"])
    assert not are_alike(["refused", "bad timestamp"])
