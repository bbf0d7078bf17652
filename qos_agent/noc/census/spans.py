"""The time spans of one minute's census of a province."""

from __future__ import annotations

from dataclasses import dataclass

from qos_agent.noc.settings import CensusSection

Span = tuple[int, int]
# Time for a delivery, with a retry.
_DELIVERY_S = 120.0


@dataclass(frozen=True, slots=True)
class Spans:
    """Spans (from_ns, to_ns) that end at one minute."""

    at_ns: int
    late: Span
    silent: Span
    lookback: Span
    verdict: Span
    roll_call: Span

    @classmethod
    def until(
        cls, at_ns: int, settings: CensusSection, delivery_s: float = 0.0
    ) -> Spans:
        """Return the configured spans before a moment, or longer ones.

        With a delivery interval a station is late if one delivery is missing, and
        silent if two are, each with two minutes for the delivery itself.
        """
        late_s, silent_s = settings.late, settings.silent
        if delivery_s > 0:
            late_s = max(late_s, delivery_s + _DELIVERY_S)
            silent_s = max(silent_s, 2 * delivery_s + _DELIVERY_S)

        def last(seconds: float) -> Span:
            return at_ns - int(seconds * 1e9), at_ns

        return cls(
            at_ns,
            late=last(late_s),
            silent=last(silent_s),
            lookback=last(settings.lookback),
            verdict=last(max(settings.verdict_age, silent_s)),
            roll_call=last(settings.roll_call),
        )

    @property
    def at_s(self) -> int:
        """The minute in seconds, as the register counts time."""
        return self.at_ns // 10**9
