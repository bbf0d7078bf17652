"""Finds stalls in which the flows waited for acknowledgements, and not for the link.

While the other direction is interrupted, no acknowledgement arrives. The sender has
used up its window, and the link is idle. Such a pause is no property of the link, so
the measured span leaves it out. An outage of the measured direction is part of the
rate. Both look the same in the byte count and in round trips. They differ in what the
sender does: see `Flows.starved`.
"""

from __future__ import annotations

from dataclasses import dataclass

from qos_agent.probes.throughput.rates import BIN_S

_QUIET_SHARE, _QUIET_BYTES = 0.2, 4_344  # three full segments
# Without a sign of the sender, a stall of this length may be of either kind.
_DOUBTFUL_S = 0.25
# A sender repeats a segment after its retransmission timeout, which is one round trip
# and at least 0.2 s more (RFC 6298, tcp(7)). A longer stall without a repetition is an
# outage of the link. The margin is for the round trip, which the client only estimates.
_TIMEOUT_S, _TIMEOUT_ROUNDS, _MAX_ROUND_S = 0.4, 2, 0.5


@dataclass(slots=True)
class StallWatch:
    """The present stall: its quiet bins so far, and whether the flows starve in it.

    `signs_at_end` is True for uploads: the acknowledgements after the stall show that
    all data had arrived. Downloads show it by repeated segments within the stall.
    """

    signs_at_end: bool
    least_bins: int
    _quiet: int = 0
    _starved: bool = False
    _round_s: float = 0.0
    _ended: int = 0

    def add(
        self, moved_bytes: float, usual_bytes: float, *, starved: bool, round_s: float
    ) -> int | None:
        """Add a bin; return how many of the latest bins to leave out, if any.

        `usual_bytes` is the data of a bin at the recent rate, `round_s` the recent
        round trip.
        """
        if moved_bytes <= min(_QUIET_BYTES, _QUIET_SHARE * usual_bytes):
            return self._add_quiet(starved=starved, round_s=round_s)
        length, self._quiet = self._quiet, 0
        proven, self._starved = self._starved, False
        late, self._ended = self._ended, 0
        if self.signs_at_end:
            # The acknowledgements may arrive in two bins.
            bins = length + 1 if length >= self.least_bins else late
            self._ended = length + 2 if length >= self.least_bins and not starved else 0
            return bins if starved and bins else None
        if length < self.least_bins:
            return None
        return length + 1 if proven or self._is_doubtful(length * BIN_S) else None

    def _add_quiet(self, *, starved: bool, round_s: float) -> int | None:
        if self._quiet == 0:
            self._round_s = round_s
        self._quiet += 1
        if not self.signs_at_end and starved and self._quiet >= self.least_bins:
            self._starved = True
        return self._quiet if self._starved else None

    def _is_doubtful(self, length_s: float) -> bool:
        round_s = min(self._round_s, _MAX_ROUND_S)
        shown_s = _TIMEOUT_S + _TIMEOUT_ROUNDS * round_s
        return _DOUBTFUL_S - BIN_S / 2 <= length_s < shown_s
