"""An outage as an incident: a start, a cause, two independent signs, and an end.

Lost trains alone may be one router that dislikes probes. An incident opens only when
something of another kind fails too: the interface, the radio, names, connections or
the uplink. It is kept over restarts, so that what was opened is closed.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from qos_agent.model import Link, Outcome, Reading, Sample, Value
from qos_agent.verdict.baseline import Memory
from qos_agent.verdict.windows import is_own_fault

# A sign counts for so long after it was last seen: forms are sent every 15 minutes.
_SIGN_NS = 1_200 * 10**9
# The start of an outage is the first train that lost as much: ITU-T Y.1540's c1.
_LOST_SHARE = 0.20
_REGISTERED = frozenset({"home", "roaming"})
_INTERFACE = frozenset({"link_down", "no_route"})


@dataclass(frozen=True, slots=True)
class Now:
    """Now, on boot time, and on the wall clock where that is trusted."""

    boot_ns: int
    wall_ns: int | None


@dataclass(frozen=True, slots=True)
class Incident:
    """An outage under way. `start_ns` is wall time, None where it is not known."""

    name: str
    cause: str
    sign_1: str
    sign_2: str
    boot_id: str
    start_boot_ns: int
    start_ns: int | None = None
    side: str | None = None


@dataclass(slots=True)
class OutageState:
    """How long the link has been down, or up again, and the cause of the first loss."""

    lost_ns: int | None = None
    cause: str | None = None
    down_ns: int | None = None
    up_ns: int | None = None


class Incidents:
    """Opens and closes the incidents of one link. One thread at a time."""

    def __init__(
        self, link: Link, device: str, boot_id: str, memory: Memory, outage_s: float
    ) -> None:
        self._link = link
        self._device = device
        self._boot_id = boot_id
        self._memory = memory
        self._outage_ns = int(outage_s * 1e9)
        self._key = f"incident/{link.name}"
        kept = memory.state(self._key)
        self._open = Incident(**json.loads(kept)) if kept else None
        self._signs: dict[str, tuple[str, int]] = {}
        self._course = OutageState()

    @property
    def open(self) -> Incident | None:
        """The outage under way."""
        return self._open

    def observe(self, reading: Reading) -> None:
        """Take in a reading of any measurement and any link."""
        mine = [s for s in reading.samples if s.tags.get("link") == self._link.name]
        if not mine or reading.outcome is Outcome.SKIPPED:
            return
        if is_own_fault(reading):
            return
        if reading.measurement == "latency":
            self._train(reading, mine[0])
        if reading.measurement == "signal":
            word = mine[0].fields.get("registration")
            self._sign("radio", None if word in _REGISTERED or not word else str(word),
                       reading.boot_ns)  # fmt: skip
        if reading.measurement in {"web", "throughput"}:
            self._connection(reading)

    def uplink(self, failing: bool, boot_ns: int) -> None:
        """How delivery stands, for the link that the uplink leaves by."""
        self._sign("uplink", "failing" if failing else None, boot_ns)

    def cycle(
        self, now: Now, available: bool | None, side: str | None
    ) -> tuple[Reading, ...]:
        """What opened or closed in this cycle; `available` is the verdict's word."""
        course = self._course
        if available is False:
            course.up_ns = None
            course.down_ns = course.down_ns or course.lost_ns or now.boot_ns
        elif available:
            course.up_ns = course.up_ns or now.boot_ns
        if self._open is None and available is False:
            return self._may_open(now, side)
        if available and now.boot_ns - (course.up_ns or 0) >= self._outage_ns:
            return self._recovered(now)
        return ()

    def _train(self, reading: Reading, sample: Sample) -> None:
        received, sent = (_count(sample, name) for name in ("received", "sent"))
        cause = reading.cause
        if received:
            self._sign("interface", None, reading.boot_ns)
        elif cause in _INTERFACE:
            self._sign("interface", cause, reading.boot_ns)
        elif cause == "name_not_resolved":
            self._sign("names", cause, reading.boot_ns)
        lost = received == 0 or sent - received >= _LOST_SHARE * sent
        if lost and self._course.lost_ns is None:
            self._course.lost_ns = reading.boot_ns
            self._course.cause = cause or "timeout"
        elif not lost and self._course.down_ns is None:
            self._course.lost_ns = self._course.cause = None

    def _connection(self, reading: Reading) -> None:
        kind = "names" if reading.cause == "name_not_resolved" else "connections"
        self._sign(kind, reading.cause, reading.boot_ns)
        if reading.outcome is Outcome.OK:
            self._sign("names", None, reading.boot_ns)

    def _sign(self, kind: str, word: str | None, boot_ns: int) -> None:
        if word is None:
            self._signs.pop(kind, None)
        else:
            self._signs[kind] = (word, boot_ns)

    def _second(self, now_ns: int) -> str | None:
        """The sign beside the trains, the nearest to the link first."""
        for kind in ("interface", "radio", "names", "connections", "uplink"):
            word, seen_ns = self._signs.get(kind, ("", -_SIGN_NS))
            if word and now_ns - seen_ns <= _SIGN_NS:
                return f"{kind}: {word}"
        return None

    def _may_open(self, now: Now, side: str | None) -> tuple[Reading, ...]:
        start_ns = self._course.down_ns
        second = self._second(now.boot_ns)
        if start_ns is None or second is None:
            return ()
        if now.boot_ns - start_ns < self._outage_ns:
            return ()
        wall_ns = None
        if now.wall_ns is not None:
            wall_ns = now.wall_ns - (now.boot_ns - start_ns)
        name = f"{self._device}-{self._link.name}-{(wall_ns or start_ns) // 10**9}"
        self._open = Incident(
            name,
            self._course.cause or "timeout",
            "trains: lost",
            second,
            self._boot_id,
            start_ns,
            wall_ns,
            side,
        )
        self._memory.set_state(self._key, json.dumps(asdict(self._open)))
        lasted_s = (now.boot_ns - start_ns) / 1e9
        return (self._reading(self._open, "opened", now.boot_ns, lasted_s),)

    def _recovered(self, now: Now) -> tuple[Reading, ...]:
        """The link is up for good: the end is when it first was."""
        end_ns = self._course.up_ns or now.boot_ns
        if self._course.down_ns is not None:
            self._course = OutageState(up_ns=end_ns)
        incident, self._open = self._open, None
        if incident is None:
            return ()
        self._memory.set_state(self._key, "")
        lasted_s = _lasted_s(incident, now, end_ns, self._boot_id)
        return (self._reading(incident, "closed", end_ns, lasted_s),)

    def _reading(
        self, incident: Incident, what: str, boot_ns: int, lasted_s: float | None
    ) -> Reading:
        given: dict[str, Value | None] = {
            what: 1,
            "incident": incident.name,
            "cause": incident.cause,
            "sign_1": incident.sign_1,
            "sign_2": incident.sign_2,
            "side": incident.side,
            "start_ns": incident.start_ns,
            "lasted_s": lasted_s,
        }
        fields = {name: value for name, value in given.items() if value is not None}
        tags = {"link": self._link.name, "operator": self._link.operator}
        return Reading("incident", Outcome.OK, boot_ns, (Sample(tags, fields),))


def _count(sample: Sample, name: str) -> int:
    return int(sample.fields.get(name, 0))


def _lasted_s(
    incident: Incident, now: Now, end_boot_ns: int, boot_id: str
) -> float | None:
    """By boot time; over a restart of the device by the wall clock, where known."""
    if incident.boot_id == boot_id:
        return (end_boot_ns - incident.start_boot_ns) / 1e9
    if now.wall_ns is None or incident.start_ns is None:
        return None
    end_ns = now.wall_ns - (now.boot_ns - end_boot_ns)
    return (end_ns - incident.start_ns) / 1e9
