"""The ledger: due = ok + failed + skipped for any readings."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from qos_agent.agent.events import event
from qos_agent.agent.ledger import Ledger
from qos_agent.model import Outcome, Reading


def _reading(outcome: Outcome, slots: int) -> Reading:
    return Reading("host", outcome, 0, (), cause="timeout", slots=slots)


_READINGS = st.lists(
    st.builds(_reading, st.sampled_from(Outcome), st.integers(1, 1000)), max_size=20
)


@given(_READINGS, _READINGS)
def test_nothing_due_is_without_an_outcome(
    first: list[Reading], second: list[Reading]
) -> None:
    """The sum holds for all readings and for those since a tally."""
    ledger = Ledger()
    ledger.count(first, len(first))
    before = ledger.tally()
    ledger.count(second, len(second))
    delta = ledger.tally().since(before)
    assert ledger.tally().due == sum(r.slots for r in first + second)
    assert delta.due == sum(r.slots for r in second)
    assert delta.stored == len(second)
    assert sum(delta.count(outcome) for outcome in Outcome) == delta.due


def test_records_without_slots_are_no_tasks() -> None:
    """An event is stored, but it was never due."""
    ledger = Ledger()
    ledger.count([event("start", 0)], 1)
    assert (ledger.tally().due, ledger.tally().stored) == (0, 1)
