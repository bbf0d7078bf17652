"""Stalls of the flows, told from outages of the link by what the sender does."""

from __future__ import annotations

import pytest

from qos_agent.probes.throughput.stalls import StallWatch

BIN_BYTES = 30_000
ROUND_S = 0.1


def left_out(bins: str, *, upload: bool) -> list[tuple[int, int]]:
    """Return each bin in which some of the latest bins are left out, and how many.

    A letter is a bin: `d` has data, `-` none, `r` a segment that repeats another. `D`
    has data and acknowledges all that was sent.
    """
    watch, found = StallWatch(upload, 3), []
    for number, kind in enumerate(bins):
        moved_bytes = {"d": BIN_BYTES, "D": BIN_BYTES, "r": 1448}.get(kind, 0)
        starved = kind in "rD"
        bins_out = watch.add(moved_bytes, BIN_BYTES, starved=starved, round_s=ROUND_S)
        if bins_out is not None:
            found.append((number, bins_out))
    return found


@pytest.mark.parametrize("upload", [False, True])
def test_steady_data_has_no_stall(upload: bool) -> None:
    """A pause of a bin or two is no stall."""
    assert left_out("dddd-dddd--dddd", upload=upload) == []


def test_repeated_segments_prove_a_stall_of_a_download() -> None:
    """The stall is left out from its first bin, and again until data flows."""
    assert left_out("dd---r--d", upload=False) == [(5, 4), (6, 5), (7, 6), (8, 7)]


def test_a_short_stall_of_a_download_is_left_out() -> None:
    """Before a retransmission is due, nothing shows the kind of the stall."""
    assert left_out("dd------d", upload=False) == [(8, 7)]


def test_a_long_stall_without_repetitions_is_an_outage_of_the_link() -> None:
    """A server that misses acknowledgements would have repeated a segment."""
    assert left_out("dd" + "-" * 20 + "d", upload=False) == []


def test_an_upload_starves_if_all_arrived_in_the_stall() -> None:
    """Acknowledgements of everything at the end show that the link was idle."""
    assert left_out("dd----Dd", upload=True) == [(6, 5)]
    assert left_out("dd----dDd", upload=True) == [(7, 6)]


def test_a_queue_that_empties_slowly_is_an_outage_of_the_uplink() -> None:
    """If only a part arrived, the link was interrupted or busy."""
    assert left_out("dd----ddd", upload=True) == []
    assert left_out("dd----ddDD", upload=True) == []
