"""Archives: every reading once, the same bytes from the same readings, conflicts."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import duckdb
import pytest

from qos_agent.archive.build import Built, build
from qos_agent.archive.manifest import read_manifest
from qos_agent.archive.sources import open_sources
from qos_agent.archive.sources.parquet import ParquetArchive
from qos_agent.model.errors import OperatorError
from tests.archive.support import (
    DAY_NS,
    VOTING_NS,
    filled_journal,
    journal_file,
    line,
    lines,
)


def _file(path: Path, content: Iterable[bytes]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(reading + b"\n" for reading in content))
    return path


def _build(out: Path, *paths: Path, batch_rows: int = 25) -> Built:
    sources = [source for path in paths for source in open_sources(path)]
    return build(sources, out, batch_rows=batch_rows)


def _archived(out: Path) -> list[bytes]:
    items = list(ParquetArchive(out).items())
    assert [item.fault for item in items if item.fault] == []
    return sorted(item.line for item in items if item.line is not None)


def _content(out: Path) -> dict[str, str]:
    """Return the hash of each file but the manifest, which names the sources."""
    return {
        str(path.relative_to(out)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in out.rglob("*")
        if path.is_file() and path.name != "archive.json"
    }


def _spread(count: int = 60) -> list[bytes]:
    """Return readings of three days and three provinces, one of them unknown."""
    return [
        line(
            n,
            f"j{n % 2}",
            time_ns=VOTING_NS + n % 3 * DAY_NS + n,
            province=("31", "32", "x")[n % 3],
            station=f"317101000100{n % 5}",
        )
        for n in range(1, count + 1)
    ]


def test_every_reading_is_in_the_archive_once(tmp_path: Path) -> None:
    """Readings come from several files, some of them twice."""
    readings = _spread()
    one = _file(tmp_path / "in/one.lp", readings[:40])
    two = _file(tmp_path / "in/two.lp", readings[20:] + readings[20:25])
    built = _build(tmp_path / "out", one, two)
    assert _archived(tmp_path / "out") == sorted(readings)
    assert built.is_sound
    assert built.manifest.readings == {"latency": 60}
    assert [s.readings for s in built.manifest.sources] == [40, 45]


def test_files_are_partitioned_sorted_typed_and_compressed(tmp_path: Path) -> None:
    """The path has measurement, day in UTC and province; the types are the schema's."""
    _build(tmp_path / "out", _file(tmp_path / "a.lp", _spread()))
    manifest = read_manifest(tmp_path / "out")
    places = sorted("/".join(f.partition) for f in manifest.files if f.readings)
    days = ("2024-02-14", "2024-02-15", "2024-02-16")
    areas = ("31", "32", "xx")
    assert places == [f"latency/{d}/{a}" for d, a in zip(days, areas, strict=True)]
    file = next(f for f in manifest.files if f.readings)
    path = tmp_path / "out" / file.path
    with duckdb.connect() as db:
        described = db.execute(f"DESCRIBE SELECT * FROM '{path}'").fetchall()
        types = {row[0]: row[1] for row in described}
        codecs = db.execute(
            f"SELECT DISTINCT compression FROM parquet_metadata('{path}')"
        ).fetchall()
        order = db.execute(f"SELECT station, time_ns FROM '{path}'").fetchall()
    assert (types["time_ns"], types["seq"]) == ("BIGINT", "BIGINT")
    assert (types["rtt_p50_ms"], types["province"]) == ("DOUBLE", "VARCHAR")
    assert codecs == [("ZSTD",)]
    assert order == sorted(order)


@pytest.mark.slow
@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1)])
def test_the_bytes_depend_on_the_readings_alone(
    tmp_path: Path, order: tuple[int, ...]
) -> None:
    """One build of all, or three builds in any order, give the same files."""
    readings = _spread()
    parts = [readings[:30], readings[20:45], readings[40:]]
    paths = [_file(tmp_path / f"{n}.lp", part) for n, part in enumerate(parts)]
    _build(tmp_path / "whole", *paths)
    for number in order:
        _build(tmp_path / "steps", paths[number])
    assert _content(tmp_path / "steps") == _content(tmp_path / "whole")
    manifests = [
        (tmp_path / n / "archive.json").read_text() for n in ("whole", "steps")
    ]
    assert manifests[0] == manifests[1]


def test_a_source_that_grew_is_continued(tmp_path: Path) -> None:
    """Only new lines are read, and partitions without new readings stay."""
    readings = _spread()
    path = _file(tmp_path / "a.lp", readings[:30])
    first = _build(tmp_path / "out", path)
    more = line(500, "j9", time_ns=VOTING_NS + 9 * DAY_NS)
    _file(path, [*readings[:30], more])
    second = _build(tmp_path / "out", path)
    assert _archived(tmp_path / "out") == sorted([*readings[:30], more])
    assert {*first.manifest.files} < {*second.manifest.files}
    assert second.manifest.sources[0].readings == 31


def test_the_same_build_again_changes_nothing(tmp_path: Path) -> None:
    """Manifest and files keep their bytes."""
    path = _file(tmp_path / "a.lp", _spread())
    _build(tmp_path / "out", path)
    before = {p: p.read_bytes() for p in (tmp_path / "out").rglob("*") if p.is_file()}
    _build(tmp_path / "out", path)
    assert before == {p: p.read_bytes() for p in before}


def test_different_content_is_a_conflict_and_stays_one(tmp_path: Path) -> None:
    """Neither variant is archived, in any order and also in later builds."""
    readings = lines(5)
    altered = line(3, received=20, lost=0)
    good = _file(tmp_path / "good.lp", readings)
    bad = _file(tmp_path / "bad.lp", [altered])
    at_once = _build(tmp_path / "at_once", good, bad)
    assert _build(tmp_path / "later", good).is_sound
    later = _build(tmp_path / "later", bad)
    for built in (at_once, later, _build(tmp_path / "later", good)):
        assert not built.is_sound
        assert built.manifest.conflicts == 1
        assert [(c.journal, c.seq) for c in built.conflicts] == [("j1", 3)]
        assert built.manifest.readings == {"latency": 4}
    assert at_once.conflicts[0].sources == (str(bad), str(good))
    assert later.conflicts[0].sources == (str(bad), "the archive")
    assert _content(tmp_path / "at_once") == _content(tmp_path / "later")
    (path,) = (tmp_path / "later").glob("conflicts-*.lp")
    assert sorted(path.read_bytes().splitlines()) == sorted([readings[2], altered])


def test_a_conflict_across_partitions_is_found(tmp_path: Path) -> None:
    """Another time, province or measurement does not hide it."""
    good = _file(tmp_path / "good.lp", lines(3))
    variants = [
        line(1, time_ns=VOTING_NS + 40 * DAY_NS),
        line(2, province="32"),
        b'host,province=31 cpu_share=0.5,journal="j1",seq=3i 1000',
    ]
    _build(tmp_path / "out", good)
    built = _build(tmp_path / "out", _file(tmp_path / "bad.lp", variants))
    assert built.manifest.conflicts == 3
    assert built.manifest.readings == {}
    assert len(_archived(tmp_path / "out")) == 6
    again = _build(tmp_path / "copy", tmp_path / "out")
    assert again.manifest.conflicts == 3


def test_an_archive_is_a_source(tmp_path: Path) -> None:
    """A copy of an archive through its rows has the same bytes."""
    _build(tmp_path / "out", _file(tmp_path / "a.lp", _spread()))
    _build(tmp_path / "copy", tmp_path / "out")
    assert _content(tmp_path / "copy") == _content(tmp_path / "out")


def test_journals_and_lines_give_the_same_archive(tmp_path: Path) -> None:
    """The gateway's files and the sticks from the field have the same readings."""
    stored = filled_journal(tmp_path / "usb/a", 30)
    path = _file(tmp_path / "gateway.lp", stored[5:])
    built = _build(tmp_path / "out", tmp_path / "usb", path)
    assert _archived(tmp_path / "out") == sorted(stored)
    assert built.is_sound


def test_faults_of_sources_are_in_the_manifest(tmp_path: Path) -> None:
    """Damaged lines, other points and a torn end are counted, and the rest is used."""
    path = tmp_path / "a.lp"
    good = lines(3)
    census = b"watermark complete_ms=1i 1"
    content = [good[0], b"nonsense", census, good[1], b"\xff", good[2][:50]]
    path.write_bytes(b"\n".join(content))
    built = _build(tmp_path / "out", path, batch_rows=1)
    (state,) = built.manifest.sources
    assert (state.readings, state.other_points, state.faulty) == (2, 1, 2)
    assert len(state.faults) == 2
    assert "torn off" in state.at_end[0]
    assert not built.is_sound
    path.write_bytes(b"\n".join([*content[:-1], good[2], b""]))
    (state,) = _build(tmp_path / "out", path).manifest.sources
    assert (state.readings, state.faulty, state.at_end) == (3, 2, ())


@pytest.mark.parametrize("name", ["a b", "it's", "x[1]", "y*", "%s{}", "é"])
def test_odd_names_of_folders_work(tmp_path: Path, name: str) -> None:
    """Quotes, spaces and signs of patterns are part of a name."""
    source = _file(tmp_path / name / "a.lp", lines(3))
    _build(tmp_path / name / "out", source)
    _file(source, lines(5))
    _build(tmp_path / name / "out", source)
    assert _archived(tmp_path / name / "out") == sorted(lines(5))


@pytest.mark.parametrize("name", ["z?", "a\\b"])
def test_names_that_duckdb_changes_are_refused(tmp_path: Path, name: str) -> None:
    """The archive would be written somewhere else."""
    source = _file(tmp_path / "a.lp", lines(3))
    with pytest.raises(OperatorError, match="must not contain"):
        _build(tmp_path / name, source)
    assert not (tmp_path / name).exists()


def test_a_first_line_that_was_torn_is_no_lasting_fault(tmp_path: Path) -> None:
    """The file is sound once the line is whole."""
    (tmp_path / "a.lp").write_bytes(line(1)[:40])
    other = _file(tmp_path / "b.lp", lines(2, "j2"))
    assert not _build(tmp_path / "out", tmp_path / "a.lp", other).is_sound
    _file(tmp_path / "a.lp", lines(2))
    assert _build(tmp_path / "out", tmp_path / "a.lp", other).is_sound


def test_a_damaged_journal_does_not_stop_the_others(tmp_path: Path) -> None:
    """Sound readings are archived, and the manifest names the loss."""
    stored = filled_journal(tmp_path / "usb/a", 20)
    filled_journal(tmp_path / "usb/b", 20)
    journal_file(tmp_path / "usb/b").write_bytes(b"broken")
    built = _build(tmp_path / "out", tmp_path / "usb")
    assert _archived(tmp_path / "out") == sorted(stored)
    assert [bool(s.at_end) for s in built.manifest.sources] == [False, True]


def test_a_stick_that_cannot_be_read_does_not_stop_the_others(tmp_path: Path) -> None:
    """The error of the disk is named, and the next build tries again."""
    good = _file(tmp_path / "in/good.lp", lines(3))
    bad = _file(tmp_path / "in/bad.lp", lines(3, "j2"))
    sources = open_sources(tmp_path / "in")
    bad.unlink()
    built = build(sources, tmp_path / "out")
    states = {state.name: state for state in built.manifest.sources}
    assert states[str(good)].readings == 3
    assert states[str(bad)].at_end == ("cannot be read: No such file or directory",)
    _file(bad, lines(3, "j2"))
    assert _build(tmp_path / "out", tmp_path / "in").is_sound
    assert len(_archived(tmp_path / "out")) == 6


def test_an_archive_below_its_source_does_not_read_itself(tmp_path: Path) -> None:
    """A person may build inside the folder with the sticks."""
    _file(tmp_path / "a.lp", lines(3))
    first = _build(tmp_path / "out", tmp_path)
    assert _build(tmp_path / "out", tmp_path).manifest == first.manifest


def test_files_from_before_a_new_field_are_extended(tmp_path: Path) -> None:
    """A column that an older file does not have is empty in it."""
    out = tmp_path / "out"
    _build(out, _file(tmp_path / "a.lp", lines(3)))
    file = next(f for f in read_manifest(out).files if f.readings)
    path = out / file.path
    with duckdb.connect() as db:
        older = f"SELECT * EXCLUDE (span_s, ip_version) FROM '{path}'"
        db.execute(f"COPY ({older}) TO '{path}.old' (FORMAT parquet)")
    path.with_name(path.name + ".old").replace(path)
    text = (out / "archive.json").read_text()
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    (out / "archive.json").write_text(text.replace(file.sha256, digest))
    assert _archived(out) == sorted(lines(3))
    _build(out, _file(tmp_path / "b.lp", [line(4)]))
    assert _archived(out) == sorted(lines(4))
    built = _build(out, _file(tmp_path / "c.lp", [line(1, lost=5)]))
    assert built.manifest.conflicts == 1


def test_a_folder_with_other_files_is_refused(tmp_path: Path) -> None:
    """An archive never mixes with something else."""
    source = _file(tmp_path / "a.lp", lines(3))
    _file(tmp_path / "out/thesis.txt", [])
    with pytest.raises(OperatorError, match=r"not an archive \(found: thesis.txt\)"):
        _build(tmp_path / "out", source)
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["thesis.txt"]


def test_no_readings_leave_no_archive(tmp_path: Path) -> None:
    """An empty archive would look like a result."""
    source = _file(tmp_path / "a.lp", [b"watermark complete_ms=1i 1"])
    with pytest.raises(OperatorError, match="no readings"):
        _build(tmp_path / "out", source)
    assert not (tmp_path / "out" / "archive.json").exists()


@pytest.mark.parametrize("key", ["schema_version", "format_version"])
def test_an_archive_of_a_later_version_is_refused(tmp_path: Path, key: str) -> None:
    """It is neither read nor extended."""
    source = _file(tmp_path / "a.lp", lines(3))
    _build(tmp_path / "out", source)
    path = tmp_path / "out" / "archive.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), key: 99}))
    before = _content(tmp_path / "out")
    for use in (source, tmp_path / "out"):
        with pytest.raises(OperatorError, match=f"{key} must be at most 1"):
            _build(tmp_path / "out", use)
    assert _content(tmp_path / "out") == before


def test_only_one_build_uses_a_folder(tmp_path: Path) -> None:
    """A second one ends with a message."""
    source = _file(tmp_path / "a.lp", lines(3))

    def second(_count: int, _detail: str) -> None:
        with pytest.raises(OperatorError, match="another build uses this folder"):
            _build(tmp_path / "out", source)

    build(open_sources(source), tmp_path / "out", second)


_WORKER = """
import os, signal, sys
from pathlib import Path
from qos_agent.archive.build import build
from qos_agent.archive.sources import open_sources

left = int(sys.argv[3])
def step(*_):
    global left
    left -= 1
    if not left:
        os.kill(os.getpid(), signal.SIGKILL)

for name in ("fsync", "replace", "rename", "unlink", "rmdir"):
    def stepped(*args, _real=getattr(os, name), **options):
        step()
        result = _real(*args, **options)
        step()
        return result
    setattr(os, name, stepped)
build(open_sources(Path(sys.argv[1])), Path(sys.argv[2]), step, batch_rows=20)
print("done", left)
"""


def _killed(source: Path, out: Path, steps: int) -> bool:
    """Build in another process that kills itself at a step; True if it did."""
    command = [sys.executable, "-c", _WORKER, str(source), str(out), str(steps)]
    ended = subprocess.run(command, capture_output=True, check=False, text=True)
    assert ended.returncode in (0, -signal.SIGKILL), ended.stderr
    return ended.returncode != 0


@pytest.mark.slow
def test_a_kill_at_any_step_loses_nothing(tmp_path: Path) -> None:
    """The archive is the old or the new one, and the same command finishes."""
    readings = _spread()
    old = _file(tmp_path / "in/a.lp", readings[:25])
    _build(tmp_path / "whole", old)
    before = _content(tmp_path / "whole")
    _file(tmp_path / "in/b.lp", readings[20:])
    _build(tmp_path / "whole", tmp_path / "in")
    after = _content(tmp_path / "whole")
    full = os.environ.get("QOS_FAULTS") == "full"
    step, was_killed = 1, True
    while was_killed:
        out = tmp_path / f"out{step}"
        _build(out, old)
        was_killed = _killed(tmp_path / "in", out, step)
        state = read_manifest(out)
        named = {file.path: file.sha256 for file in state.files}
        assert named in (before, after)
        assert named.items() <= _content(out).items()
        _build(out, tmp_path / "in")
        assert _content(out) == after
        step += 1 if full else 9
    assert step > 20


_MEASURED = """
import re, sys
from pathlib import Path
from qos_agent.archive.build import build
from qos_agent.archive.checking import check
from qos_agent.archive.sources import open_sources

sources, out = open_sources(Path(sys.argv[1])), Path(sys.argv[2])
build(sources, out, memory_mb=96, batch_rows=5000)
assert check([], out, memory_mb=96).agrees
# ru_maxrss would include the process of the tests, from which this one was forked.
status = Path("/proc/self/status").read_text()
print(int(re.search(r"VmHWM:\\s+(\\d+) kB", status)[1]) // 1024)
"""


def _peak_mib(path: Path, count: int) -> int:
    """Return the memory that building and checking an archive of readings needs."""
    first = line(1).replace(b"seq=1i", b"seq=%di")
    with path.open("wb") as file:
        file.writelines(first % seq + b"\n" for seq in range(1, count + 1))
    out = path.with_suffix("")
    command = [sys.executable, "-c", _MEASURED, str(path), str(out)]
    ended = subprocess.run(command, capture_output=True, check=True, text=True)
    return int(ended.stdout)


@pytest.mark.slow
def test_memory_does_not_grow_with_the_readings(tmp_path: Path) -> None:
    """Sorting, joining and comparing continue on the disk."""
    small = _peak_mib(tmp_path / "small.lp", 15_000)
    large = _peak_mib(tmp_path / "large.lp", 90_000)
    assert large < 300
    assert large - small < 100
