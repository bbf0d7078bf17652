"""The decision of one minute: from facts and the earlier troubles to the next ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from qos_agent.model import Phase
from qos_agent.noc.census.voting_window import VotingWindow
from qos_agent.noc.register.store import Note
from qos_agent.noc.troubles.causes import Cause
from qos_agent.noc.troubles.cells import cells_of, outage_cells
from qos_agent.noc.troubles.covered import uncovered_signals
from qos_agent.noc.troubles.facts import Facts
from qos_agent.noc.troubles.handling import Handling
from qos_agent.noc.troubles.places import LEVELS, Place, contains, place_of
from qos_agent.noc.troubles.points import lines_of, rollout_lines, watermark_line
from qos_agent.noc.troubles.signals import Cells, Key, Signal, outage_signals
from qos_agent.noc.troubles.standing import Minute, Trouble, advance

_WATCHED = frozenset({Phase.VOTING, Phase.COUNTING})
# Devices are installed and checked before voting starts.
_LEAD_NS = 2 * 3600 * 10**9


@dataclass(frozen=True, slots=True)
class Decision:
    """The troubles after a minute, and the lines to write."""

    troubles: Mapping[Key, Trouble]
    lines: Sequence[bytes]


def decide(
    facts: Facts,
    before: Mapping[Key, Trouble],
    voting: VotingWindow,
    notes: Sequence[Note] = (),
) -> Decision:
    """Decide on the troubles of the minute of some facts.

    `notes` are in effect in that minute; acknowledgements stop the reminders.
    """
    watched = _places(facts, voting, 0)
    handling = Handling(_places(facts, voting, _LEAD_NS), notes)
    cells = cells_of(facts, lambda code: ("regency", code) in watched)
    minute = Minute(
        facts.at_ns,
        _signals(facts, cells, [t.key for t in before.values() if t.severity]),
        is_known=lambda key: _is_counted(facts, key) and _is_measured(cells, key),
        may_be_critical=lambda key: (key.level, key.place) in watched,
    )
    after, ended = advance(before, minute)
    lines = list(lines_of(before, after.values(), ended, facts.at_ns, handling))
    lines += rollout_lines(facts)
    watermark = watermark_line(facts)
    return Decision(after, lines if watermark is None else [*lines, watermark])


def _places(facts: Facts, voting: VotingWindow, lead_ns: int) -> frozenset[Place]:
    """Return all places in which a regency votes or counts, now or after a lead."""
    moments_ns = (facts.at_ns, facts.at_ns + lead_ns)
    watched = {
        code
        for code in {code for code, _ in facts.census}
        if any(voting.phase(code, ns) in _WATCHED for ns in moments_ns)
    }
    return frozenset(
        (level, place_of(code, level)) for code in watched for level in LEVELS
    )


def _signals(
    facts: Facts, cells: Mapping[Cause, Cells], standing: Sequence[Key]
) -> Mapping[Key, Signal]:
    found = list(outage_signals(outage_cells(facts)))
    covering = [*standing, *(signal.key for signal in found if signal.severity)]
    for cause, by_operator in cells.items():
        found += uncovered_signals(cause, by_operator, covering)
    return {signal.key: signal for signal in found}


def _is_measured(cells: Mapping[Cause, Cells], key: Key) -> bool:
    """Return True if there are figures of a place, so that its trouble may end.

    A collector that lags, or a dead place, has none in the window. Outages are found in
    the census alone.
    """
    of_cause = {cause.name: by_operator for cause, by_operator in cells.items()}
    if key.cause not in of_cause:
        return True
    place = (key.level, key.place)
    return any(
        cell.bottom > 0 and contains(place, ("regency", code))
        for code, cell in of_cause[key.cause].get(key.operator, {}).items()
    )


def _is_counted(facts: Facts, key: Key) -> bool:
    """Return True if every province of a place was counted in this minute."""
    place = (key.level, key.place)
    inside = [
        at_ns
        for province, at_ns in facts.counted_ns.items()
        if contains(place, ("province", province))
        or (key.level == LEVELS[0] and key.place[:2] == province)
    ]
    return bool(inside) and all(at_ns >= facts.at_ns for at_ns in inside)
