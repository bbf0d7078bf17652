"""The readings that one station leaves in one minute."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from random import Random

from qos_agent.model import Link, Outcome, Phase, Reading, Sample, Value
from qos_agent.model.schema import PAGE_BOUNDS_MS, RATE_BOUNDS_MBPS, UPLOAD_BOUNDS_S
from qos_agent.noc.simulator import link_model
from qos_agent.noc.simulator.device import Condition
from qos_agent.noc.simulator.population import SimulatedLink, SimulatedStation
from qos_agent.verdict.incidents import Now

_FORM_BYTES = 3_000_000
_PAGE_BYTES = 300_000
_SECOND_NS = 10**9
# Steps of a page, in round trips of the link: name, connection, TLS, first byte.
_PAGE_STEPS = (("dns_ms", 0.8), ("connect_ms", 1.0), ("tls_ms", 2.0),
               ("first_byte_ms", 1.2))  # fmt: skip


@dataclass(frozen=True, slots=True)
class Step:
    """A minute of one area, and how often each probe runs in it, in minutes.

    Where it stands for several minutes, a probe is due that is due in any of them.
    """

    minute: int
    stands_for: int
    load: float
    phase: Phase
    intervals: Mapping[str, int]
    targets: tuple[str, ...]

    def due(self, probe: str, number: int) -> bool:
        """Whether a probe's slot falls into this step at station `number`."""
        interval = self.intervals[probe]
        return interval > 0 and (self.minute + number) % interval < self.stands_for


@dataclass(frozen=True, slots=True)
class Turn:
    """One station's turn in a step: `boot_ns` is when it measures, on its own clock.

    `wall_ns` is the same moment of true time.
    """

    station: SimulatedStation
    step: Step
    boot_ns: int
    wall_ns: int
    condition: Condition


def of_link(
    turn: Turn, link: SimulatedLink, now: link_model.Minute, rng: Random
) -> Iterator[Reading]:
    """Everything measured on a link, how it is judged, and what opens or closes."""
    trains: dict[str, dict[str, Value]] = {}
    measured = list(_measured(turn, link, now, rng, trains))
    yield from measured
    minute, boot_ns = turn.step.minute, turn.boot_ns
    up = link.judgement.learn(trains)
    yield link.judgement.verdict(_of(link), minute, boot_ns, up)
    device = turn.station.identity.device
    known = Link(link.name, link.operator)
    then = Now(boot_ns, turn.wall_ns)
    yield from link.judgement.incident(known, device, measured, then, up)


def _measured(
    turn: Turn,
    link: SimulatedLink,
    now: link_model.Minute,
    rng: Random,
    trains: dict[str, dict[str, Value]],
) -> Iterator[Reading]:
    """The tasks that are due; what each train gave goes into `trains`."""
    due, number, boot_ns = turn.step.due, turn.station.number, turn.boot_ns
    if due("latency", number):
        for target in turn.step.targets:
            trains[target] = link_model.train(link, now, target, rng)
            yield _latency(link, target, trains[target], boot_ns, now.dead)
    if due("throughput", number):
        if turn.condition.allowance_share is None:
            yield _throughput(link, now, boot_ns, rng)
        else:
            yield _withheld(link, boot_ns)
    if due("web", number):
        yield _web(link, now, "page", boot_ns, rng)
    if due("form", number):
        yield _web(link, now, "forms", boot_ns, rng)
    if due("signal", number):
        sample = Sample(
            {**_of(link), "technology": link.technology},
            link_model.signal(link, now, rng),
        )
        yield Reading("signal", Outcome.OK, boot_ns, (sample,))


def of_host(turn: Turn) -> Iterator[Reading]:
    """The instrument's own health."""
    if turn.step.due("host", turn.station.number):
        number = turn.station.number
        fields: dict[str, Value] = {
            "cpu_share": 0.02 + number % 5 / 100,
            "temperature_c": 48.0 + number % 19,
            "undervoltage": int(number % 997 == 0),
        }
        yield Reading("host", Outcome.OK, turn.boot_ns, (Sample({}, fields),))


def not_running(turn: Turn, link: SimulatedLink, minutes: int) -> Iterator[Reading]:
    """What a device says of its absence when it is back."""
    interval = turn.step.intervals["latency"]
    slots = minutes // interval if interval else 0
    for target in turn.step.targets if slots else ():
        sample = Sample(
            {**_of(link), "target": target, "layer": target}, {"span_s": minutes * 60.0}
        )
        yield Reading(
            "latency",
            Outcome.SKIPPED,
            turn.boot_ns - _SECOND_NS,
            (sample,),
            reason="not_running",
            slots=slots,
        )


def _of(link: SimulatedLink) -> dict[str, str]:
    return {"link": link.name, "operator": link.operator}


def _latency(
    link: SimulatedLink,
    target: str,
    fields: dict[str, Value],
    boot_ns: int,
    dead: str | None,
) -> Reading:
    sample = Sample({**_of(link), "target": target, "layer": target}, fields)
    failed = not fields["received"]
    outcome = Outcome.FAILED if failed else Outcome.OK
    cause = (dead or "timeout") if failed else None
    return Reading("latency", outcome, boot_ns, (sample,), cause, duration_ms=4100.0)


def _throughput(
    link: SimulatedLink, now: link_model.Minute, boot_ns: int, rng: Random
) -> Reading:
    if now.dead:
        tags = [{"backend": "http", "direction": d, **_of(link)} for d in _DIRECTIONS]
        samples = tuple(Sample(each, {"data_bytes": 600}) for each in tags)
        return Reading("throughput", Outcome.FAILED, boot_ns, samples, now.dead)
    samples = tuple(_direction(link, now, name, rng) for name in _DIRECTIONS)
    return Reading("throughput", Outcome.OK, boot_ns, samples)


def _withheld(link: SimulatedLink, boot_ns: int) -> Reading:
    """A test that the allowance does not pay for."""
    samples = tuple(
        Sample({"backend": "http", "direction": each, **_of(link)})
        for each in _DIRECTIONS
    )
    skipped = Outcome.SKIPPED
    return Reading("throughput", skipped, boot_ns, samples, reason="allowance")


_DIRECTIONS = ("down", "up")


def _direction(
    link: SimulatedLink, now: link_model.Minute, direction: str, rng: Random
) -> Sample:
    rate = link_model.rate_bps(link, now, direction, rng)
    loaded_ms = 2.5 * link.rtt_ms * now.load
    fields: dict[str, Value] = {
        "tests": 1,
        "rate_bps": rate,
        "rate_layer": "tcp_payload",
        "data_bytes": int(min(rate / 8, 4e6)),
        "stop": "precision",
        "loaded_sent": 10,
        "loaded_received": 10,
        "loaded_rtt_sum_us": round(10_000 * loaded_ms),
        "loaded_rtt_p50_ms": loaded_ms,
    }
    for bound in RATE_BOUNDS_MBPS:
        fields[f"rate_ge_{bound}"] = int(rate >= bound * 1e6)
    return Sample({**_of(link), "backend": "http", "direction": direction}, fields)


def _web(
    link: SimulatedLink, now: link_model.Minute, name: str, boot_ns: int, rng: Random
) -> Reading:
    tags = {**_of(link), "target": name, "layer": "application"}
    if now.dead:
        failed = (Sample(tags, {}),)
        return Reading("web", Outcome.FAILED, boot_ns, failed, now.dead)
    way = "up" if name == "forms" else "down"
    size = _FORM_BYTES if name == "forms" else _PAGE_BYTES
    took_ms = 8e3 * size / link_model.rate_bps(link, now, way, rng) + 6 * link.rtt_ms
    fields = _uploaded(took_ms) if name == "forms" else _loaded(took_ms)
    fields |= {field: share * link.rtt_ms for field, share in _PAGE_STEPS}
    return Reading("web", Outcome.OK, boot_ns, (Sample(tags, fields),))


def _uploaded(took_ms: float) -> dict[str, Value]:
    return {
        "uploads": 1,
        "upload_sum_ms": took_ms,
        "upload_ms": took_ms,
        "http_2xx": 1,
        **{f"upload_le_{b}": int(took_ms <= b * 1000) for b in UPLOAD_BOUNDS_S},
    }


def _loaded(took_ms: float) -> dict[str, Value]:
    return {
        "pages": 1,
        "page_sum_ms": took_ms,
        "total_ms": took_ms,
        "http_2xx": 1,
        **{f"page_le_{b}": int(took_ms <= b) for b in PAGE_BOUNDS_MS},
    }
