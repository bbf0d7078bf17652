"""Opens and closes incidents: a start, a cause, two independent signs and an end.

Lost trains alone may come from one router that drops probes. An incident opens only if
something of another kind fails too: interface, radio, names, connections or uplink.
The open incident is stored, so that it is closed after a restart too.
"""

from __future__ import annotations

import json
import logging
from dataclasses import asdict, dataclass

from qos_agent.model import Link, Outcome, Reading, Sample, Value, json_text
from qos_agent.model.types import Memory
from qos_agent.verdict.windows import is_instrument_failure

_log = logging.getLogger(__name__)
# A sign is valid for this long after it was last seen. Forms, which show failed
# connections, are uploaded every 15 minutes.
_SIGN_NS = 1_200 * 10**9
# An outage starts with the first train that lost this share, c1 of ITU-T Y.1540.
_LOST_SHARE = 0.20
# Nearest to the link first: the first valid one is the second sign of an incident.
_SIGN_KINDS = ("interface", "radio", "names", "connections", "uplink")
_REGISTERED = frozenset({"home", "roaming"})
_INTERFACE_CAUSES = frozenset({"link_down", "no_route"})


@dataclass(frozen=True, slots=True)
class Now:
    """The present boot time and wall time; `wall_ns` is None if it is not trusted."""

    boot_ns: int
    wall_ns: int | None


@dataclass(frozen=True, slots=True)
class Incident:
    """An open incident. `start_ns` is wall time, or None if it is unknown."""

    name: str
    cause: str
    sign_1: str
    sign_2: str
    boot_id: str
    start_boot_ns: int
    start_ns: int | None = None
    side: str | None = None

    def __post_init__(self) -> None:
        """Check the types. Raises ValueError, as for the text of a damaged journal."""
        texts = (self.name, self.cause, self.sign_1, self.sign_2, self.boot_id)
        times = (self.start_boot_ns, self.start_ns or 0)
        sound = (
            all(isinstance(text, str) for text in texts)
            and isinstance(self.side, str | None)
            and all(isinstance(time_ns, int) for time_ns in times)
            and all(abs(time_ns) < 2**63 for time_ns in times)
        )
        if not sound:
            raise ValueError("no incident")


@dataclass(slots=True)
class OutageState:
    """The times of the first loss, of the outage and of the recovery of a link.

    `cause` is the cause of the first loss.
    """

    lost_ns: int | None = None
    cause: str | None = None
    down_ns: int | None = None
    up_ns: int | None = None


class Incidents:
    """Opens and closes the incidents of one link. Not thread-safe."""

    def __init__(
        self, link: Link, device: str, boot_id: str, memory: Memory, outage_s: float
    ) -> None:
        self._link = link
        self._device = device
        self._boot_id = boot_id
        self._memory = memory
        self._outage_ns = int(outage_s * 1e9)
        self._key = f"incident/{link.name}"
        self._open = self._stored()
        self._signs: dict[str, tuple[str, int]] = {}
        self._outage = OutageState()

    def _stored(self) -> Incident | None:
        """Return the incident that was open before the start of the agent."""
        text = self._memory.state(self._key)
        try:
            return Incident(**json_text.loads(text)) if text else None
        except (ValueError, TypeError):
            link = self._link.name
            _log.warning("verdict: the stored incident of link %s is damaged", link)
            return None

    @property
    def open(self) -> Incident | None:
        """The open incident."""
        return self._open

    def observe(self, reading: Reading) -> None:
        """Process a reading of any measurement and any link."""
        samples = [s for s in reading.samples if s.tags.get("link") == self._link.name]
        if not samples or reading.outcome is Outcome.SKIPPED:
            return
        if is_instrument_failure(reading):
            return
        match reading.measurement:
            case "latency":
                self._observe_train(reading, samples[0])
            case "signal":
                self._observe_radio(reading, samples[0])
            case "web" | "throughput":
                self._observe_connection(reading)

    def uplink(self, failing: bool, boot_ns: int) -> None:
        """Note the state of the delivery, for the link that the uplink uses."""
        self._set_sign("uplink", "failing" if failing else None, boot_ns)

    def cycle(
        self, now: Now, available: bool | None, side: str | None
    ) -> tuple[Reading, ...]:
        """Return the incident that began or ended in this cycle.

        `available` and `side` are those of the link's judgement.
        """
        outage = self._outage
        if available is False:
            outage.up_ns = None
            outage.down_ns = outage.down_ns or outage.lost_ns or now.boot_ns
        elif available:
            outage.up_ns = outage.up_ns or now.boot_ns
        if self._open is None and available is False:
            return self._open_if_confirmed(now, side)
        if available and now.boot_ns - (outage.up_ns or 0) >= self._outage_ns:
            return self._close(now)
        return ()

    def _observe_train(self, reading: Reading, sample: Sample) -> None:
        received, sent = (_count(sample, name) for name in ("received", "sent"))
        cause = reading.cause
        if received:
            self._set_sign("interface", None, reading.boot_ns)
        elif cause in _INTERFACE_CAUSES:
            self._set_sign("interface", cause, reading.boot_ns)
        elif cause == "name_not_resolved":
            self._set_sign("names", cause, reading.boot_ns)
        if not sent and cause not in _INTERFACE_CAUSES:
            return  # handshakes, or a train that this device itself did not send
        lost = sent - received >= _LOST_SHARE * sent
        if lost and self._outage.lost_ns is None:
            self._outage.lost_ns = reading.boot_ns
            self._outage.cause = cause or "timeout"
        elif not lost and self._outage.down_ns is None:
            self._outage.lost_ns = self._outage.cause = None

    def _observe_radio(self, reading: Reading, sample: Sample) -> None:
        registration = sample.fields.get("registration")
        registered = not registration or registration in _REGISTERED
        value = None if registered else str(registration)
        self._set_sign("radio", value, reading.boot_ns)

    def _observe_connection(self, reading: Reading) -> None:
        kind = "names" if reading.cause == "name_not_resolved" else "connections"
        self._set_sign(kind, reading.cause, reading.boot_ns)
        if reading.outcome is Outcome.OK:
            self._set_sign("names", None, reading.boot_ns)

    def _set_sign(self, kind: str, value: str | None, boot_ns: int) -> None:
        if value is None:
            self._signs.pop(kind, None)
        else:
            self._signs[kind] = (value, boot_ns)

    def _second_sign(self, now_ns: int) -> str | None:
        """Return the sign in addition to lost trains, the nearest to the link."""
        for kind in _SIGN_KINDS:
            value, seen_ns = self._signs.get(kind, ("", -_SIGN_NS))
            if value and now_ns - seen_ns <= _SIGN_NS:
                return f"{kind}: {value}"
        return None

    def _open_if_confirmed(self, now: Now, side: str | None) -> tuple[Reading, ...]:
        start_ns = self._outage.down_ns
        second_sign = self._second_sign(now.boot_ns)
        if start_ns is None or second_sign is None:
            return ()
        if now.boot_ns - start_ns < self._outage_ns:
            return ()
        wall_ns = None
        if now.wall_ns is not None:
            wall_ns = now.wall_ns - (now.boot_ns - start_ns)
        self._open = Incident(
            name=f"{self._device}-{self._link.name}-{(wall_ns or start_ns) // 10**9}",
            cause=self._outage.cause or "timeout",
            sign_1="trains: lost",
            sign_2=second_sign,
            boot_id=self._boot_id,
            start_boot_ns=start_ns,
            start_ns=wall_ns,
            side=side,
        )
        self._memory.set_state(self._key, json.dumps(asdict(self._open)))
        lasted_s = (now.boot_ns - start_ns) / 1e9
        return (self._reading(self._open, "opened", now.boot_ns, lasted_s),)

    def _close(self, now: Now) -> tuple[Reading, ...]:
        """End the outage at the time at which the link first worked again."""
        end_ns = self._outage.up_ns or now.boot_ns
        if self._outage.down_ns is not None:
            self._outage = OutageState(up_ns=end_ns)
        incident, self._open = self._open, None
        if incident is None:
            return ()
        self._memory.set_state(self._key, "")
        lasted_s = _lasted_s(incident, now, end_ns, self._boot_id)
        return (self._reading(incident, "closed", end_ns, lasted_s),)

    def _reading(
        self, incident: Incident, change: str, boot_ns: int, lasted_s: float | None
    ) -> Reading:
        values: dict[str, Value | None] = {
            change: 1,
            "incident": incident.name,
            "cause": incident.cause,
            "sign_1": incident.sign_1,
            "sign_2": incident.sign_2,
            "side": incident.side,
            "start_ns": incident.start_ns,
            "lasted_s": lasted_s,
        }
        fields = {name: value for name, value in values.items() if value is not None}
        tags = {"link": self._link.name, "operator": self._link.operator}
        return Reading("incident", Outcome.OK, boot_ns, (Sample(tags, fields),))


def _count(sample: Sample, name: str) -> int:
    return int(sample.fields.get(name, 0))


def _lasted_s(
    incident: Incident, now: Now, end_boot_ns: int, boot_id: str
) -> float | None:
    """Return the length in boot time, or after a reboot in wall time if known."""
    if incident.boot_id == boot_id:
        return (end_boot_ns - incident.start_boot_ns) / 1e9
    if now.wall_ns is None or incident.start_ns is None:
        return None
    end_ns = now.wall_ns - (now.boot_ns - end_boot_ns)
    return (end_ns - incident.start_ns) / 1e9
