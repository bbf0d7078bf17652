"""Sockets, routes, names and counters, each bound to one link."""

from qos_agent.system.network.links import (
    bind,
    cause_of,
    interface_bytes,
    interface_of,
    socket_address,
)
from qos_agent.system.network.names import (
    GATEWAY,
    RESOLVER,
    AddressBook,
    Resolved,
    resolve,
    resolvers,
)
from qos_agent.system.network.routes import Route, default_route

__all__ = [
    "GATEWAY",
    "RESOLVER",
    "AddressBook",
    "Resolved",
    "Route",
    "bind",
    "cause_of",
    "default_route",
    "interface_bytes",
    "interface_of",
    "resolve",
    "resolvers",
    "socket_address",
]
