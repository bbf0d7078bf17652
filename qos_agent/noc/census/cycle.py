"""One minute's census: every province in turn, its points, and what went wrong."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from qos_agent.election import Calendar
from qos_agent.line_protocol import encode, tag_value
from qos_agent.model import Identity, Phase, Record, Value
from qos_agent.noc.census import questions
from qos_agent.noc.census.attendance import Attendance, Desk, Rolls, attend
from qos_agent.noc.census.counting import (
    Area,
    Elsewhere,
    Verdicts,
    by_name,
    operator_fields,
    station_fields,
)
from qos_agent.noc.census.exceptions import record, worst_first
from qos_agent.noc.census.questions import Judged
from qos_agent.noc.influxql import QueryError
from qos_agent.noc.places import regencies
from qos_agent.noc.register.store import Note, Register

_log = logging.getLogger(__name__)
ALL_OPERATORS = "all"


@dataclass(frozen=True, slots=True)
class Expected:
    """What the register expects at a moment."""

    stations: Mapping[str, int]
    by_operator: Mapping[str, Mapping[str, int]]
    notes: Mapping[str, tuple[Note, ...]]

    @classmethod
    def of(cls, register: Register, at_s: int) -> Expected:
        """Counted by the register; notes by the regency that they touch."""
        by_operator: dict[str, dict[str, int]] = {}
        for (regency, operator), n in register.expected_by_operator(at_s).items():
            by_operator.setdefault(regency, {})[operator] = n
        stations = register.expected(at_s)
        notes: dict[str, tuple[Note, ...]] = {}
        for note in register.notes(at_s):
            home = register.home(note.scope, at_s) if len(note.scope) == 13 else None
            for regency in stations:
                if regency == home or regency.startswith(note.scope):
                    notes[regency] = (*notes.get(regency, ()), note)
        return cls(stations, by_operator, notes)


@dataclass(slots=True)
class Census:
    """What one cycle found: lines to write, provinces that could not be asked."""

    lines: dict[str, list[bytes]] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Clerk:
    """Takes the census; `desks` has a desk for each province."""

    desks: Mapping[str, Desk]
    register: Register
    calendar: Calendar

    def take(self, rolls: Rolls, at_ns: int) -> Census:
        """The census of a moment, a whole minute. Servers that fail are told."""
        version = self.register.version()
        if version != rolls.version:
            rolls.calls.clear()
            rolls.version = version
        expected = Expected.of(self.register, at_ns // 10**9)
        found = Census()
        present = self._attendance(rolls, expected, at_ns, found)
        last = {
            station: ns
            for attendance in present.values()
            for station, ns in attendance.call.strangers.items()
        }
        named = self._named(present, last, at_ns, found)
        elsewhere = Elsewhere(last, _by_station(named, last))
        for province in sorted({regency[:2] for regency in present}):
            mine = {r: a for r, a in present.items() if r[:2] == province}
            try:
                areas = self._areas(mine, expected, named, elsewhere, at_ns)
                lines = [line for area in areas for line in self._points(area)]
                found.lines[province] = lines
            except QueryError as error:
                found.failed[province] = str(error)
        return found

    def _attendance(
        self, rolls: Rolls, expected: Expected, at_ns: int, found: Census
    ) -> dict[str, Attendance]:
        present: dict[str, Attendance] = {}
        for province, desk in self.desks.items():
            try:
                present |= attend(desk, rolls, province, expected.stations, at_ns)
            except QueryError as error:
                found.failed[province] = str(error)
        return present

    def _named(
        self,
        present: dict[str, Attendance],
        last: Mapping[str, int],
        at_ns: int,
        found: Census,
    ) -> dict[str, list[Judged]]:
        """The verdicts by name of the regencies where counts are not enough."""
        named: dict[str, list[Judged]] = {}
        for regency, attendance in list(present.items()):
            desk = self.desks[regency[:2]]
            span = desk.spans(at_ns)["verdict"]
            if not by_name(attendance, last, span[0]):
                continue
            try:
                named[regency] = questions.links_by_name(desk.server, regency, span)
                if attendance.last is None:
                    silent = desk.spans(at_ns)["lookback"]
                    heard = questions.roll_call(desk.server, regency, silent)
                    call, newest_ns = attendance.call, attendance.newest_ns
                    fresh = attendance.fresh
                    present[regency] = Attendance(call, fresh, heard, newest_ns)
            except QueryError as error:
                found.failed[regency[:2]] = str(error)
                del present[regency]
        return named

    def _areas(
        self,
        present: Mapping[str, Attendance],
        expected: Expected,
        named: Mapping[str, Sequence[Judged]],
        elsewhere: Elsewhere,
        at_ns: int,
    ) -> Iterator[Area]:
        """The areas of one province."""
        province = next(iter(present))[:2]
        desk = self.desks[province]
        spans = desk.spans(at_ns)
        counted = _Counted.ask(desk, province, spans["verdict"])
        for regency, attendance in present.items():
            links = named.get(regency)
            verdicts = counted.of(regency, links)
            wanted = (
                attendance.last is not None
                or bool(attendance.call.absent)
                or bool(verdicts.bad)
            )
            yield Area(
                regency,
                at_ns,
                spans["late"][0],
                expected.stations.get(regency, 0),
                expected.by_operator.get(regency, {}),
                attendance,
                verdicts,
                elsewhere,
                self.register.stations(regency, at_ns // 10**9) if wanted else {},
                expected.notes.get(regency, ()),
            )

    def _points(self, area: Area) -> Iterator[bytes]:
        """The lines of a regency: all operators, each operator, the exceptions."""
        regency = area.code
        limits = self.desks[regency[:2]].limits
        troubles = worst_first(area, limits.silent)
        named = troubles[: limits.exceptions]
        fields = station_fields(area)
        fields["unlisted"] = len(troubles) - len(named)
        voting: dict[str, Value] = {"voting": self._voting(regency, area.at_ns)}
        yield _line(regency, ALL_OPERATORS, fields | voting, area.at_ns)
        for operator, own in operator_fields(area).items():
            yield _line(regency, operator, own | voting, area.at_ns)
        yield from (encode(record(trouble, area)) for trouble in named)

    def _voting(self, regency: str, at_ns: int) -> int:
        place = regencies().get(regency)
        if place is None:
            return 0
        someone = Identity("", place.province, regency, place.time_zone, "")
        return int(self.calendar.phase_at(at_ns, someone) is Phase.VOTING)


@dataclass(frozen=True, slots=True)
class _Counted:
    """A province's verdicts as the server counted them."""

    stations: Mapping[str, Mapping[str, int]]
    links: Mapping[tuple[str, str], Mapping[str, int]]
    bad: Sequence[tuple[str, Judged]]

    @classmethod
    def ask(cls, desk: Desk, province: str, span: questions.Span) -> _Counted:
        return cls(
            questions.station_classes(desk.server, province, span),
            questions.link_classes(desk.server, province, span),
            list(questions.bad_links(desk.server, province, span)),
        )

    def of(self, regency: str, links: Sequence[Judged] | None) -> Verdicts:
        operators = {op: n for (code, op), n in self.links.items() if code == regency}
        bad = [link for code, link in self.bad if code == regency]
        if links is not None:
            bad = [link for link in links if link.judged == "bad"]
        return Verdicts(self.stations.get(regency, {}), operators, bad, links)


def _by_station(
    named: Mapping[str, Sequence[Judged]], wanted: Mapping[str, int]
) -> dict[str, list[Judged]]:
    found: dict[str, list[Judged]] = {}
    for links in named.values():
        for link in links:
            if link.station in wanted:
                found.setdefault(link.station, []).append(link)
    return found


def _line(
    regency: str, operator: str, fields: Mapping[str, Value], at_ns: int
) -> bytes:
    place = regencies().get(regency)
    tags = {
        "province": tag_value(regency[:2]),
        "regency": tag_value(regency),
        "operator": tag_value(operator),
        "zone": place.zone if place else "unknown",
    }
    return encode(Record("census", tags, fields, at_ns))
