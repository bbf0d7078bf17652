"""Measurements share a link; a task that loads it has it alone."""

from __future__ import annotations

import threading
import time

import pytest

from qos_agent.system.link_lock import LinkLock


def test_measurements_share_a_link_and_keep_load_out() -> None:
    """Two trains run together; a throughput test does not start at the same time."""
    link_lock = LinkLock()
    with link_lock.shared("main", 0) as first, link_lock.shared("main", 0) as second:
        assert first
        assert second
        with link_lock.exclusive("main", 0) as loading:
            assert not loading
    with link_lock.exclusive("main", 0) as loading:
        assert loading


def test_load_keeps_everything_else_off_its_own_link_only() -> None:
    """While one link is loaded, nothing is measured there; another link is free."""
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
    """While a loader waits, a new train is refused, and the loader comes first."""
    link_lock = LinkLock()
    loaded = threading.Event()

    def load() -> None:
        with link_lock.exclusive("main", 5) as entered:
            if entered:
                loaded.set()

    with link_lock.shared("main", 0):
        loader = threading.Thread(target=load)
        loader.start()
        end_s = time.monotonic() + 5
        late = True
        while late and time.monotonic() < end_s:
            with link_lock.shared("main", 0) as late:
                pass
        assert not late
        assert not loaded.is_set()
    loader.join(5)
    assert loaded.is_set()


def test_an_error_inside_leaves_the_link_free() -> None:
    """A measurement that fails does not lock the link permanently."""
    link_lock = LinkLock()
    for use in (link_lock.shared, link_lock.exclusive):
        with pytest.raises(OSError, match="fell"), use("main", 0):
            raise OSError("fell")
        with link_lock.exclusive("main", 0) as free:
            assert free
