"""Gets the wheels of the locked requirements, and builds the agent's own.

Every download is checked against the hashes of `requirements/agent.txt`.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import sys
import tempfile
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
    lines = _requirements()
    downloaded = _download(architecture, first, lines, folder, from_source)
    found = [_built(path, folder) for path in sorted(downloaded.iterdir())]
    versioned = {_name(path) for path in found if _is_versioned(path)}
    for python in others:
        some = [line for line in lines if _name_of(line) in versioned]
        found += sorted(_download(architecture, python, some, folder).iterdir())
    return found


def _requirements() -> list[str]:
    """Return the requirements of the lock file, each with its hashes."""
    text = LOCK.read_text(encoding="utf-8").replace("\\\n", " ")
    return [line for line in text.splitlines() if re.match(r"[a-z]", line)]


def _download(
    architecture: Architecture,
    python: str,
    requirements: Sequence[str],
    cache: Path,
    from_source: Sequence[str] = (),
) -> Path:
    """Return the folder with these wheels. Download them if it does not exist.

    The name has the digest of the requirements, so that builds of two commits at the
    same time do not replace each other's files.
    """
    text = "\n".join(requirements)
    folder = cache / f"{python}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"
    if folder.is_dir():
        return folder
    partial = Path(tempfile.mkdtemp(prefix="part-", dir=cache))
    requested = partial / "requirements.txt"
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
            *("--require-hashes", f"--requirement={requested}", f"--dest={partial}"),
        ],
        check=True,
    )
    requested.unlink()
    try:
        partial.rename(folder)
    except OSError:
        if not folder.is_dir():
            raise
        shutil.rmtree(partial)  # another build was faster
    return folder


def _built(path: Path, folder: Path) -> Path:
    return build_psutil(path, folder) if path.name.endswith(".tar.gz") else path


def _is_versioned(path: Path) -> bool:
    """Return True if a wheel has modules that are compiled for one Python."""
    return not path.name.endswith("-none-any.whl") and "-abi3-" not in path.name


def _name(wheel: Path) -> str:
    return wheel.name.partition("-")[0].replace("_", "-")


def _name_of(requirement: str) -> str:
    return requirement.partition("==")[0]
