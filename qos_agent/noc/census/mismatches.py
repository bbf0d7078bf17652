"""Stations that report from another area than the register expects them in.

The register decides where a station is expected, the tags of its points where they are
summed; where the two differ, one of them should be mended.
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
        """One line that says what to mend."""
        places = regencies()
        seen = f"{self.reports_from} {places[self.reports_from].name}"
        if self.registered_in is None:
            return f"{self.station}: reports from {seen}, not in the register"
        home = f"{self.registered_in} {places[self.registered_in].name}"
        return f"{self.station}: reports from {seen}, registered in {home}"


def mismatches(
    settings: NocSettings, register: Register, at_ns: int
) -> Iterator[Mismatch]:
    """Of the stations heard lately. Raises QueryError."""
    span = (at_ns - int(settings.census.silent * 1e9), at_ns)
    newest: dict[str, tuple[int, str]] = {}
    servers = {shard: Server(shard) for shard in settings.collectors}
    for province in provinces():
        shard = settings.shard_of(province)
        if shard is None:
            continue
        codes = [code for code in regencies() if code[:2] == province]
        heard = queries.roll_call(servers[shard], province, span, codes)
        for code, last in heard.items():
            for station, ns in last.items():
                newest[station] = max((ns, code), newest.get(station, (0, "")))
    for server in servers.values():
        server.close()
    for station, (_, code) in sorted(newest.items()):
        home = register.home(station, at_ns // 10**9)
        if home != code:
            yield Mismatch(station, code, home)
