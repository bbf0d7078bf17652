"""Reads the heartbeats of all provinces: for the status, and for a roll-out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from qos_agent.config.remote.index import Index, share
from qos_agent.influx.query import Server
from qos_agent.noc.remote import devices, rollout
from qos_agent.noc.remote.devices import Device, Slots, Span
from qos_agent.noc.remote.rollout import Decision, Facts, Outcome
from qos_agent.noc.remote.state import State
from qos_agent.noc.settings import NocSettings

# A station is silent without a heartbeat in this time, as for the census.
_SILENT_S = 600
_QUERY_S = 60.0


@dataclass(frozen=True, slots=True)
class Standing:
    """A device compared with what is published for its station."""

    device: Device
    wanted: int
    newest: int

    @property
    def is_behind(self) -> bool:
        """Return True if it has not accepted the newest version, or not loaded it."""
        return self.device.seen != self.newest or self.device.version != self.wanted


class Fleet:
    """The servers with the heartbeats."""

    def __init__(self, settings: NocSettings) -> None:
        self._settings = settings
        self._servers = {
            shard: Server(shard, _QUERY_S) for shard in settings.collectors
        }

    def standings(self, state: State, span: Span) -> Iterator[Standing]:
        """Yield each station that sent a heartbeat. Raises QueryError."""
        for province, server in self._by_province(state):
            index = state[province]
            for device in devices.devices(server, province, span):
                wanted = index.chosen(device.station).version
                yield Standing(device, wanted, index.version)

    def outcome(self, state: State, now_s: int, hold_s: float) -> Outcome:
        """Return the decision about the present roll-out. Raises QueryError."""
        index = next(iter(state.values()))
        staged_s = int((index.staged or index.issued).timestamp())
        facts = self._facts(state, staged_s, now_s)

        def in_stage(station: str) -> bool:
            return share(station, index.content.version) < index.percent

        may_advance = now_s - staged_s >= hold_s
        return rollout.decide(facts, in_stage, may_advance=may_advance)

    def _facts(self, state: State, staged_s: int, now_s: int) -> Facts:
        before: dict[str, Slots] = {}
        since: dict[str, Slots] = {}
        heard: set[str] = set()
        refused: set[str] = set()
        arrived: set[str] = set()
        length_s = now_s - staged_s
        earlier = _span(staged_s - max(length_s, _SILENT_S), staged_s)
        later = _span(staged_s, now_s)
        lately = _span(now_s - _SILENT_S, now_s)
        for province, server in self._by_province(state):
            before |= devices.slots(server, province, earlier)
            since |= devices.slots(server, province, later)
            heard |= devices.heard(server, province, lately).keys()
            found = devices.refusals(server, province, later)
            refused |= {station for station, count in found.items() if count}
            version = state[province].content.version
            arrived |= devices.with_version(server, province, lately, version)
        return Facts(
            before, since, frozenset(heard), frozenset(refused), frozenset(arrived)
        )

    def _by_province(self, state: State) -> Iterator[tuple[str, Server]]:
        for province in state:
            shard = self._settings.shard_of(province)
            if shard is not None:
                yield province, self._servers[shard]


def is_running(index: Index) -> bool:
    """Return True if a roll-out has begun and is not complete."""
    return index.before is not None and 0 < index.percent < 100


def nothing() -> Outcome:
    """Return the outcome without a roll-out."""
    return Outcome(Decision.NOTHING, 0, 0, 0, 0, 1.0, 0)


def _span(from_s: int, to_s: int) -> Span:
    return from_s * 10**9, to_s * 10**9
