"""The census's own heartbeat: a point a minute for each collector, also when it failed.

What cannot be written is kept, within bounds, and goes with the next minute's.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from qos_agent.influx.writer import WriteError, Writer
from qos_agent.model import Record, Value
from qos_agent.model.line_protocol import encode, one_line, tag_value

# A day of minutes for a few collectors: 4 MB at the most.
_UNWRITTEN_MAX = 10_000


@dataclass(frozen=True, slots=True)
class Beat:
    """How one minute went on one collector."""

    collector: str
    census_s: float
    rollup_s: float
    behind_s: float
    points: int
    failures: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    keep_s: float | None = None

    def line(self, at_ns: int) -> bytes:
        """Its point."""
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
    """A server's name as a tag's value, without its scheme."""
    return tag_value(server.partition("://")[2] or server)


def reasons(failed: Mapping[str, str], provinces: Iterable[str]) -> tuple[str, ...]:
    """Why provinces failed, each reason once, in the order of the provinces."""
    return tuple(dict.fromkeys(failed[p] for p in provinces if p in failed))


class Heartbeat:
    """Writes beats; those that could not be written wait for the next."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._unwritten: deque[bytes] = deque(maxlen=_UNWRITTEN_MAX)

    def write(self, beats: Iterable[Beat], at_ns: int) -> WriteError | None:
        """Write what there is; what stood in the way, if anything did."""
        self._unwritten.extend(beat.line(at_ns) for beat in beats)
        try:
            self._writer.write(list(self._unwritten))
        except WriteError as error:
            return error
        self._unwritten.clear()
        return None
