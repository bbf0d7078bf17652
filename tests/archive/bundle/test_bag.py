"""The bag in the view of other programs, and bags that others wrote."""

from __future__ import annotations

import shutil
import subprocess
import warnings
from pathlib import Path

import pytest

from qos_agent.archive.bundle import bag
from qos_agent.archive.bundle.centre import Centre
from qos_agent.model.errors import OperatorError
from tests.archive.bundle.support import (
    bundle_of,
    lines_of,
    sealed_device,
    station_key,
)


@pytest.fixture(scope="module")
def untouched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a bundle."""
    folder = tmp_path_factory.mktemp("bag")
    device = sealed_device(folder / "device", (5, 5))
    device.journal.close()
    lines = lines_of(folder / "device")
    bundle_of(folder / "bundle", lines, Centre([station_key(device)]))
    return folder / "bundle"


def test_the_library_of_congress_accepts_the_bag(
    untouched: Path, tmp_path: Path
) -> None:
    """The program `bagit` finds a valid bag, and a changed file in another one."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        bagit = pytest.importorskip("bagit", reason="Fix: make clean, then make test")
    assert bagit.Bag(str(untouched)).is_valid()
    shutil.copytree(untouched, tmp_path / "bundle")
    with (tmp_path / "bundle/data/dictionary.csv").open("a") as file:
        file.write("more")
    assert not bagit.Bag(str(tmp_path / "bundle")).is_valid()


def test_sha256sum_accepts_the_manifests(untouched: Path) -> None:
    """Both manifests are in the form of `sha256sum -c`."""
    for name in (bag.MANIFEST, bag.TAG_MANIFEST):
        argv = ["sha256sum", "--strict", "--quiet", "-c", name]
        done = subprocess.run(argv, cwd=untouched, check=False, capture_output=True)
        assert (done.returncode, done.stdout) == (0, b""), done.stderr


def test_names_of_files_need_no_escape() -> None:
    """A device or journal with any name has a folder of its own below its parent."""
    texts = ["pi-1", "", "..", "../../etc", "a/b", "a b", "%41", "é", "x" * 300, "A"]
    names = [bag.safe_name(text) for text in texts]
    assert len({name.lower() for name in names}) == len(texts)
    assert names[0] == "pi-1"
    for name in names:
        assert len(name) < 100
        assert name.strip("abcdefghijklmnopqrstuvwxyzA0123456789_-") == ""


def test_a_link_or_a_strange_manifest_is_a_fault(
    untouched: Path, tmp_path: Path
) -> None:
    """A link to a file outside, a path outside, and a line that is no checksum."""
    folder = tmp_path / "bundle"
    shutil.copytree(untouched, folder)
    target = folder / "data/dictionary.csv"
    target.rename(tmp_path / "outside.csv")
    target.symlink_to(tmp_path / "outside.csv")
    assert "data/dictionary.csv: is not a regular file" in list(bag.faults(folder))
    for text in ("hello", f"{'0' * 64}  ../outside.csv"):
        (folder / bag.MANIFEST).write_text(f"{text}\n")
        faults = list(bag.faults(folder))
        assert any("is not a checksum and a path" in fault for fault in faults)
    (folder / bag.DECLARATION).write_text("BagIt-Version: 9\n")
    with pytest.raises(OperatorError, match=r"is not of BagIt 1\.0"):
        bag.need_bag(folder)
