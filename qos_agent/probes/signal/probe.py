"""The signal probe: reads the link's modem with ModemManager, or with AT commands.

A modem that searches for a network is a valid result with a registration and without
levels, not a failure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Self

from qos_agent.config.settings import ModemSection, Settings, SignalSection
from qos_agent.model import Deadline, Link, ProbeResult, Sample, Task, Value
from qos_agent.model.errors import ProbeError
from qos_agent.probes.signal import at, mmcli
from qos_agent.probes.signal.radio import Radio
from qos_agent.probes.spec import ProbeSpec, intervals, on_links
from qos_agent.system.network import interface_of

_WEAK_RSRP_DBM = -110.0


class Signal:
    """The probe of a link's modem. It sends no traffic on the link."""

    measurement = "signal"
    loads_link = False

    def __init__(self, settings: SignalSection) -> None:
        self._modems = {modem.link: modem for modem in settings.modems}
        self._time_limit_s = settings.time_limit

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Create the probe for these settings."""
        return cls(settings.signal)

    @property
    def deadline_s(self) -> float:
        """The configured time limit."""
        return self._time_limit_s

    def worst_case_bytes(self) -> int:
        """Return 0, because the probe sends no traffic."""
        return 0

    def tags(self, task: Task) -> Sequence[Mapping[str, str]]:  # noqa: ARG002  required by the Probe protocol
        """Return the tags of one point; a reading replaces the technology."""
        return ({"technology": "unknown"},)

    def measure(self, task: Task, deadline: Deadline) -> ProbeResult:
        """Read the modem once. Raises ProbeError if it reports no values."""
        radio = self._read(task, deadline)
        if radio.is_empty():
            raise ProbeError("modem", f"{radio.reader}: the modem reports no values")
        sample = Sample({"technology": radio.technology}, fields(radio))
        return ProbeResult((sample,), detail=radio.remark or "")

    def _read(self, task: Task, deadline: Deadline) -> Radio:
        """Read with mmcli, or with AT commands if that fails and a port is set."""
        name = task.link.name if task.link else "default"
        modem = self._modems.get(name, ModemSection(link=name))
        interface = interface_of(task.link) if task.link else None
        try:
            selector = mmcli.ModemSelector(modem.device, interface)
            return mmcli.read(selector, deadline)
        except ProbeError:
            if modem.serial_port is None or deadline.wait(0):
                raise
        return at.read(modem.serial_port, deadline)


def fields(radio: Radio) -> dict[str, Value]:
    """Return the fields of a point; each level also as a sum with its count."""
    values: dict[str, Value | None] = {
        "cell": radio.cell,
        "tracking_area": radio.tracking_area,
        "plmn": radio.plmn,
        "registration": radio.registration,
        "band": radio.band,
        "roaming": _roaming(radio.registration),
        "reader": radio.reader,
        **_level("rsrp", "dbm", radio.rsrp_dbm),
        **_level("rsrq", "db", radio.rsrq_db),
        **_level("sinr", "db", radio.sinr_db),
        **_level("rssi", "dbm", radio.rssi_dbm),
    }
    if radio.rsrp_dbm is not None:
        values["rsrp_weak"] = int(radio.rsrp_dbm < _WEAK_RSRP_DBM)
    return {name: value for name, value in values.items() if value is not None}


def _level(name: str, unit: str, value: float | None) -> dict[str, Value]:
    if value is None:
        return {}
    return {f"{name}_{unit}": value, f"{name}_sum_{unit}": value, f"{name}_samples": 1}


def _roaming(registration: str | None) -> int | None:
    """Return 1 if roaming, 0 at home, and None if the modem is not registered."""
    return {"home": 0, "roaming": 1}.get(registration or "")


def _has_modem(settings: Settings, link: Link) -> bool:
    return any(modem.link == link.name for modem in settings.signal.modems)


SPEC = ProbeSpec(
    name="signal",
    make=Signal.of,
    places=on_links(_has_modem),
    intervals_s=intervals(300.0, voting_s=60.0, counting_s=60.0),
    first_delay_s=(0.0, 1.0),
    status_fields=("rsrp_dbm", "sinr_db"),
    log_fields=("rsrp_dbm",),
    eviction_rank=1,
)
