"""Gets the wheels of the locked requirements, and builds the agent's own.

Every download is checked against the hashes of `requirements/agent.txt`.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from deploy.packages.architecture import ARMHF, PYTHONS, Architecture
from deploy.packages.psutil_armhf import build_psutil

ROOT = Path(__file__).parents[2]
LOCK = ROOT / "requirements/agent.txt"


def own_wheel(folder: Path) -> Path:
    """Build the wheel of this checkout into an empty folder."""
    subprocess.run(
        [
            *(sys.executable, "-m", "build", "--wheel", "--no-isolation"),
            *("--outdir", str(folder), str(ROOT)),
        ],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    (wheel,) = folder.glob("*.whl")
    return wheel


def wheels(architecture: Architecture, cache: Path) -> list[Path]:
    """Return the wheels of all libraries for an architecture and every Python.

    Those of the first Python serve the others, except for compiled modules without
    the stable interface.
    """
    folder = cache / architecture.debian
    folder.mkdir(parents=True, exist_ok=True)
    first, *others = PYTHONS
    from_source = ("psutil",) if architecture is ARMHF else ()
    _download(architecture, first, _requirements(), folder / first, from_source)
    found = [_built(path, folder) for path in sorted((folder / first).iterdir())]
    versioned = {_name(path) for path in found if _is_versioned(path)}
    for python in others:
        lines = [line for line in _requirements() if _name_of(line) in versioned]
        _download(architecture, python, lines, folder / python)
        found += sorted((folder / python).iterdir())
    return found


def _requirements() -> list[str]:
    """Return the requirements of the lock file, each with its hashes."""
    text = LOCK.read_text(encoding="utf-8").replace("\\\n", " ")
    return [line for line in text.splitlines() if re.match(r"[a-z]", line)]


def _download(
    architecture: Architecture,
    python: str,
    requirements: Sequence[str],
    folder: Path,
    from_source: Sequence[str] = (),
) -> None:
    """Download into a folder, or keep it if it has these requirements already."""
    wanted = folder.with_suffix(folder.suffix + ".txt")
    text = "\n".join(requirements)
    if folder.is_dir() and wanted.is_file() and wanted.read_text() == text:
        return
    for old in folder.glob("*"):
        old.unlink()
    requested = folder.with_suffix(folder.suffix + ".part")
    requested.write_text(text)
    platforms = [f"--platform={name}" for name in architecture.platforms]
    sources = [f"--no-binary={name}" for name in from_source]
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "download", "--quiet"),
            *("--disable-pip-version-check", "--no-deps", "--only-binary=:all:"),
            *sources,
            # A source is not built here, only its metadata.
            *(["--no-build-isolation"] if sources else []),
            *(f"--python-version={python}", *platforms),
            *("--require-hashes", f"--requirement={requested}", f"--dest={folder}"),
        ],
        check=True,
    )
    requested.replace(wanted)


def _built(path: Path, folder: Path) -> Path:
    return build_psutil(path, folder) if path.name.endswith(".tar.gz") else path


def _is_versioned(path: Path) -> bool:
    """Return True if a wheel has modules that are compiled for one Python."""
    return not path.name.endswith("-none-any.whl") and "-abi3-" not in path.name


def _name(wheel: Path) -> str:
    return wheel.name.partition("-")[0].replace("_", "-")


def _name_of(requirement: str) -> str:
    return requirement.partition("==")[0]
