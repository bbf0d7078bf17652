"""The verdict: is a link good, degraded or bad, by which figure, and on whose side.

Judged on the device, once a cycle, from the readings of the link alone. The class is
that of the farthest layer of trains, for what reaches it has passed the nearer ones, or
of any worse figure; the blame is the nearest layer's that is as bad. Availability is
ITU-T Y.1540's: unavailable while the loss ratio over T_av is at least c1.
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
# Probes within T_av below which a cycle is neither available nor unavailable.
_T_AV_PROBES = 10
_SAVE_CYCLES = 60
_NEAR = (Layer.GATEWAY, Layer.RESOLVER)
_SHARES = {True: 0.95, False: 0.05}


@dataclass(frozen=True, slots=True)
class Rules:
    """By what a link is judged: see the settings of the same names."""

    thresholds: Thresholds
    worsen_s: float = 120.0
    recover_s: float = 300.0
    unavailable_loss: float = 0.20
    baseline_samples: int = 200
    form: str = "forms"


def rules(settings: Settings) -> Rules:
    """The rules as configured. Raises InvalidConfigError for a bad thresholds file."""
    section = settings.verdict
    return Rules(
        load(section.thresholds),
        section.worsen_after,
        section.recover_after,
        section.unavailable_loss,
        section.baseline_samples,
        settings.form.name,
    )


@dataclass(frozen=True, slots=True)
class Limit:
    """A value from which a figure is of a level, and where it comes from."""

    level: int
    value: float
    source: str
    more_is_worse: bool

    def signal(self, value: float) -> bool | None:
        """True from the limit on, False beyond the margin, None between the two."""
        sign = 1 if self.more_is_worse else -1
        if sign * value >= sign * self.value:
            return True
        return (
            False if sign * value < sign * self.value * (1 - sign * _MARGIN) else None
        )


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a link is judged to be in a cycle; None where nothing decided."""

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
        """The judgement as a reading."""
        fields: dict[str, Value] = {
            c: int(c == self.name) for c in (*_NAMES, "unknown")
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
            fields["available"] = self.cycle_s * self.available
            fields["unavailable"] = self.cycle_s * (not self.available)
        tags = {"link": self.link.name, "operator": self.link.operator}
        return Reading("verdict", Outcome.OK, self.boot_ns, (Sample(tags, fields),))


@dataclass(slots=True)
class _Memory:
    """What a judge remembers from cycle to cycle."""

    name: Class = "unknown"
    since_ns: int | None = None
    cycle_ns: int | None = None
    cycles: int = 0
    answered: set[Layer] = field(default_factory=set)
    decided: tuple[Figure, Limit] | None = None


class Judge:
    """Judges one link. One thread at a time: no lock here."""

    def __init__(self, link: Link, rules: Rules, baseline: BaselineStore) -> None:
        self._link = link
        self._rules = rules
        self._baseline = baseline
        kept_s = keep_s(rules.thresholds)
        self._windows = Windows(link.name, rules.form, kept_s)
        self._hysteresis = Hysteresis(rules.worsen_s, rules.recover_s)
        self._memory = _Memory()

    def observe(self, reading: Reading) -> None:
        """Take in a reading, of any measurement and any link."""
        self._windows.observe(reading)

    def cycle(self, now_boot_ns: int, phase: Phase) -> Judgement:
        """Judge now; figures of the pre phase also enter the baseline."""
        self._windows.forget(now_boot_ns)
        layers = self._layers(now_boot_ns)
        figures = list(self._figures(layers, now_boot_ns))
        found = [(f, limit) for f in figures for limit in self._limits(f.kpi)]
        signals = {level: _signal(found, level) for level in LEVELS}
        name, decided = self._name(figures, found, signals, now_boot_ns)
        if phase is Phase.PRE:
            self._learn(figures)
        since_s, cycle_s = self._note(name, now_boot_ns)
        return Judgement(
            self._link,
            now_boot_ns,
            name,
            since_s,
            _placed(decided, layers) if decided else None,
            decided[1] if decided else None,
            self._side(layers, decided),
            self._available(now_boot_ns),
            cycle_s,
        )

    def close(self) -> None:
        """Keep the baseline, before an orderly stop."""
        self._baseline.save()

    def _layers(self, now_ns: int) -> dict[str, list[tuple[Layer, float]]]:
        """Loss and delay by layer, without those known to never answer probes."""
        layers = {
            kpi: self._windows.layers(
                kpi, now_ns - int(rule.window_s * 1e9), rule.min_samples
            )
            for kpi, rule in self._rules.thresholds.items()
            if kpi in {"loss", "delay"}
        }
        answered = self._memory.answered
        answered.update(layer for layer, loss in layers["loss"] if loss < 1)
        order = list(Layer)
        mute = {
            layer
            for layer in order
            if layer not in answered
            and any(far in answered for far in order[order.index(layer) + 1 :])
        }
        far = {kpi: found[-1:] for kpi, found in layers.items()}
        return {
            kpi: [each for each in found if each[0] not in mute or each in far[kpi]]
            for kpi, found in layers.items()
        }

    def _figures(
        self, layers: dict[str, list[tuple[Layer, float]]], now_ns: int
    ) -> Iterator[Figure]:
        for kpi, rule in self._rules.thresholds.items():
            if kpi in layers:
                yield from (Figure(kpi, v, layer) for layer, v in layers[kpi][-1:])
            elif (figure := self._windows.figure(rule, now_ns)) is not None:
                yield figure

    def _limits(self, kpi: str) -> Iterator[Limit]:
        """The limits of a figure, the link's own baseline first: it decides a tie."""
        rule = self._rules.thresholds[kpi]
        more = rule.more_is_worse
        yield from self._own_limits(rule)
        yield Limit(1, rule.degraded, rule.source, more)
        yield Limit(2, rule.bad, rule.source, more)

    def _own_limits(self, rule: Threshold) -> Iterator[Limit]:
        usual = self._baseline.quantile(
            rule.kpi, _SHARES[rule.more_is_worse], self._rules.baseline_samples
        )
        if usual is None or rule.baseline is None:
            return
        degraded = Limit(1, rule.degraded, rule.source, rule.more_is_worse)
        poor = degraded.signal(usual)
        for level, factor in (1, rule.baseline.degraded), (2, rule.baseline.bad):
            if level == 2 and not poor:
                continue  # far from its best, and still far from bad
            if rule.more_is_worse:
                value = max(usual * factor, usual + level * rule.baseline.floor)
            else:
                value = min(usual / factor, usual - level * rule.baseline.floor)
            if value > 0:
                yield Limit(level, value, "baseline", rule.more_is_worse)

    def _name(
        self,
        figures: list[Figure],
        found: list[tuple[Figure, Limit]],
        signals: dict[int, bool | None],
        now_ns: int,
    ) -> tuple[Class, tuple[Figure, Limit] | None]:
        """The class and what decided it. Nothing is good that was not measured."""
        if all(f.kpi != "loss" for f in figures) and True not in signals.values():
            return "unknown", None
        level = self._hysteresis.step(now_ns, signals)
        at_level = [each for each in found if each[1].level == level]
        now = [each for each in at_level if each[1].signal(each[0].value) is not False]
        surely = [each for each in now if each[1].signal(each[0].value)]
        before = self._memory.decided if _NAMES[level] == self._memory.name else None
        decided = next(iter((*surely, *now)), before)
        self._memory.decided = decided
        return _NAMES[level], decided

    def _side(
        self,
        layers: dict[str, list[tuple[Layer, float]]],
        decided: tuple[Figure, Limit] | None,
    ) -> str | None:
        """Access or destination; None where nothing tells: a rate has no layer."""
        if decided is None or decided[0].layer is None:
            return None
        if decided[0].kpi in layers:
            near = _placed(decided, layers).layer in _NEAR
        else:
            rule = self._rules.thresholds["loss"]
            lossy = Limit(1, rule.degraded, rule.source, rule.more_is_worse)
            near = any(lossy.signal(v) for at, v in layers["loss"] if at in _NEAR)
        return "access" if near else "destination"

    def _learn(self, figures: list[Figure]) -> None:
        for figure in figures:
            self._baseline.add(figure.kpi, figure.value)
        self._memory.cycles += 1
        if self._memory.cycles % _SAVE_CYCLES == 0:
            self._baseline.save()

    def _available(self, now_ns: int) -> bool | None:
        """Y.1540 over T_av: any layer beyond the gateway is proof of service."""
        since_ns = now_ns - int(_T_AV_S * 1e9)
        layers = self._windows.layers("loss", since_ns, _T_AV_PROBES)
        beyond = [loss for layer, loss in layers if layer is not Layer.GATEWAY]
        losses = beyond or [loss for _, loss in layers]
        return min(losses) < self._rules.unavailable_loss if losses else None

    def _note(self, name: Class, now_ns: int) -> tuple[float, int]:
        """Time in this class, and the seconds of this cycle, never more than T_av."""
        memory = self._memory
        passed_ns = now_ns - (memory.cycle_ns or now_ns - int(_T_AV_S * 1e9))
        memory.cycle_ns = now_ns
        if memory.name != name or memory.since_ns is None:
            memory.name, memory.since_ns = name, now_ns
        cycle_s = min(int(_T_AV_S), round(passed_ns / 1e9))
        return (now_ns - memory.since_ns) / 1e9, cycle_s


def _placed(
    decided: tuple[Figure, Limit], layers: dict[str, list[tuple[Layer, float]]]
) -> Figure:
    """The figure at the nearest layer that is as bad."""
    figure, limit = decided
    for layer, value in layers.get(figure.kpi, ()):
        if limit.signal(value):
            return Figure(figure.kpi, value, layer)
    return figure


def _signal(found: list[tuple[Figure, Limit]], level: int) -> bool | None:
    """On where any figure is, off where all are."""
    signals = [limit.signal(f.value) for f, limit in found if limit.level == level]
    if True in signals:
        return True
    return None if None in signals else False
