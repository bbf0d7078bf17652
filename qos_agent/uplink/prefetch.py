"""Gives a sender its batches, the next prepared while one is under way.

One helper thread claims, packs and settles in order beside the request, and only where
batches follow each other without a pause.
"""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from qos_agent.influx.transport import pack
from qos_agent.journal import Batch, Journal, Lane


@dataclass(frozen=True, slots=True)
class Parcel:
    """A claimed batch and the body of its request."""

    batch: Batch
    body: bytes


class Prefetcher:
    """The batches of one collector. For one thread, which has one helper."""

    def __init__(self, collector: str, journal: Journal) -> None:
        self._collector = collector
        self._journal = journal
        self._helper = ThreadPoolExecutor(1, "uplink-supply")
        self._next: tuple[Lane, Future[Parcel | None]] | None = None
        self._settling: Future[None] | None = None

    def take(self, lane: Lane, limit: int) -> Parcel | None:
        """A parcel of a lane, claimed until it is settled or put back."""
        if self._next is not None and self._next[0] is lane:
            (_, prepared), self._next = self._next, None
            return prepared.result()
        return self._prepared(lane, limit)

    def prepare(self, lane: Lane, limit: int) -> None:
        """Begin with the lane's next parcel, for `take`."""
        if self._next is None:
            self._next = (lane, self._helper.submit(self._prepared, lane, limit))

    def settle(self, batch: Batch) -> None:
        """Delivered; beside the next request where one is being prepared."""
        if self._next is None:
            self._journal.settle(batch)
            return
        self.finish()
        self._settling = self._helper.submit(self._journal.settle, batch)

    def release(self, batch: Batch) -> None:
        """Not delivered: owed again."""
        self._journal.release(batch)

    def put_back(self) -> None:
        """Give back what was prepared and not taken."""
        if self._next is not None:
            (_, prepared), self._next = self._next, None
            parcel = prepared.result()
            if parcel is not None:
                self._journal.release(parcel.batch)

    def finish(self) -> None:
        """Wait until all that was delivered is settled. Raises StorageError."""
        if self._settling is not None:
            settling, self._settling = self._settling, None
            settling.result()

    def close(self) -> None:
        """End the helper."""
        self._helper.shutdown()

    def _prepared(self, lane: Lane, limit: int) -> Parcel | None:
        batch = self._journal.claim(self._collector, limit, lane)
        return Parcel(batch, pack(batch.lines)) if batch else None
