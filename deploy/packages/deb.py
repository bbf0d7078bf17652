"""Builds a Debian package, see deb(5) and the Debian Policy Manual."""

from __future__ import annotations

import hashlib
from pathlib import Path

from deploy.packages.architecture import Architecture
from deploy.packages.archives import ar, tar, xz
from deploy.packages.tree import Entry, Tree, folder_of

_SCRIPTS = Path(__file__).parent / "debian"
_CONTROL = """\
Package: qos-agent
Version: {version}
Architecture: {architecture}
Maintainer: QoS Agent <qos-agent@example.id>
Installed-Size: {size_kib}
Depends: python3 (>= 3.11), python3 (<< 3.15), libc6 (>= 2.36), systemd
Recommends: ca-certificates, iperf3, modemmanager, openssl, polkitd
Section: net
Priority: optional
Description: measures the network of a polling station
 The agent measures latency, packet loss, throughput and signal, keeps every reading
 on disk, and sends the readings to InfluxDB. All Python libraries are inside.
 Set it up with: sudo qos-agent setup
"""


def debian_version(version: str) -> str:
    """Return a Python version in Debian's form: `0.2.0.dev3` is before `0.2.0`."""
    return version.replace(".dev", "~dev")


def deb(
    files: Tree, version: str, architecture: Architecture, time_s: int, *, fast: bool
) -> bytes:
    """Return the package as bytes."""
    control = tar(_control(files, version, architecture), time_s)
    return ar(
        {
            "debian-binary": b"2.0\n",
            "control.tar.xz": xz(control, fast),
            "data.tar.xz": xz(tar(files, time_s), fast),
        },
        time_s,
    )


def _control(files: Tree, version: str, architecture: Architecture) -> Tree:
    size_kib = sum(len(entry.content) // 1024 + 1 for entry in files.values())
    text = _CONTROL.format(
        version=debian_version(version),
        architecture=architecture.debian,
        size_kib=size_kib,
    )
    scripts = {
        path.name: Entry(_filled(path, version, architecture).encode(), 0o755)
        for path in sorted(_SCRIPTS.iterdir())
    }
    return {
        "control": Entry(text.encode()),
        "md5sums": Entry(_md5sums(files).encode()),
        **scripts,
    }


def _filled(script: Path, version: str, architecture: Architecture) -> str:
    text = script.read_text(encoding="utf-8").replace(
        "@FOLDER@", f"/{folder_of(version)}"
    )
    return text.replace("@ARCHITECTURE@", architecture.debian)


def _md5sums(files: Tree) -> str:
    """Return the sums with which `dpkg --verify` finds damaged files."""
    return "".join(
        f"{hashlib.md5(entry.content, usedforsecurity=False).hexdigest()}  {path}\n"
        for path, entry in files.items()
    )
