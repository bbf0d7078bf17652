"""The time spans of one minute's census, calculated once for all provinces."""

from __future__ import annotations

from dataclasses import dataclass

from qos_agent.noc.settings import CensusSection

Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Spans:
    """Spans (from_ns, to_ns) that end at one minute, the same for all provinces."""

    at_ns: int
    late: Span
    silent: Span
    lookback: Span
    verdict: Span
    roll_call: Span

    @classmethod
    def until(cls, at_ns: int, settings: CensusSection) -> Spans:
        """Return the configured spans before a moment."""

        def last(seconds: float) -> Span:
            return at_ns - int(seconds * 1e9), at_ns

        return cls(
            at_ns,
            late=last(settings.late),
            silent=last(settings.silent),
            lookback=last(settings.lookback),
            verdict=last(settings.verdict_age),
            roll_call=last(settings.roll_call),
        )

    @property
    def at_s(self) -> int:
        """The minute in seconds, as the register counts time."""
        return self.at_ns // 10**9
