"""The `[[targets]]` tables of the configuration."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from qos_agent.config.faults import invalid
from qos_agent.config.types import Host, Name, Section
from qos_agent.model import Layer
from qos_agent.system.network import GATEWAY, RESOLVER


class TargetSection(Section):
    """A host that the latency probe measures against."""

    name: Name = Field(description="Name of the target, unique on this device.")
    host: Host = Field(
        description="Host name or address, or @gateway or @resolver for those in use."
    )
    host_ipv6: Host | None = Field(
        None,
        description=(
            "Address to measure instead, on a link that has a route for IPv6 only."
        ),
    )
    layer: Layer = Field(description="Layer of the target, from near to far.")
    method: Literal["icmp", "stamp", "tcp"] = Field(
        "icmp",
        description=(
            "Protocol: ICMP echo, STAMP (RFC 8762) to a reflector, or TCP handshakes."
        ),
    )
    port: int | None = Field(
        None,
        ge=1,
        le=65535,
        description=(
            "UDP port of the STAMP reflector, 862 by default; or TCP port of "
            "handshakes, which replace ICMP if ping sockets are closed."
        ),
    )

    @model_validator(mode="after")
    def _port_of_handshakes(self) -> Self:
        if self.method == "tcp" and self.port is None:
            raise invalid(
                "missing for method tcp",
                key="port",
                found=None,
                fix="add the port of a TCP service of this host, such as 443",
            )
        return self


def _anchor(name: str, host: str, host_ipv6: str) -> TargetSection:
    """Return a public resolver that answers at an address of each IP version."""
    return TargetSection(
        name=name, host=host, host_ipv6=host_ipv6, layer=Layer.ANCHOR, port=443
    )


DEFAULT_TARGETS = (
    TargetSection(name="gateway", host=GATEWAY, layer=Layer.GATEWAY),
    TargetSection(name="resolver", host=RESOLVER, layer=Layer.RESOLVER, port=53),
    _anchor("cloudflare", "1.1.1.1", "2606:4700:4700::1111"),
    _anchor("google", "8.8.8.8", "2001:4860:4860::8888"),
    _anchor("quad9", "9.9.9.9", "2620:fe::fe"),
)
