"""The `[[targets]]` tables of the configuration."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from qos_agent.config.types import Host, Name, Section
from qos_agent.model import Layer
from qos_agent.system.network import GATEWAY, RESOLVER


class TargetSection(Section):
    """A host that the latency probe measures against."""

    name: Name = Field(description="Name of the target, unique on this device.")
    host: Host = Field(
        description="Host name or address, or @gateway or @resolver for those in use."
    )
    layer: Layer = Field(description="Layer of the target, from near to far.")
    method: Literal["icmp", "stamp"] = Field(
        "icmp", description="Protocol: ICMP echo, or STAMP (RFC 8762) to a reflector."
    )
    port: int | None = Field(
        None,
        ge=1,
        le=65535,
        description="UDP port of the STAMP reflector; 862 by default.",
    )


DEFAULT_TARGETS = (
    TargetSection(name="gateway", host=GATEWAY, layer=Layer.GATEWAY),
    TargetSection(name="resolver", host=RESOLVER, layer=Layer.RESOLVER),
    TargetSection(name="cloudflare", host="1.1.1.1", layer=Layer.ANCHOR),
    TargetSection(name="google", host="8.8.8.8", layer=Layer.ANCHOR),
    TargetSection(name="quad9", host="9.9.9.9", layer=Layer.ANCHOR),
)
