"""The readings of one station in one step."""

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
_DIRECTIONS = ("down", "up")
# Duration of each stage of a page load, in round trips of the link.
_PAGE_STAGES = {
    "dns_ms": 0.8,
    "connect_ms": 1.0,
    "tls_ms": 2.0,
    "first_byte_ms": 1.2,
}


@dataclass(frozen=True, slots=True)
class AreaStep:
    """One step of one area, with the intervals of the probes in minutes.

    `length_min` is the number of minutes of the step. A probe is due if it is due in
    any of them.
    """

    minute: int
    length_min: int
    load: float
    phase: Phase
    intervals: Mapping[str, int]
    targets: tuple[str, ...]

    def due(self, probe: str, number: int) -> bool:
        """Return True if a probe is due in this step at station `number`."""
        interval = self.intervals[probe]
        return interval > 0 and (self.minute + number) % interval < self.length_min


@dataclass(frozen=True, slots=True)
class StationStep:
    """One step of one station.

    `boot_ns` is the moment at which it measures on its boot clock, and `wall_ns` the
    same moment in true time.
    """

    station: SimulatedStation
    area: AreaStep
    boot_ns: int
    wall_ns: int
    condition: Condition


def of_link(
    step: StationStep, link: SimulatedLink, state: link_model.LinkStep, rng: Random
) -> Iterator[Reading]:
    """Yield the readings of a link, its verdict, and events of incidents."""
    trains: dict[str, dict[str, Value]] = {}
    measured = list(_measured(step, link, state, rng, trains))
    yield from measured
    minute, boot_ns = step.area.minute, step.boot_ns
    available = link.judge.learn(trains)
    yield link.judge.verdict(_tags(link), minute, boot_ns, available)
    device = step.station.identity.device
    model_link = Link(link.name, link.operator)
    moment = Now(boot_ns, step.wall_ns)
    yield from link.judge.incidents_of(model_link, device, measured, moment, available)


def _measured(
    step: StationStep,
    link: SimulatedLink,
    state: link_model.LinkStep,
    rng: Random,
    trains: dict[str, dict[str, Value]],
) -> Iterator[Reading]:
    """Yield the readings that are due. The fields of each train go into `trains`."""
    due, number, boot_ns = step.area.due, step.station.number, step.boot_ns
    if due("latency", number):
        for target in step.area.targets:
            trains[target] = link_model.train(link, state, target, rng)
            yield _latency(link, target, trains[target], boot_ns, state.dead)
    if due("throughput", number):
        if step.condition.allowance_share is None:
            yield _throughput(link, state, boot_ns, rng)
        else:
            yield _skipped_by_allowance(link, boot_ns)
    if due("web", number):
        yield _web(link, state, "page", boot_ns, rng)
    if due("form", number):
        yield _web(link, state, "forms", boot_ns, rng)
    if due("signal", number):
        sample = Sample(
            {**_tags(link), "technology": link.technology},
            link_model.signal(link, state, rng),
        )
        yield Reading("signal", Outcome.OK, boot_ns, (sample,))


def of_host(step: StationStep) -> Iterator[Reading]:
    """Yield the reading of the device itself."""
    if step.area.due("host", step.station.number):
        number = step.station.number
        fields: dict[str, Value] = {
            "cpu_share": 0.02 + number % 5 / 100,
            "temperature_c": 48.0 + number % 19,
            "undervoltage": int(number % 997 == 0),
        }
        yield Reading("host", Outcome.OK, step.boot_ns, (Sample({}, fields),))


def not_running(
    step: StationStep, link: SimulatedLink, minutes: int
) -> Iterator[Reading]:
    """Yield the readings that a device records after its downtime."""
    interval = step.area.intervals["latency"]
    slots = minutes // interval if interval else 0
    for target in step.area.targets if slots else ():
        sample = Sample(
            {**_tags(link), "target": target, "layer": target},
            {"span_s": minutes * 60.0},
        )
        yield Reading(
            "latency",
            Outcome.SKIPPED,
            step.boot_ns - _SECOND_NS,
            (sample,),
            reason="not_running",
            slots=slots,
        )


def _tags(link: SimulatedLink) -> dict[str, str]:
    return {"link": link.name, "operator": link.operator}


def _latency(
    link: SimulatedLink,
    target: str,
    fields: dict[str, Value],
    boot_ns: int,
    dead: str | None,
) -> Reading:
    sample = Sample({**_tags(link), "target": target, "layer": target}, fields)
    failed = not fields["received"]
    outcome = Outcome.FAILED if failed else Outcome.OK
    cause = (dead or "timeout") if failed else None
    return Reading("latency", outcome, boot_ns, (sample,), cause, duration_ms=4100.0)


def _throughput(
    link: SimulatedLink, state: link_model.LinkStep, boot_ns: int, rng: Random
) -> Reading:
    if state.dead:
        tags = [{"backend": "http", "direction": d, **_tags(link)} for d in _DIRECTIONS]
        samples = tuple(Sample(tag_set, {"data_bytes": 600}) for tag_set in tags)
        return Reading("throughput", Outcome.FAILED, boot_ns, samples, state.dead)
    samples = tuple(_direction(link, state, name, rng) for name in _DIRECTIONS)
    return Reading("throughput", Outcome.OK, boot_ns, samples)


def _skipped_by_allowance(link: SimulatedLink, boot_ns: int) -> Reading:
    """Return the reading of a test that the allowance does not permit."""
    samples = tuple(
        Sample({"backend": "http", "direction": direction, **_tags(link)})
        for direction in _DIRECTIONS
    )
    skipped = Outcome.SKIPPED
    return Reading("throughput", skipped, boot_ns, samples, reason="allowance")


def _direction(
    link: SimulatedLink, state: link_model.LinkStep, direction: str, rng: Random
) -> Sample:
    rate = link_model.rate_bps(link, state, direction, rng)
    loaded_ms = 2.5 * link.rtt_ms * state.load
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
    return Sample({**_tags(link), "backend": "http", "direction": direction}, fields)


def _web(
    link: SimulatedLink,
    state: link_model.LinkStep,
    name: str,
    boot_ns: int,
    rng: Random,
) -> Reading:
    tags = {**_tags(link), "target": name, "layer": "application"}
    if state.dead:
        failed = (Sample(tags, {}),)
        return Reading("web", Outcome.FAILED, boot_ns, failed, state.dead)
    direction = "up" if name == "forms" else "down"
    size = _FORM_BYTES if name == "forms" else _PAGE_BYTES
    duration_ms = (
        8e3 * size / link_model.rate_bps(link, state, direction, rng) + 6 * link.rtt_ms
    )
    fields = _uploaded(duration_ms) if name == "forms" else _loaded(duration_ms)
    fields |= {field: share * link.rtt_ms for field, share in _PAGE_STAGES.items()}
    return Reading("web", Outcome.OK, boot_ns, (Sample(tags, fields),))


def _uploaded(duration_ms: float) -> dict[str, Value]:
    return {
        "uploads": 1,
        "upload_sum_ms": duration_ms,
        "upload_ms": duration_ms,
        "http_2xx": 1,
        **{f"upload_le_{b}": int(duration_ms <= b * 1000) for b in UPLOAD_BOUNDS_S},
    }


def _loaded(duration_ms: float) -> dict[str, Value]:
    return {
        "pages": 1,
        "page_sum_ms": duration_ms,
        "total_ms": duration_ms,
        "http_2xx": 1,
        **{f"page_le_{b}": int(duration_ms <= b) for b in PAGE_BOUNDS_MS},
    }
