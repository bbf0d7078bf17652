"""Sums are made again over the ones before: their database must keep the later one."""

from __future__ import annotations

from qos_agent.errors import ConfigError
from qos_agent.noc.influxql import QueryError, Server


class Rewriting:
    """Whether the database of the roll-ups does, asked until it has answered."""

    def __init__(self, rollups: Server) -> None:
        self._rollups = rollups
        self._is_known = False

    def check(self) -> None:
        """Refuse a database that may keep the earlier of two versions of a point.

        InfluxDB 3 says so of itself ("Duplicate points" in its line protocol's
        reference), and does; raw points are sent again byte for byte and may be there.
        Raises ConfigError.
        """
        if self._is_known:
            return
        try:
            version = self._rollups.version()
        except QueryError:
            return  # it is told of with all that cannot be written
        if version.startswith("3."):
            raise ConfigError(
                "rollup.url",
                f"{self._rollups.name}, InfluxDB {version}",
                "InfluxDB 1.8 or 2.x: of a sum made again 3.x may keep the old one",
                "give it another server; collectors may stay on 3.x",
            )
        self._is_known = True
