"""Writes an apt repository of the packages in a folder, see apt-secure(8).

Every byte but the signature follows from the packages and the time of the commit. apt
compares each file with the signed `InRelease`, so the server needs no trust.
"""

from __future__ import annotations

import hashlib
import io
import lzma
import os
import shutil
import subprocess
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path

from deploy.packages.archives import xz

NAME = "apt"
SOURCE = "qos-agent.sources"
_SUITE, _POOL = "stable", "pool/main/q/qos-agent"
_AR_MAGIC, _AR_HEADER_BYTES = b"!<arch>\n", 60
# No Valid-Until: the key is offline, and the centre names the version of each device.
_RELEASE = """\
Origin: QoS Agent
Label: QoS Agent
Suite: {suite}
Codename: {suite}
Date: {date}
Architectures: {architectures}
Components: main
Description: Packages of the QoS Agent
SHA256:
{sums}
"""
_SOURCE = """\
# The key below signs the packages; apt refuses all others.
Types: deb
URIs: {url}
Suites: {suite}
Components: main
Signed-By:
{key}
"""


def write_repository(packages: Iterable[Path], folder: Path, time_s: int) -> Path:
    """Write the repository, and return the file that must be signed."""
    if folder.exists():
        shutil.rmtree(folder)
    (folder / _POOL).mkdir(parents=True)
    indexes: dict[str, list[str]] = {}
    for package in sorted(packages):
        os.link(package, folder / _POOL / package.name)
        text = _entry(package)
        architecture = _field(text, "Architecture")
        indexes.setdefault(architecture, []).append(text)
    place = folder / "dists" / _SUITE
    for architecture, entries in indexes.items():
        index = place / f"main/binary-{architecture}/Packages"
        index.parent.mkdir(parents=True)
        index.write_text("\n".join(entries))
        index.with_suffix(".xz").write_bytes(xz(index.read_bytes()))
    release = place / "Release"
    release.write_text(_release(place, sorted(indexes), time_s))
    return release


def sign_repository(release: Path, key: str) -> None:
    """Write the signed form that apt reads."""
    output = str(release.with_name("InRelease"))
    command = ["gpg", "--batch", "--yes", "--local-user", key, "--output", output]
    subprocess.run([*command, "--clearsign", str(release)], check=True)


def source_of(url: str, keys: Iterable[str]) -> str:
    """Return the file that makes a device trust the repository.

    It contains the public keys: the present one, and the next one if there is any.
    """
    command = ["gpg", "--batch", "--armor", "--export", *keys]
    exported = subprocess.run(command, check=True, capture_output=True, text=True)
    # deb822(5): a line with only a dot is an empty line.
    key = "\n".join(f" {line or '.'}" for line in exported.stdout.splitlines())
    return _SOURCE.format(url=url, suite=_SUITE, key=key)


def _entry(package: Path) -> str:
    """Return the fields of a package, with those that lead to its file."""
    content = package.read_bytes()
    own = {
        "Filename": f"{_POOL}/{package.name}",
        "Size": str(len(content)),
        "SHA256": hashlib.sha256(content).hexdigest(),
    }
    lines = (f"{name}: {value}\n" for name, value in own.items())
    return _control(content) + "".join(lines)


def _control(package: bytes) -> str:
    archive = lzma.decompress(members(package)["control.tar.xz"])
    with tarfile.open(fileobj=io.BytesIO(archive)) as files:
        if (file := files.extractfile("./control")) is None:
            raise ValueError("the package has no control file")
        return file.read().decode()


def members(package: bytes) -> Mapping[str, bytes]:
    """Return the members of a Debian package, see ar(5)."""
    return dict(_members(package))


def _members(package: bytes) -> Iterator[tuple[str, bytes]]:
    position = len(_AR_MAGIC)
    while position < len(package):
        header = package[position : position + _AR_HEADER_BYTES]
        start, size = position + _AR_HEADER_BYTES, int(header[48:58])
        yield header[:16].decode().strip(), package[start : start + size]
        position = start + size + size % 2


def _field(text: str, name: str) -> str:
    (line,) = (ln for ln in text.splitlines() if ln.startswith(f"{name}: "))
    return line.partition(": ")[2]


def _release(place: Path, architectures: Iterable[str], time_s: int) -> str:
    files = sorted(path for path in place.rglob("*") if path.is_file())
    lines = []
    for path in files:
        content = path.read_bytes()
        digest = hashlib.sha256(content).hexdigest()
        lines.append(f" {digest} {len(content)} {path.relative_to(place)}")
    return _RELEASE.format(
        suite=_SUITE,
        date=format_datetime(datetime.fromtimestamp(time_s, UTC), usegmt=True),
        architectures=" ".join(architectures),
        sums="\n".join(lines),
    )
