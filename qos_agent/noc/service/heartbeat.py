"""The census's own heartbeat: a point a minute for each collector, also after errors.

Points that cannot be written are kept, up to a limit, and are sent with those of the
next minute.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from qos_agent.influx.writer import WriteError, Writer
from qos_agent.model import Record, Value
from qos_agent.model.line_protocol import encode, one_line, tag_value

# A day of minutes for a few collectors: at most 4 MB.
_UNWRITTEN_MAX = 10_000


@dataclass(frozen=True, slots=True)
class CollectorHeartbeat:
    """One minute's figures of one collector."""

    collector: str
    census_s: float
    rollup_s: float
    behind_s: float
    points: int
    failures: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    keep_s: float | None = None

    def line(self, at_ns: int) -> bytes:
        """Return the point."""
        fields: dict[str, Value] = {
            "census_s": round(self.census_s, 6),
            "rollup_s": round(self.rollup_s, 6),
            "behind_s": self.behind_s,
            "points": self.points,
            "failed": int(bool(self.failures)),
        }
        detail = one_line("; ".join(self.failures or self.warnings))
        if detail:
            fields["detail"] = detail
        if self.keep_s is not None:
            fields["keep_s"] = self.keep_s
        return encode(Record("pipeline", {"collector": self.collector}, fields, at_ns))


def collector_name(server: str) -> str:
    """Return a server's name without its scheme, as a value of a tag."""
    return tag_value(server.partition("://")[2] or server)


def reasons(failed: Mapping[str, str], provinces: Iterable[str]) -> tuple[str, ...]:
    """Return the errors of some provinces, each once, in the order of provinces."""
    return tuple(dict.fromkeys(failed[p] for p in provinces if p in failed))


class HeartbeatWriter:
    """Writes heartbeats, and keeps those that could not be written."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._unwritten: deque[bytes] = deque(maxlen=_UNWRITTEN_MAX)

    def write(
        self, heartbeats: Iterable[CollectorHeartbeat], at_ns: int
    ) -> WriteError | None:
        """Write all heartbeats that are not written yet; return the error, if any."""
        self._unwritten.extend(heartbeat.line(at_ns) for heartbeat in heartbeats)
        try:
            self._writer.write(list(self._unwritten))
        except WriteError as error:
            return error
        self._unwritten.clear()
        return None
