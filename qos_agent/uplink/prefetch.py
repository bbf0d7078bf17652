"""Prepares the next batch of a sender while the present one is being sent.

One helper thread claims, compresses and settles batches in order. It runs only if
batches follow each other without a pause.
"""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from qos_agent.influx.transport import pack
from qos_agent.journal import Batch, Journal, Lane


@dataclass(frozen=True, slots=True)
class PackedBatch:
    """A claimed batch and the body of its request."""

    batch: Batch
    body: bytes


@dataclass(frozen=True, slots=True)
class _Prepared:
    """A batch that the helper thread is preparing."""

    lane: Lane
    packed: Future[PackedBatch | None]


class Prefetcher:
    """The batches of one collector. For use by one thread."""

    def __init__(self, collector: str, journal: Journal) -> None:
        self._collector = collector
        self._journal = journal
        self._helper = ThreadPoolExecutor(1, "uplink-prefetch")
        self._next: _Prepared | None = None
        self._settling: Future[None] | None = None

    def take(self, lane: Lane, limit: int) -> PackedBatch | None:
        """Return the lane's next batch; it stays claimed until settled or released."""
        if self._next is not None and self._next.lane is lane:
            prepared, self._next = self._next, None
            return prepared.packed.result()
        return self._claim(lane, limit)

    def prepare(self, lane: Lane, limit: int) -> None:
        """Start to prepare the lane's next batch for `take`."""
        if self._next is None:
            packed = self._helper.submit(self._claim, lane, limit)
            self._next = _Prepared(lane, packed)

    def settle(self, batch: Batch) -> None:
        """Mark a batch as delivered, in the helper thread if that is in use."""
        if self._next is None:
            self._journal.settle(batch)
            return
        self.finish()
        self._settling = self._helper.submit(self._journal.settle, batch)

    def release(self, batch: Batch) -> None:
        """Return a batch that was not delivered to the queue."""
        self._journal.release(batch)

    def put_back(self) -> None:
        """Release the batch that was prepared and not taken."""
        if self._next is not None:
            prepared, self._next = self._next, None
            packed = prepared.packed.result()
            if packed is not None:
                self._journal.release(packed.batch)

    def finish(self) -> None:
        """Wait until all delivered batches are settled. Raises StorageError."""
        if self._settling is not None:
            settling, self._settling = self._settling, None
            settling.result()

    def close(self) -> None:
        """Stop the helper thread."""
        self._helper.shutdown()

    def _claim(self, lane: Lane, limit: int) -> PackedBatch | None:
        batch = self._journal.claim(self._collector, limit, lane)
        if not batch:
            return None
        try:
            return PackedBatch(batch, pack(batch.lines))
        except BaseException:
            self._journal.release(batch)
            raise
