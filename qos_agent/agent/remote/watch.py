"""The thread that checks for a new configuration, within the data allowance.

A check happens once in each cycle. The time between two checks varies, so that the
devices of a nation do not ask at the same moment. The first link is that of the uplink,
over its open connection. If no server answers there, the other links are tried.
"""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from qos_agent.agent.remote.check import Check
from qos_agent.agent.remote.pauses import CentrePauses
from qos_agent.influx.documents import Document, Failed
from qos_agent.model import Clock, Link, Phase
from qos_agent.model.errors import StorageError
from qos_agent.schedule.allowance_account import Grant, Refusal

_log = logging.getLogger(__name__)

# A check comes this much before the end of its cycle, at random.
_EARLIEST, _LATEST = 0.85, 0.99
# A device that starts learns of a pause soon.
_FIRST_MAX_S = 60.0
_WAKE_S = 5.0
_TIMEOUT_S = 10.0
# A file with its heads and a handshake; below the small tasks of the allowance.
_WORST_CASE_BYTES = 63_000
_PROBE = "remote"
_FROZEN = (Phase.VOTING, Phase.COUNTING)


class Account(Protocol):
    """The data account of the links."""

    def reserve(self, link: Link, probe: str, worst_case_bytes: int) -> Grant | Refusal:
        """Reserve the worst case of a transfer."""
        ...

    def settle(self, grant: Grant, spent_bytes: int) -> None:
        """Replace the worst case by the bytes that were moved."""
        ...


class Client(Protocol):
    """Fetches documents, over the open connection or over a link."""

    def get(
        self, url: str, etag: str | None, timeout_s: float, link: Link | None = None
    ) -> Document | Failed:
        """Fetch a file."""
        ...


class Fetcher:
    """Fetches files of the centre through any link that has data left."""

    def __init__(
        self,
        url: str,
        client: Client,
        account: Account,
        links: Sequence[Link],
        uplink: Callable[[], str | None],
        timeout_s: float = _TIMEOUT_S,
    ) -> None:
        self._url = url.rstrip("/")
        self._client = client
        self._account = account
        self._links = links
        self._uplink = uplink
        self._timeout_s = timeout_s
        self.failure: str | None = None

    def __call__(self, name: str, etag: str | None = None) -> Document | None:
        """Fetch a file, or return None if no server answered."""
        first = self._first()
        for link in (first, *(link for link in self._links if link != first)):
            answer = self._over(link, name, etag, bound=link is not first)
            if isinstance(answer, Document):
                self.failure = None
                return answer
        return None

    def _first(self) -> Link:
        name = self._uplink()
        return next((link for link in self._links if link.name == name), self._links[0])

    def _over(
        self, link: Link, name: str, etag: str | None, *, bound: bool
    ) -> Document | None:
        grant = self._account.reserve(link, _PROBE, _WORST_CASE_BYTES)
        if isinstance(grant, Refusal):
            self.failure = f"{link.name}: {grant.reason}"
            return None
        url, by = f"{self._url}/{name}", link if bound else None
        answer = self._client.get(url, etag, self._timeout_s, by)
        self._account.settle(grant, answer.size_bytes)
        if isinstance(answer, Failed):
            failure = answer.failure
            self.failure = f"{link.name}: {failure.cause}: {failure.detail}"
            return None
        return answer


@dataclass(slots=True)
class WatchState:
    """The state of the checks that the heartbeat reports."""

    seen: int | None = None
    refused: int = 0
    expired: bool = False
    checked_boot_ns: int | None = None


class RemoteWatch:
    """Runs the checks, and keeps their events until the main loop takes them."""

    def __init__(
        self,
        check: Check,
        pauses: CentrePauses,
        clock: Clock,
        stop: threading.Event,
        cycle_s: Callable[[Phase], float],
    ) -> None:
        self._check = check
        self._pauses = pauses
        self._clock = clock
        self._stop = stop
        self._cycle_s = cycle_s
        self._jitter = random.Random()  # noqa: S311  not for security
        self._lock = threading.Lock()
        self._events: list[tuple[str, str]] = []
        self._apply = False
        self.phase = Phase.IDLE
        self.state = WatchState()
        self._note_index()

    def run(self, alive: Callable[[], None] = lambda: None) -> None:
        """Check in each cycle until the stop event is set."""
        first_s = min(_FIRST_MAX_S, self._cycle_s(self.phase))
        last_ns, factor = self._clock.boot_ns(), self._jitter.uniform(0, 1)
        while not self._stop.is_set():
            alive()
            cycle_s = first_s or self._cycle_s(self.phase)
            left_s = factor * cycle_s - (self._clock.boot_ns() - last_ns) / 1e9
            if left_s > 0:
                self._stop.wait(min(left_s, _WAKE_S))
                continue
            last_ns, first_s = self._clock.boot_ns(), 0.0
            factor = self._jitter.uniform(_EARLIEST, _LATEST)
            self.once()

    def once(self) -> None:
        """Check once, and note the result."""
        try:
            result = self._check.run(frozen=self.phase in _FROZEN)
        except (OSError, StorageError) as error:
            _log.warning("remote: cannot be stored: %s", error)
            return
        self._note_index()
        with self._lock:
            self._events += result.events
            self._apply = self._apply or result.apply
        if result.reached:
            self.state.checked_boot_ns = self._clock.boot_ns()
        for kind, detail in result.events:
            _log.info("remote: %s: %s", kind.removeprefix("remote_"), detail)

    def take(self) -> tuple[list[tuple[str, str]], bool]:
        """Return the events since the last call, and if a content must be loaded."""
        with self._lock:
            events, self._events = self._events, []
            apply, self._apply = self._apply, False
        return [*events, *self._pauses.changes()], apply

    def _note_index(self) -> None:
        index = self._check.index
        self._pauses.replace(index.pause if index else ())
        self.state.seen = index.version if index else None
        self.state.refused = self._check.refusals
        self.state.expired = self._check.expired
