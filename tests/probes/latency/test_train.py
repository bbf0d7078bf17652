"""The train and its fields, with a scripted transport."""

from __future__ import annotations

import errno
import os
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field

import pytest

from qos_agent.model.errors import ProbeError
from qos_agent.probes.latency import summary, train
from qos_agent.probes.latency.train import (
    FIRST_NUMBER,
    Train,
    TrainRecord,
    TrainSpec,
    Trip,
)
from qos_agent.probes.latency.transport import Answered, Departed, Event, Refused
from tests.probes.time_left import TimeLeft

MS = 1_000_000


@dataclass
class Scripted:
    """A transport that replies at once, except to silent or refused numbers."""

    silent: frozenset[int] = frozenset()
    refuse_with: dict[int, int] = field(default_factory=dict)
    sent_s: dict[int, float] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._ready, self._bell = os.pipe2(os.O_NONBLOCK)

    def fileno(self) -> int:
        return self._ready

    def send(self, number: int) -> None:
        if number in self.refuse_with:
            code = self.refuse_with[number]
            raise OSError(code, os.strerror(code))
        self.sent_s[number] = time.monotonic()
        self.events.append(Departed(number, 1))
        if number not in self.silent:
            self.events.append(Answered(number, time.monotonic_ns(), 1 + 2 * MS))
        os.write(self._bell, b"x")

    def receive(self) -> Iterator[Event]:
        with suppress(BlockingIOError):
            os.read(self._ready, 4096)
        while self.events:
            yield self.events.pop(0)


@pytest.fixture
def transport() -> Iterator[Scripted]:
    """Return a transport that replies to every probe; close it after the test."""
    scripted = Scripted()
    yield scripted
    os.close(scripted._ready)
    os.close(scripted._bell)


def run(transport: Scripted, plan: TrainSpec, left_s: float = 10) -> TrainRecord:
    """Run one train."""
    return Train(plan, transport, TimeLeft(left_s)).run()


def test_sending_does_not_wait_for_answers(transport: Scripted) -> None:
    """Twenty probes are sent on time without waiting for replies."""
    transport.silent = frozenset(range(2, 100))
    run(transport, TrainSpec(20, 0.02, 0.2))
    times = [transport.sent_s[FIRST_NUMBER + i] for i in range(20)]
    assert 19 * 0.02 - 0.05 < times[-1] - times[0] < 19 * 0.2


def test_the_phase_is_random(transport: Scripted) -> None:
    """The first probe is sent at a random time within one spacing of the wake-up."""
    phases = []
    for _ in range(12):
        run(transport, TrainSpec(1, 0.05, 0.1))
        phases.append(transport.sent_s[FIRST_NUMBER] - transport.sent_s[0])
    assert max(phases) - min(phases) > 0.01
    assert min(phases) < 0.05


def test_a_train_uses_little_processor_time(transport: Scripted) -> None:
    """A train of one second uses less than 5 % of a second of processor time."""
    before = time.thread_time()
    run(transport, TrainSpec(20, 0.05, 0.1))
    assert time.thread_time() - before < 0.05


def test_the_stop_ends_a_train(transport: Scripted) -> None:
    """A running train ends soon after the agent stops."""
    deadline = TimeLeft(60)
    threading.Timer(0.1, deadline.stop).start()
    start = time.monotonic()
    with pytest.raises(ProbeError, match="deadline"):
        Train(TrainSpec(10, 5, 3), transport, deadline).run()
    assert time.monotonic() - start < 3


def test_the_deadline_ends_a_train(transport: Scripted) -> None:
    """A train that exceeds the deadline of its task fails instead of giving loss."""
    transport.silent = frozenset(range(100))
    with pytest.raises(ProbeError, match="deadline"):
        run(transport, TrainSpec(10, 5, 3), left_s=0.2)


@pytest.mark.parametrize(
    ("code", "counts", "cause"),
    [
        (errno.ENOBUFS, (4, 3, 1, 0), None),
        (errno.ENETUNREACH, (4, 3, 1, 1), "no_route"),
        (errno.ENETDOWN, (4, 3, 1, 1), "link_down"),
        (errno.EPERM, (3, 3, 0, 0), "prohibited"),
        (errno.EMSGSIZE, (3, 3, 0, 0), "internal"),
    ],
    ids=["queue", "route", "link", "firewall", "bug"],
)
def test_unsent_probes_count_as_loss_if_the_network_is_missing(
    transport: Scripted, code: int, counts: tuple[int, ...], cause: str | None
) -> None:
    """A full queue or a missing route or link is loss; a refusal of the device is not.

    The train does not wait for replies to probes that were not sent.
    """
    transport.refuse_with = {3: code}
    start = time.monotonic()
    record = run(transport, TrainSpec(4, 0.01, 0.1 if code == errno.ENOBUFS else 30))
    assert time.monotonic() - start < 5
    fields = summary.fields(record)
    names = ("sent", "received", "lost", "unsent")
    assert tuple(fields[name] for name in names) == counts
    assert summary.cause(record, 3)[0] == cause


def test_one_clock_for_a_train() -> None:
    """One reply without a kernel timestamp puts the train on the monotonic clock."""
    record = TrainRecord(3.0, {2: trip(10 * MS, 9 * MS), 3: trip(12 * MS, 11 * MS)})
    assert record.kernel_stamped()
    assert record.round_trips_ns() == [9 * MS, 11 * MS]
    record.trips[4] = trip(14 * MS, None)
    assert not record.kernel_stamped()
    assert record.round_trips_ns() == [10 * MS, 12 * MS, 14 * MS]
    assert summary.fields(record)["stamps"] == "user"


@pytest.mark.parametrize(
    ("moved_ns", "stepped"), [(2 * MS, True), (-2 * MS, True), (MS // 2, False)]
)
def test_a_step_of_the_wall_clock_is_noticed(
    transport: Scripted, monkeypatch: pytest.MonkeyPatch, moved_ns: int, stepped: bool
) -> None:
    """Kernel timestamps are not used if the clock was stepped; a slew is no step."""
    offsets = iter([10**18, 10**18 + moved_ns])
    monkeypatch.setattr(train, "_wall_offset_ns", lambda: next(offsets))
    record = run(transport, TrainSpec(2, 0.01, 0.1))
    assert record.clock_stepped is stepped
    assert record.kernel_stamped() is not stepped


@pytest.mark.parametrize("doubt", ["stepped", "withheld", "unsent"])
def test_a_step_or_a_failed_send_puts_kernel_stamps_in_doubt(doubt: str) -> None:
    """In these cases round trips use the monotonic clock."""
    record = TrainRecord(3.0, {2: trip(10 * MS, 9 * MS)})
    record.clock_stepped = doubt == "stepped"
    record.withheld = ["prohibited"] if doubt == "withheld" else []
    if doubt == "unsent":
        record.trips[3] = Trip(0, unsent="no_route")
    assert record.round_trips_ns()[0] == 10 * MS


def test_after_tmax_is_late_and_lost() -> None:
    """A reply after Tmax counts as late and lost, and gives no round trip."""
    record = TrainRecord(
        3.0, {2: trip(20 * MS, 20 * MS), 3: trip(3001 * MS, 3001 * MS)}
    )
    fields = summary.fields(record)
    assert (fields["sent"], fields["received"], fields["lost"]) == (2, 1, 1)
    assert (fields["late"], fields["rtt_max_ms"]) == (1, 20.0)


def test_histograms_are_cumulative() -> None:
    """Each bound counts all values at or below it; PDV is above the minimum RTT."""
    trips = {n: trip(ms * MS, ms * MS) for n, ms in enumerate([5, 6, 20, 400], start=2)}
    fields = summary.fields(TrainRecord(3.0, trips))
    assert [fields[f"rtt_le_{b}"] for b in (5, 10, 20, 300, 500)] == [1, 2, 3, 3, 4]
    assert [fields[f"pdv_le_{b}"] for b in (1, 10, 20, 200, 500)] == [2, 2, 3, 3, 4]
    assert fields["rtt_sum_us"] == 431_000
    assert fields["pdv_p95_ms"] == 395.0


def test_the_cause_is_the_most_frequent_error() -> None:
    """The most frequent of several ICMP errors is the cause."""
    trips = {n: Trip(0, refused=Refused(n, "unreachable", "h")) for n in (2, 3)}
    trips[4] = Trip(0, refused=Refused(4, "prohibited", "p"))
    record = TrainRecord(3.0, trips)
    assert summary.cause(record, 0) == ("unreachable", "h")
    assert summary.cause(record, 1) == (None, "")


@pytest.mark.parametrize(
    ("numbers_and_counts", "expected"),
    [
        ([(2, 1), (3, 2), None, (5, 3)], {"lost_forward": 1, "lost_backward": 0}),
        ([(2, 1), (3, 2), None, (5, 4)], {"lost_forward": 0, "lost_backward": 1}),
        ([(2, 1), None, None, (5, 3)], {"lost_forward": 1, "lost_backward": 1}),
        ([(2, 1), (3, 2), None, None], {"lost_forward": 0, "lost_backward": 0}),
        ([(2, 2), (3, 3), None, (5, 5)], {}),
        ([None, None, None, None], {}),
    ],
    ids=["out", "back", "both", "tail", "stateless", "none"],
)
def test_loss_is_split_by_the_reflectors_count(
    numbers_and_counts: list[tuple[int, int] | None], expected: dict[str, int]
) -> None:
    """The reflector's own numbers give the direction of loss, if it is known."""
    record = TrainRecord(3.0, wake=Trip(0, answer=Answered(0, 0, 0, 0)))
    for number, reply in enumerate(numbers_and_counts, start=2):
        record.trips[number] = Trip(0)
        if reply is not None:
            record.trips[number].answer = Answered(reply[0], 0, 0, reply[1])
            record.reflected.add(reply[1])
    lost = [reply is None for reply in numbers_and_counts]
    assert summary.loss_split(record, lost) == expected


def trip(user_ns: int, kernel_ns: int | None) -> Trip:
    """Return a probe with a round trip by both clocks or by the monotonic clock."""
    stamp = None if kernel_ns is None else 1 + kernel_ns
    return Trip(0, departed_ns=1, answer=Answered(0, user_ns, stamp))
