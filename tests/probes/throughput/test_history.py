"""The earlier tests of a link: kept, bounded, and safe to read back."""

from __future__ import annotations

import pytest

from qos_agent.model.rate_statistics import PastTest
from qos_agent.probes.throughput.history import KEPT_TESTS, History

TEST = PastTest(5e6, -1e5, 1.0, 700_000)


class Values:
    """Named values in memory."""

    def __init__(self, **values: str) -> None:
        self.values = values

    def state(self, key: str) -> str | None:
        """Return a stored value."""
        return self.values.get(key)

    def set_state(self, key: str, value: str) -> None:
        """Store a value."""
        self.values[key] = value


def test_the_history_survives_a_restart() -> None:
    """Another history on the same memory has the same tests."""
    memory = Values()
    History(memory).add("main", "up", TEST)
    assert History(memory).past("main", "up") == (TEST,)
    assert History(memory).past("main", "down") == ()
    assert History(memory).past("spare", "up") == ()


def test_the_history_is_bounded() -> None:
    """Only the latest tests are kept, in memory and on disk."""
    memory = Values()
    history = History(memory)
    for number in range(KEPT_TESTS + 5):
        history.add("main", "up", PastTest(number, 0.0, 1.0, 1))
    kept = History(memory).past("main", "up")
    assert len(kept) == KEPT_TESTS
    assert kept[-1].rate_bps == KEPT_TESTS + 4
    assert len(memory.values["throughput/main/up"]) < 5000


@pytest.mark.parametrize(
    "stored",
    ["{", "7", "[[1]]", '[["a", 1, 1, 1]]', "[[-1, 0, 1, 1]]", "[[1e99, 0, 1, 1]]"],
)
def test_a_damaged_value_is_an_empty_history(stored: str) -> None:
    """A value that no version wrote is ignored."""
    memory = Values(**{"throughput/main/up": stored})
    assert History(memory).past("main", "up") == ()


def test_the_usual_cost_needs_five_tests() -> None:
    """The mean data of a test is known from five tests on."""
    history = History()
    for _ in range(4):
        history.add("main", "up", TEST)
    assert history.usual_bytes("main", "up") is None
    history.add("main", "up", PastTest(5e6, 0.0, 1.0, 1_200_000))
    assert history.usual_bytes("main", "up") == 800_000
