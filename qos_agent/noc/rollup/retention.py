"""How long each collector keeps raw points: as it says, as configured, as it once said.

What is not known for sure is treated as if points could be gone already.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from qos_agent.influx.query import QueryError, Server
from qos_agent.model.units import duration_text
from qos_agent.noc.settings import RollupsSection
from qos_agent.noc.state import State

_FOR_EVER = 0  # as the mark of a server that keeps its points for ever


@dataclass(frozen=True, slots=True)
class Kept:
    """Seconds that raw points are kept, infinity for ever, None unknown.

    It is sure where the server says so now, or where it does not tell and somebody
    has set it.
    """

    keep_s: float | None
    sure: bool

    @property
    def finite_s(self) -> float | None:
        """The seconds; None for ever or unknown."""
        known = self.keep_s is not None and not math.isinf(self.keep_s)
        return self.keep_s if known else None

    def from_ns(self, now_ns: int) -> int:
        """From when raw points are whole, as far as is known."""
        keep_s = self.finite_s
        return 0 if keep_s is None else now_ns - int(keep_s * 1e9)


@dataclass(slots=True)
class Retention:
    """Asked of each server once a minute: somebody may shorten it."""

    state: State
    settings: RollupsSection
    _asked: dict[str, Kept] = field(default_factory=dict)

    def forget(self) -> None:
        """Ask again at the next need."""
        self._asked.clear()

    def of(self, server: Server) -> Kept:
        """What is known of one server."""
        if server.name not in self._asked:
            self._asked[server.name] = self._ask(server)
        return self._asked[server.name]

    def warnings(self, servers: Iterable[Server]) -> Iterator[tuple[str, str]]:
        """(server, what to change) where raw points do not last for a dispute."""
        wanted_s = self.settings.dispute
        for server in servers:
            keep_s = self.of(server).keep_s
            if keep_s is not None and keep_s < wanted_s:
                said = (
                    f"{server.name}: raw points are kept for {duration_text(keep_s)}, "
                    f"less than the dispute period of {duration_text(wanted_s)}; "
                    "raise the retention of this database"
                )
                yield server.name, said

    def _ask(self, server: Server) -> Kept:
        mark = f"keep/{server.name}"
        try:
            keep_s = server.retention_s()
        except QueryError:
            known = self.state.mark(mark)
            if known is None:
                return Kept(self.settings.raw_keep, sure=False)
            return Kept(math.inf if known == _FOR_EVER else known / 1e9, sure=False)
        if keep_s is None:
            keep_s = self.settings.raw_keep
            return Kept(keep_s, sure=keep_s is not None)
        kept_ns = _FOR_EVER if math.isinf(keep_s) else int(keep_s * 1e9)
        if self.state.mark(mark) != kept_ns:
            self.state.set_mark(mark, kept_ns)
        return Kept(keep_s, sure=True)
