"""The next span of time to recalculate in a province, from cursors that move forward.

Every minute is recalculated while it is fresh, again at each age in `rollups.again`,
and once a day as far back as data can still be late. A cursor is the end of what a pass
has recalculated. It moves after its span is written, so a stop at any moment neither
skips nor doubles a minute.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from qos_agent.noc.rollup.sums import MINUTE_NS
from qos_agent.noc.settings import RollupsSection
from qos_agent.noc.state import State

_DAY_NS = 86400 * 10**9
GAP = 0


@dataclass(frozen=True, slots=True)
class RollupSpan:
    """Minutes of a province to recalculate, and the cursor that moves afterwards.

    The most urgent has `urgency` GAP: it was never calculated. Then come the youngest.
    """

    province: str
    from_ns: int
    to_ns: int
    cursor: str
    urgency: int = GAP


def whole_minute(at_ns: int) -> int:
    """Return the start of a moment's minute."""
    return at_ns // MINUTE_NS * MINUTE_NS


def begin(state: State, settings: RollupsSection, province: str, at_ns: int) -> None:
    """Create the cursors of a province without any."""
    for name, age_s in _ages(settings, province):
        if state.mark(name) is None:
            state.set_mark(name, whole_minute(at_ns - int(age_s * 1e9)))


def begin_day(
    state: State, settings: RollupsSection, province: str, at_ns: int, back_s: float
) -> None:
    """Start the daily pass, from `back_s` ago to the age of the oldest other pass."""
    oldest_s = max((settings.settle, *settings.again))
    with state.transaction():
        state.set_mark(f"daily/{province}", whole_minute(at_ns - int(back_s * 1e9)))
        end_ns = whole_minute(at_ns - int(oldest_s * 1e9))
        state.set_mark(f"daily-end/{province}", end_ns)
        state.set_mark(f"day/{province}", at_ns // _DAY_NS)


def day_is_due(state: State, province: str, at_ns: int) -> bool:
    """Return True if the daily pass must start; a pass under way is finished first.

    Otherwise the youngest minutes would never be recalculated on a machine that needs
    more than a day for a pass.
    """
    if state.mark(f"day/{province}") == at_ns // _DAY_NS:
        return False
    cursor, end_ns = state.mark(f"daily/{province}"), _daily_end_ns(state, province)
    return cursor is None or end_ns is None or cursor >= end_ns


def fresh(settings: RollupsSection, province: str, at_ns: int) -> RollupSpan:
    """Return the span that is recalculated every minute."""
    from_ns = whole_minute(at_ns - int(settings.settle * 1e9))
    return RollupSpan(province, from_ns, whole_minute(at_ns), f"fresh/{province}")


def due(
    state: State, settings: RollupsSection, province: str, at_ns: int
) -> Iterator[RollupSpan]:
    """Yield the next span of each pass, the most urgent first: gaps, then by age.

    A gap is extended to the current minute if the next minute's regular pass would
    start after it. Otherwise that minute would stay one behind.
    """
    step_ns = max(MINUTE_NS, whole_minute(int(settings.span * 1e9)))
    for urgency, (name, end_ns) in enumerate(_ends(state, settings, province, at_ns)):
        cursor = state.mark(name)
        if cursor is None:
            continue
        wanted_ns, to_ns = end_ns, end_ns
        if urgency == GAP:
            wanted_ns, to_ns = end_ns + MINUTE_NS, whole_minute(at_ns)
        if cursor < wanted_ns:
            to_ns = min(to_ns, cursor + step_ns)
            yield RollupSpan(province, cursor, to_ns, name, urgency)


def pending_s(
    state: State, settings: RollupsSection, province: str, at_ns: int
) -> float:
    """Return how much time is still to recalculate in a province."""
    ends = _ends(state, settings, province, at_ns)
    cursors = ((state.mark(name), end_ns) for name, end_ns in ends)
    return sum(max(0, end - at) / 1e9 for at, end in cursors if at is not None)


def behind_s(
    state: State, settings: RollupsSection, province: str, at_ns: int
) -> float:
    """Return the age beyond `settle` of the oldest minute that was never summed."""
    cursor = state.mark(f"fresh/{province}")
    if cursor is None:
        return 0.0
    return max(0.0, (at_ns - cursor) / 1e9 - settings.settle)


def _ends(
    state: State, settings: RollupsSection, province: str, at_ns: int
) -> Iterator[tuple[str, int]]:
    """Yield the cursor of each pass, and the moment that it may reach now."""
    for name, age_s in _ages(settings, province):
        yield name, whole_minute(at_ns - int(age_s * 1e9))
    end_ns = _daily_end_ns(state, province)
    if end_ns is not None:
        yield f"daily/{province}", end_ns


def _daily_end_ns(state: State, province: str) -> int | None:
    return state.mark(f"daily-end/{province}")


def _ages(settings: RollupsSection, province: str) -> Iterator[tuple[str, float]]:
    """Yield the cursor of each regular pass, and the age of its minutes."""
    yield f"fresh/{province}", settings.settle
    for age_s in settings.again:
        yield f"again-{age_s:.0f}/{province}", age_s
