"""Which stretch of time to sum next in a province: a few cursors that walk forward.

Every minute is summed when it is fresh, again when it is as old as each of
`rollups.again`, and once a day as far back as data can still be late. A cursor is
where a pass has come to; it moves when its stretch is written, so that a stop at any
moment leaves neither a gap nor a double.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from qos_agent.noc.rollup.sums import MINUTE_NS
from qos_agent.noc.settings import RollupsSection
from qos_agent.noc.state import State

_DAY_NS = 86400 * 10**9


@dataclass(frozen=True, slots=True)
class Stretch:
    """Minutes of a province to sum, and the cursor that moves when it is done.

    What was never summed is the most urgent, 0; then what is youngest.
    """

    province: str
    from_ns: int
    to_ns: int
    cursor: str
    urgency: int = 0


def whole(at_ns: int) -> int:
    """The last whole minute."""
    return at_ns // MINUTE_NS * MINUTE_NS


def begin(state: State, settings: RollupsSection, province: str, at_ns: int) -> None:
    """Set up the cursors of a province that is seen for the first time."""
    for name, age_s in _ages(settings, province):
        if state.mark(name) is None:
            state.set_mark(name, whole(at_ns - int(age_s * 1e9)))


def begin_day(
    state: State, settings: RollupsSection, province: str, at_ns: int, back_s: float
) -> None:
    """Start the day's pass, from `back_s` ago to where the other passes go on."""
    oldest_s = max((settings.settle, *settings.again))
    with state.transaction():
        state.set_mark(f"daily/{province}", whole(at_ns - int(back_s * 1e9)))
        state.set_mark(f"daily-end/{province}", whole(at_ns - int(oldest_s * 1e9)))
        state.set_mark(f"day/{province}", at_ns // _DAY_NS)


def day_is_due(state: State, province: str, at_ns: int) -> bool:
    """Whether the day's pass is to be started: one that is under way ends first.

    Else what is youngest would never be made again where a day is too short.
    """
    if state.mark(f"day/{province}") == at_ns // _DAY_NS:
        return False
    cursor, end_ns = state.mark(f"daily/{province}"), _daily_end_ns(state, province)
    return cursor is None or end_ns is None or cursor >= end_ns


def fresh(settings: RollupsSection, province: str, at_ns: int) -> Stretch:
    """What is summed each minute."""
    from_ns = whole(at_ns - int(settings.settle * 1e9))
    return Stretch(province, from_ns, whole(at_ns), f"fresh/{province}")


def due(
    state: State, settings: RollupsSection, province: str, at_ns: int
) -> Iterator[Stretch]:
    """What is to be summed again, the most urgent first: gaps, then the ages.

    A gap is closed up to the present where the next minute's own pass, which begins a
    minute later than this one's did, would not meet it: it would stay a minute behind.
    """
    step_ns = max(MINUTE_NS, whole(int(settings.span * 1e9)))
    for urgency, (name, end_ns) in enumerate(_ends(state, settings, province, at_ns)):
        cursor = state.mark(name)
        if cursor is None:
            continue
        met_ns, to_ns = end_ns, end_ns
        if urgency == 0:
            met_ns, to_ns = end_ns + MINUTE_NS, whole(at_ns)
        if cursor < met_ns:
            to_ns = min(to_ns, cursor + step_ns)
            yield Stretch(province, cursor, to_ns, name, urgency)


def owed_s(state: State, settings: RollupsSection, province: str, at_ns: int) -> float:
    """How much time is still to be summed again in a province."""
    ends = _ends(state, settings, province, at_ns)
    cursors = ((state.mark(name), end_ns) for name, end_ns in ends)
    return sum(max(0, end - at) / 1e9 for at, end in cursors if at is not None)


def _ends(
    state: State, settings: RollupsSection, province: str, at_ns: int
) -> Iterator[tuple[str, int]]:
    """Each pass of a province, and the moment up to which it can go now."""
    for name, age_s in _ages(settings, province):
        yield name, whole(at_ns - int(age_s * 1e9))
    end_ns = _daily_end_ns(state, province)
    if end_ns is not None:
        yield f"daily/{province}", end_ns


def _daily_end_ns(state: State, province: str) -> int | None:
    return state.mark(f"daily-end/{province}")


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


def census_begun(state: State, province: str, at_ns: int) -> None:
    """Note before the first census of all that it is owed from now on."""
    if state.mark(f"census/{province}") is None:
        state.set_mark(f"census/{province}", at_ns - MINUTE_NS)


def census_taken(state: State, province: str, at_ns: int, *, done: bool) -> None:
    """Note whether the census of a minute was taken.

    `census` is the last of a row without a gap; after a gap, `resumed` is the first
    that was taken again, and `taken` the last.
    """
    through = state.mark(f"census/{province}")
    if not done:
        state.set_mark(f"resumed/{province}", 0)
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
