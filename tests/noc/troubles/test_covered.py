"""Stations of an outage do not make a larger place look bad as well."""

from __future__ import annotations

import pytest

from qos_agent.noc.troubles import causes as c
from qos_agent.noc.troubles.areas import Cell
from qos_agent.noc.troubles.covered import uncovered_signals
from qos_agent.noc.troubles.signals import Key

_LOSSY = Cell(1, 60.0, 60.0)
# One station in each of five regencies is too few for a province to show loss.
_DEAD = {f"12{n:02}": _LOSSY for n in range(1, 5)}
# Java has enough good stations to be judged by itself, so they are in no larger pool.
_JAVA = {f"3{n}01": Cell(2, 0.0, 120.0) for n in range(1, 7)}
_OTHERS = _JAVA | {"5101": _LOSSY}
_OUTAGE = Key("outage-operator", "province", "12", "xl")


def _places(cells: dict[str, Cell], *troubles: Key) -> set[tuple[str, str]]:
    found = uncovered_signals(c.LOSS, {"xl": cells}, troubles)
    return {(s.key.level, s.key.place) for s in found if s.severity}


def test_an_outage_is_no_trouble_of_the_nation() -> None:
    """Without the outage, its stations are most of the nation's pool."""
    cells = _DEAD | _OTHERS
    assert ("nation", "nation") in _places(cells)
    assert _places(cells, _OUTAGE) == set()


@pytest.mark.parametrize(
    "other",
    [
        Key("outage-operator", "province", "12", "telkomsel"),
        Key("degraded-share", "province", "33", "xl"),
        Key("rtt", "province", "12", "xl"),
    ],
    ids=["other operator", "other place", "later cause"],
)
def test_other_troubles_hide_nothing(other: Key) -> None:
    """Only a more fundamental trouble of this operator and place covers stations."""
    assert ("nation", "nation") in _places(_DEAD | _OTHERS, other)


def test_a_trouble_next_to_an_outage_is_found() -> None:
    """The other stations of the nation still count together."""
    far = {f"{province}01": _LOSSY for province in (51, 61, 71, 81, 91)}
    assert ("nation", "nation") in _places(_DEAD | _JAVA | far, _OUTAGE)
