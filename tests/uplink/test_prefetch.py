"""Batches prepared beside a request: none lost, none stuck, whatever comes between."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from qos_agent.influx.responses import Failure, Response
from qos_agent.journal import Batch, Journal, Lane
from qos_agent.journal.reader import requeue
from qos_agent.model.errors import StorageError
from qos_agent.system.clock import SystemClock
from qos_agent.uplink.prefetch import Prefetcher
from qos_agent.uplink.sender import Sender, SenderOptions
from tests.journal.support import look, open_journal, put
from tests.support.clocks import FakeClock
from tests.uplink.support import Scripted, Unbounded

GO_ON = threading.Event()


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    """A backlog of a hundred points."""
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


def _all_owed(journal: Journal) -> bool:
    """Whether every point owed can be claimed: nothing is stuck."""
    owed = journal.counts().undelivered["collector"]
    return len(journal.claim("collector", 1000, Lane.BACKLOG)) == owed


def test_each_batch_is_sent_once_and_in_order(tmp_path: Path, journal: Journal) -> None:
    """Prepared ahead or not: the same requests, and all is settled at the end."""
    transport = Scripted(lambda _: Response(204))
    sender = _sender(journal, transport)
    while sender.send(Lane.BACKLOG, GO_ON, 1.0, ahead=True):
        pass
    sender.finish()
    journal.flush()
    assert look(tmp_path, "SELECT COUNT(*) FROM delivery") == [(0,)]
    requeue(tmp_path, 1, 100)
    plain = Scripted(lambda _: Response(204))
    while _sender(journal, plain).send(Lane.BACKLOG, GO_ON, 1.0):
        pass
    assert transport.bodies == plain.bodies
    assert len(plain.bodies) == 10


@pytest.mark.parametrize(
    "answer", [Failure("timeout", "x"), Response(503), Response(401), Response(404)]
)
def test_failure_gives_back_the_batch_and_the_one_prepared(
    journal: Journal, answer: Response | Failure
) -> None:
    """After a refusal in the midst of a drain every point owed can be claimed."""
    transport = Scripted(lambda n: Response(204) if n < 3 else answer)
    sender = _sender(journal, transport)
    for _ in range(4):
        sender.send(Lane.BACKLOG, GO_ON, 1.0, ahead=True)
    assert journal.counts().undelivered["collector"] == 70
    assert _all_owed(journal)


def test_stop_gives_back_what_was_prepared(journal: Journal) -> None:
    """A stop between two batches leaves no claim behind."""
    sender = _sender(journal, Scripted(lambda _: Response(204)))
    sender.send(Lane.BACKLOG, GO_ON, 1.0, ahead=True)
    sender.finish()
    assert journal.counts().undelivered["collector"] == 90
    assert _all_owed(journal)


def test_fresh_lane_does_not_take_what_was_prepared_of_the_backlog(
    journal: Journal,
) -> None:
    """A live point goes alone and at once, before the prepared batch."""
    clock = FakeClock()
    transport = Scripted(lambda _: Response(204))
    sender = _sender(journal, transport)
    sender.send(Lane.BACKLOG, GO_ON, 1.0, ahead=True)
    clock.advance(3600)
    put(journal, clock)
    assert sender.send(Lane.FRESH, GO_ON, 1.0) == 1
    assert sender.send(Lane.BACKLOG, GO_ON, 1.0, ahead=True) == 10


def test_disk_that_refuses_the_note_leaves_nothing_claimed(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The settle fails: told, and what was not noted is owed, so it is sent again."""

    def refuse(_batch: Batch) -> None:
        raise StorageError("settle in", "journal", "no room on the disk")

    sender = _sender(journal, Scripted(lambda _: Response(204)))
    monkeypatch.setattr(journal, "settle", refuse)
    with pytest.raises(StorageError):
        sender.send(Lane.BACKLOG, GO_ON, 1.0)
    assert _all_owed(journal)


def test_poison_that_cannot_be_set_aside_leaves_nothing_claimed(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The quarantine fails on a full disk in the midst of a bisection."""

    def refuse(_batch: Batch, _words: str) -> None:
        raise StorageError("set aside in", "journal", "no room on the disk")

    refused = Response(400, {"content-type": "application/json"}, '{"error":"no"}')
    sender = _sender(journal, Scripted(lambda _: refused))
    monkeypatch.setattr(journal, "quarantine", refuse)
    with pytest.raises(StorageError):
        sender.send(Lane.BACKLOG, GO_ON, 1.0)
    assert journal.counts().undelivered["collector"] == 100
    assert _all_owed(journal)


def test_supply_reports_a_settle_that_failed_later(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beside the next request or not: the error comes to the one who waits for it."""
    supply = Prefetcher("collector", journal)
    first = supply.take(Lane.BACKLOG, 10)
    assert first is not None
    supply.prepare(Lane.BACKLOG, 10)

    def refuse(_batch: Batch) -> None:
        raise StorageError("settle in", "journal", "no room on the disk")

    monkeypatch.setattr(journal, "settle", refuse)
    supply.settle(first.batch)
    with pytest.raises(StorageError):
        supply.finish()
    supply.put_back()
    supply.close()


def test_the_next_settle_waits_for_the_one_before(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A note refused beside a request is told with the next one, not forgotten."""
    supply = Prefetcher("collector", journal)
    first = supply.take(Lane.BACKLOG, 10)
    supply.prepare(Lane.BACKLOG, 10)
    assert first is not None

    def refuse(_batch: Batch) -> None:
        raise StorageError("settle in", "journal", "no room on the disk")

    with monkeypatch.context() as patch:
        patch.setattr(journal, "settle", refuse)
        supply.settle(first.batch)
    second = supply.take(Lane.BACKLOG, 10)
    supply.prepare(Lane.BACKLOG, 10)
    assert second is not None
    with pytest.raises(StorageError):
        supply.settle(second.batch)
    supply.put_back()
    supply.close()
