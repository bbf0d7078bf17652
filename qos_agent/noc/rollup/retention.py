"""The retention of raw points: reported by the server, configured, or remembered.

If it is not certain, raw points are treated as if some could be deleted already.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from qos_agent.influx.query import QueryError, Server
from qos_agent.model.units import duration_text
from qos_agent.noc.settings import RollupsSection
from qos_agent.noc.state import State

_UNLIMITED = 0  # the mark of a server that keeps its points permanently


@dataclass(frozen=True, slots=True)
class KnownRetention:
    """Seconds that raw points are kept: infinity permanently, None unknown.

    It is certain if the server reports it now, or if the server does not report it and
    `rollups.raw_keep` is set.
    """

    keep_s: float | None
    certain: bool

    @property
    def finite_s(self) -> float | None:
        """The seconds; None if permanent or unknown."""
        is_finite = self.keep_s is not None and not math.isinf(self.keep_s)
        return self.keep_s if is_finite else None

    def from_ns(self, now_ns: int) -> int:
        """Return the moment since which raw points are complete, as far as known."""
        keep_s = self.finite_s
        return 0 if keep_s is None else now_ns - int(keep_s * 1e9)


@dataclass(slots=True)
class Retention:
    """The retention of each server, read once a minute because it may be changed."""

    state: State
    settings: RollupsSection
    _cache: dict[str, KnownRetention] = field(default_factory=dict)

    def forget(self) -> None:
        """Read it again at the next use."""
        self._cache.clear()

    def of(self, server: Server) -> KnownRetention:
        """Return the retention of one server."""
        if server.name not in self._cache:
            self._cache[server.name] = self._read(server)
        return self._cache[server.name]

    def warnings(self, servers: Iterable[Server]) -> Iterator[tuple[str, str]]:
        """Yield (server, warning) for retentions shorter than `rollups.dispute`."""
        dispute_s = self.settings.dispute
        for server in servers:
            keep_s = self.of(server).keep_s
            if keep_s is not None and keep_s < dispute_s:
                message = (
                    f"{server.name}: raw points are kept for {duration_text(keep_s)}, "
                    f"less than the dispute period of {duration_text(dispute_s)}; "
                    "raise the retention of this database"
                )
                yield server.name, message

    def _read(self, server: Server) -> KnownRetention:
        mark = f"keep/{server.name}"
        try:
            keep_s = server.retention_s()
        except QueryError:
            last_ns = self.state.mark(mark)
            if last_ns is None:
                return KnownRetention(self.settings.raw_keep, certain=False)
            last_s = math.inf if last_ns == _UNLIMITED else last_ns / 1e9
            return KnownRetention(last_s, certain=False)
        if keep_s is None:
            keep_s = self.settings.raw_keep
            return KnownRetention(keep_s, certain=keep_s is not None)
        keep_ns = _UNLIMITED if math.isinf(keep_s) else int(keep_s * 1e9)
        if self.state.mark(mark) != keep_ns:
            self.state.set_mark(mark, keep_ns)
        return KnownRetention(keep_s, certain=True)
