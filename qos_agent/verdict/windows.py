"""Recent observations of a link, and the figures computed from them. Pure.

Figures are ratios of sums over a window. A layer with several targets has the figure of
its median target, or the better of two: one failed anchor is not a fault of the link.
"""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from qos_agent.config.thresholds import KPIS, Threshold, Thresholds
from qos_agent.model import Layer, Outcome, Reading, Sample
from qos_agent.model.schema import RTT_BOUNDS_MS

# Failures of the instrument, which are no evidence about the link.
_INSTRUMENT_CAUSES = frozenset(
    {
        "permission",
        "hung",
        "deadline",
        "allowance",
        "child_exit",
        "child_signal",
        "child_output",
        "missing_tool",
        "modem",
        "modem_manager",
        "sim",
        "killed",
        "internal",
        "binding",
        "outside_resolver",
        "no_resolver",
        "bad_address",
        "busy",
        "version",
    }
)
# At this share of the processor a throughput test measures the device, not the link.
_BUSY_CPU_SHARE = 0.9
Key = tuple[str, ...]
Counts = Counter[str]


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure of a link. `layer` is None for a rate."""

    kpi: str
    value: float
    layer: Layer | None = None


@dataclass(slots=True)
class Windows:
    """The observations of one link, kept as long as any window needs them.

    `form` is the target name of form uploads. `keep_s` has the time to keep the
    observations of each figure.
    """

    link: str
    form: str
    keep_s: Mapping[str, float]
    observations: dict[Key, deque[tuple[int, Counts]]] = field(
        default_factory=lambda: defaultdict(deque)
    )

    def observe(self, reading: Reading) -> None:
        """Add a reading, unless it was skipped or the instrument failed."""
        if reading.outcome is Outcome.SKIPPED or is_instrument_failure(reading):
            return
        for sample in reading.samples:
            if sample.tags.get("link") == self.link:
                for key, counts in self._counts(reading, sample):
                    self.observations[key].append((reading.boot_ns, counts))

    def _counts(self, reading: Reading, sample: Sample) -> Iterator[tuple[Key, Counts]]:
        numbers = {k: v for k, v in sample.fields.items() if isinstance(v, int | float)}
        failed = int(reading.outcome is Outcome.FAILED)
        match reading.measurement:
            case "latency" if "layer" in sample.tags:
                # A train that could not be sent has counts too, as an outage must
                # count as loss.
                counts = Counter(
                    {k: int(v) for k, v in numbers.items() if _is_train_count(k)}
                )
                yield (sample.tags["layer"], sample.tags.get("target", "")), counts
            case "throughput" if numbers.get("tests") and _measures_link(numbers):
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
        """Remove the observations that are older than every window."""
        for key, entries in self.observations.items():
            keep_s = self.keep_s[_kpi_of(key)]
            before_ns = now_ns - int(keep_s * 1e9)
            while entries and entries[0][0] < before_ns:
                entries.popleft()

    def sums(self, key: Key, since_ns: int) -> Counts:
        """Return the sum of the counts of a key since a moment."""
        total: Counts = Counter()
        for boot_ns, counts in self.observations.get(key, ()):
            if boot_ns >= since_ns:
                total.update(counts)
        return total

    def layers(
        self, kpi: str, since_ns: int, min_probes: int
    ) -> list[tuple[Layer, float]]:
        """Return loss or delay of each layer with enough probes, nearest first."""
        figure = {"loss": _loss, "delay": _delay}[kpi]
        result = []
        for layer in Layer:
            keys = [key for key in self.observations if key[0] == layer.value]
            sums = [self.sums(key, since_ns) for key in keys]
            figures = [figure(s) for s in sums if s["sent"] >= min_probes]
            values = [value for value in figures if value is not None]
            if values:
                result.append((layer, _lower_median(values)))
        return result

    def figure(self, threshold: Threshold, now_ns: int) -> Figure | None:
        """Return a figure other than loss and delay, or None with too few samples."""
        sums = self.sums((threshold.kpi,), now_ns - int(threshold.window_s * 1e9))
        if sums["tests"] < max(1, threshold.min_samples):
            return None
        layer = None if threshold.kpi.endswith("load") else Layer.APPLICATION
        return Figure(threshold.kpi, sums["sum"] / sums["tests"], layer)


def is_instrument_failure(reading: Reading) -> bool:
    """Return True if a reading failed because of this device and not the link.

    A page or an upload that reached its deadline is different: the network was slow.
    """
    if reading.cause == "deadline" and reading.measurement == "web":
        return False
    return reading.cause in _INSTRUMENT_CAUSES


def _measures_link(numbers: Mapping[str, float]) -> bool:
    """Return True if neither other traffic nor a busy processor limited the rate."""
    alone = not numbers.get("cross_flagged")
    return alone and numbers.get("cpu_share", 0) < _BUSY_CPU_SHARE


def keep_s(thresholds: Thresholds) -> dict[str, float]:
    """Return the seconds for which the observations of each figure are needed."""
    seconds = dict.fromkeys(KPIS, 0.0)
    seconds |= {kpi: threshold.window_s for kpi, threshold in thresholds.items()}
    return seconds | {"loss": max(seconds["loss"], seconds["delay"])}


def _kpi_of(key: Key) -> str:
    """Return the figure of a key. Trains, by layer and target, belong to loss."""
    return key[0] if len(key) == 1 else "loss"


def _is_train_count(name: str) -> bool:
    return name in {"sent", "received"} or name.startswith("rtt_le_")


def _loss(sums: Counts) -> float:
    return (sums["sent"] - sums["received"]) / sums["sent"]


def _delay(sums: Counts) -> float | None:
    """Return the median round-trip time in ms; a lost probe counts as the longest.

    If lost probes were left out, a worse link would look better.
    """
    if sums["received"] and not sums[f"rtt_le_{RTT_BOUNDS_MS[-1]}"]:
        return None  # trains without a histogram
    half, below, lower = sums["sent"] / 2, 0, 0
    for bound in RTT_BOUNDS_MS:
        within = sums[f"rtt_le_{bound}"]
        if within >= half:
            return lower + (bound - lower) * (half - below) / (within - below)
        below, lower = within, bound
    return float(RTT_BOUNDS_MS[-1])


def _lower_median(values: Sequence[float]) -> float:
    return sorted(values)[(len(values) - 1) // 2]
