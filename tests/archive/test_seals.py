"""The seals of a device prove the content of an archive."""

from __future__ import annotations

from pathlib import Path

import pytest

from qos_agent.archive.build import build
from qos_agent.archive.checking import Checked, check
from qos_agent.archive.sources import open_sources
from qos_agent.journal.reader import EVERY_SEQ, reading
from qos_agent.model.line_protocol import decode
from tests.agent.test_sealing import Device
from tests.journal.support import put


@pytest.fixture
def sealed(tmp_path: Path) -> list[bytes]:
    """Return the lines of a journal with three seals."""
    (tmp_path / "journal").mkdir()
    device = Device(tmp_path / "journal")
    for _ in range(3):
        put(device.journal, device.clock, 7)
        device.seal()
    device.journal.close()
    with reading(tmp_path / "journal") as journal:
        return list(journal.lines(EVERY_SEQ))


def _checked(folder: Path, lines: list[bytes]) -> Checked:
    """Build an archive of lines, and check its files alone."""
    path = folder / "a.lp"
    path.write_bytes(b"".join(line + b"\n" for line in lines))
    build(open_sources(path), folder / "out")
    return check([], folder / "out")


def test_the_roots_of_all_seals_match(tmp_path: Path, sealed: list[bytes]) -> None:
    """The hashes in the archive give the roots that the device has signed."""
    checked = _checked(tmp_path, sealed)
    assert (checked.seals_matching, checked.seals_open) == (3, 0)
    assert checked.agrees


def test_a_missing_reading_leaves_later_seals_open(
    tmp_path: Path, sealed: list[bytes]
) -> None:
    """The seals before it still match."""
    missing = next(line for line in sealed if decode(line).fields["seq"] == 10)
    checked = _checked(tmp_path, [line for line in sealed if line != missing])
    assert (checked.seals_matching, checked.seals_open) == (1, 2)
    assert checked.agrees


def test_an_altered_reading_breaks_the_seals_after_it(
    tmp_path: Path, sealed: list[bytes]
) -> None:
    """A consistent archive of altered lines does not agree with the seals."""
    altered = [
        line.replace(b"received=19i", b"received=20i") if number == 9 else line
        for number, line in enumerate(sealed)
    ]
    assert altered != sealed
    checked = _checked(tmp_path, altered)
    assert (checked.seals_matching, checked.seals.count) == (1, 2)
    assert "its root is not that of the readings" in checked.seals.first[0]
    assert not checked.agrees
