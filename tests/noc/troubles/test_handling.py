"""Acknowledgements: they stop reminders of what is open, and of nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from qos_agent.model.line_protocol import decode
from qos_agent.noc.register.store import Note
from qos_agent.noc.troubles.handling import ACKNOWLEDGED, NOTIFIED, UNWATCHED, Handling
from qos_agent.noc.troubles.points import lines_of
from qos_agent.noc.troubles.signals import Key, Signal
from qos_agent.noc.troubles.standing import MINUTE_NS, Minute, Trouble, advance
from tests.noc.nation import START_NS

KEY = Key("silent", "regency", "3171", "all")
START_S = START_NS // 10**9


def _note(minute: int, minutes: int = 30, scope: str = "3171", **more: Any) -> Note:
    start_s = START_S + 60 * minute
    note = Note("acknowledged", scope, start_s, start_s + 60 * minutes, "power", "Budi")
    return replace(note, **more)


@dataclass
class Watch:
    """A place in trouble from minute to minute, with the points that are written."""

    notes: Sequence[Note] = ()
    standing: dict[Key, Trouble] = field(default_factory=dict)
    written: list[list[dict[str, Any]]] = field(default_factory=list)

    def passes(self, minutes: int, severity: str | None) -> Watch:
        """Let minutes pass with a signal of a severity, or without one."""
        for _ in range(minutes):
            at_ns = START_NS + len(self.written) * MINUTE_NS
            found = {KEY: Signal(KEY, severity, 50.0, 10, 20)} if severity else {}
            before = self.standing
            minute = Minute(at_ns, found, lambda _: True, lambda _: True)
            self.standing, ended = advance(before, minute)
            at_s = at_ns // 10**9 + 59
            in_effect = [n for n in self.notes if n.starts <= at_s < n.ends]
            handling = Handling(frozenset({("regency", "3171")}), in_effect)
            lines = lines_of(before, self.standing.values(), ended, at_ns, handling)
            self.written.append([dict(decode(line).fields) for line in lines])
        return self

    def notifies(self) -> list[int | None]:
        """Return the field `notify` of the open trouble in each minute."""
        return [
            next((p["notify"] for p in points if p["open"] == 1), None)
            for points in self.written
        ]


def test_an_acknowledgement_stops_reminders_until_it_ends() -> None:
    """The alert is quiet while the note is in effect, and returns after it."""
    watch = Watch([_note(12, minutes=10)]).passes(30, "warning")
    first = watch.notifies().index(NOTIFIED)
    assert first < 12
    assert watch.notifies()[first:12] == [NOTIFIED] * (12 - first)
    assert watch.notifies()[12:22] == [ACKNOWLEDGED] * 10
    assert watch.notifies()[22:] == [NOTIFIED] * 8


def test_the_board_shows_who_when_and_the_ticket() -> None:
    """The point has the name, the ticket, and both times with the zone."""
    watch = Watch([_note(12), _note(13, ticket="TSEL-77"), _note(14)])
    watch.passes(20, "warning")
    (before,), (after,) = watch.written[11], watch.written[15]
    assert before["acknowledged"] == 0
    assert not {"acknowledged_by", "acknowledged_at", "ticket"} & before.keys()
    assert after["acknowledged"] == 1
    assert (after["acknowledged_by"], after["ticket"]) == ("Budi", "TSEL-77")
    assert (after["acknowledged_at"], after["ticket_at"]) == ("11:14 WIB", "11:13 WIB")
    assert after["since_local"] == "11:00 WIB"


def test_a_higher_severity_is_reported_again() -> None:
    """An acknowledged warning does not acknowledge a critical trouble."""
    watch = Watch([_note(12)]).passes(15, "warning").passes(10, "critical")
    assert watch.notifies()[14] == ACKNOWLEDGED
    assert watch.notifies()[-1] == NOTIFIED


def test_the_next_trouble_of_the_place_is_reported() -> None:
    """A note about the first one does not hide the second one."""
    watch = Watch([_note(12, minutes=60)])
    watch.passes(15, "warning").passes(8, None).passes(15, "warning")
    assert watch.notifies()[14] == ACKNOWLEDGED
    assert watch.notifies()[-1] == NOTIFIED


@pytest.mark.parametrize(
    "note",
    [
        _note(12, scope="3172"),
        _note(12, scope="31"),
        _note(12, scope="3171010001001"),
        _note(2),
        _note(12, kind="maintenance"),
    ],
    ids=["elsewhere", "larger place", "station", "before the report", "maintenance"],
)
def test_other_notes_acknowledge_nothing(note: Note) -> None:
    """Only a note on this place counts, from after the trouble was reported."""
    watch = Watch([note]).passes(20, "warning")
    assert ACKNOWLEDGED not in watch.notifies()


def test_an_unwatched_place_stays_unwatched() -> None:
    """Before its watch begins, no note makes a difference."""
    (trouble,) = Watch().passes(10, "warning").standing.values()
    assert Handling(frozenset(), [_note(9)]).notify(trouble) == UNWATCHED
