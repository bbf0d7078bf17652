"""The log of a trace link, and the traces that tests make up."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from tests.lab.capacity import (
    markov_modulated,
    moments,
    read_log,
    with_handovers,
    with_outages,
)


def test_a_log_is_read_up_to_its_last_whole_line(tmp_path: Path) -> None:
    """A line that the relay has not finished is ignored."""
    path = tmp_path / "log"
    path.write_text("1000000000 3000 1500\n1010000000 1500 0\n10200")
    log = read_log(path)
    assert len(log.lines) == 2
    assert log.carried_bytes() == 1500
    assert log.offered_bytes(1.0, 1.02) == pytest.approx(4500)
    assert log.offered_bytes(1.005, 1.01) == pytest.approx(1500)


def test_an_empty_log_is_no_capacity(tmp_path: Path) -> None:
    """A link without opportunities has offered nothing."""
    path = tmp_path / "log"
    path.write_text("")
    assert read_log(path).offered_bytes(0, 1e9) == 0


def test_a_trace_has_the_rate_it_is_made_of() -> None:
    """One second at 12 Mbit/s has a thousand opportunities of 1500 bytes."""
    assert len(moments([12.0] * 10)) == pytest.approx(1000, abs=2)
    assert moments([0.0] * 10) == (1000,)


def test_made_up_traces_are_ascending_and_repeatable() -> None:
    """Each call gives the same ascending moments, with gaps if the link stops."""
    for make in (markov_modulated, with_outages, with_handovers):
        trace = make()
        assert trace == make()
        assert list(trace) == sorted(trace)
    outages = with_outages()
    longest_ms = max(b - a for a, b in pairwise(outages))
    assert longest_ms >= 1500
