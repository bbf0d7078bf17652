"""How a simulated link is judged, and the incidents that follow.

The class is a simpler one than the agent's: by the loss and the delay of the farthest
layer alone, the loss forgetting slowly as a window of ten minutes does. Thresholds and
incidents are the agent's own.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from qos_agent.config.thresholds import Thresholds, load
from qos_agent.model import Link, Outcome, Reading, Sample, Value
from qos_agent.verdict.incidents import Incidents, Now

_KEPT = 0.8
_OUTAGE_S = 60.0
_UNAVAILABLE_LOSS = 0.2
_CLASSES = ("good", "degraded", "bad", "unknown")
_NEAR = {"gateway", "resolver"}


@dataclass(slots=True)
class Judgement:
    """What is remembered of a link from one minute to the next."""

    name: str = "unknown"
    since_minute: int = 0
    loss: float | None = None
    delay_ms: float | None = None
    side: str = "access"
    incidents: Incidents | None = None

    def learn(self, trains: Mapping[str, dict[str, Value]]) -> bool | None:
        """Take in a minute's trains by layer; whether the link was available."""
        if not trains:
            return None
        losses = {layer: int(t["lost"]) / int(t["sent"]) for layer, t in trains.items()}
        *_, far = losses
        before = losses[far] if self.loss is None else self.loss
        self.loss = _KEPT * before + (1 - _KEPT) * losses[far]
        median = trains[far].get("rtt_p50_ms")
        self.delay_ms = None if median is None else float(median)
        if losses[far]:
            near = any(losses.get(layer) for layer in _NEAR)
            self.side = "access" if near else "destination"
        beyond = [loss for layer, loss in losses.items() if layer != "gateway"]
        return min(beyond or losses.values()) < _UNAVAILABLE_LOSS

    def verdict(
        self, tags: Mapping[str, str], minute: int, boot_ns: int, up: bool | None
    ) -> Reading:
        """The verdict of a minute."""
        name, why = self._class()
        if name != self.name:
            self.name, self.since_minute = name, minute
        fields: dict[str, Value] = {each: int(each == name) for each in _CLASSES}
        fields |= {
            "class": name,
            "since_s": 60.0 * (minute - self.since_minute),
            "available": 60 if up else 0,
            "unavailable": 60 if up is False else 0,
            **why,
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
                        "kpi": kpi, "value": value, "threshold": limit,
                        "threshold_source": threshold.source,
                        "layer": "anchor", "side": self.side,
                    }  # fmt: skip
        return ("good" if known else "unknown"), {}

    def incident(
        self,
        link: Link,
        device: str,
        seen: Sequence[Reading],
        now: Now,
        up: bool | None,
    ) -> Iterator[Reading]:
        """What opens or closes, by the agent's own rules."""
        if self.incidents is None and up is not False:
            return
        if self.incidents is None:
            self.incidents = Incidents(link, device, "simulated", _Notes(), _OUTAGE_S)
        for reading in seen:
            self.incidents.observe(reading)
        yield from self.incidents.cycle(now, up, self.side)
        if up and self.incidents.open is None:
            self.incidents = None


@cache
def _thresholds() -> Thresholds:
    return load(None)


class _Notes:
    """The journal's named values, for incidents alone."""

    def __init__(self) -> None:
        self._values: dict[str, str] = {}

    def state(self, key: str) -> str | None:
        return self._values.get(key)

    def set_state(self, key: str, value: str) -> None:
        self._values[key] = value
