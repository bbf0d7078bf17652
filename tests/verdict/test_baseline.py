"""The usual values of a link, in counts that survive a restart."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from qos_agent.verdict.baseline import BaselineStore, Histogram
from tests.support.clocks import FakeClock
from tests.support.ledgers import MemoryLedger

figures = st.lists(st.floats(min_value=1e-3, max_value=1e9), min_size=1, max_size=200)


@given(figures, st.sampled_from([0.05, 0.5, 0.95]))
def test_a_quantile_is_within_a_fifth(values: list[float], share: float) -> None:
    """The bin's upper bound is never below the value, and at most 22 % above it."""
    histogram = Histogram()
    for value in values:
        histogram.add(value)
    rank = next(i for i in range(1, len(values) + 1) if i >= share * len(values))
    exact = sorted(values)[rank - 1]
    quantile = histogram.quantile(share)
    assert quantile is not None
    assert exact * 0.999 <= quantile <= exact * 1.22


def test_no_loss_is_a_value() -> None:
    """A link that usually loses nothing has a baseline of 0."""
    histogram = Histogram({})
    assert histogram.quantile(0.95) is None
    histogram.add(0.0)
    assert histogram.quantile(0.95) == 0.0


def test_a_baseline_survives_a_restart() -> None:
    """Saved counts are read again; too few values give no quantile."""
    memory = MemoryLedger(FakeClock())
    store = BaselineStore("main", memory)
    for value in (10.0, 20.0, 30.0):
        store.add("delay", value)
    store.save()
    again = BaselineStore("main", memory)
    assert again.quantile("delay", 0.5, 3) == store.quantile("delay", 0.5, 3)
    assert again.quantile("delay", 0.5, 4) is None
    assert BaselineStore("spare", memory).quantile("delay", 0.5, 1) is None
