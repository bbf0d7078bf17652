"""The content of the packages, and the scripts that dpkg runs."""

from __future__ import annotations

import hashlib
import io
import json
import lzma
import shutil
import subprocess
import tarfile
import zipfile
from pathlib import Path

import pytest

from deploy.packages import __main__ as builder
from deploy.packages.architecture import ARCHITECTURES
from deploy.packages.archives import ar, tar, xz
from deploy.packages.deb import deb, debian_version
from deploy.packages.sbom import sbom
from deploy.packages.tree import FILES, PROGRAM, Entry, tree
from tests.support.requirement import require

SCRIPTS = Path(builder.__file__).parent / "debian"
ARMHF = ARCHITECTURES["armhf"]


@pytest.fixture
def wheels(tmp_path: Path) -> list[Path]:
    """Return wheels of a library with modules for two versions of Python."""
    return [
        _wheel(
            tmp_path,
            f"core-1.0-{tag}-manylinux2014_armv7l.whl",
            {f"core/_{tag}.so": tag},
        )
        for tag in ("cp311", "cp313")
    ]


def _wheel(folder: Path, name: str, files: dict[str, str]) -> Path:
    path = folder / name
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("core/__init__.py", "")
        archive.writestr("core/tests/test_core.py", "")
        metadata = "Name: core\nVersion: 1.0\nLicense-Expression: MIT\n"
        archive.writestr("core-1.0.dist-info/METADATA", metadata)
        archive.writestr("core-1.0.dist-info/WHEEL", name)
        for member, content in files.items():
            archive.writestr(member, content)
    return path


def test_the_tree_has_the_modules_of_every_python(wheels: list[Path]) -> None:
    """Compiled modules lie side by side, tests are left out, the program is last."""
    files = tree("1.2", wheels)
    folder = "usr/lib/qos-agent/1.2"
    assert {f"{folder}/core/_cp311.so", f"{folder}/core/_cp313.so"} <= set(files)
    assert f"{folder}/core/tests/test_core.py" not in files
    assert list(files)[-1] == PROGRAM
    assert f"PYTHONPATH=/{folder}\n" in files[PROGRAM].content.decode()


def test_two_different_files_of_one_name_are_an_error(tmp_path: Path) -> None:
    """A file of one library must not replace that of another."""
    pair = [
        _wheel(tmp_path, f"{name}-1-py3-none-any.whl", {"a.py": name}) for name in "ab"
    ]
    with pytest.raises(ValueError, match=r"another file has the name a\.py"):
        tree("1", pair)


def test_the_same_content_gives_the_same_bytes(wheels: list[Path]) -> None:
    """The package does not depend on the time, the order or the user of the build."""
    first = deb(tree("1", wheels), "1", ARMHF, 1_700_000_000, fast=True)
    second = deb(tree("1", wheels[::-1]), "1", ARMHF, 1_700_000_000, fast=True)
    digests = {hashlib.sha256(content).hexdigest() for content in (first, second)}
    assert len(digests) == 1


def test_dpkg_reads_the_package(wheels: list[Path], tmp_path: Path) -> None:
    """dpkg-deb lists fields and files; files belong to root."""
    path = tmp_path / "a.deb"
    path.write_bytes(deb(tree("1.dev2", wheels), "1.dev2", ARMHF, 0, fast=True))
    fields = _dpkg_deb("--field", path, "Version", "Architecture", "Depends")
    assert "Version: 1~dev2" in fields
    assert "Architecture: armhf" in fields
    assert "python3 (>= 3.11)" in fields
    listing = _dpkg_deb("--contents", path)
    assert "-rwxr-xr-x root/root" in listing
    assert "./usr/lib/systemd/system/qos-agent.service" in listing


def _dpkg_deb(option: str, path: Path, *fields: str) -> str:
    found = shutil.which("dpkg-deb") is not None
    require(found, "dpkg-deb", "use a machine with Debian or Ubuntu")
    command = ["dpkg-deb", option, str(path), *fields]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def test_the_slow_compression_has_the_same_content() -> None:
    """Tests compress less than releases."""
    assert lzma.decompress(xz(b"abc")) == lzma.decompress(xz(b"abc", fast=True))


def test_archives_keep_modes_and_order() -> None:
    """Each folder comes before its files, and odd sizes are padded."""
    content = tar({"b/c": Entry(b"1", 0o755), "a": Entry(b"2")}, 5)
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        assert archive.getnames() == ["./b", "./b/c", "./a"]
        assert archive.getmember("./b/c").mode == 0o755
    assert len(ar({"x": b"1"}, 0)) == 8 + 60 + 2


@pytest.mark.parametrize(
    ("version", "expected"), [("0.2.0.dev3+gab", "0.2.0~dev3+gab"), ("0.2.0", "0.2.0")]
)
def test_development_versions_are_older_than_the_release(
    version: str, expected: str
) -> None:
    """dpkg orders `~` before the end of a version."""
    assert debian_version(version) == expected


def test_the_bill_of_materials_names_every_library(wheels: list[Path]) -> None:
    """Each wheel has name, version, licence and hash."""
    document = json.loads(sbom("1", wheels))
    assert document["bomFormat"] == "CycloneDX"
    assert [c["name"] for c in document["components"]] == ["core", "core"]
    component = document["components"][0]
    assert component["licenses"] == [{"license": {"name": "MIT"}}]
    digest = hashlib.sha256(wheels[0].read_bytes()).hexdigest()
    assert component["hashes"] == [{"alg": "SHA-256", "content": digest}]


@pytest.mark.parametrize(
    "script",
    [
        *sorted(SCRIPTS.iterdir()),
        *sorted(FILES.glob("*.sh")),
        *(FILES / name for name in ("configure", "qos-agent", "upgrade")),
    ],
    ids=lambda path: path.name,
)
def test_scripts_are_valid_for_every_shell(script: Path) -> None:
    """dpkg, systemd and technicians run them with /bin/sh."""
    subprocess.run(["sh", "-n", str(script)], check=True)


@pytest.mark.parametrize(
    ("machine", "python", "problem"),
    [
        ("armv6l", "3.11", "this processor is armv6l"),
        ("armv7l", "3.9", "this system has 3.9"),
        ("armv7l", "3.15", "this system has 3.15"),
        ("armv7l", "3.11", None),
        ("armv8l", "3.14", None),
        ("aarch64", "3.13", None),
    ],
)
def test_preinst_refuses_what_cannot_work(
    machine: str, python: str, problem: str | None, tmp_path: Path
) -> None:
    """One line names the reason before anything is unpacked."""
    for name, output in (("uname", machine), ("python3", python)):
        program = tmp_path / name
        program.write_text(f"#!/bin/sh\necho {output}\n")
        program.chmod(0o755)
    text = (SCRIPTS / "preinst").read_text().replace("@ARCHITECTURE@", "armhf")
    text = text.replace("/usr/bin/python3", str(tmp_path / "python3"))
    # Nothing of this machine may be changed.
    text = text.partition("# Files of an earlier")[0]
    done = subprocess.run(
        ["sh", "-c", text, "preinst", "install"],
        env={"PATH": f"{tmp_path}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == (0 if problem is None else 1)
    assert (problem or "") in done.stderr
    assert len(done.stderr.splitlines()) == (0 if problem is None else 1)
