"""The byte cap: looked at rarely, and never passed by more than was under way."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from qos_agent.probes.throughput.byte_limit import ByteLimit


class Counter:
    """An interface whose counter is set by hand; it counts how often it is read."""

    def __init__(self) -> None:
        self.bytes = 0
        self.looks = 0

    def moved(self) -> int:
        self.looks += 1
        return self.bytes


def cap(limit_bytes: int) -> tuple[ByteLimit, Counter]:
    counter = Counter()
    return ByteLimit(counter, limit_bytes), counter  # type: ignore[arg-type]


def test_the_first_look_is_due_at_once() -> None:
    """Nothing is assumed of an interface that was never looked at."""
    assert cap(1000)[0].is_due(0.001, 0)


def test_a_look_holds_until_half_the_room_is_carried() -> None:
    """Half the room carried by our own flows makes the next look due, less does not."""
    byte_cap, _ = cap(100_000)
    byte_cap.look(1.0, 0, 0, 0)
    assert not byte_cap.is_due(1.0, 49_999)
    assert byte_cap.is_due(1.0, 50_000)


def test_the_faster_the_link_the_sooner_the_next_look() -> None:
    """It comes before a link twice as fast as it was can have used the room."""
    byte_cap, counter = cap(1_000_000)
    byte_cap.look(1.0, 0, 0, 0)
    counter.bytes = 900_000
    byte_cap.look(1.1, 0, 0, 0)
    # 9 MB/s, 100 kB left: 11 ms, half of it at twice the rate.
    assert 1.1 < byte_cap.due_s <= 1.1 + 0.0056


def test_what_is_coming_counts_as_moved() -> None:
    """A server's flight cannot be called back: it is reckoned with beforehand."""
    byte_cap, counter = cap(100_000)
    counter.bytes = 60_000
    assert not byte_cap.look(1.0, 0, 39_999, 0)
    assert byte_cap.look(1.0, 0, 40_000, 0)


def test_what_the_kernel_holds_takes_room_but_ends_nothing() -> None:
    """Unsent bytes may still be dropped: no more are handed over, that is all."""
    byte_cap, counter = cap(100_000)
    counter.bytes = 60_000
    assert not byte_cap.look(1.0, 0, 0, 15_000)
    assert byte_cap.room_bytes(0) == 20_000 - 15_000


def test_a_kernel_that_holds_its_half_is_given_no_more() -> None:
    """However late the next look comes, only what the kernel holds can have left."""
    byte_cap, counter = cap(100_000)
    counter.bytes = 60_000
    assert not byte_cap.look(1.0, 0, 0, 20_000)
    assert byte_cap.room_bytes(0) == 0
    # And what is none cannot be used up: only time makes the next look due.
    assert not byte_cap.is_due(1.0, 0)


@given(st.lists(st.integers(1, 300_000), max_size=60), st.integers(1, 5_000_000))
def test_writers_that_keep_to_the_room_keep_to_the_limit(
    wishes: list[int], limit_bytes: int
) -> None:
    """However much is wished and however late it is looked, no more is handed over."""
    byte_cap, counter = cap(limit_bytes)
    carried = 0
    for number, wish in enumerate(wishes):
        carried += max(0, min(wish, byte_cap.room_bytes(carried)))
        # Half of what was handed over has left; the rest waits in the kernel.
        counter.bytes = carried // 2
        if byte_cap.is_due(number * 0.01, carried):
            byte_cap.look(number * 0.01, carried, 0, carried - counter.bytes)
    assert carried <= limit_bytes


def test_looking_costs_little() -> None:
    """A test of 8 MB in 488 reads of 16 kB looks at its counter a quarter as often."""
    byte_cap, counter = cap(8_000_000)
    for number in range(1, 489):
        counter.bytes = carried = number * 16_384
        if byte_cap.is_due(number * 0.01, carried):
            byte_cap.look(number * 0.01, carried, 0, 0)
    assert counter.looks < 488 / 4
