"""Charts and maps: the same bytes, gaps, and clear errors without a font."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from qos_agent.model.errors import OperatorError
from qos_agent.report import charts, drawing, maps
from qos_agent.report.borders import Borders
from qos_agent.report.language import words
from qos_agent.report.readings import Hour, Slots
from qos_agent.report.render.pdf import need_typst

_CLASSES = (
    maps.Class("good & <fast>", frozenset({"3171"})),
    maps.Class("bad", frozenset({"3172"})),
)
_TRIANGLE = ((106.0, -6.0), (107.0, -6.0), (106.5, -7.0))


@pytest.mark.parametrize("borders", [None, {"3171": (_TRIANGLE,)}])
def test_a_map_is_the_same_each_time(borders: Borders | None) -> None:
    """With or without borders, equal input gives equal bytes."""
    first, second = (maps.draw("m", _CLASSES, "none", borders, "31") for _ in range(2))
    assert first == second
    assert b"<svg" in first
    assert b"<text" not in first


def test_a_timeline_has_a_gap_in_an_hour_without_a_value() -> None:
    """An hour without readings is not drawn as a value between its neighbours."""
    hours = [Hour("xl", hour, 3600, 3600, 0, 100) for hour in (1, 2, 5)]
    whole = [*hours, Hour("xl", 3, 3600, 3600, 0, 100), Hour("xl", 4, 9, 9, 0, 9)]
    slots = [Slots(1, 5, 1, 0)]
    t = words("en")
    phase = [(0.0, 24.0, "Voting")]
    assert charts.timeline("t", hours, slots, phase, t) != charts.timeline(
        "t", sorted(whole, key=lambda h: h.hour), slots, phase, t
    )


def test_a_line_ends_at_a_missing_step() -> None:
    """A signal that was not measured during an outage has no line through it."""
    xs, ys = charts._with_gaps([(0, 1.0), (5, 2.0), (30, 3.0)])
    assert xs == [0, 5, 17.5, 30]
    assert ys[2] != ys[2]


def test_a_missing_font_is_one_clear_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Another font would give other bytes, so none is used instead."""
    monkeypatch.setattr(drawing, "font_folder", lambda: tmp_path)
    with pytest.raises(OperatorError, match=r"font of the charts is missing.*Fix: pip"):
        drawing.need_matplotlib()


def test_missing_libraries_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message has the command that installs them."""
    for name, need in (
        ("matplotlib", drawing.need_matplotlib),
        ("typst", need_typst),
    ):
        monkeypatch.setitem(sys.modules, name, None)
        with pytest.raises(OperatorError, match=rf"{name}: .*qos-agent\[report\]"):
            need()
