"""The readings that one station leaves in one minute."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

from qos_agent.events import Pulse, heartbeat
from qos_agent.ledger import Tally
from qos_agent.model import Outcome, Reading, Sample, Value
from qos_agent.noc.simulator import radio
from qos_agent.noc.simulator.population import SimulatedLink, SimulatedStation
from qos_agent.profiles import ProfileSection
from qos_agent.schema import (
    PAGE_BOUNDS_MS,
    RATE_BOUNDS_MBPS,
    UPLOAD_BOUNDS_S,
)

_FORM_BYTES = 3_000_000
_PAGE_BYTES = 300_000


@dataclass(frozen=True, slots=True)
class Moment:
    """One minute of one station, and how often each probe runs in it."""

    minute: int
    hour: float
    boot_ns: int
    profile: ProfileSection
    targets: tuple[str, ...]

    def due(self, probe: str, number: int) -> bool:
        """Whether a probe's slot falls into this minute at station `number`."""
        interval = int(self.profile.interval_s(probe, None) // 60)
        return interval > 0 and (self.minute + number) % interval == 0


def of_link(
    station: SimulatedStation,
    link: SimulatedLink,
    moment: Moment,
    now: radio.Minute,
    rng: Random,
) -> Iterator[Reading]:
    """Everything measured on a link, and how it is judged."""
    trains = []
    if moment.due("latency", station.number):
        for target in moment.targets:
            trains.append(radio.train(link, now, target, rng))
            yield _latency(link, target, trains[-1], moment.boot_ns, now.dead)
        yield _verdict(link, trains, moment)
    if moment.due("throughput", station.number):
        yield _throughput(link, now, moment.boot_ns, rng)
    if moment.due("web", station.number):
        yield _web(link, now, "page", moment.boot_ns, rng)
    if moment.due("form", station.number):
        yield _web(link, now, "forms", moment.boot_ns, rng)
    if moment.due("signal", station.number):
        yield _signal(link, moment.boot_ns, rng)


def of_station(
    station: SimulatedStation, moment: Moment, due: int, failed: int
) -> Iterator[Reading]:
    """The heartbeat with its ledger, and the instrument's own health."""
    outcomes = {"ok": due - failed, "failed": failed}
    yield heartbeat(moment.boot_ns, _PULSE, Tally(outcomes, stored=due))
    if moment.due("host", station.number):
        fields: dict[str, Value] = {"cpu_share": 0.03, "temperature_c": 52.0}
        yield Reading("host", Outcome.OK, moment.boot_ns, (Sample({}, fields),))


def not_running(link: SimulatedLink, moment: Moment, minutes: int) -> Iterator[Reading]:
    """What a device says of its absence when it is back."""
    slots = int(minutes * 60 // (moment.profile.interval_s("latency", None) or 60))
    for target in moment.targets if slots else ():
        sample = Sample(
            {**_of(link), "target": target, "layer": target}, {"span_s": minutes * 60.0}
        )
        yield Reading(
            "latency",
            Outcome.SKIPPED,
            moment.boot_ns - 1_000_000_000,
            (sample,),
            reason="not_running",
            slots=slots,
        )


_PULSE = Pulse(
    version="0.1.0",
    config_hash="0123456789ab",
    calendar_hash=None,
    uptime_s=86400.0,
    boot_s=86500.0,
    backlog_points=0,
    oldest_unsent_s=None,
    pending_points=0,
    quarantined_points=0,
    journal_bytes=4_000_000,
    in_memory=0,
    disk_free_bytes=8e9,
    allowance_left_bytes=None,
    allowance_left_share=None,
    allowance_day_left_bytes=None,
    clock_offset_ms=3.0,
    clock_poor=0,
    allowance_low=0,
    unsent_old=0,
    acked_le_2m=8,
    acked_le_1h=0,
    acked_le_1d=0,
    acked_older=0,
    evicted=0,
    uplink_bytes=2400,
    uplink_failures=0,
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


def _verdict(
    link: SimulatedLink, trains: list[dict[str, Value]], moment: Moment
) -> Reading:
    judged, why = radio.judge(trains)
    if judged != link.judged:
        link.judged, link.since_minute = judged, moment.minute
    fields: dict[str, Value] = {
        name: int(name == judged) for name in ("good", "degraded", "bad", "unknown")
    }
    fields |= {"class": judged, "since_s": 60.0 * (moment.minute - link.since_minute)}
    if why:
        fields |= {"layer": "anchor", "side": "access", **why}
    sample = Sample(_of(link), fields)
    return Reading("verdict", Outcome.OK, moment.boot_ns, (sample,))


def _throughput(
    link: SimulatedLink, now: radio.Minute, boot_ns: int, rng: Random
) -> Reading:
    if now.dead:
        tags = [{"backend": "http", "direction": d, **_of(link)} for d in _DIRECTIONS]
        samples = tuple(Sample(each, {"data_bytes": 600}) for each in tags)
        return Reading("throughput", Outcome.FAILED, boot_ns, samples, now.dead)
    samples = tuple(_direction(link, now, name, rng) for name in _DIRECTIONS)
    return Reading("throughput", Outcome.OK, boot_ns, samples)


_DIRECTIONS = ("down", "up")


def _direction(
    link: SimulatedLink, now: radio.Minute, direction: str, rng: Random
) -> Sample:
    rate = radio.rate_bps(link, now, direction, rng)
    fields: dict[str, Value] = {
        "tests": 1,
        "rate_bps": rate,
        "rate_layer": "tcp_payload",
        "data_bytes": int(min(rate / 8, 4e6)),
    }
    for bound in RATE_BOUNDS_MBPS:
        fields[f"rate_ge_{bound}"] = int(rate >= bound * 1e6)
    return Sample({**_of(link), "backend": "http", "direction": direction}, fields)


def _web(
    link: SimulatedLink, now: radio.Minute, name: str, boot_ns: int, rng: Random
) -> Reading:
    tags = {**_of(link), "target": name, "layer": "application"}
    if now.dead:
        failed = (Sample(tags, {}),)
        return Reading("web", Outcome.FAILED, boot_ns, failed, now.dead)
    way = "up" if name == "forms" else "down"
    size = _FORM_BYTES if name == "forms" else _PAGE_BYTES
    took_ms = 8e3 * size / radio.rate_bps(link, now, way, rng) + 6 * link.rtt_ms
    fields = _uploaded(took_ms) if name == "forms" else _loaded(took_ms)
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


def _signal(link: SimulatedLink, boot_ns: int, rng: Random) -> Reading:
    rsrp = round(link.rsrp_dbm + rng.gauss(0, 3), 1)
    fields: dict[str, Value] = {
        "rsrp_dbm": rsrp,
        "rsrp_sum_dbm": rsrp,
        "rsrp_samples": 1,
        "rsrp_weak": int(rsrp < -110),
    }
    sample = Sample({**_of(link), "technology": link.technology}, fields)
    return Reading("signal", Outcome.OK, boot_ns, (sample,))
