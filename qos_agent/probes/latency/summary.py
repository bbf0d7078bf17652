"""A train's record as the fields of its point, and its cause where nothing came."""

from __future__ import annotations

from collections import Counter
from operator import and_

from qos_agent.model import Value, statistics
from qos_agent.model.schema import PDV_BOUNDS_MS, RTT_BOUNDS_MS
from qos_agent.probes.latency.train import Record, Trip

_NS_IN_MS = 1_000_000


def fields(record: Record) -> dict[str, Value]:
    """Every field the train can give; what was not measured is left out."""
    wait_ns = int(record.wait_s * 1e9)
    trips_ns = record.round_trips_ns()
    in_time_ns = [ns for ns in trips_ns if ns is not None and ns <= wait_ns]
    late = sum(ns is not None and ns > wait_ns for ns in trips_ns)
    lost = [ns is None or ns > wait_ns for ns in trips_ns]
    found = _counts(record, lost) | {"late": late} | _loss(lost)
    found |= _delays(in_time_ns) | loss_split(record, lost)
    if in_time_ns:
        found["stamps"] = "kernel" if record.kernel_stamped() else "user"
    if (wake_ns := record.wake_ns()) is not None:
        found["wake_ms"] = wake_ns / _NS_IN_MS
    return found


def cause(record: Record, received: int) -> tuple[str | None, str]:
    """Why the train failed, and whose words say so; (None, "") where it did not.

    A train that this device could not send in full has failed even where some of it
    was answered; else one answer is enough.
    """
    if not_sent := record.not_sent():
        return Counter(not_sent).most_common(1)[0][0], "probes could not be sent"
    if received:
        return None, ""
    refusals = [t.refused for t in record.trips.values() if t.refused is not None]
    if refusals:
        first = Counter(refusal.cause for refusal in refusals).most_common(1)[0][0]
        return first, next(r.detail for r in refusals if r.cause == first)
    if record.rejected:
        return Counter(record.rejected).most_common(1)[0][0], "no answer was genuine"
    return "timeout", ""


def loss_split(record: Record, lost: list[bool]) -> dict[str, Value]:
    """Loss on the way out and back, by the reflector's own count (RFC 8762, 4.3).

    Empty where it cannot be told. A stateless reflector gives back the sender's
    number; as the train leaves out one number that a counting reflector cannot know
    of, the two never agree there. What was lost before the first answer, or after
    the last, has no direction.
    """
    answers = [t.answer for t in record.trips.values() if t.answer is not None]
    pairs = [(a.number, a.reflected) for a in answers if a.reflected is not None]
    if not pairs or any(number == count for number, count in pairs):
        return {}
    if record.wake is not None and record.wake.answer is not None:
        base = record.wake.answer.reflected
        first = min(record.trips)
    else:
        first, base = min(pairs)
    last, count = max(pairs)
    if base is None or count < base:
        return {}  # the reflector forgot the session midway
    numbers = list(record.trips)
    between = slice(numbers.index(first), numbers.index(last) + 1)
    left = [trip.unsent is None for trip in record.trips.values()]
    known = sum(map(and_, lost[between], left[between]))
    answered = sum(base < seen <= count for seen in record.reflected)
    backward = min(max(0, count - base - answered), known)
    return {"lost_forward": known - backward, "lost_backward": backward}


def _counts(record: Record, lost: list[bool]) -> dict[str, Value]:
    trips: list[Trip] = list(record.trips.values())
    return {
        "sent": len(trips),
        "received": len(trips) - sum(lost),
        "lost": sum(lost),
        "unsent": sum(trip.unsent is not None for trip in trips),
        "duplicates": sum(trip.duplicates for trip in trips),
        "icmp_errors": sum(trip.refused is not None for trip in trips),
    }


def _loss(lost: list[bool]) -> dict[str, Value]:
    bounds, lag1 = statistics.wilson(sum(lost), len(lost)), statistics.lag1(lost)
    if bounds is None:
        return {}
    found: dict[str, Value] = {
        "loss_low": bounds.low,
        "loss_high": bounds.high,
        "loss_burst_max": statistics.longest_run(lost),
    }
    return found if lag1 is None else found | {"loss_lag1": lag1}


def _delays(trips_ns: list[int]) -> dict[str, Value]:
    delays = statistics.delays(trips_ns)
    if delays is None:
        return {}
    found: dict[str, Value] = {
        "rtt_sum_us": round(delays.total / 1000),
        "rtt_min_ms": delays.least / _NS_IN_MS,
        "rtt_mean_ms": delays.mean / _NS_IN_MS,
        "rtt_p50_ms": delays.p50 / _NS_IN_MS,
        "rtt_p95_ms": delays.p95 / _NS_IN_MS,
        "rtt_max_ms": delays.greatest / _NS_IN_MS,
        "pdv_p95_ms": delays.variation_p95 / _NS_IN_MS,
    }
    over_ns = [trip_ns - delays.least for trip_ns in trips_ns]
    for bound in RTT_BOUNDS_MS:
        found[f"rtt_le_{bound}"] = statistics.at_most(trips_ns, bound * _NS_IN_MS)
    for bound in PDV_BOUNDS_MS:
        found[f"pdv_le_{bound}"] = statistics.at_most(over_ns, bound * _NS_IN_MS)
    return found
