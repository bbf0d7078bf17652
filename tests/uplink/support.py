"""A journal with an uplink for tests, and replacements for its parts."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from pathlib import Path

from qos_agent.config.settings import Settings
from qos_agent.influx.responses import Failure, Response
from qos_agent.influx.transport import Exchange
from qos_agent.journal import Journal, Lane
from qos_agent.model import Clock
from qos_agent.model.calendar import Timeline
from qos_agent.schedule.allowance_account import AllowanceAccount, allowances
from qos_agent.system.clock import SystemClock
from qos_agent.system.link_lock import LinkLock
from qos_agent.uplink import Uplink
from qos_agent.uplink.data_usage import DataUsage
from tests.journal.support import open_journal, point
from tests.servers.database import Database


def system_clock() -> SystemClock:
    """Return the kernel's clocks, which the tests trust."""
    return SystemClock(0)


def make_settings(
    collector: Mapping[str, object],
    fallback: Mapping[str, object] | None = None,
    **uplink: object,
) -> Settings:
    """Return settings that deliver without pauses by default."""
    return Settings.model_validate(
        {
            "station": {"id": "S1", "province": "31"},
            "collector": {"timeout": "2s", **collector},
            "fallback": fallback or {},
            "uplink": {"pause": "off", "backoff": "1s", **uplink},
        }
    )


def towards(database: Database, url: str | None = None) -> dict[str, object]:
    """Return the collector section for a database, or for a front before it."""
    section = {"token": "unused", "insecure": True} | database.section
    return section | ({"url": url} if url else {})


def _unknown_roaming(_link: str) -> bool | None:
    return None


def make_uplink(
    journal: Journal,
    settings: Settings,
    clock: Clock,
    stop: threading.Event,
    link_lock: LinkLock,
) -> Uplink:
    """Return an uplink with the agent's data account; roaming is unknown."""
    account = AllowanceAccount(
        journal,
        allowances(settings),
        clock,
        "Asia/Jakarta",
        Timeline(()),
        _unknown_roaming,
    )
    return Uplink(journal, account, settings, clock, stop, link_lock)


class Scripted:
    """A collector that responds by a function of the number of earlier requests."""

    def __init__(self, respond: Callable[[int], Response | Failure]) -> None:
        self.bodies: list[bytes] = []
        self._respond = respond

    def post(self, body: bytes, timeout_s: float) -> Exchange:
        self.bodies.append(body)
        return Exchange(self._respond(len(self.bodies) - 1), len(body), 100)

    def cost_bytes(self, body: bytes) -> int:
        return len(body)

    def renew(self) -> None:
        """Do nothing: there is no token."""

    def close(self) -> None:
        """Do nothing: there is no connection."""


class Unbounded(DataUsage):
    """Allows every request and counts nothing."""

    def __init__(self) -> None:
        """Skip the journal and the account."""

    def allows(self, lane: Lane, size_bytes: int) -> bool:
        return True

    def spent(self, lane: Lane, size_bytes: int) -> None:
        """Do nothing."""


class Bench:
    """A journal and an uplink with the same clock and link lock."""

    def __init__(self, folder: Path, settings: Settings) -> None:
        self.clock = system_clock()
        self.stop = threading.Event()
        self.link_lock = LinkLock()
        self.settings = settings
        self.journal: Journal = open_journal(
            folder, collectors=settings.collector_names()
        )
        self.uplink = make_uplink(
            self.journal, settings, self.clock, self.stop, self.link_lock
        )
        self._thread: threading.Thread | None = None

    def put(self, count: int = 1) -> range:
        """Store points with the present time."""
        points = [point(self.clock.boot_ns() + n) for n in range(count)]
        seqs = self.journal.put(points, self.clock.state(), self.clock.boot_id)
        self.uplink.wake()
        return seqs

    def put_old(self, count: int) -> range:
        """Store points of ten minutes ago, which the empty put turns into a backlog."""
        old_ns = self.clock.boot_ns() - 600 * 10**9
        points = [point(old_ns + n) for n in range(count)]
        seqs = self.journal.put(points, self.clock.state(), self.clock.boot_id)
        self.journal.put([], self.clock.state(), self.clock.boot_id)
        return seqs

    def start(self) -> None:
        """Run the uplink's loop in a thread."""
        self._thread = threading.Thread(
            target=self.uplink.run, name="uplink", daemon=True
        )
        self._thread.start()

    def undelivered(self) -> int:
        """Return the number of undelivered points of the collector."""
        return self.journal.counts().undelivered["collector"]

    def end(self) -> None:
        """Stop the loop and close uplink and journal."""
        self.stop.set()
        self.uplink.wake()
        if self._thread is not None:
            self._thread.join(20)
        self.uplink.close()
        self.journal.close()
