"""What was observed of a link lately, and the figures that follow from it. Pure.

Figures are ratios of sums over a window. A layer with several targets is its median
target (the better of two): one anchor that fails is the anchor's trouble.
"""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from qos_agent.config.thresholds import KPIS, Threshold, Thresholds
from qos_agent.model import Layer, Outcome, Reading, Sample
from qos_agent.model.schema import RTT_BOUNDS_MS

# Faults of the instrument: they say nothing about the link.
_OWN_FAULTS = frozenset(
    {"permission", "hung", "deadline", "allowance", "child_exit", "child_signal",
     "child_output", "missing_tool", "modem", "modem_manager", "sim", "killed",
     "internal", "binding", "busy", "version"}
)  # fmt: skip
# With less of a processor to spare a test has found the instrument's limit.
_BUSY_CPU_SHARE = 0.9
_LAYERS = tuple(Layer)
Key = tuple[str, ...]
Counts = Counter[str]


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure of a link, where it was measured, and whether it may be judged."""

    kpi: str
    value: float
    layer: Layer | None = None


@dataclass(slots=True)
class Windows:
    """The observations of one link, as long as any window asks for them."""

    link: str
    form: str
    keep_s: Mapping[str, float]
    seen: dict[Key, deque[tuple[int, Counts]]] = field(
        default_factory=lambda: defaultdict(deque)
    )

    def observe(self, reading: Reading) -> None:
        """Take in a reading; skipped ones and faults of the instrument say nothing."""
        if reading.outcome is Outcome.SKIPPED or is_own_fault(reading):
            return
        for sample in reading.samples:
            if sample.tags.get("link") == self.link:
                for key, counts in self._counts(reading, sample):
                    self.seen[key].append((reading.boot_ns, counts))

    def _counts(self, reading: Reading, sample: Sample) -> Iterator[tuple[Key, Counts]]:
        numbers = {k: v for k, v in sample.fields.items() if isinstance(v, int | float)}
        failed = int(reading.outcome is Outcome.FAILED)
        match reading.measurement:
            case "latency" if "layer" in sample.tags:
                # A train that could not leave has its counts too: see decision 024.
                counts = Counter(
                    {k: int(v) for k, v in numbers.items() if _of_train(k)}
                )
                yield (sample.tags["layer"], sample.tags.get("target", "")), counts
            case "throughput" if numbers.get("tests") and _is_the_links(numbers):
                counts = Counter({"tests": int(numbers["tests"])})
                counts["sum"] = int(numbers.get("rate_bps", 0))
                direction = sample.tags.get("direction", "")
                yield (f"{direction}load",), counts
            case "web":
                kpi = "form" if sample.tags.get("target") == self.form else "page"
                done = int(numbers.get("pages", 0) + numbers.get("uploads", 0))
                took = numbers.get("page_sum_ms", 0) + numbers.get("upload_sum_ms", 0)
                if done:
                    yield (kpi,), Counter({"tests": done, "sum": int(took)})
                tries = Counter({"tests": done + failed, "sum": failed})
                yield (f"{kpi}_failures",), tries

    def forget(self, now_ns: int) -> None:
        """Drop what no window reaches back to."""
        for key, entries in self.seen.items():
            kept_s = self.keep_s[_kpi_of(key)]
            before_ns = now_ns - int(kept_s * 1e9)
            while entries and entries[0][0] < before_ns:
                entries.popleft()

    def sums(self, key: Key, since_ns: int) -> Counts:
        """The counts under a key since a moment, added up."""
        total: Counts = Counter()
        for boot_ns, counts in self.seen.get(key, ()):
            if boot_ns >= since_ns:
                total.update(counts)
        return total

    def layers(self, kpi: str, since_ns: int, least: int) -> list[tuple[Layer, float]]:
        """Loss or delay of each layer with enough probes, nearest first."""
        figure = {"loss": _loss, "delay": _delay}[kpi]
        found = []
        for layer in _LAYERS:
            keys = [key for key in self.seen if key[0] == layer.value]
            sums = [self.sums(key, since_ns) for key in keys]
            values = [figure(s) for s in sums if s["sent"] >= least]
            judged = [value for value in values if value is not None]
            if judged:
                found.append((layer, _lower_median(judged)))
        return found

    def figure(self, threshold: Threshold, now_ns: int) -> Figure | None:
        """A figure that is not of trains; None with too few samples."""
        sums = self.sums((threshold.kpi,), now_ns - int(threshold.window_s * 1e9))
        if sums["tests"] < max(1, threshold.min_samples):
            return None
        layer = None if threshold.kpi.endswith("load") else Layer.APPLICATION
        return Figure(threshold.kpi, sums["sum"] / sums["tests"], layer)


def is_own_fault(reading: Reading) -> bool:
    """Whether a reading failed for a reason that is the instrument's.

    Not a page or an upload whose time was up: it was the network that took it.
    """
    if reading.cause == "deadline" and reading.measurement == "web":
        return False
    return reading.cause in _OWN_FAULTS


def _is_the_links(numbers: Mapping[str, float]) -> bool:
    """Whether a rate is the link's: no other traffic beside, no processor too slow."""
    alone = not numbers.get("cross_flagged")
    return alone and numbers.get("cpu_share", 0) < _BUSY_CPU_SHARE


def keep_s(thresholds: Thresholds) -> dict[str, float]:
    """How long the observations behind each figure are asked for, in seconds."""
    kept = dict.fromkeys(KPIS, 0.0)
    kept |= {kpi: threshold.window_s for kpi, threshold in thresholds.items()}
    return kept | {"loss": max(kept["loss"], kept["delay"])}


def _kpi_of(key: Key) -> str:
    """The figure an observation is for; trains, of a layer and a target, are loss."""
    return key[0] if len(key) == 1 else "loss"


def _of_train(name: str) -> bool:
    return name in {"sent", "received"} or name.startswith("rtt_le_")


def _loss(sums: Counts) -> float:
    return (sums["sent"] - sums["received"]) / sums["sent"]


def _delay(sums: Counts) -> float | None:
    """The median round trip, a lost probe being the longest there is; in ms.

    Lost probes must not drop out of it: the worse the link the better it would look.
    """
    if sums["received"] and not sums[f"rtt_le_{RTT_BOUNDS_MS[-1]}"]:
        return None  # trains without their histogram
    half, below, lower = sums["sent"] / 2, 0, 0
    for bound in RTT_BOUNDS_MS:
        within = sums[f"rtt_le_{bound}"]
        if within >= half:
            return lower + (bound - lower) * (half - below) / (within - below)
        below, lower = within, bound
    return float(RTT_BOUNDS_MS[-1])


def _lower_median(values: Sequence[float]) -> float:
    return sorted(values)[(len(values) - 1) // 2]
