"""The `[[links]]` tables of the configuration: links and their own values."""

from __future__ import annotations

from pydantic import Field

from qos_agent.config.allowance import AllowanceSection
from qos_agent.config.schedule import ScheduleSection
from qos_agent.config.throughput import ThroughputServers
from qos_agent.config.types import Address, Interface, Name, Operator, Section


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
