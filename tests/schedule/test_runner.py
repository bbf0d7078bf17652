"""Pause, link lock and allowance: a task that must not run has its reason."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

import pytest

from qos_agent.model import Deadline, Link, Outcome, ProbeResult, Sample, Task
from qos_agent.model.errors import StorageError
from qos_agent.probes.envelope import Envelope
from qos_agent.schedule.allowance_account import AllowanceAccount, Grant, Refusal
from qos_agent.schedule.runner import Runner, link_count
from qos_agent.system.link_lock import LinkLock
from qos_agent.system.network import InterfaceCount
from tests.support.clocks import FakeClock
from tests.support.probes import ScriptedProbe

LINK = Link("main", "telkomsel")


@dataclass
class FakeAccount(AllowanceAccount):
    """An account that grants everything, or refuses if the test says so."""

    refusal: Refusal | None = None
    reserved: list[int] = field(default_factory=list)
    settled: list[int] = field(default_factory=list)

    def reserve(self, link: Link, probe: str, worst_case_bytes: int) -> Grant | Refusal:
        """Grant, or refuse if the test says so."""
        self.reserved.append(worst_case_bytes)
        return self.refusal or Grant(1, link.name, worst_case_bytes)

    def settle(self, grant: Grant, spent_bytes: int) -> None:
        """Note the bytes spent."""
        self.settled.append(spent_bytes)


@dataclass
class Bench:
    """A runner and its components."""

    probe: ScriptedProbe = field(default_factory=ScriptedProbe)
    account: FakeAccount = field(default_factory=FakeAccount)
    link_lock: LinkLock = field(default_factory=LinkLock)
    paused: bool = False
    counter: list[int | None] = field(default_factory=lambda: [1000, 5000])
    index: int = 1

    def count(self, link: Link) -> InterfaceCount | None:
        """Return the next count of the interface, all of it received."""
        value = self.counter.pop(0)
        return None if value is None else InterfaceCount("eth0", self.index, value, 0)

    def runner(self) -> Runner:
        """Return the runner of these components."""
        clock = FakeClock()
        envelope = Envelope(clock, threading.Event())
        return Runner(
            {"latency": self.probe},
            envelope,
            self.link_lock,
            self.account,
            lambda _: self.paused,
            self.count,
            wait_s=0.01,
        )


@pytest.fixture
def bench() -> Bench:
    """Return components that let every task run."""
    return Bench()


def test_a_probe_without_data_needs_no_allowance(bench: Bench) -> None:
    """A probe with a worst case of 0 bytes runs without a reservation."""
    reading = bench.runner().run("latency", LINK, None, 0)
    assert reading.outcome == Outcome.OK
    assert bench.account.reserved == []


def test_a_paused_probe_is_skipped(bench: Bench) -> None:
    """The pause is the reason of the skipped reading."""
    bench.paused = True
    assert bench.runner().run("latency", LINK, None, 0).reason == "paused"
    assert bench.probe.ran == []


def test_a_loaded_link_is_not_measured(bench: Bench) -> None:
    """Latency during a throughput test would measure the test."""
    with bench.link_lock.exclusive("main", 0):
        reading = bench.runner().run("latency", LINK, None, 0)
    assert reading.reason == "link_busy"
    assert bench.probe.ran == []


def test_a_task_that_loads_the_link_has_it_alone(bench: Bench) -> None:
    """While it runs, no other task gets the link."""
    shared = []

    def measure(task: Task, deadline: Deadline) -> ProbeResult:
        with bench.link_lock.shared("main", 0) as acquired:
            shared.append(acquired)
        return ProbeResult((Sample(),))

    bench.probe = ScriptedProbe(measure, loads_link=True)
    bench.runner().run("latency", LINK, None, 0)
    assert shared == [False]


def test_a_task_reserves_first_and_settles_by_the_interface(
    bench: Bench,
) -> None:
    """It reserves the worst case and settles the bytes the interface counted."""
    bench.probe = ScriptedProbe(loads_link=True, bytes_at_most=11_000_000)
    bench.runner().run("latency", LINK, None, 0)
    assert bench.account.reserved == [11_000_000]
    assert bench.probe.ran[0].byte_limit == 11_000_000
    assert bench.account.settled == [4000]


@pytest.mark.parametrize("counter", [[1000, None], [None, 1000], [5000, 1000]])
def test_a_lost_counter_costs_the_worst_case(
    bench: Bench, counter: list[int | None]
) -> None:
    """If the interface vanished or was reset, the worst case counts as spent."""
    bench.probe = ScriptedProbe(loads_link=True, bytes_at_most=11_000_000)
    bench.counter = counter
    bench.runner().run("latency", LINK, None, 0)
    assert bench.account.settled == [11_000_000]


@pytest.mark.parametrize(
    ("reported", "settled"), [({"data_bytes": 840}, 840), ({}, 2000)]
)
def test_a_task_that_shares_the_link_settles_by_its_own_count(
    bench: Bench, reported: dict[str, int], settled: int
) -> None:
    """Trains run together, and the interface counts all of them."""
    result = ProbeResult((Sample({}, reported),))
    bench.probe = ScriptedProbe(lambda *_: result, bytes_at_most=2000)
    bench.runner().run("latency", LINK, None, 0)
    assert bench.account.settled == [settled]


@pytest.mark.parametrize("reason", ["allowance", "reserve", "roaming"])
def test_a_refused_task_is_skipped_with_the_reason(bench: Bench, reason: str) -> None:
    """Nothing is moved or settled, and the reading has the reason."""
    bench.probe.bytes_at_most = 11_000_000
    bench.account.refusal = Refusal(reason)
    reading = bench.runner().run("latency", LINK, None, 0)
    assert (reading.outcome, reading.reason) == (Outcome.SKIPPED, reason)
    assert bench.probe.ran == []
    assert bench.account.settled == []


def test_an_interface_that_was_created_again_costs_the_worst_case(
    bench: Bench,
) -> None:
    """A higher count of another interface of the same name proves nothing."""

    def replug(_task: Task, _deadline: Deadline) -> ProbeResult:
        bench.index += 1
        return ProbeResult((Sample(),))

    bench.probe = ScriptedProbe(replug, loads_link=True, bytes_at_most=11_000_000)
    bench.runner().run("latency", LINK, None, 0)
    assert bench.account.settled == [11_000_000]


def test_link_count_reads_the_interface_counter() -> None:
    """The result is None for a missing interface."""
    count = link_count(Link("lo", "none", interface="lo"))
    assert count is not None
    assert (count.interface, count.moved_bytes >= 0) == ("lo", True)
    assert link_count(Link("gone", "none", interface="nonesuch0")) is None


def test_a_disk_that_is_full_after_a_task_loses_no_reading(bench: Bench) -> None:
    """The reading is kept; the worst case of its data stays counted."""
    bench.probe.bytes_at_most = 700

    def full(grant: Grant, spent_bytes: int) -> None:
        raise StorageError("cannot settle", "journal", "disk full")

    bench.account.settle = full  # type: ignore[method-assign]
    assert bench.runner().run("latency", LINK, None, 0).outcome == Outcome.OK
