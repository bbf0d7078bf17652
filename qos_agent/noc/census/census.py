"""The census of one minute: read, count and encode each province in turn."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from qos_agent.influx.query import QueryError, Server
from qos_agent.noc.census.context import ProvinceContext, Spans
from qos_agent.noc.census.counting import Area, HeardElsewhere, Verdicts
from qos_agent.noc.census.expected import Expected, ExpectedCache, notes_by_regency
from qos_agent.noc.census.named import NamedRegency, heard_elsewhere, read_named
from qos_agent.noc.census.points import CensusPoints
from qos_agent.noc.census.presence import Presence, RollCallCache, read_presence
from qos_agent.noc.census.verdict_counts import VerdictCounts, impaired
from qos_agent.noc.census.voting_window import VotingWindow
from qos_agent.noc.register.store import Entry, Register
from qos_agent.noc.settings import CensusSection
from qos_agent.noc.state import State

_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class MinuteResult:
    """The lines to write, and the errors, by province."""

    lines: Mapping[str, Sequence[bytes]]
    failed: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Census:
    """Takes the census of a minute; `servers` has the collector of each province."""

    servers: Mapping[str, Server]
    register: Register
    state: State
    settings: CensusSection
    voting: VotingWindow
    expected: ExpectedCache
    roll_calls: RollCallCache = field(default_factory=RollCallCache)

    def take(self, at_ns: int, *, past: bool = False) -> MinuteResult:
        """Take the census of a whole minute; `past` says that it was missed before.

        A province whose server fails has an error and no lines.
        """
        contexts = self._contexts(Spans.until(at_ns, self.settings))
        expected = self.expected.at(at_ns // 10**9)
        roll_calls = self._roll_calls(past)
        failed: dict[str, str] = {}
        presence = _read_each(
            contexts, failed, lambda c: read_presence(c, roll_calls, expected.stations)
        )
        unexpected = _unexpected(presence.values())
        named = _read_each(
            contexts, failed, lambda c: read_named(c, presence[c.province], unexpected)
        )
        elsewhere = heard_elsewhere(unexpected, named.values())
        points = CensusPoints(
            self.settings, self.state, expected.tickets, self.voting, past
        )

        def lines(context: ProvinceContext) -> list[bytes]:
            regencies = presence[context.province], named[context.province]
            areas = list(_areas(context, *regencies, expected, elsewhere))
            with self.state.transaction():
                return [line for area in areas for line in points.lines(area)]

        return MinuteResult(_read_each(contexts, failed, lines), failed)

    def _contexts(self, spans: Spans) -> list[ProvinceContext]:
        return [
            ProvinceContext(
                province, server, self.register, self.state, self.settings, spans
            )
            for province, server in self.servers.items()
        ]

    def _roll_calls(self, past: bool) -> RollCallCache:
        """Return the cache; for a past minute an empty one, which proves nothing."""
        if past:
            return RollCallCache()
        self.roll_calls.clear_if_changed(self.register.version())
        return self.roll_calls


def _read_each(
    contexts: Iterable[ProvinceContext],
    failed: dict[str, str],
    read: Callable[[ProvinceContext], _Result],
) -> dict[str, _Result]:
    """Call `read` for each province without an error yet, and record new errors."""
    results: dict[str, _Result] = {}
    for context in contexts:
        if context.province not in failed:
            try:
                results[context.province] = read(context)
            except QueryError as error:
                failed[context.province] = str(error)
    return results


def _unexpected(provinces: Iterable[Mapping[str, Presence]]) -> dict[str, int]:
    """Return the unexpected stations of all provinces with their last heartbeat."""
    return {
        station: last_ns
        for regencies in provinces
        for presence in regencies.values()
        for station, last_ns in presence.call.unexpected.items()
    }


def _areas(
    context: ProvinceContext,
    presence: Mapping[str, Presence],
    named: Mapping[str, NamedRegency],
    expected: Expected,
    elsewhere: HeardElsewhere,
) -> Iterator[Area]:
    """Yield the regencies of one province. Raises QueryError."""
    counts = _verdict_counts(context, presence, named)
    at_s = context.spans.at_s
    notes = notes_by_regency(context.register, expected.stations, at_s)
    for regency in presence:
        if regency in named:
            by_name = named[regency]
            seen = by_name.presence
            verdicts = Verdicts({}, {}, impaired(by_name.links), by_name.links)
        else:
            seen, verdicts = presence[regency], counts.of(regency)
        yield Area(
            code=regency,
            spans=context.spans,
            expected=expected.stations.get(regency, 0),
            by_operator=expected.by_operator.get(regency, {}),
            presence=seen,
            verdicts=verdicts,
            elsewhere=elsewhere,
            entries=_entries(context, regency, seen, verdicts),
            notes=notes.get(regency, ()),
        )


def _verdict_counts(
    context: ProvinceContext,
    presence: Mapping[str, Presence],
    named: Mapping[str, NamedRegency],
) -> VerdictCounts:
    """Read the counts of the regencies that were not read by name."""
    rest = [regency for regency in presence if regency not in named]
    if not rest:
        return VerdictCounts({}, {}, {})
    return VerdictCounts.read(context, rest if named else ())


def _entries(
    context: ProvinceContext, regency: str, presence: Presence, verdicts: Verdicts
) -> dict[str, Entry]:
    """Return a regency's registered stations: all, or those with a problem.

    Reading all of them takes long, and counts need just the names that are reported.
    """
    register, at_s = context.register, context.spans.at_s
    if presence.last is not None:
        return register.stations(regency, at_s)
    codes = {link.station for link in verdicts.impaired} | presence.call.absent.keys()
    return register.some(regency, codes, at_s)
