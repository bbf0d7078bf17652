"""Cosigning goes on after a seal is lost, and the gap has a signed statement."""

from __future__ import annotations

from qos_agent.evidence import checkpoints, notes
from qos_agent.evidence.notes import Checkpoint
from qos_agent.evidence.resumption import Resumption, parse_resumption
from qos_agent.noc.witness import resuming
from qos_agent.noc.witness.checking import find_missing
from qos_agent.noc.witness.records import RESUMED
from tests.noc.witness.support import (
    MINUTE_NS,
    NOW_NS,
    STATION,
    WITNESS,
    WITNESS_NAME,
    Bench,
    SealedDevice,
)

LATER_NS = NOW_NS + 60 * MINUTE_NS


def _waiting() -> tuple[SealedDevice, Bench]:
    """Return a device whose second of four seals was lost."""
    device = SealedDevice()
    bench = Bench(None, [device])
    bench.check(device.arrived(device.grow(10).seal()))
    device.grow(10).seal()
    for _ in range(2):
        bench.check(device.arrived(device.grow(10).seal()))
    return device, bench


def test_a_lost_seal_is_left_behind() -> None:
    """The waiting seals are cosigned, and later ones, too."""
    device, bench = _waiting()
    assert bench.size(device.origin) == 10
    find_missing(bench.store, LATER_NS, 60.0)
    assert bench.kinds() == ["seal_missing"]
    (gap,) = resuming.gaps_of(bench.store, STATION, LATER_NS)
    assert "seal of 10 points, and the next one of 30 points waits" in str(gap)
    assert resuming.resume(bench.checker, WITNESS_NAME, gap, LATER_NS) == 2
    assert bench.size(device.origin) == 40
    assert bench.kinds() == [RESUMED]
    assert list(resuming.gaps_of(bench.store, STATION, LATER_NS)) == []
    assert bench.check(device.arrived(device.grow(5).seal())).cosigned == 1
    (content,) = bench.store.statements(device.origin, RESUMED)
    note = notes.parse_note(content)
    assert checkpoints.is_signed_by(note, WITNESS_NAME, WITNESS.public_key)
    found = parse_resumption(note.text)
    assert (found.before.size, found.after.size) == (10, 30)
    assert [size for size in (10, 20, 30) if found.covers(size)] == [20]


def test_other_stations_are_not_concerned() -> None:
    """A station without a waiting seal has no gap, and a statement ends no journal."""
    device, bench = _waiting()
    assert list(resuming.gaps_of(bench.store, "3171010001002", LATER_NS)) == []
    (gap,) = resuming.gaps_of(bench.store, STATION, LATER_NS)
    resuming.resume(bench.checker, WITNESS_NAME, gap, LATER_NS)
    bench.store.apply_handovers(device.origin)
    journal = bench.store.journal(device.origin)
    assert journal is not None
    assert (journal.handed, journal.ended_ns) == (0, None)


def test_a_statement_of_two_journals_is_refused() -> None:
    """Both seals are of one journal, in order, and the text is exact."""
    one, other = (Checkpoint(o, n, bytes(32)) for o, n in (("a", 1), ("b", 2)))
    later = Checkpoint("a", 2, bytes(32))
    good = Resumption(one, later).text()
    assert parse_resumption(good) == Resumption(one, later)
    wrong = (
        Resumption(one, other).text(),
        Resumption(later, one).text(),
        good + "\n",
        good.replace("v1", "v2"),
    )
    for text in wrong:
        try:
            parse_resumption(text)
        except ValueError:
            continue
        raise AssertionError(text)
