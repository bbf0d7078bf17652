"""The Merkle tree in the journal's file."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qos_agent.evidence.merkle import leaf_hash, verify_consistency
from qos_agent.journal import Anchor, Journal, JournalLimits
from qos_agent.journal.reader import reading
from qos_agent.journal.tree import TILE_LEAVES, absent_leaf
from tests.evidence.support import naive_root
from tests.journal.support import (
    LIMITS,
    change,
    deliver,
    look,
    open_journal,
    pre,
    put,
)
from tests.support.clocks import FakeClock
from tests.support.readings import IDENTITY


def _leaves(journal: Journal) -> list[bytes]:
    return [leaf_hash(line) for _, line in journal.lines()]


def _anchor(journal: Journal) -> Anchor:
    tree = journal.tree()
    return Anchor(journal.id, tree.size, tree.root())


def _open(folder: Path, anchor: Anchor, limits: JournalLimits = LIMITS) -> Journal:
    return Journal.open(folder, IDENTITY, ("collector",), pre, limits, {}, anchor)


@settings(max_examples=10, deadline=None)
@given(counts=st.lists(st.integers(1, 2 * TILE_LEAVES), min_size=1, max_size=4))
def test_each_tree_is_that_of_all_points(
    tmp_path_factory: pytest.TempPathFactory, counts: list[int]
) -> None:
    """After each commit the root is right and consistent with all roots before."""
    journal = open_journal(tmp_path_factory.mktemp("journal"))
    clock = FakeClock()
    roots: dict[int, bytes] = {}
    for count in counts:
        put(journal, clock, count)
        tree = journal.tree()
        roots[tree.size] = tree.root()
        assert tree.root() == naive_root(_leaves(journal))
    for before, root in roots.items():
        found, proof = journal.consistency(before, tree.size)
        assert found == root
        assert verify_consistency(before, tree.size, proof, root, tree.root())
    journal.close()


def test_points_that_wait_for_a_clock_are_added_in_order(tmp_path: Path) -> None:
    """The tree ends before the first waiting point and includes it once stamped."""
    journal, clock = open_journal(tmp_path), FakeClock()
    put(journal, clock, 3)
    clock.trusted = False
    put(journal, clock, 2)
    assert journal.tree().size == 3
    clock.trusted = True
    put(journal, clock, TILE_LEAVES)
    assert journal.tree().size == TILE_LEAVES + 5
    assert journal.tree().root() == naive_root(_leaves(journal))
    journal.close()


def test_removed_points_stay_in_the_tree(tmp_path: Path) -> None:
    """Delivered points that are removed by age change no root; `verify` agrees."""
    limits = JournalLimits(disk_reserve_bytes=0, keep_s=100.0)
    journal, clock = open_journal(tmp_path, limits), FakeClock()
    put(journal, clock, TILE_LEAVES + 50)
    before = _anchor(journal)
    deliver(journal)
    journal.flush()
    clock.advance(2 * 3600.0)
    put(journal, clock)
    (kept,) = look(tmp_path, "SELECT COUNT(*) FROM point WHERE line IS NOT NULL")[0]
    # The newest point of before stays too, because numbers follow from it.
    assert kept == 2
    root, proof = journal.consistency(before.size, journal.tree().size)
    assert root == before.root
    after = journal.tree()
    assert verify_consistency(before.size, after.size, proof, root, after.root())
    journal.close()
    with reading(tmp_path) as reader:
        assert reader.verify().faults == ()


def test_a_journal_of_an_earlier_version_gets_its_tree(tmp_path: Path) -> None:
    """Without a tile table the tree is built from the points, some of them absent."""
    journal, clock = open_journal(tmp_path), FakeClock()
    put(journal, clock, 3 * TILE_LEAVES)
    leaves = _leaves(journal)
    journal.close()
    change(tmp_path, ["DROP TABLE tile", "DELETE FROM point WHERE seq <= 10"])
    journal = open_journal(tmp_path)
    put(journal, clock)
    expected = [absent_leaf(seq) for seq in range(1, 11)] + leaves[10:]
    root, _ = journal.consistency(len(expected), len(expected) + 1)
    assert root == naive_root(expected)
    journal.close()


def test_an_old_copy_is_moved_aside(tmp_path: Path) -> None:
    """A journal with fewer points than its last seal is replaced, and none is lost."""
    journal, clock = open_journal(tmp_path), FakeClock()
    put(journal, clock, 20)
    anchor = _anchor(journal)
    journal.close()
    journal = _open(tmp_path, anchor)
    assert journal.id == anchor.journal
    journal.close()
    change(tmp_path, ["DELETE FROM point WHERE seq > 15"])
    journal = _open(tmp_path, anchor)
    (event,) = journal.take_events()
    assert event.kind == "damage"
    assert "older than its last seal" in event.detail
    assert journal.id != anchor.journal
    assert journal.counts().points == 15
    assert journal.state("created") == "rewound"
    journal.close()


def test_another_past_is_moved_aside(tmp_path: Path) -> None:
    """As many points as in the last seal, but with other bytes, are no continuation."""
    journal, clock = open_journal(tmp_path), FakeClock()
    put(journal, clock, 20)
    anchor = _anchor(journal)
    journal.close()
    forked = Anchor(anchor.journal, anchor.size, absent_leaf(1))
    journal = _open(tmp_path, forked)
    assert journal.id != anchor.journal
    journal.close()


def test_leaves_are_removed_when_space_is_short(tmp_path: Path) -> None:
    """Tiles keep their roots, so the tree of the newest points still verifies."""
    journal, clock = open_journal(tmp_path), FakeClock()
    put(journal, clock, 4 * TILE_LEAVES)
    before = _anchor(journal)
    deliver(journal)
    journal.close()
    limits = JournalLimits(size_bytes=300_000, disk_reserve_bytes=0)
    journal = _open(tmp_path, before, limits)
    assert journal.id == before.journal
    for _ in range(5):
        put(journal, clock, 200)
        deliver(journal)
    bare = look(tmp_path, "SELECT COUNT(*) FROM tile WHERE leaves IS NULL")
    assert bare[0][0] > 0
    root, proof = journal.consistency(before.size, journal.tree().size)
    after = journal.tree()
    assert root == before.root
    assert verify_consistency(before.size, after.size, proof, root, after.root())
    journal.close()
