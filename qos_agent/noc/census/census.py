"""The census of one minute: collect each province's inputs, count, and encode."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from qos_agent.influx.query import QueryError, Server
from qos_agent.noc.census.cache import CensusCache
from qos_agent.noc.census.clocks import with_wrong_clocks
from qos_agent.noc.census.delivery import spans_by_province
from qos_agent.noc.census.heartbeats import read_heartbeats
from qos_agent.noc.census.inputs import ProvinceInputs, read_entries
from qos_agent.noc.census.named import read_names
from qos_agent.noc.census.points import encode_points
from qos_agent.noc.census.presence import Presence, call_roll
from qos_agent.noc.census.results import count_province
from qos_agent.noc.census.verdict_counts import read_verdicts
from qos_agent.noc.census.voting_window import VotingWindow
from qos_agent.noc.register.store import Register
from qos_agent.noc.settings import CensusSection
from qos_agent.noc.state import State


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
    cache: CensusCache = field(default_factory=CensusCache)

    def take(self, at_ns: int, *, past: bool = False) -> MinuteResult:
        """Take the census of a whole minute; `past` says that it was missed before.

        A province whose server fails has an error and no lines.
        """
        lines: dict[str, list[bytes]] = {}
        failed: dict[str, str] = {}
        for inputs in self._collect(at_ns, failed, past=past):
            results = count_province(inputs, self.settings, self.voting)
            with self.state.transaction():
                since_ns = {
                    (result.code, operator): self.state.since_ns(
                        f"{result.code}/{operator}", level, at_ns, past=past
                    )
                    for result in results
                    for operator, level in result.levels.items()
                }
            lines[inputs.province] = encode_points(results, since_ns)
        return MinuteResult(lines, failed)

    def _collect(
        self, at_ns: int, failed: dict[str, str], *, past: bool
    ) -> Iterator[ProvinceInputs]:
        """Yield the inputs of each province, and record the errors of the others.

        Names depend on the presence in all provinces, because a station may report from
        another one. A past minute uses no earlier roll calls, so all names are read.
        """
        spans_of = spans_by_province(self.servers, at_ns, self.settings, failed)
        expected = self.cache.expected_at(self.register, at_ns // 10**9)
        calls = {} if past else self.cache.calls
        heard = read_heartbeats(
            self.servers, spans_of, expected.stations, calls, failed
        )
        counted: dict[str, dict[str, Presence]] = {}
        for province, heartbeats in heard.items():
            spans = spans_of[province]
            named = call_roll(heartbeats.last_ns, spans, self.register, self.state)
            server = self.servers[province]
            try:
                named = with_wrong_clocks(server, province, spans, named, calls)
            except QueryError as error:
                failed[province] = str(error)
                continue
            calls |= {code: regency.call for code, regency in named.items()}
            counted[province] = {**heartbeats.counted, **named}
        presence, elsewhere = read_names(self.servers, spans_of, counted, failed)
        for province, regencies in presence.items():
            server, spans = self.servers[province], spans_of[province]
            try:
                verdicts = read_verdicts(server, province, spans.verdict, regencies)
            except QueryError as error:
                failed[province] = str(error)
                continue
            entries = read_entries(self.register, spans.at_s, regencies, verdicts)
            yield ProvinceInputs(
                province, spans, expected, regencies, elsewhere, verdicts, entries
            )
