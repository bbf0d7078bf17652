"""Looks names up in /etc/hosts, as the system does before it asks DNS (hosts(5))."""

from __future__ import annotations

import ipaddress
from contextlib import suppress
from pathlib import Path

from qos_agent.system.files import read_lines
from qos_agent.system.network.resolvers import ROOT

# Lists of blocked names have megabytes; the names of a measurement stand before them.
_LIMIT_BYTES = 1 << 20


def addresses_of(host: str, root: Path = ROOT) -> tuple[str, ...]:
    """Return the addresses of a name in /etc/hosts, in their order."""
    wanted = _ascii(host.rstrip("."))
    addresses: list[str] = []
    for line in read_lines(root / "etc/hosts", _LIMIT_BYTES):
        address, *names = line.partition("#")[0].split() or [""]
        if wanted in map(_ascii, names) and _is_address(address):
            addresses.append(address)
    return tuple(addresses)


def _ascii(name: str) -> str:
    """Return a name as DNS has it: either form of an international name is the same."""
    if name.isascii():
        return name.lower()
    with suppress(UnicodeError):
        return name.encode("idna").decode("ascii").lower()
    return name


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
