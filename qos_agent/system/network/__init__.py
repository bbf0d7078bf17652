"""Sockets, routes, names and counters, each bound to one link."""

from qos_agent.system.network.counters import (
    InterfaceCount,
    interface_count,
    interfaces,
    moved_since,
)
from qos_agent.system.network.links import (
    bind,
    cause_of,
    has_address,
    interface_of,
    socket_address,
)
from qos_agent.system.network.names import (
    GATEWAY,
    RESOLVER,
    AddressBook,
    Resolved,
    addresses_to_try,
    look_up,
    resolve,
)
from qos_agent.system.network.resolvers import Resolvers, resolvers_of
from qos_agent.system.network.route_query import (
    BEYOND,
    is_routed,
    routed_versions,
    version_of,
)
from qos_agent.system.network.routes import Route, default_route

__all__ = [
    "BEYOND",
    "GATEWAY",
    "RESOLVER",
    "AddressBook",
    "InterfaceCount",
    "Resolved",
    "Resolvers",
    "Route",
    "addresses_to_try",
    "bind",
    "cause_of",
    "default_route",
    "has_address",
    "interface_count",
    "interface_of",
    "interfaces",
    "is_routed",
    "look_up",
    "moved_since",
    "resolve",
    "resolvers_of",
    "routed_versions",
    "socket_address",
    "version_of",
]
