"""Bundles of real journals: what becomes part of the record, and what is left out."""

from __future__ import annotations

import csv
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from qos_agent.agent.events import reading_of
from qos_agent.archive.build import build
from qos_agent.archive.bundle import layout
from qos_agent.archive.bundle.centre import Centre
from qos_agent.archive.bundle.findings import Kind
from qos_agent.archive.bundle.register import StationKey
from qos_agent.archive.bundle.verifying import verify
from qos_agent.archive.bundle.writing import write_bundle
from qos_agent.archive.sources import open_sources
from qos_agent.evidence import keys
from qos_agent.evidence.keys import FILE_NAME
from qos_agent.journal import JournalLimits
from qos_agent.model.errors import OperatorError
from qos_agent.model.line_protocol import decode, encode
from qos_agent.noc.witness import resuming
from tests.agent.test_sealing import Device
from tests.archive.bundle.support import (
    STATION,
    bundle_of,
    journal_source,
    lines_of,
    sealed_device,
    station_key,
    witnessed,
)
from tests.evidence.support import MemorySigner
from tests.journal.support import open_journal, put
from tests.noc.witness.support import MINUTE_NS, NOW_NS, WITNESS_NAME

LATER_NS = NOW_NS + 60 * MINUTE_NS


def _content(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_the_same_input_gives_the_same_bytes(tmp_path: Path) -> None:
    """Whatever the order of lines and sources is, and however often a line comes."""
    device = sealed_device(tmp_path / "device")
    device.journal.close()
    lines, centre = lines_of(tmp_path / "device"), Centre([station_key(device)])
    source = journal_source(tmp_path / "device")
    bundle_of(tmp_path / "one", lines, centre, source)
    mixed = [*lines, *lines[:50]]
    random.Random(1).shuffle(mixed)
    bundle_of(tmp_path / "two", mixed, centre)
    write_bundle([source], tmp_path / "three", centre)
    build([source], tmp_path / "archive")
    write_bundle(open_sources(tmp_path / "archive"), tmp_path / "four", centre)
    expected = _content(tmp_path / "one")
    for name in ("two", "three", "four"):
        assert _content(tmp_path / name) == expected, name
    verdict = verify(tmp_path / "one")
    assert verdict.is_valid
    assert verdict.witness is None


def test_forged_points_are_left_out(tmp_path: Path) -> None:
    """The seals decide which of two lines is the true one, also without the journal."""
    device = sealed_device(tmp_path / "device")
    device.journal.close()
    lines, centre = lines_of(tmp_path / "device"), Centre([station_key(device)])
    forged = []
    for line in (lines[2], lines[5], lines[60], lines[200]):
        record = decode(line)
        for shift in (-1, 1):
            at_ns = record.time_ns + shift
            values = (record.measurement, record.tags, record.fields, at_ns)
            forged.append(encode(type(record)(*values)))
    written = bundle_of(tmp_path / "bundle", [*lines, *forged], centre)
    assert written.left_out == {"contradicting": len(forged), "not-sealed": 4}
    path = tmp_path / "bundle/data" / layout.LEFT_OUT / "contradicting.lp"
    assert set(path.read_bytes().splitlines()) == set(forged)
    verdict = verify(tmp_path / "bundle")
    assert verdict.is_valid, verdict.counts()
    assert verdict.left_out == written.left_out
    built = build(open_sources(tmp_path / "bundle"), tmp_path / "archive")
    assert sum(built.manifest.readings.values()) == written.points
    assert built.is_sound


def test_points_without_a_registered_key_are_left_out(tmp_path: Path) -> None:
    """A journal that someone writes under the name of a station has no sealed point."""
    device = sealed_device(tmp_path / "device")
    device.journal.close()
    lines = lines_of(tmp_path / "device")
    other = sealed_device(tmp_path / "other", (10, 10))
    other.journal.close()
    forged = lines_of(tmp_path / "other")
    centre = Centre([station_key(device)])
    written = bundle_of(tmp_path / "bundle", [*lines, *forged], centre)
    assert written.left_out == {"no-registered-key": len(forged), "not-sealed": 4}
    assert verify(tmp_path / "bundle").is_valid
    with pytest.raises(OperatorError, match="no reading is sealed"):
        bundle_of(tmp_path / "none", forged, centre)
    assert not (tmp_path / "none").exists()


def test_a_missing_point_of_a_database_is_named(tmp_path: Path) -> None:
    """Without the journal its interval is not proven; with it only this point is."""
    device = sealed_device(tmp_path / "device")
    device.journal.close()
    lines, centre = lines_of(tmp_path / "device"), Centre([station_key(device)])
    lines = [line for line in lines if decode(line).fields["seq"] != 100]
    bundle_of(tmp_path / "bundle", lines, centre)
    (report,) = verify(tmp_path / "bundle").journals
    assert report.findings.counts == {Kind.MISSING: 1, Kind.UNPROVEN: 301}
    assert report.proven == 378 - 301


def test_an_altered_point_of_a_database_is_named(tmp_path: Path) -> None:
    """The hash in the journal shows which one it is."""
    device = sealed_device(tmp_path / "device")
    device.journal.close()
    lines, centre = lines_of(tmp_path / "device"), Centre([station_key(device)])
    changed = [
        line.replace(b"received=19i", b"received=20i") if number == 99 else line
        for number, line in enumerate(lines)
    ]
    assert changed != lines
    bundle_of(tmp_path / "bundle", changed, centre)
    (report,) = verify(tmp_path / "bundle").journals
    assert report.findings.counts == {Kind.ALTERED: 1, Kind.UNPROVEN: 301}


def _damage(device: Device) -> None:
    device.journal.close()
    path = device.folder / "journal.sqlite3"
    content = bytearray(path.read_bytes())
    content[30_000:30_400] = bytes(400)
    path.write_bytes(content)


def _remove(device: Device) -> None:
    device.journal.close()
    for path in device.folder.glob("journal.sqlite3*"):
        path.unlink()


@pytest.mark.parametrize("change", [_damage, _remove])
def test_a_replaced_journal_is_handed_over(
    tmp_path: Path, change: Callable[[Device], None]
) -> None:
    """The verifier names the hand-over; without it there are two journals."""
    device = sealed_device(tmp_path / "device")
    before = [line for _, line in device.journal.lines(-(2**62))]
    change(device)
    device.open()
    put(device.journal, device.clock, 20)
    device.seal("start")
    put(device.journal, device.clock, 20)
    device.seal()
    device.journal.close()
    lines = [*before, *lines_of(device.folder)]
    key = station_key(device)
    nation = witnessed(tmp_path / "witness", [key], list(dict.fromkeys(lines)))
    assert nation.bench.kinds() == []
    bundle_of(tmp_path / "bundle", lines, nation.centre([key]))
    verdict = verify(tmp_path / "bundle")
    assert verdict.is_valid, verdict.counts()
    (old, new) = sorted(verdict.journals, key=lambda one: one.sealed, reverse=True)
    assert (old.handovers, len(new.handovers)) == ([], 1)
    assert f"from {old.origin}" in new.handovers[0]
    without = [line for line in lines if b'cause="handover"' not in line]
    bundle_of(tmp_path / "without", without, nation.centre([key]))
    counts = verify(tmp_path / "without").counts()
    assert Kind.TWO_JOURNALS in counts


def test_the_configurations_are_listed(tmp_path: Path) -> None:
    """The file has a line for each configuration, and only the heads without any."""
    device = sealed_device(tmp_path / "device", (3,))
    device.journal.close()
    centre = Centre([station_key(device)])
    bundle_of(tmp_path / "bundle", lines_of(tmp_path / "device"), centre)
    path = tmp_path / "bundle/data" / layout.CONFIGURATIONS
    with path.open(newline="") as file:
        assert next(csv.reader(file))[-1] == "first_seq"


def test_a_folder_with_files_is_refused(tmp_path: Path) -> None:
    """An earlier bundle is never overwritten."""
    (tmp_path / "bundle").mkdir()
    (tmp_path / "bundle/a").write_text("")
    with pytest.raises(OperatorError, match="is not empty"):
        write_bundle([], tmp_path / "bundle", Centre([]))


def test_points_that_the_device_removed_are_counted(tmp_path: Path) -> None:
    """A full card removes undelivered points; its sealed events state how many."""
    (tmp_path / "device").mkdir()
    device = Device(tmp_path / "device")
    device.journal.close()
    limits = JournalLimits(size_bytes=300_000, disk_reserve_bytes=0)
    device.journal = open_journal(device.folder, limits)
    device.sealer = device._sealer()
    for _ in range(8):
        put(device.journal, device.clock, 240)
        device.seal()
        device._store(
            [
                reading_of(event, device.clock.boot_ns())
                for event in device.journal.take_events()
            ]
        )
    device.seal()
    device.journal.close()
    lines, centre = lines_of(device.folder), Centre([station_key(device)])
    evicted = any(line.startswith(b"event,kind=eviction") for line in lines)
    assert evicted
    write_bundle([journal_source(device.folder)], tmp_path / "bundle", centre)
    verdict = verify(tmp_path / "bundle")
    (report,) = verdict.journals
    assert verdict.is_valid, verdict.counts()
    assert report.removed == report.sealed - report.proven > 500
    assert sum(int(text.split()[1]) for text in report.removals) >= report.removed
    points = next((tmp_path / "bundle/data/journals").glob("*/*")) / layout.POINTS
    kept = points.read_bytes().splitlines(keepends=True)
    points.write_bytes(b"".join(kept[:-3]))
    (report,) = verify(tmp_path / "bundle").journals
    assert Kind.MISSING in report.findings.counts


def test_a_replaced_key_is_named(tmp_path: Path) -> None:
    """Seals of both keys are proven, each in its time, and the change is named."""
    device = sealed_device(tmp_path / "device")
    old = station_key(device)
    keys.retire_key(device.path, "20240214T000000")
    device.public_key = keys.create_key(device.path).public_key
    device.journal.close()
    device.clock.advance(100.0)
    device.open()
    put(device.journal, device.clock, 3)
    device.seal("start")
    put(device.journal, device.clock, 3)
    device.seal()
    device.journal.close()
    lines = lines_of(device.folder)
    times = [decode(line).time_ns // 10**9 for line in lines if b"seal," in line[:5]]
    change_s = times[-2] - 50
    both = [
        StationKey(old.station, old.name, old.key, 0, change_s),
        StationKey(old.station, old.name, device.public_key, change_s),
    ]
    bundle_of(tmp_path / "bundle", lines, Centre(both))
    verdict = verify(tmp_path / "bundle")
    assert verdict.is_valid, verdict.counts()
    (report,) = verdict.journals
    assert "signed by the old key, too" in report.handovers[0]
    late = [StationKey(old.station, old.name, old.key, 0, change_s)]
    written = bundle_of(tmp_path / "late", lines, Centre(late))
    assert written.left_out["not-sealed"] > 4
    early = [both[1], StationKey(old.station, old.name, old.key, 0, 1000)]
    bundle_of(tmp_path / "early", lines, Centre(early))
    assert Kind.EXPIRED_KEY in verify(tmp_path / "early").counts()


def test_a_seal_that_the_witness_never_received_has_a_reason(tmp_path: Path) -> None:
    """With the statement of the witness the bundle is valid; without it, it is not."""
    device = sealed_device(tmp_path / "device", (20, 20, 20, 20))
    device.journal.close()
    lines, key = lines_of(tmp_path / "device"), station_key(device)
    seals = [line for line in lines if line.startswith(b"seal,")]
    nation = witnessed(tmp_path / "witness", [key], [seals[0], *seals[2:]])
    bench = nation.bench
    (gap,) = resuming.gaps_of(bench.store, STATION, LATER_NS)
    resuming.resume(bench.checker, WITNESS_NAME, gap, LATER_NS)
    bundle_of(tmp_path / "bundle", lines, nation.centre([key], signs=False))
    verdict = verify(tmp_path / "bundle")
    assert verdict.is_valid, verdict.counts()
    (report,) = verdict.journals
    assert (report.seals, report.cosigned, len(report.resumed)) == (4, 3, 1)
    path = next((tmp_path / "bundle/data/journals").glob("*/*")) / layout.RESUMED
    path.unlink()
    (report,) = verify(tmp_path / "bundle").journals
    assert report.findings.counts == {Kind.COSIGNATURE: 1}


def test_a_witness_that_began_later_has_a_reason(tmp_path: Path) -> None:
    """It has signed with which seal it began; else a cosignature is missing."""
    device = sealed_device(tmp_path / "device", (20, 20, 20, 20))
    device.journal.close()
    lines, key = lines_of(tmp_path / "device"), station_key(device)
    seals = [line for line in lines if line.startswith(b"seal,")]
    nation = witnessed(tmp_path / "witness", [key], seals[1:])
    bundle_of(tmp_path / "bundle", lines, nation.centre([key], signs=False))
    nation.bench.close()
    verdict = verify(tmp_path / "bundle")
    assert verdict.is_valid, verdict.counts()
    (report,) = verdict.journals
    assert (report.seals, report.cosigned, report.resumed) == (4, 3, [])
    path = next((tmp_path / "bundle/data/journals").glob("*/*")) / layout.RESUMED
    path.unlink()
    (report,) = verify(tmp_path / "bundle").journals
    assert report.findings.details[Kind.COSIGNATURE] == [
        "the seal of 20 points has no cosignature"
    ]


def test_a_copied_card_is_named(tmp_path: Path) -> None:
    """Two devices that go on with one journal and key are a fork."""
    device = sealed_device(tmp_path / "device", (20, 20))
    device.journal.close()
    shutil.copytree(tmp_path / "device", tmp_path / "copy")
    lines: list[bytes] = []
    for number, name in enumerate(("device", "copy"), 1):
        device.folder, device.path = tmp_path / name, tmp_path / name / FILE_NAME
        device.open()
        put(device.journal, device.clock, 7 * number)
        device.seal("start")
        put(device.journal, device.clock, 3)
        device.seal()
        device.journal.close()
        lines += lines_of(tmp_path / name)
    assert len(set(lines)) > len(lines_of(tmp_path / "copy"))
    bundle_of(tmp_path / "bundle", lines, Centre([station_key(device)]))
    verdict = verify(tmp_path / "bundle")
    (report,) = verdict.journals
    assert Kind.FORKED in report.findings.counts
    assert report.proven >= 41


def test_a_replay_under_another_station_is_named(tmp_path: Path) -> None:
    """Readings of one device are not those of another one, however they are named."""
    device = sealed_device(tmp_path / "device", (20, 20))
    device.journal.close()
    other = "3171010001002"
    lines = [
        line.replace(STATION.encode(), other.encode())
        for line in lines_of(tmp_path / "device")
    ]
    key = station_key(device)
    both = [key, StationKey(other, key.name, MemorySigner(5).public_key, 0)]
    with pytest.raises(OperatorError, match="no reading is sealed"):
        bundle_of(tmp_path / "none", lines, Centre(both))
    moved = [key, StationKey(other, key.name, key.key, 0)]
    bundle_of(tmp_path / "bundle", lines, Centre(moved))
    (report,) = verify(tmp_path / "bundle").journals
    assert report.proven == 0
    assert Kind.ALTERED in report.findings.counts
