"""Trains through a translator of addresses that rewrites identifiers, and alike ones.

Two devices with one identifier behind one address take each other's answers where
nothing else tells them apart: false loss (prometheus/blackbox_exporter#411).
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


def together(net: Lab) -> None:
    """Trains at the same time, each of which must have all its own answers."""
    with ThreadPoolExecutor(TRAINS) as pool:
        found = list(pool.map(lambda _: measure(net, short()), range(TRAINS)))
    assert [counts(f) for f in found] == [(20, 20, 0)] * TRAINS
    assert {fields(f)["duplicates"] for f in found} == {0}


@pytest.mark.parametrize("groups", [RAW_ONLY, PING_FOR_ALL], ids=["raw", "ping"])
def test_identifiers_rewritten_on_the_way_cost_no_probe(
    lab: MakeLab, groups: str
) -> None:
    """A NAT gives each train another identifier; every answer is its train's still."""
    net = lab(Shape())
    allow_ping_sockets(net, groups)
    net.run(["nft", TRANSLATE], "router")
    with net.capture("client") as inside, net.capture("server") as outside:
        together(net)
    ours = {echo.identifier for echo in round_trips_ns(inside)}
    theirs = {echo.identifier for echo in round_trips_ns(outside)}
    assert len(ours) == len(theirs) == TRAINS
    assert ours != theirs


def test_one_identifier_for_all_costs_no_probe(
    lab: MakeLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every train hears every answer, and counts those that carry its own token."""
    net = lab(Shape())
    allow_ping_sockets(net, RAW_ONLY)
    monkeypatch.setattr(secrets, "randbelow", lambda _: 4659)
    with net.capture("client") as packets:
        together(net)
    assert {echo.identifier for echo in round_trips_ns(packets)} == {4660}
