"""Fields of a latency point and the cause of a failed train. Pure."""

from __future__ import annotations

from collections import Counter
from operator import and_

from qos_agent.model import Value, statistics
from qos_agent.model.schema import PDV_BOUNDS_MS, RTT_BOUNDS_MS
from qos_agent.probes.latency.train import TrainRecord, Trip

_NS_IN_MS = 1_000_000


def fields(record: TrainRecord) -> dict[str, Value]:
    """Return the fields of a train without those that were not measured."""
    wait_ns = int(record.wait_s * 1e9)
    trips_ns = record.round_trips_ns()
    in_time_ns = [ns for ns in trips_ns if ns is not None and ns <= wait_ns]
    late = sum(ns is not None and ns > wait_ns for ns in trips_ns)
    lost = [ns is None or ns > wait_ns for ns in trips_ns]
    fields = _counts(record, lost) | {"late": late} | _loss(lost)
    fields |= _delays(in_time_ns) | loss_split(record, lost)
    if in_time_ns:
        fields["stamps"] = "kernel" if record.kernel_stamped() else "user"
    if (wake_ns := record.wake_ns()) is not None:
        fields["wake_ms"] = wake_ns / _NS_IN_MS
    return fields


def cause(record: TrainRecord, received: int) -> tuple[str | None, str]:
    """Return the cause and detail of a failed train; (None, "") if it succeeded.

    A train fails if this device could not send all its probes, even with replies to
    some of them. Otherwise one reply is enough for success.
    """
    if not_sent := record.not_sent():
        return Counter(not_sent).most_common(1)[0][0], "probes could not be sent"
    if received:
        return None, ""
    refusals = [t.refused for t in record.trips.values() if t.refused is not None]
    if refusals:
        main = Counter(refusal.cause for refusal in refusals).most_common(1)[0][0]
        return main, next(r.detail for r in refusals if r.cause == main)
    if record.rejected:
        return Counter(record.rejected).most_common(1)[0][0], "no reply was valid"
    return "timeout", ""


def loss_split(record: TrainRecord, lost: list[bool]) -> dict[str, Value]:
    """Return the loss in each direction by the reflector's own count (RFC 8762, 4.3).

    Empty if the direction is unknown. A stateless reflector returns the sender's
    number. The train skips one number, so the count of a stateful reflector never
    equals the sender's number. Probes lost before the first reply or after the last
    have no direction.
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
        return {}  # The reflector dropped the session during the train.
    numbers = list(record.trips)
    between = slice(numbers.index(first), numbers.index(last) + 1)
    sent = [trip.unsent is None for trip in record.trips.values()]
    known = sum(map(and_, lost[between], sent[between]))
    answered = sum(base < seen <= count for seen in record.reflected)
    backward = min(max(0, count - base - answered), known)
    return {"lost_forward": known - backward, "lost_backward": backward}


def _counts(record: TrainRecord, lost: list[bool]) -> dict[str, Value]:
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
    fields: dict[str, Value] = {
        "loss_low": bounds.low,
        "loss_high": bounds.high,
        "loss_burst_max": statistics.longest_run(lost),
    }
    return fields if lag1 is None else fields | {"loss_lag1": lag1}


def _delays(trips_ns: list[int]) -> dict[str, Value]:
    delays = statistics.delays(trips_ns)
    if delays is None:
        return {}
    fields: dict[str, Value] = {
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
        fields[f"rtt_le_{bound}"] = statistics.at_most(trips_ns, bound * _NS_IN_MS)
    for bound in PDV_BOUNDS_MS:
        fields[f"pdv_le_{bound}"] = statistics.at_most(over_ns, bound * _NS_IN_MS)
    return fields
