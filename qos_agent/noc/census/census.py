"""One minute's census: every province in turn, its points, and what went wrong."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from qos_agent.influx.query import QueryError
from qos_agent.noc.census import queries
from qos_agent.noc.census.counting import Area, Elsewhere, Verdicts, by_name
from qos_agent.noc.census.expected import Book, Expected, notes_by_regency
from qos_agent.noc.census.points import Pen
from qos_agent.noc.census.presence import Attendance, Desk, Rolls, attend
from qos_agent.noc.census.queries import Judged
from qos_agent.noc.census.verdict_counts import Counted
from qos_agent.noc.census.voting_window import VotingWindow
from qos_agent.noc.register.store import Entry, Register
from qos_agent.noc.state import State


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
    state: State
    book: Book
    polls: VotingWindow

    def take(self, rolls: Rolls, at_ns: int) -> Census:
        """The census of a moment, a whole minute. Servers that fail are told."""
        version = self.register.version()
        if version != rolls.version:
            rolls.calls.clear()
            rolls.version = version
        expected = self.book.at(at_ns // 10**9)
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
                areas = list(self._areas(mine, expected, named, elsewhere, at_ns))
            except QueryError as error:
                found.failed[province] = str(error)
                continue
            pen = self._pen(rolls, province, expected, at_ns)
            with self.state.transaction():
                lines = [line for area in areas for line in pen.lines(area)]
            found.lines[province] = lines
        return found

    def _pen(self, rolls: Rolls, province: str, expected: Expected, at_ns: int) -> Pen:
        return Pen(
            self.desks[province].limits,
            partial(self.state.since_ns, at_ns=at_ns, past=rolls.past),
            expected.tickets,
            partial(self.polls.fields, at_ns=at_ns),
        )

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
        for province, desk in self.desks.items():
            from_ns = desk.spans(at_ns)["verdict"][0]
            doubtful = [
                regency
                for regency, attendance in present.items()
                if regency[:2] == province and by_name(attendance, last, from_ns)
            ]
            try:
                named |= _read(desk, province, doubtful, present, at_ns)
            except QueryError as error:
                found.failed[province] = str(error)
                for regency in doubtful:
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
        counted = _counted(desk, province, present, named, at_ns)
        notes = notes_by_regency(self.register, expected.stations, at_ns // 10**9)
        for regency, attendance in present.items():
            links = named.get(regency)
            verdicts = counted.of(regency, links)
            yield Area(
                regency,
                at_ns,
                spans["late"][0],
                expected.stations.get(regency, 0),
                expected.by_operator.get(regency, {}),
                attendance,
                verdicts,
                elsewhere,
                self._entries(regency, attendance, verdicts, at_ns // 10**9),
                notes.get(regency, ()),
            )

    def _entries(
        self, regency: str, attendance: Attendance, verdicts: Verdicts, at_s: int
    ) -> dict[str, Entry]:
        """The register's words on a regency's stations: on those that need any."""
        if attendance.last is not None:
            return self.register.stations(regency, at_s)
        named = {link.station for link in verdicts.not_good}
        return self.register.some(regency, named | attendance.call.absent.keys(), at_s)


def _read(
    desk: Desk,
    province: str,
    doubtful: Sequence[str],
    present: dict[str, Attendance],
    at_ns: int,
) -> dict[str, list[Judged]]:
    """Read some regencies by name, also who is there. Raises QueryError."""
    if not doubtful:
        return {}
    spans = desk.spans(at_ns)
    links = queries.links_by_name(desk.server, province, spans["verdict"], doubtful)
    uncalled = [regency for regency in doubtful if present[regency].last is None]
    if uncalled:
        span = spans["lookback"]
        heard = queries.roll_call(desk.server, province, span, uncalled)
        for regency, last in heard.items():
            present[regency] = replace(present[regency], last=last)
    return {regency: links.get(regency, []) for regency in doubtful}


def _counted(
    desk: Desk,
    province: str,
    present: Mapping[str, Attendance],
    named: Mapping[str, Sequence[Judged]],
    at_ns: int,
) -> Counted:
    """The server's counts of the regencies that were not read by name."""
    rest = [regency for regency in present if regency not in named]
    if not rest:
        return Counted({}, {}, {})
    only = rest if len(rest) < len(present) else ()
    return Counted.ask(desk, province, desk.spans(at_ns)["verdict"], only)


def _by_station(
    named: Mapping[str, Sequence[Judged]], wanted: Mapping[str, int]
) -> dict[str, list[Judged]]:
    found: dict[str, list[Judged]] = {}
    for links in named.values():
        for link in links:
            if link.station in wanted:
                found.setdefault(link.station, []).append(link)
    return found
