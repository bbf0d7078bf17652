"""The voting window of each regency, and the share of it that has passed."""

from __future__ import annotations

from dataclasses import dataclass, field

from qos_agent.config.places import regencies
from qos_agent.model import Identity, Phase, Value
from qos_agent.model.calendar import Calendar, Timeline


@dataclass(slots=True)
class VotingWindow:
    """The calendar of each regency."""

    calendar: Calendar
    _timelines: dict[str, Timeline] = field(default_factory=dict)

    def fields(self, regency: str, at_ns: int) -> dict[str, Value]:
        """Return `voting`, and `voting_share` from the opening of the polls on.

        The share is absent again in the `pre` phase of the next vote.
        """
        timeline = self._timeline(regency)
        phase = timeline.phase_at(at_ns)
        fields: dict[str, Value] = {"voting": int(phase is Phase.VOTING)}
        share = None if phase is Phase.PRE else voting_share(timeline, at_ns)
        return fields if share is None else {**fields, "voting_share": share}

    def phase(self, regency: str, at_ns: int) -> Phase:
        """Return the phase of a regency at a moment."""
        return self._timeline(regency).phase_at(at_ns)

    def _timeline(self, regency: str) -> Timeline:
        if regency not in self._timelines:
            place = regencies().get(regency)
            if place is None:
                self._timelines[regency] = Timeline(())
            else:
                identity = Identity("", place.province, regency, place.time_zone, "")
                self._timelines[regency] = self.calendar.timeline(identity)
        return self._timelines[regency]


def voting_share(timeline: Timeline, at_ns: int) -> float | None:
    """Return the passed share of the last window that has opened; None before it."""
    opened = [
        entry.at_wall_ns
        for entry in timeline.entries
        if entry.phase is Phase.VOTING and entry.at_wall_ns <= at_ns
    ]
    if not opened:
        return None
    closes = timeline.next_change(opened[-1])
    if closes is None:
        return None
    return min(1.0, (at_ns - opened[-1]) / (closes[0] - opened[-1]))
