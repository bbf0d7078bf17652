"""The `[[links]]` tables of the configuration: links and their own values."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from qos_agent.config.allowance import AllowanceSection
from qos_agent.config.faults import invalid
from qos_agent.config.schedule import ScheduleSection
from qos_agent.config.throughput import ThroughputServers
from qos_agent.config.types import Address, Interface, Name, Operator, Section
from qos_agent.model.addresses import needs_zone


class LinkSection(Section):
    """One way out of the device; by default the interface of the default route.

    The tables `schedule`, `throughput` and `allowance` hold the values that differ on
    this link from those of all links.
    """

    name: Name = Field(description="Name of the link, unique on this device.")
    operator: Operator = Field(
        "unknown",
        description=(
            'Network operator of the link; "Telkomsel" is stored as "telkomsel".'
        ),
    )
    interface: Interface | None = Field(
        None,
        description=(
            "Network interface to measure through, as `ip link` shows it; "
            "by default the routing table decides."
        ),
    )
    source_address: Address | None = Field(
        None,
        description=(
            "Source address to measure from; without an interface it counts only "
            "if the kernel's route confirms it."
        ),
    )
    schedule: ScheduleSection = Field(
        ScheduleSection(), description="Intervals that differ on this link."
    )
    throughput: ThroughputServers = Field(
        ThroughputServers(), description="Servers that differ on this link."
    )
    allowance: AllowanceSection = Field(
        AllowanceSection(), description="Data limits that differ on this link."
    )

    @model_validator(mode="after")
    def _zone_of_source(self) -> Self:
        source = self.source_address
        if self.interface is None and source is not None and needs_zone(source):
            raise invalid(
                "must have a zone, because the link has no interface",
                key="source_address",
                found=repr(source),
                fix=f"set interface, or write {source}%INTERFACE",
            )
        return self
