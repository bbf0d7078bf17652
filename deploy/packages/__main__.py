"""Builds all packages: `python -m deploy.packages [--arch amd64] [--out dist]`.

Writes for each architecture a Debian package, a self-extracting file and a bill of
materials. SHA256SUMS has their sums. QOS_SIGNING_KEY names the key of gpg that signs
it. install.sh installs the right file of the folder, such as from a USB stick.
The folder `apt` is a repository of all packages in the folder, with the same signer.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from deploy.packages.architecture import ARCHITECTURES, ARMHF, Architecture
from deploy.packages.deb import deb, debian_version
from deploy.packages.psutil_armhf import INSTALL, has_compiler
from deploy.packages.repository import (
    NAME,
    SOURCE,
    sign_repository,
    source_of,
    write_repository,
)
from deploy.packages.sbom import sbom
from deploy.packages.self_extracting import self_extracting
from deploy.packages.tree import FILES, tree
from deploy.packages.wheels import ROOT, own_wheel, wheels

_KEY, _NEXT_KEY = "QOS_SIGNING_KEY", "QOS_NEXT_SIGNING_KEY"
_URL = "QOS_REPOSITORY_URL"
_CACHE = "QOS_PACKAGE_CACHE"


def main(arguments: Sequence[str] | None = None) -> int:
    """Build and print the size of each file."""
    options = _options(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    chosen = [ARCHITECTURES[name] for name in options.arch or ARCHITECTURES]
    built = []
    with tempfile.TemporaryDirectory() as temporary:
        own = own_wheel(Path(temporary))
        for architecture in chosen:
            if architecture is ARMHF and not has_compiler():
                print(f"armhf: not built, no cross compiler. Fix: {INSTALL}")
                continue
            built += build(architecture, own, options.out, fast=options.fast)
    shutil.copyfile(FILES / "stick.sh", options.out / "install.sh")
    sums = _write_sums(options.out, [*built, options.out / "install.sh"])
    # Packages of earlier releases in the folder stay in the repository.
    packages = options.out.glob("*.deb")
    release = write_repository(packages, options.out / NAME, commit_time_s())
    if key := os.environ.get(_KEY):
        _sign(sums, key)
        sign_repository(release, key)
        _write_source(options.out / SOURCE, key)
    return 0 if len(built) == 3 * len(chosen) else 1


def build(
    architecture: Architecture, own: Path, out: Path, *, fast: bool
) -> list[Path]:
    """Build the package, the self-extracting file and the bill of materials."""
    cache = Path(os.environ.get(_CACHE, Path.home() / ".cache/qos-agent-packages"))
    version, time_s = own.name.split("-")[1], commit_time_s()
    libraries = wheels(architecture, cache)
    files = tree(version, [*libraries, own])
    name = f"qos-agent_{debian_version(version)}_{architecture.debian}"
    contents = {
        f"{name}.deb": deb(files, version, architecture, time_s, fast=fast),
        f"{name}.run": self_extracting(files, version, architecture, time_s, fast=fast),
        f"{name}.cdx.json": sbom(version, libraries).encode(),
    }
    unpacked_mb = sum(len(entry.content) for entry in files.values()) / 1e6
    print(f"{architecture.debian}: {len(files)} files, {unpacked_mb:.1f} MB unpacked")
    for file_name, content in contents.items():
        (out / file_name).write_bytes(content)
        print(f"  {file_name}  {len(content) / 1e6:.2f} MB")
    return [out / file_name for file_name in contents]


def commit_time_s() -> int:
    """Return SOURCE_DATE_EPOCH, or the time of the commit."""
    if text := os.environ.get("SOURCE_DATE_EPOCH"):
        return int(text)
    command = ["git", "-C", str(ROOT), "log", "-1", "--format=%ct"]
    return int(subprocess.run(command, check=True, capture_output=True).stdout)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m deploy.packages")
    parser.add_argument(
        "--arch", action="append", choices=ARCHITECTURES, help="Default: all."
    )
    parser.add_argument("--out", type=Path, default=ROOT / "dist", metavar="FOLDER")
    parser.add_argument("--fast", action="store_true", help="Compress less, for tests.")
    return parser.parse_args(arguments)


def _write_sums(out: Path, built: Sequence[Path]) -> Path:
    lines = (
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n"
        for path in built
    )
    sums = out / "SHA256SUMS"
    sums.write_text("".join(lines))
    return sums


def _write_source(path: Path, key: str) -> None:
    """Write the file that makes devices trust the repository, if its URL is known."""
    if url := os.environ.get(_URL):
        following = os.environ.get(_NEXT_KEY)
        path.write_text(source_of(url, [key, following] if following else [key]))


def _sign(path: Path, key: str) -> None:
    """Write a detached signature next to a file."""
    command = ["gpg", "--batch", "--yes", "--armor", "--local-user", key]
    signature = f"{path}.asc"
    subprocess.run(
        [*command, "--output", signature, "--detach-sign", str(path)], check=True
    )
    print(f"  {Path(signature).name}  signed by {key}")


if __name__ == "__main__":
    sys.exit(main())
