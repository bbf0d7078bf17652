"""Stations that report from another regency than the register expects them in.

The register decides in which regency a station is expected, and the tags of its points
decide in which regency they are summed. If the two differ, one of them is wrong.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from qos_agent.config.places import provinces, regencies
from qos_agent.influx.query import Server
from qos_agent.noc.census import queries
from qos_agent.noc.register.store import Register
from qos_agent.noc.settings import NocSettings


@dataclass(frozen=True, slots=True)
class Mismatch:
    """A station, the regency it reports from, and the one it is registered in."""

    station: str
    reports_from: str
    registered_in: str | None

    def __str__(self) -> str:
        """Return one line for the command's output."""
        places = regencies()
        tagged = f"{self.reports_from} {places[self.reports_from].name}"
        if self.registered_in is None:
            return f"{self.station}: reports from {tagged}, not in the register"
        home = f"{self.registered_in} {places[self.registered_in].name}"
        return f"{self.station}: reports from {tagged}, registered in {home}"


def mismatches(
    settings: NocSettings, register: Register, at_ns: int
) -> Iterator[Mismatch]:
    """Yield the mismatches among stations that are not silent. Raises QueryError."""
    span = (at_ns - int(settings.census.silent * 1e9), at_ns)
    newest: dict[str, tuple[int, str]] = {}
    servers = {shard: Server(shard) for shard in settings.collectors}
    for province in provinces():
        shard = settings.shard_of(province)
        if shard is None:
            continue
        codes = [code for code in regencies() if code[:2] == province]
        last_ns = queries.roll_call(servers[shard], province, span, codes)
        for code, stations in last_ns.items():
            for station, ns in stations.items():
                newest[station] = max((ns, code), newest.get(station, (0, "")))
    for server in servers.values():
        server.close()
    for station, (_, code) in sorted(newest.items()):
        home = register.home(station, at_ns // 10**9)
        if home != code:
            yield Mismatch(station, code, home)
