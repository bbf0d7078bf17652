"""Bundles with a damaged or hostile file give a verdict, and never an exception."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from qos_agent.archive.bundle import bag, layout
from qos_agent.archive.bundle.findings import Findings
from qos_agent.archive.bundle.numbered import NumberedLines, identity
from qos_agent.archive.bundle.verifying import verify
from qos_agent.evidence.merkle import leaf_hash
from tests.archive.bundle.support import (
    bundle_of,
    lines_of,
    sealed_device,
    station_key,
    witnessed,
)
from tests.fuzz.mutations import mutated

pytestmark = pytest.mark.slow
EXAMPLES = 2000 if os.environ.get("QOS_HYPOTHESIS") == "full" else 25
_SETTINGS = settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a bundle with every kind of file."""
    return whole_bundle(tmp_path_factory.mktemp("fuzz"))


def whole_bundle(folder: Path) -> Path:
    """Write a bundle with every kind of file into a folder."""
    device = sealed_device(folder / "device", (12, 5, 9))
    device.journal.close()
    lines, key = lines_of(folder / "device"), station_key(device)
    nation = witnessed(folder / "witness", [key], lines)
    bundle_of(folder / "bundle", lines, nation.centre([key]))
    nation.bench.close()
    return folder / "bundle"


@_SETTINGS
@given(data=st.data())
def test_any_file_may_be_damaged(bundle: Path, data: st.DataObject) -> None:
    """A changed file is a fault, and new checksums are not those that were signed."""
    files = [
        path
        for path in sorted(bundle.rglob("*"))
        if path.is_file() and path.parent.name != layout.METHODS
    ]
    path = data.draw(st.sampled_from(files))
    content = path.read_bytes()
    changed = data.draw(mutated([content]))
    manifests = {p: p.read_bytes() for p in files if p.parent == bundle}
    try:
        path.write_bytes(changed)
        if path.name != bag.DECLARATION:
            is_valid = verify(bundle).is_valid
            assert is_valid == (content == changed) or path.name == bag.TAG_MANIFEST
        if path.parent != bundle:
            bag.write_manifest(bundle)
            bag.finish(bundle, [])
            verdict = verify(bundle)
            assert not verdict.is_signed or content == changed
    finally:
        path.write_bytes(content)
        for name, before in manifests.items():
            name.write_bytes(before)


@_SETTINGS
@given(
    lines=st.lists(
        st.binary(max_size=60).filter(lambda b: b"\n" not in b), max_size=30
    ),
    leaves=st.binary(max_size=400),
    size=st.integers(1, 40),
)
def test_any_lines_give_a_chunk(lines: list[bytes], leaves: bytes, size: int) -> None:
    """Lines and hashes that someone made up are judged, and memory is bounded."""
    file = io.BytesIO(b"\n".join(lines))
    found = NumberedLines(file, "pi-1", "j", io.BytesIO(leaves), Findings())
    chunk = found.chunk(1, size)
    assert len(chunk.stored) == size
    assert chunk.found is None or len(chunk.found) == size
    found.finish()
    for line in lines:
        identity(line)


@_SETTINGS
@given(order=st.permutations(range(1, 13)), data=st.data())
def test_lines_in_any_order_are_all_found(
    order: list[int], data: st.DataObject
) -> None:
    """Each line of a shuffled file is found at its number; none is missing."""
    lines = [b'a device="d",journal="j",seq=%di 1' % n for n in range(1, 13)]
    hashes = b"".join(leaf_hash(line) for line in lines)
    file = io.BytesIO(b"".join(lines[n - 1] + b"\n" for n in order))
    findings = Findings()
    found = NumberedLines(file, "d", "j", io.BytesIO(hashes), findings)
    cut = data.draw(st.integers(1, 11))
    chunks = [found.chunk(1, cut), found.chunk(cut + 1, 12)]
    found.finish()
    present = sum(
        len(chunk.stored) if chunk.found is None else sum(map(bool, chunk.found))
        for chunk in chunks
    )
    assert present + len(found.late) == 12
    assert bool(findings) == (order != sorted(order))
