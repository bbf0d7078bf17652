"""Judges a link: good, degraded or bad, because of which figure, and on which side.

The device judges once a cycle, from the readings of the link alone. The class is that
of the farthest layer, because its probes have passed the nearer ones. A worse figure,
such as a rate, replaces it. The verdict names the nearest layer that is as bad.
Availability follows ITU-T Y.1540: a link is unavailable while the loss ratio over T_av
is at least c1.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from qos_agent.config.settings import Settings
from qos_agent.config.thresholds import Threshold, Thresholds, load
from qos_agent.model import Layer, Link, Outcome, Phase, Reading, Sample, Value
from qos_agent.verdict.baseline import BaselineStore
from qos_agent.verdict.hysteresis import LEVELS, Hysteresis
from qos_agent.verdict.windows import Figure, Windows, keep_s

Class = Literal["good", "degraded", "bad", "unknown"]
_NAMES: tuple[Class, ...] = ("good", "degraded", "bad")
_MARGIN = 0.1
_T_AV_S = 60.0
# With fewer probes within T_av, availability is unknown.
_T_AV_PROBES = 10
_SAVE_CYCLES = 60
_NEAR = (Layer.GATEWAY, Layer.RESOLVER)
# The baseline's quantile that counts as usual, by "more is worse".
_SHARES = {True: 0.95, False: 0.05}

# Loss or delay by layer, nearest first.
_Layers = dict[str, list[tuple[Layer, float]]]


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules of the judge; the settings of the same names explain them."""

    thresholds: Thresholds
    worsen_s: float = 120.0
    recover_s: float = 300.0
    unavailable_loss: float = 0.20
    baseline_samples: int = 200
    form: str = "forms"


def rules(settings: Settings) -> Rules:
    """Return the configured rules. Raises InvalidConfigError for a bad file."""
    section = settings.verdict
    return Rules(
        thresholds=load(section.thresholds),
        worsen_s=section.worsen_after,
        recover_s=section.recover_after,
        unavailable_loss=section.unavailable_loss,
        baseline_samples=section.baseline_samples,
        form=settings.form.name,
    )


@dataclass(frozen=True, slots=True)
class Limit:
    """A value at which a figure reaches a level, and the source of the value."""

    level: int
    value: float
    source: str
    more_is_worse: bool

    def signal(self, value: float) -> bool | None:
        """Return True at or beyond the limit, False below the margin, None between."""
        sign = 1 if self.more_is_worse else -1
        if sign * value >= sign * self.value:
            return True
        margin = sign * self.value * (1 - sign * _MARGIN)
        return False if sign * value < margin else None


@dataclass(frozen=True, slots=True)
class LimitedFigure:
    """A figure and one of its limits."""

    figure: Figure
    limit: Limit

    def signal(self) -> bool | None:
        """Return the signal of the limit for the figure."""
        return self.limit.signal(self.figure.value)


@dataclass(frozen=True, slots=True)
class Judgement:
    """The judgement of a link in a cycle. None means that nothing decided it."""

    link: Link
    boot_ns: int
    name: Class
    since_s: float
    figure: Figure | None = None
    limit: Limit | None = None
    side: str | None = None
    available: bool | None = None
    cycle_s: int = int(_T_AV_S)

    def reading(self) -> Reading:
        """Return the judgement as a reading."""
        fields: dict[str, Value] = {
            name: int(name == self.name) for name in (*_NAMES, "unknown")
        }
        fields |= {"class": self.name, "since_s": self.since_s}
        if self.figure is not None and self.limit is not None:
            fields |= {"kpi": self.figure.kpi, "value": self.figure.value}
            fields |= {"threshold": self.limit.value}
            fields["threshold_source"] = self.limit.source
            if self.figure.layer is not None:
                fields["layer"] = self.figure.layer.value
        if self.side is not None:
            fields["side"] = self.side
        if self.available is not None:
            fields["available"] = self.cycle_s if self.available else 0
            fields["unavailable"] = 0 if self.available else self.cycle_s
        tags = {"link": self.link.name, "operator": self.link.operator}
        return Reading("verdict", Outcome.OK, self.boot_ns, (Sample(tags, fields),))


@dataclass(slots=True)
class _JudgeState:
    """The state that a judge keeps from cycle to cycle."""

    name: Class = "unknown"
    since_ns: int | None = None
    cycle_ns: int | None = None
    cycles: int = 0
    answering_layers: set[Layer] = field(default_factory=set)
    decisive: LimitedFigure | None = None


class Judge:
    """Judges one link. Not thread-safe."""

    def __init__(self, link: Link, rules: Rules, baseline: BaselineStore) -> None:
        self._link = link
        self._rules = rules
        self._baseline = baseline
        self._windows = Windows(link.name, rules.form, keep_s(rules.thresholds))
        self._hysteresis = Hysteresis(rules.worsen_s, rules.recover_s)
        self._state = _JudgeState()

    def observe(self, reading: Reading) -> None:
        """Process a reading of any measurement and any link."""
        self._windows.observe(reading)

    def cycle(self, now_boot_ns: int, phase: Phase) -> Judgement:
        """Judge now. Figures of the pre phase are also added to the baseline."""
        self._windows.forget(now_boot_ns)
        layers = self._layers(now_boot_ns)
        figures = list(self._figures(layers, now_boot_ns))
        limited = [
            LimitedFigure(f, limit) for f in figures for limit in self._limits(f)
        ]
        name, decisive = self._classify(figures, limited, now_boot_ns)
        if phase is Phase.PRE:
            self._learn(figures)
        since_s, cycle_s = self._update_times(name, now_boot_ns)
        return Judgement(
            link=self._link,
            boot_ns=now_boot_ns,
            name=name,
            since_s=since_s,
            figure=_nearest(decisive, layers) if decisive else None,
            limit=decisive.limit if decisive else None,
            side=self._side(layers, decisive),
            available=self._available(now_boot_ns),
            cycle_s=cycle_s,
        )

    def close(self) -> None:
        """Store the baseline before an orderly stop."""
        self._baseline.save()

    def _layers(self, now_ns: int) -> _Layers:
        """Return loss and delay by layer, without layers that never answer probes.

        A layer that never answered is left out if a farther one did. The farthest
        layer always stays.
        """
        layers = {
            kpi: self._windows.layers(
                kpi, now_ns - int(rule.window_s * 1e9), rule.min_samples
            )
            for kpi, rule in self._rules.thresholds.items()
            if kpi in {"loss", "delay"}
        }
        answering = self._state.answering_layers
        answering.update(layer for layer, loss in layers["loss"] if loss < 1)
        order = list(Layer)
        silent = {
            layer
            for layer in order
            if layer not in answering
            and any(far in answering for far in order[order.index(layer) + 1 :])
        }
        return {
            kpi: [v for v in values if v[0] not in silent or v in values[-1:]]
            for kpi, values in layers.items()
        }

    def _figures(self, layers: _Layers, now_ns: int) -> Iterator[Figure]:
        for kpi, rule in self._rules.thresholds.items():
            if kpi in layers:
                yield from (
                    Figure(kpi, value, layer) for layer, value in layers[kpi][-1:]
                )
            elif (figure := self._windows.figure(rule, now_ns)) is not None:
                yield figure

    def _limits(self, figure: Figure) -> Iterator[Limit]:
        """Yield the limits of a figure, the baseline's first: it decides a tie."""
        rule = self._rules.thresholds[figure.kpi]
        yield from self._baseline_limits(rule)
        yield Limit(1, rule.degraded, rule.source, rule.more_is_worse)
        yield Limit(2, rule.bad, rule.source, rule.more_is_worse)

    def _baseline_limits(self, rule: Threshold) -> Iterator[Limit]:
        usual = self._baseline.quantile(
            rule.kpi, _SHARES[rule.more_is_worse], self._rules.baseline_samples
        )
        if usual is None or rule.baseline is None:
            return
        degraded = Limit(1, rule.degraded, rule.source, rule.more_is_worse)
        usually_poor = degraded.signal(usual)
        for level, factor in (1, rule.baseline.degraded), (2, rule.baseline.bad):
            # If the usual value is good, "much worse than usual" is degraded, not bad.
            if level == 2 and not usually_poor:
                continue
            if rule.more_is_worse:
                value = max(usual * factor, usual + level * rule.baseline.floor)
            else:
                value = min(usual / factor, usual - level * rule.baseline.floor)
            if value > 0:
                yield Limit(level, value, "baseline", rule.more_is_worse)

    def _classify(
        self, figures: list[Figure], limited: list[LimitedFigure], now_ns: int
    ) -> tuple[Class, LimitedFigure | None]:
        """Return the class and the figure that decided it.

        A link without a measured loss is never good.
        """
        signals = {level: _signal(limited, level) for level in LEVELS}
        if all(f.kpi != "loss" for f in figures) and True not in signals.values():
            return "unknown", None
        level = self._hysteresis.step(now_ns, signals)
        possible = [
            each
            for each in limited
            if each.limit.level == level and each.signal() is not False
        ]
        certain = [each for each in possible if each.signal()]
        same_class = _NAMES[level] == self._state.name
        previous = self._state.decisive if same_class else None
        decisive = next(iter((*certain, *possible)), previous)
        self._state.decisive = decisive
        return _NAMES[level], decisive

    def _side(self, layers: _Layers, decisive: LimitedFigure | None) -> str | None:
        """Return access or destination, or None for a rate, which has no layer."""
        if decisive is None or decisive.figure.layer is None:
            return None
        if decisive.figure.kpi in layers:
            near = _nearest(decisive, layers).layer in _NEAR
        else:
            rule = self._rules.thresholds["loss"]
            lossy = Limit(1, rule.degraded, rule.source, rule.more_is_worse)
            near = any(
                lossy.signal(loss) for layer, loss in layers["loss"] if layer in _NEAR
            )
        return "access" if near else "destination"

    def _learn(self, figures: list[Figure]) -> None:
        for figure in figures:
            self._baseline.add(figure.kpi, figure.value)
        self._state.cycles += 1
        if self._state.cycles % _SAVE_CYCLES == 0:
            self._baseline.save()

    def _available(self, now_ns: int) -> bool | None:
        """Return Y.1540 availability: any layer beyond the gateway proves service."""
        since_ns = now_ns - int(_T_AV_S * 1e9)
        layers = self._windows.layers("loss", since_ns, _T_AV_PROBES)
        beyond = [loss for layer, loss in layers if layer is not Layer.GATEWAY]
        losses = beyond or [loss for _, loss in layers]
        return min(losses) < self._rules.unavailable_loss if losses else None

    def _update_times(self, name: Class, now_ns: int) -> tuple[float, int]:
        """Return the time in this class and the cycle's seconds, at most T_av."""
        state = self._state
        elapsed_ns = now_ns - (state.cycle_ns or now_ns - int(_T_AV_S * 1e9))
        state.cycle_ns = now_ns
        if state.name != name or state.since_ns is None:
            state.name, state.since_ns = name, now_ns
        cycle_s = min(int(_T_AV_S), round(elapsed_ns / 1e9))
        return (now_ns - state.since_ns) / 1e9, cycle_s


def _nearest(decisive: LimitedFigure, layers: _Layers) -> Figure:
    """Return the figure at the nearest layer that is as bad."""
    figure = decisive.figure
    for layer, value in layers.get(figure.kpi, ()):
        if decisive.limit.signal(value):
            return Figure(figure.kpi, value, layer)
    return figure


def _signal(limited: list[LimitedFigure], level: int) -> bool | None:
    """Return True if any figure is at the level, False if all are below it."""
    signals = [each.signal() for each in limited if each.limit.level == level]
    if True in signals:
        return True
    return None if None in signals else False
