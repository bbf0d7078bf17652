"""Verdicts and incidents of simulated links.

The class is simpler than the agent's. It depends only on loss and delay of the farthest
layer, and the loss is smoothed about as much as a window of ten minutes would do.
Thresholds and incidents are the agent's own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from qos_agent.config.thresholds import Thresholds, load
from qos_agent.model import Link, Outcome, Reading, Sample, Value
from qos_agent.verdict.incidents import Incidents, Now

_SMOOTHING = 0.8
_OUTAGE_S = 60.0
_UNAVAILABLE_LOSS = 0.2
_CLASSES = ("good", "degraded", "bad", "unknown")
_NEAR = {"gateway", "resolver"}


@dataclass(slots=True)
class LinkJudge:
    """The state of a link's verdict from one step to the next."""

    name: str = "unknown"
    since_minute: int = 0
    loss: float | None = None
    delay_ms: float | None = None
    side: str = "access"
    incidents: Incidents | None = None

    def learn(self, trains: Mapping[str, dict[str, Value]]) -> bool | None:
        """Add the trains of a step by layer; return True if the link was available."""
        if not trains:
            return None
        losses = {layer: int(t["lost"]) / int(t["sent"]) for layer, t in trains.items()}
        *_, farthest = losses
        before = losses[farthest] if self.loss is None else self.loss
        self.loss = _SMOOTHING * before + (1 - _SMOOTHING) * losses[farthest]
        median = trains[farthest].get("rtt_p50_ms")
        self.delay_ms = None if median is None else float(median)
        if losses[farthest]:
            near_loss = any(losses.get(layer) for layer in _NEAR)
            self.side = "access" if near_loss else "destination"
        beyond = [loss for layer, loss in losses.items() if layer != "gateway"]
        return min(beyond or losses.values()) < _UNAVAILABLE_LOSS

    def verdict(
        self, tags: Mapping[str, str], minute: int, boot_ns: int, available: bool | None
    ) -> Reading:
        """Return the verdict of a step as a reading."""
        name, reason = self._class()
        if name != self.name:
            self.name, self.since_minute = name, minute
        fields: dict[str, Value] = {
            class_name: int(class_name == name) for class_name in _CLASSES
        }
        fields |= {
            "class": name,
            "since_s": 60.0 * (minute - self.since_minute),
            "available": 60 if available else 0,
            "unavailable": 60 if available is False else 0,
            **reason,
        }
        return Reading("verdict", Outcome.OK, boot_ns, (Sample(tags, fields),))

    def _class(self) -> tuple[str, dict[str, Value]]:
        figures = {"loss": self.loss, "delay": self.delay_ms}
        known = {kpi: value for kpi, value in figures.items() if value is not None}
        for name in ("bad", "degraded"):
            for kpi, value in known.items():
                threshold = _thresholds()[kpi]
                limit: float = getattr(threshold, name)
                if value >= limit:
                    return name, {
                        "kpi": kpi,
                        "value": value,
                        "threshold": limit,
                        "threshold_source": threshold.source,
                        "layer": "anchor",
                        "side": self.side,
                    }
        return ("good" if known else "unknown"), {}

    def incidents_of(
        self,
        link: Link,
        device: str,
        readings: Sequence[Reading],
        now: Now,
        available: bool | None,
    ) -> Iterator[Reading]:
        """Yield events of incidents that open or close, by the agent's own rules."""
        if self.incidents is None and available is not False:
            return
        if self.incidents is None:
            self.incidents = Incidents(
                link, device, "simulated", _MemoryState(), _OUTAGE_S
            )
        for reading in readings:
            self.incidents.observe(reading)
        yield from self.incidents.cycle(now, available, self.side)
        if available and self.incidents.open is None:
            self.incidents = None


@cache
def _thresholds() -> Thresholds:
    return load(None)


class _MemoryState:
    """The state of incidents, which the agent keeps in its journal."""

    def __init__(self) -> None:
        self._values: dict[str, str] = {}

    def state(self, key: str) -> str | None:
        return self._values.get(key)

    def set_state(self, key: str, value: str) -> None:
        self._values[key] = value
