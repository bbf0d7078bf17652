"""National roots of several moments in one bundle."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from qos_agent.archive.bundle import bag, layout
from qos_agent.archive.bundle.findings import Kind
from qos_agent.archive.bundle.verifying import Expected, Verdict, verify
from qos_agent.evidence import notes
from qos_agent.model.line_protocol import decode
from qos_agent.noc.witness import root
from qos_agent.noc.witness.seals import Arrival, read_point
from tests.archive.bundle.support import (
    Nation,
    bundle_of,
    lines_of,
    sealed_device,
    station_key,
    witnessed,
)
from tests.noc.witness.support import NOW_NS, WITNESS, WITNESS_NAME

COUNTS = (40, 30, 300)
NOTHING = Expected()


@pytest.fixture(scope="module")
def untouched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a bundle with a national root after each seal."""
    folder = tmp_path_factory.mktemp("roots")
    device = sealed_device(folder / "device", COUNTS)
    device.journal.close()
    lines, key = lines_of(folder / "device"), station_key(device)
    seals = [line for line in lines if line.startswith(b"seal,")]
    nation = witnessed(folder / "witness", [key], seals[:1])
    for number, line in enumerate(seals[1:], 1):
        record = decode(line)
        place = record.tags["station"], record.tags["regency"]
        arrival = read_point(Arrival(*place, record.time_ns), record.fields)
        at_ns = NOW_NS + number * 3600 * 10**9
        nation.bench.check(arrival, at_ns=at_ns)
        root.build(nation.bench.store, WITNESS_NAME, WITNESS, at_ns // 10**9)
    bundle_of(folder / "bundle", lines, nation.centre([key]))
    _check_limit(nation)
    nation.bench.close()
    return folder / "bundle"


def _check_limit(nation: Nation) -> None:
    """A nation has too many leaves for all roots, and always gives the newest one."""
    found = root.newest_with_proofs(nation.bench.store)
    for limit, count in ((0, 1), (3, 1), (4, 2), (100, 3)):
        assert root.newest_with_proofs(nation.bench.store, limit) == found[-count:]


@pytest.fixture
def bundle(untouched: Path, tmp_path: Path) -> Path:
    """Return a copy of the bundle that a test may change."""
    shutil.copytree(untouched, tmp_path / "bundle")
    return tmp_path / "bundle"


def _verdict(folder: Path, expected: Expected = NOTHING) -> Verdict:
    (folder / layout.SIGNATURE).unlink(missing_ok=True)
    bag.write_manifest(folder)
    bag.finish(folder, [])
    return verify(folder, expected)


def test_each_root_has_a_proof(bundle: Path) -> None:
    """A copy of any root that was published on the day can be compared."""
    verdict = _verdict(bundle)
    assert verdict.is_valid, verdict.counts()
    (report,) = verdict.journals
    assert (report.roots, report.confirmed) == (3, report.sealed)
    key = notes.verifier_key(WITNESS_NAME, WITNESS.public_key.raw)
    paths = sorted((bundle / "data/roots").glob("*.txt"))
    assert len(paths) == 3
    for path in paths:
        assert _verdict(bundle, Expected(key, path.read_bytes())).is_valid


def test_a_changed_earlier_root_is_named(bundle: Path) -> None:
    """A proof that was removed, exchanged or altered, and a root that was removed."""
    (earlier,) = (bundle / "data/journals").glob("*/*/earlier-roots")
    one, two = sorted(earlier.iterdir())
    content = one.read_bytes(), two.read_bytes()
    two.unlink()
    _need_fault(bundle, "no proof that a later national root")
    two.write_bytes(content[0])
    _need_fault(bundle, "no proof that a later national root")
    two.write_bytes(content[1].replace(b"\nindex 1\n", b"\nindex 0\n"))
    _need_fault(bundle, "does not lead to the national root")
    two.write_bytes(content[1])
    (bundle / "data/roots/earlier-1.txt").unlink()
    _need_fault(bundle, "is not of a national root in the bundle")


def _need_fault(folder: Path, text: str) -> None:
    (report,) = _verdict(folder).journals
    found = report.findings.details[Kind.NATIONAL_ROOT]
    assert any(text in one for one in found), found
