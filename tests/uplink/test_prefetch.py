"""Batches that are prepared during a request are neither lost nor left claimed."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from qos_agent.influx.responses import Failure, Response
from qos_agent.journal import Batch, Journal, Lane
from qos_agent.journal.reader import requeue
from qos_agent.model.errors import StorageError
from qos_agent.system.clock import SystemClock
from qos_agent.uplink import prefetch
from qos_agent.uplink.prefetch import Prefetcher
from qos_agent.uplink.sender import Sender, SenderOptions
from tests.journal.support import look, open_journal, put
from tests.support.clocks import FakeClock
from tests.uplink.support import Scripted, Unbounded

NEVER = threading.Event()


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    """Return a journal with a backlog of a hundred points."""
    clock = FakeClock()
    opened = open_journal(tmp_path)
    put(opened, clock, 100)
    clock.advance(3600)
    opened.put([], clock.state(), clock.boot_id)
    return opened


def _sender(journal: Journal, transport: Scripted, batch: int = 10) -> Sender:
    clock = SystemClock(0)
    return Sender(
        "collector", journal, transport, clock, SenderOptions(batch, 1), Unbounded()
    )


def _all_claimable(journal: Journal) -> bool:
    """Return True if every undelivered point can be claimed."""
    undelivered = journal.counts().undelivered["collector"]
    return len(journal.claim("collector", 1000, Lane.BACKLOG)) == undelivered


def test_each_batch_is_sent_once_and_in_order(tmp_path: Path, journal: Journal) -> None:
    """With and without prefetch the requests are the same, and all are settled."""
    transport = Scripted(lambda _: Response(204))
    sender = _sender(journal, transport)
    while sender.send(Lane.BACKLOG, NEVER, 1.0, ahead=True):
        pass
    sender.finish()
    journal.flush()
    assert look(tmp_path, "SELECT COUNT(*) FROM delivery") == [(0,)]
    requeue(tmp_path, 1, 100)
    plain = Scripted(lambda _: Response(204))
    while _sender(journal, plain).send(Lane.BACKLOG, NEVER, 1.0):
        pass
    assert transport.bodies == plain.bodies
    assert len(plain.bodies) == 10


@pytest.mark.parametrize(
    "response", [Failure("timeout", "x"), Response(503), Response(401), Response(404)]
)
def test_a_failure_releases_the_batch_and_the_prepared_one(
    journal: Journal, response: Response | Failure
) -> None:
    """After a failure during a drain every undelivered point can be claimed."""
    transport = Scripted(lambda n: Response(204) if n < 3 else response)
    sender = _sender(journal, transport)
    for _ in range(4):
        sender.send(Lane.BACKLOG, NEVER, 1.0, ahead=True)
    assert journal.counts().undelivered["collector"] == 70
    assert _all_claimable(journal)


def test_a_stop_releases_the_prepared_batch(journal: Journal) -> None:
    """A stop between two batches leaves no claim."""
    sender = _sender(journal, Scripted(lambda _: Response(204)))
    sender.send(Lane.BACKLOG, NEVER, 1.0, ahead=True)
    sender.finish()
    assert journal.counts().undelivered["collector"] == 90
    assert _all_claimable(journal)


def test_the_fresh_lane_does_not_take_a_prepared_backlog_batch(
    journal: Journal,
) -> None:
    """A fresh point is sent alone and at once, before the prepared batch."""
    clock = FakeClock()
    transport = Scripted(lambda _: Response(204))
    sender = _sender(journal, transport)
    sender.send(Lane.BACKLOG, NEVER, 1.0, ahead=True)
    clock.advance(3600)
    put(journal, clock)
    assert sender.send(Lane.FRESH, NEVER, 1.0) == 1
    assert sender.send(Lane.BACKLOG, NEVER, 1.0, ahead=True) == 10
    # Its thread would read a database that is closed already.
    sender.finish()


def test_a_failed_settle_leaves_nothing_claimed(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error is raised, and the points are queued and sent again."""

    def fail(_batch: Batch) -> None:
        raise StorageError("cannot settle points in", "journal", "disk full")

    sender = _sender(journal, Scripted(lambda _: Response(204)))
    monkeypatch.setattr(journal, "settle", fail)
    with pytest.raises(StorageError):
        sender.send(Lane.BACKLOG, NEVER, 1.0)
    assert _all_claimable(journal)


def test_a_failed_quarantine_leaves_nothing_claimed(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk is full during a bisection."""

    def fail(_batch: Batch, _message: str) -> None:
        raise StorageError("cannot quarantine points in", "journal", "disk full")

    conflict = r'{"error":"field type conflict: input field \"sent\" on \"latency\""}'
    rejected = Response(400, {"content-type": "application/json"}, conflict)
    sender = _sender(journal, Scripted(lambda _: rejected))
    monkeypatch.setattr(journal, "quarantine", fail)
    with pytest.raises(StorageError):
        sender.send(Lane.BACKLOG, NEVER, 1.0)
    assert journal.counts().undelivered["collector"] == 100
    assert _all_claimable(journal)


def test_a_settle_that_fails_later_is_reported(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error of the helper thread is raised in `finish`."""
    prefetcher = Prefetcher("collector", journal)
    first = prefetcher.take(Lane.BACKLOG, 10)
    assert first is not None
    prefetcher.prepare(Lane.BACKLOG, 10)

    def fail(_batch: Batch) -> None:
        raise StorageError("cannot settle points in", "journal", "disk full")

    monkeypatch.setattr(journal, "settle", fail)
    prefetcher.settle(first.batch)
    with pytest.raises(StorageError):
        prefetcher.finish()
    prefetcher.put_back()
    prefetcher.close()


def test_the_next_settle_waits_for_the_one_before(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A settle that failed during a request is reported by the next settle."""
    prefetcher = Prefetcher("collector", journal)
    first = prefetcher.take(Lane.BACKLOG, 10)
    prefetcher.prepare(Lane.BACKLOG, 10)
    assert first is not None

    def fail(_batch: Batch) -> None:
        raise StorageError("cannot settle points in", "journal", "disk full")

    with monkeypatch.context() as patch:
        patch.setattr(journal, "settle", fail)
        prefetcher.settle(first.batch)
    second = prefetcher.take(Lane.BACKLOG, 10)
    prefetcher.prepare(Lane.BACKLOG, 10)
    assert second is not None
    with pytest.raises(StorageError):
        prefetcher.settle(second.batch)
    prefetcher.put_back()
    prefetcher.close()


def test_a_batch_that_cannot_be_packed_is_released(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An exception between claim and request leaves no point claimed."""

    def no_memory(_lines: object) -> bytes:
        raise MemoryError

    monkeypatch.setattr(prefetch, "pack", no_memory)
    with pytest.raises(MemoryError):
        Prefetcher("collector", journal).take(Lane.BACKLOG, 10)
    assert _all_claimable(journal)


@pytest.mark.parametrize("place", ["cost_bytes", "post"])
def test_an_exception_of_the_transport_leaves_no_point_claimed(
    journal: Journal, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    """Before, during and after the request the batch goes back to the queue."""

    def fail(*_: object) -> None:
        raise UnicodeEncodeError("latin-1", "\u2013", 0, 1, "ordinal not in range")

    transport = Scripted(lambda _: Response(204))
    monkeypatch.setattr(transport, place, fail)
    with pytest.raises(UnicodeEncodeError):
        _sender(journal, transport).send(Lane.BACKLOG, NEVER, 1.0)
    assert _all_claimable(journal)
