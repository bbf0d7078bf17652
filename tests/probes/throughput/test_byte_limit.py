"""The byte limit: few reads of the counter, and an excess of one flight at most."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from qos_agent.probes.throughput.byte_limit import ByteLimit


class Counter:
    """An interface counter set by the test; it counts its reads."""

    def __init__(self) -> None:
        self.bytes = 0
        self.reads = 0

    def moved(self) -> int:
        self.reads += 1
        return self.bytes


def limited(limit_bytes: int) -> tuple[ByteLimit, Counter]:
    counter = Counter()
    return ByteLimit(counter, limit_bytes), counter  # type: ignore[arg-type]


def test_the_first_read_is_due_at_once() -> None:
    """Before the first read nothing is known of the interface."""
    assert limited(1000)[0].is_due(0.001, 0)


def test_the_next_read_is_due_when_half_of_the_rest_is_sent() -> None:
    """A read is due when the connections have sent half of the remaining bytes."""
    byte_limit, _ = limited(100_000)
    byte_limit.is_reached(1.0, 0, 0, 0)
    assert not byte_limit.is_due(1.0, 49_999)
    assert byte_limit.is_due(1.0, 50_000)


def test_the_faster_the_link_the_sooner_the_next_read() -> None:
    """A link twice as fast as before cannot use up the room before the next read."""
    byte_limit, counter = limited(1_000_000)
    byte_limit.is_reached(1.0, 0, 0, 0)
    counter.bytes = 900_000
    byte_limit.is_reached(1.1, 0, 0, 0)
    # 9 MB/s, 100 kB left: 11 ms, half of it at twice the rate.
    assert 1.1 < byte_limit.due_s <= 1.1 + 0.0056


def test_bytes_on_the_way_count_as_moved() -> None:
    """Data that the server has sent cannot be stopped, so it counts already."""
    byte_limit, counter = limited(100_000)
    counter.bytes = 60_000
    assert not byte_limit.is_reached(1.0, 0, 39_999, 0)
    assert byte_limit.is_reached(1.0, 0, 40_000, 0)


def test_unsent_bytes_take_room_but_do_not_reach_the_limit() -> None:
    """Unsent bytes can still be dropped: they only reduce what may be sent."""
    byte_limit, counter = limited(100_000)
    counter.bytes = 60_000
    assert not byte_limit.is_reached(1.0, 0, 0, 15_000)
    assert byte_limit.room_bytes(0) == 20_000 - 15_000


def test_a_kernel_that_holds_its_half_gets_no_more() -> None:
    """However late the next read is, only the held bytes can have left."""
    byte_limit, counter = limited(100_000)
    counter.bytes = 60_000
    assert not byte_limit.is_reached(1.0, 0, 0, 20_000)
    assert byte_limit.room_bytes(0) == 0
    # Without room only time makes the next read due.
    assert not byte_limit.is_due(1.0, 0)


@given(st.lists(st.integers(1, 300_000), max_size=60), st.integers(1, 5_000_000))
def test_writers_that_keep_to_the_room_keep_the_limit(
    writes: list[int], limit_bytes: int
) -> None:
    """However large the writes and late the reads, the limit holds."""
    byte_limit, counter = limited(limit_bytes)
    carried = 0
    for number, write in enumerate(writes):
        carried += max(0, min(write, byte_limit.room_bytes(carried)))
        # Half of the transferred bytes have left; the rest waits in the kernel.
        counter.bytes = carried // 2
        if byte_limit.is_due(number * 0.01, carried):
            byte_limit.is_reached(number * 0.01, carried, 0, carried - counter.bytes)
    assert carried <= limit_bytes


def test_the_counter_is_read_rarely() -> None:
    """A test of 8 MB in 488 receives of 16 kB reads it less than 122 times."""
    byte_limit, counter = limited(8_000_000)
    for number in range(1, 489):
        counter.bytes = carried = number * 16_384
        if byte_limit.is_due(number * 0.01, carried):
            byte_limit.is_reached(number * 0.01, carried, 0, 0)
    assert counter.reads < 488 / 4
