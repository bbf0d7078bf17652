"""The bytes of a link never decrease, whatever its interface does."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence

import pytest

from qos_agent.agent import link_traffic
from qos_agent.agent.link_traffic import LinkTraffic, increase
from qos_agent.model import Link
from qos_agent.system.network import InterfaceCount
from tests.lab.fixtures import MakeLab
from tests.lab.shape import Shape

LINK = Link("main", "xl", "wwan0")


def count(received: int, index: int = 7, name: str = "wwan0") -> InterfaceCount:
    """Return the counters of an interface that has sent 10 bytes."""
    return InterfaceCount(name, index, received, 10)


@pytest.fixture
def totals(
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[..., list[int | None]]:
    """Return a function that feeds counts and returns the totals after each."""

    def feed(
        counts: Sequence[InterfaceCount | None], old: Sequence[InterfaceCount] = ()
    ) -> list[int | None]:
        present = {(c.interface, c.index) for c in (*old, counts[0]) if c is not None}
        monkeypatch.setattr(link_traffic, "interfaces", lambda: present)
        rest = list(counts)
        traffic = LinkTraffic(LINK, lambda _: rest.pop(0))
        return [traffic.moved_bytes() for _ in counts[1:]]

    return feed


def test_a_counter_that_goes_on(totals: Callable[..., list[int | None]]) -> None:
    """The total begins at zero."""
    assert totals([count(500), count(500), count(800)]) == [0, 300]


def test_an_interface_created_again(totals: Callable[..., list[int | None]]) -> None:
    """The bytes of the new interface are added, also if it has moved more."""
    counts = [count(500), count(800), count(40, index=8), count(9000, index=9)]
    assert totals(counts) == [300, 350, 350 + 9010]


def test_counters_set_to_zero(totals: Callable[..., list[int | None]]) -> None:
    """A driver that starts its counters again loses no byte and invents none."""
    assert totals([count(500), count(800), count(100)]) == [300, 400]


def test_counters_of_32_bits(totals: Callable[..., list[int | None]]) -> None:
    """A counter that wraps is not one that starts again, which no 32 bits explain."""
    assert totals([count(2**32 - 300), count(100)]) == [400]
    assert totals([count(2**31), count(100)]) == [100]
    assert totals([count(2**32 + 5), count(100)]) == [100]


def test_an_interface_that_is_away(totals: Callable[..., list[int | None]]) -> None:
    """The total stays while a modem is unplugged."""
    counts = [count(500), count(800), None, count(800), count(100, index=8)]
    assert totals(counts) == [300, 300, 300, 410]


def test_a_modem_plugged_in_after_the_start(
    totals: Callable[..., list[int | None]],
) -> None:
    """Nothing is known before, and then all that it has moved since."""
    assert totals([None, None, count(300), count(400)]) == [None, 310, 410]


def test_another_interface(totals: Callable[..., list[int | None]]) -> None:
    """After a change of the default route the old bytes of eth0 do not count."""
    ethernet = count(10**9, 2, "eth0")
    later = count(10**9 + 50, 2, "eth0")
    assert totals(
        [count(500), count(600), ethernet, later, count(700)], old=[ethernet]
    ) == [100, 100, 150, 150]


def test_an_increase_after_a_restart_is_the_new_value() -> None:
    """It is never negative."""
    assert [increase(5, 9), increase(9, 9), increase(9, 4)] == [4, 0, 4]


def test_an_interface_of_the_kernel_created_again(lab: MakeLab) -> None:
    """A real interface has a new index, and its bytes are added to the total."""
    command = [sys.executable, "-m", "tests.support.replugged"]
    first, *totals = json.loads(lab(Shape()).run(command).stdout)
    assert first is None
    plugged, away, again, away_again = totals
    assert 0 < plugged == away < again == away_again
