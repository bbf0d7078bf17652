"""Archives that leave out what no registered key has sealed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from qos_agent.archive.build import Built, build
from qos_agent.archive.bundle.register import Keys
from qos_agent.archive.checking import check
from qos_agent.archive.manifest import read_manifest
from qos_agent.archive.sources import open_sources
from qos_agent.archive.sources.lines import LineFile
from qos_agent.model.errors import OperatorError
from qos_agent.model.line_protocol import decode, encode
from tests.archive.bundle.support import lines_of, sealed_device, station_key

COUNTS = (40, 30, 300, 5)


@dataclass(frozen=True, slots=True)
class Case:
    """The lines of a sealed journal, the keys, and a folder for archives."""

    folder: Path
    lines: Sequence[bytes]
    keys: Keys

    def build(self, lines: Sequence[bytes], name: str = "archive") -> Built:
        """Build an archive of lines with the keys."""
        path = self.folder / f"{name}-{len(lines)}.lp"
        path.write_bytes(b"".join(line + b"\n" for line in lines))
        return build([LineFile(path)], self.folder / name, keys=self.keys)

    def archived(self, name: str = "archive") -> set[bytes]:
        """Return the lines in an archive."""
        (source,) = open_sources(self.folder / name)
        return {item.line for item in source.items() if item.line is not None}

    def left_out(self, name: str = "archive") -> set[bytes]:
        """Return the lines that were left out."""
        files = (self.folder / name).glob("left-out-*.lp")
        return {line for path in files for line in path.read_bytes().splitlines()}


@pytest.fixture
def case(tmp_path: Path) -> Case:
    """Return a journal with four seals and four points after them."""
    device = sealed_device(tmp_path / "device", COUNTS)
    device.journal.close()
    return Case(tmp_path, lines_of(tmp_path / "device"), Keys([station_key(device)]))


def _again(line: bytes, **changes: int | str) -> bytes:
    """Return a line with other fields, tags or time."""
    record = decode(line)
    tags = {k: str(changes.pop(k, v)) for k, v in record.tags.items()}
    time_ns = int(changes.pop("time_ns", record.time_ns))
    fields = {**record.fields, **changes}
    return encode(type(record)(record.measurement, tags, fields, time_ns))


def test_only_sealed_readings_are_archived(case: Case) -> None:
    """Readings after the last seal wait in a file, and are archived once sealed."""
    built = case.build(case.lines[:200])
    sealed = max(n for n in (41, 72) if n < 200) - 1
    assert built.manifest.left_out == {"not-sealed": 200 - sealed}
    assert case.archived() == {*case.lines[:sealed]}
    built = case.build(case.lines)
    assert built.manifest.left_out == {"not-sealed": 4}
    assert case.archived() == {*case.lines[:-4]}
    assert case.left_out() == {*case.lines[-4:]}
    assert read_manifest(case.folder / "archive").left_out == {"not-sealed": 4}
    assert case.build(case.lines, "whole").manifest.readings == built.manifest.readings


def test_forged_readings_are_left_out(case: Case) -> None:
    """Second lines of a number, a foreign journal, and numbers after the last seal."""
    lines = case.lines
    second = [
        _again(lines[n], time_ns=decode(lines[n]).time_ns + 1) for n in (2, 9, 90)
    ]
    foreign = [_again(line, journal="forged") for line in lines[:20]]
    other = [_again(line, device="pi-9") for line in lines[20:30]]
    later = [_again(lines[0], seq=len(lines) + 50)]
    forged = [*second, *foreign, *other, *later]
    built = case.build([*forged, *lines])
    assert built.is_sound, "the seals decide, so that there is no conflict"
    assert built.manifest.left_out == {
        "contradicting": len(second),
        "no-registered-key": len(foreign) + len(other),
        "not-sealed": 4 + len(later),
    }
    assert case.archived() == {*lines[:-4]}
    assert case.left_out() == {*forged, *lines[-4:]}
    source = case.folder / f"archive-{len(forged) + len(lines)}.lp"
    assert check([LineFile(source)], case.folder / "archive").agrees


def test_a_span_that_no_seal_proves_is_left_out(case: Case) -> None:
    """An overwritten or missing reading costs the span between its two seals only."""
    lines = [*case.lines]
    lines[50] = _again(lines[50], sent=7)
    built = case.build(lines)
    assert built.manifest.left_out == {"not-proven": 31, "not-sealed": 4}
    assert case.archived() == {*lines[:40], *lines[71:-4]}
    built = case.build([line for line in case.lines if line != case.lines[50]], "gap")
    assert built.manifest.left_out == {"not-proven": 30, "not-sealed": 4}


def test_a_station_that_the_key_never_had_is_left_out(case: Case) -> None:
    """A device cannot sign for a station for which its key was not registered."""
    (key,) = case.keys.all()
    other = Keys([type(key)("3171010009999", key.name, key.key, 0)])
    built = Case(case.folder, case.lines, other).build(case.lines)
    assert built.manifest.left_out == {"no-registered-key": len(case.lines)}
    assert not built.manifest.readings


def test_the_two_kinds_of_archives_do_not_mix(case: Case) -> None:
    """An archive does not show which readings came in without a proof."""
    case.build(case.lines)
    with pytest.raises(OperatorError, match="was built with --sealed-by"):
        build(
            [LineFile(case.folder / f"archive-{len(case.lines)}.lp")],
            case.folder / "archive",
        )
    build(
        [LineFile(case.folder / f"archive-{len(case.lines)}.lp")], case.folder / "plain"
    )
    with pytest.raises(OperatorError, match="was built without --sealed-by"):
        case.build(case.lines, "plain")
