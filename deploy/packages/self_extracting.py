"""Builds a file that installs the same tree on systems without dpkg."""

from __future__ import annotations

from deploy.packages.architecture import Architecture
from deploy.packages.archives import tar, xz
from deploy.packages.tree import FILES, Tree, folder_of


def self_extracting(
    files: Tree, version: str, architecture: Architecture, time_s: int, *, fast: bool
) -> bytes:
    """Return a shell script that is followed by the compressed archive."""
    payload = xz(tar(files, time_s), fast)
    text = (FILES / "install.sh").read_text(encoding="utf-8")
    for name, value in (
        ("@FOLDER@", f"/{folder_of(version)}"),
        ("@VERSION@", version),
        ("@MACHINE@", architecture.machine),
    ):
        text = text.replace(name, value)
    lines = text.count("\n") + 1
    return text.replace("@FIRST@", str(lines)).encode() + payload
