"""Which stretch of time to sum next in a province: a few cursors that walk forward.

Every minute is summed when it is fresh, again when it is as old as each of
`rollups.again`, and once a day as far back as data can still be late. A cursor is
where a pass has come to; it moves when its stretch is written, so that a stop at any
moment leaves neither a gap nor a double.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from qos_agent.noc.rollup import MINUTE_NS
from qos_agent.noc.settings import RollupsSection
from qos_agent.noc.state import State

_DAY_NS = 86400 * 10**9


@dataclass(frozen=True, slots=True)
class Stretch:
    """Minutes of a province to sum, and the cursor that moves when it is done."""

    province: str
    from_ns: int
    to_ns: int
    cursor: str


def whole(at_ns: int) -> int:
    """The last whole minute."""
    return at_ns // MINUTE_NS * MINUTE_NS


def begin(state: State, settings: RollupsSection, province: str, at_ns: int) -> None:
    """Set up the cursors of a province that is seen for the first time."""
    for name, age_s in _ages(settings, province):
        if state.mark(name) is None:
            state.set_mark(name, whole(at_ns - int(age_s * 1e9)))


def begin_day(state: State, province: str, at_ns: int, back_s: float) -> None:
    """Start the day's pass, at its first call of a day, `back_s` ago."""
    day = at_ns // _DAY_NS
    if state.mark(f"day/{province}") != day:
        state.set_mark(f"daily/{province}", whole(at_ns - int(back_s * 1e9)))
        state.set_mark(f"day/{province}", day)


def day_has_begun(state: State, province: str, at_ns: int) -> bool:
    """Whether the day's pass was started already."""
    return state.mark(f"day/{province}") == at_ns // _DAY_NS


def fresh(settings: RollupsSection, province: str, at_ns: int) -> Stretch:
    """What is summed each minute."""
    from_ns = whole(at_ns - int(settings.settle * 1e9))
    return Stretch(province, from_ns, whole(at_ns), f"fresh/{province}")


def due(
    state: State, settings: RollupsSection, province: str, at_ns: int
) -> Iterator[Stretch]:
    """What is to be summed again, the most urgent first: gaps, then the ages."""
    oldest_s = max((settings.settle, *settings.again))
    daily = (f"daily/{province}", oldest_s)
    for name, age_s in (*_ages(settings, province), daily):
        cursor = state.mark(name)
        end_ns = whole(at_ns - int(age_s * 1e9))
        if cursor is not None and cursor < end_ns:
            to_ns = min(end_ns, cursor + whole(int(settings.span * 1e9)))
            yield Stretch(province, cursor, to_ns, name)


def behind_s(
    state: State, settings: RollupsSection, province: str, at_ns: int
) -> float:
    """How old the oldest minute is that was never summed, beyond what must settle."""
    cursor = state.mark(f"fresh/{province}")
    if cursor is None:
        return 0.0
    return max(0.0, (at_ns - cursor) / 1e9 - settings.settle)


def _ages(settings: RollupsSection, province: str) -> Iterator[tuple[str, float]]:
    yield f"fresh/{province}", settings.settle
    for age_s in settings.again:
        yield f"again-{age_s:.0f}/{province}", age_s


def census_taken(state: State, province: str, at_ns: int, *, done: bool) -> None:
    """Note whether the census of a minute was taken.

    `census` is the last of a row without a gap; after a gap, `resumed` is the first
    that was taken again, and `taken` the last.
    """
    through = state.mark(f"census/{province}")
    if not done:
        state.set_mark(f"resumed/{province}", 0)
        if through is None:
            state.set_mark(f"census/{province}", at_ns - MINUTE_NS)
    elif through is None or through >= at_ns - MINUTE_NS:
        state.set_mark(f"census/{province}", at_ns)
    else:
        if not state.mark(f"resumed/{province}"):
            state.set_mark(f"resumed/{province}", at_ns)
        state.set_mark(f"taken/{province}", at_ns)


def census_missing(state: State, province: str, at_ns: int) -> int | None:
    """The first minute whose census was missed; None where none was."""
    through = state.mark(f"census/{province}")
    return None if through is None or through >= at_ns else through + MINUTE_NS


def census_made_good(state: State, province: str, at_ns: int) -> None:
    """Note that a missed census was taken; the row may now reach to the present."""
    resumed = state.mark(f"resumed/{province}") or 0
    closed = resumed and at_ns >= resumed - MINUTE_NS
    taken = state.mark(f"taken/{province}") or 0
    state.set_mark(f"census/{province}", max(at_ns, taken) if closed else at_ns)
    if closed:
        state.set_mark(f"resumed/{province}", 0)
