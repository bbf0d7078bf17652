"""The link the uplink leaves by, and what its bytes may and do cost there.

Fresh points always go, and are counted. A backlog is what can wait: it keeps to its
own limit of the day and to the link's data allowance, the part held for the vote
included, and a foreign network is not for it.
"""

from __future__ import annotations

from typing import Protocol

from qos_agent.config.settings import Settings
from qos_agent.journal import Journal, Lane
from qos_agent.model import Clock
from qos_agent.system.network import default_route, interface_of

_PROBE_NAMES = {Lane.FRESH: "uplink", Lane.BACKLOG: "backlog"}


class Purse(Protocol):
    """What the uplink needs of the data allowance."""

    def spend(self, link: str, probe: str, size_bytes: int) -> None:
        """Count bytes that were moved."""
        ...

    def may_move(self, link: str, size_bytes: int) -> bool:
        """Whether so many bytes may be moved now by what can wait."""
        ...


class DataUsage:
    """Counts and bounds what goes out."""

    def __init__(
        self, journal: Journal, purse: Purse, settings: Settings, clock: Clock
    ) -> None:
        self._journal = journal
        self._purse = purse
        self._settings = settings
        self._clock = clock

    def link(self) -> str | None:
        """The link the uplink's packets leave by: as configured, or as routed."""
        if self._settings.uplink.link is not None:
            return self._settings.uplink.link
        links = self._settings.link_list()
        if len(links) == 1:
            return links[0].name
        route = default_route()
        by_interface = {interface_of(link): link.name for link in links}
        return by_interface.get(route.interface) if route else None

    def allows(self, lane: Lane, size_bytes: int) -> bool:
        """Whether a request of so many bytes on the wire may go now."""
        if lane is Lane.FRESH:
            return True
        link, limit = self.link() or "", self._settings.uplink.data_limit
        if limit is not None and self._today(link) + size_bytes > limit:
            return False
        return self._purse.may_move(link, size_bytes)

    def spent(self, lane: Lane, size_bytes: int) -> None:
        """Count what went over the wire."""
        self._purse.spend(self.link() or "", _PROBE_NAMES[lane], size_bytes)

    def _today(self, link: str) -> int:
        boot = (self._clock.boot_id, self._clock.boot_ns())
        return self._journal.spent_today(link, _PROBE_NAMES[Lane.BACKLOG], *boot)
