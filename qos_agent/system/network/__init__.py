"""Sockets, routes, names and counters, each bound to one link."""

from qos_agent.system.network.counters import (
    InterfaceCount,
    interface_count,
    interfaces,
)
from qos_agent.system.network.links import (
    bind,
    cause_of,
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
    "InterfaceCount",
    "Resolved",
    "Route",
    "bind",
    "cause_of",
    "default_route",
    "interface_count",
    "interface_of",
    "interfaces",
    "resolve",
    "resolvers",
    "socket_address",
]
