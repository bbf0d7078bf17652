"""Counts and limits the data that delivery uses on its link.

Fresh points are always sent, and counted. The backlog can wait. It must keep within
the daily `uplink.data_limit` and within the link's data allowance, without the part
reserved for voting. While the link roams, no backlog is sent.
"""

from __future__ import annotations

from typing import Protocol

from qos_agent.config.settings import Settings
from qos_agent.journal import Journal, Lane
from qos_agent.model import Clock
from qos_agent.system.network import default_route, interface_of

_PROBE_NAMES = {Lane.FRESH: "uplink", Lane.BACKLOG: "backlog"}


class Account(Protocol):
    """The data account of the links; `schedule` implements it, above this package."""

    def spend(self, link: str, probe: str, size_bytes: int) -> None:
        """Count bytes that were moved."""
        ...

    def may_move(self, link: str, size_bytes: int) -> bool:
        """Return True if a transfer that can wait may move `size_bytes` now."""
        ...


class DataUsage:
    """The data usage of all senders."""

    def __init__(
        self, journal: Journal, account: Account, settings: Settings, clock: Clock
    ) -> None:
        self._journal = journal
        self._account = account
        self._settings = settings
        self._clock = clock

    def link(self) -> str | None:
        """Return the link of the uplink's packets, from the settings or the route."""
        if self._settings.uplink.link is not None:
            return self._settings.uplink.link
        links = self._settings.link_list()
        if len(links) == 1:
            return links[0].name
        route = default_route()
        by_interface = {interface_of(link): link.name for link in links}
        return by_interface.get(route.interface) if route else None

    def allows(self, lane: Lane, size_bytes: int) -> bool:
        """Return True if a request of `size_bytes` on the wire may be sent now."""
        if lane is Lane.FRESH:
            return True
        link, limit = self.link() or "", self._settings.uplink.data_limit
        if limit is not None and self._today(link) + size_bytes > limit:
            return False
        return self._account.may_move(link, size_bytes)

    def spent(self, lane: Lane, size_bytes: int) -> None:
        """Count the bytes of a request on the wire."""
        self._account.spend(self.link() or "", _PROBE_NAMES[lane], size_bytes)

    def _today(self, link: str) -> int:
        boot = (self._clock.boot_id, self._clock.boot_ns())
        return self._journal.spent_today(link, _PROBE_NAMES[Lane.BACKLOG], *boot)
