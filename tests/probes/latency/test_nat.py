"""Trains through a NAT, with rewritten and with equal identifiers.

Two devices behind one address that use the same identifier can receive each other's
replies. Without a token this is false loss (prometheus/blackbox_exporter#411).
"""

from __future__ import annotations

import secrets
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.lab.capture import round_trips_ns
from tests.lab.fixtures import MakeLab
from tests.lab.network import Lab
from tests.lab.shape import Shape
from tests.probes.latency.bench_of_trains import (
    PING_FOR_ALL,
    RAW_ONLY,
    allow_ping_sockets,
    counts,
    fields,
    measure,
    short,
)

TRAINS = 8
TRANSLATE = """table ip translator {
    chain out {
        type nat hook postrouting priority srcnat;
        oifname "server" masquerade random
    }
}"""


def measure_together(net: Lab) -> None:
    """Run trains at the same time and check that each gets all its own replies."""
    with ThreadPoolExecutor(TRAINS) as pool:
        results = list(pool.map(lambda _: measure(net, short()), range(TRAINS)))
    assert [counts(result) for result in results] == [(20, 20, 0)] * TRAINS
    assert {fields(result)["duplicates"] for result in results} == {0}


@pytest.mark.parametrize("groups", [RAW_ONLY, PING_FOR_ALL], ids=["raw", "ping"])
def test_identifiers_rewritten_by_a_nat_lose_no_probe(
    lab: MakeLab, groups: str
) -> None:
    """A NAT changes each identifier, and every train still gets all its replies."""
    net = lab(Shape())
    allow_ping_sockets(net, groups)
    net.run(["nft", TRANSLATE], "router")
    with net.capture("client") as inside, net.capture("server") as outside:
        measure_together(net)
    original = {echo.identifier for echo in round_trips_ns(inside)}
    rewritten = {echo.identifier for echo in round_trips_ns(outside)}
    assert len(original) == len(rewritten) == TRAINS
    assert original != rewritten


def test_one_identifier_for_all_loses_no_probe(
    lab: MakeLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every train receives every reply and counts those with its own token."""
    net = lab(Shape())
    allow_ping_sockets(net, RAW_ONLY)
    monkeypatch.setattr(secrets, "randbelow", lambda _: 4659)
    with net.capture("client") as packets:
        measure_together(net)
    assert {echo.identifier for echo in round_trips_ns(packets)} == {4660}
