"""Measurers share a link, a loader has it alone."""

from __future__ import annotations

import threading

import pytest

from qos_agent.system.link_lock import LinkLock


def test_measurers_share_a_link_and_keep_a_loader_out() -> None:
    """Two trains run together; a throughput test does not start beside them."""
    link_lock = LinkLock()
    with link_lock.shared("main", 0) as first, link_lock.shared("main", 0) as second:
        assert first
        assert second
        with link_lock.exclusive("main", 0) as loading:
            assert not loading
    with link_lock.exclusive("main", 0) as loading:
        assert loading


def test_a_loader_keeps_everyone_else_out_of_its_link_only() -> None:
    """While one link is loaded, nothing measures there; another link is free."""
    link_lock = LinkLock()
    with link_lock.exclusive("main", 0) as loading:
        assert loading
        with (
            link_lock.shared("main", 0) as measuring,
            link_lock.exclusive("main", 0) as again,
        ):
            assert not measuring
            assert not again
        with link_lock.shared("spare", 0) as elsewhere:
            assert elsewhere


def test_a_waiting_loader_is_not_starved_by_new_trains() -> None:
    """Once a loader waits, a new train waits behind it."""
    link_lock = LinkLock()
    waiting = threading.Event()
    loaded = threading.Event()

    def load() -> None:
        waiting.set()
        with link_lock.exclusive("main", 5) as entered:
            if entered:
                loaded.set()

    with link_lock.shared("main", 0):
        loader = threading.Thread(target=load)
        loader.start()
        waiting.wait(5)
        while not link_lock.waiting("main"):
            threading.Event().wait(0.001)
        with link_lock.shared("main", 0) as late:
            assert not late
    loader.join(5)
    assert loaded.is_set()


def test_an_error_inside_leaves_the_link_free() -> None:
    """Whoever fails while measuring does not lock the link for ever."""
    link_lock = LinkLock()
    for use in (link_lock.shared, link_lock.exclusive):
        with pytest.raises(OSError, match="fell"), use("main", 0):
            raise OSError("fell")
        with link_lock.exclusive("main", 0) as free:
            assert free
