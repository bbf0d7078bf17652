"""Lays out the files of a package: one folder of modules for every Python.

The folder has the version in its name. The program in /usr/bin names the folder, and
it is the last file of an archive. A power cut during an upgrade therefore leaves a
program whose folder is complete: that of the old version or of the new one.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from deploy.packages.wheels import ROOT

FILES = Path(__file__).parent / "files"
PROGRAM = "usr/bin/qos-agent"
_TEXTS = {
    FILES / "qos-agent.rtupdate": "usr/share/python3/runtime.d/qos-agent.rtupdate",
    FILES / "sysctl.conf": "usr/lib/sysctl.d/50-qos-agent.conf",
    FILES / "sysusers.conf": "usr/lib/sysusers.d/qos-agent.conf",
    ROOT / "LICENSE": "usr/share/doc/qos-agent/copyright",
    ROOT / "NOTICE": "usr/share/doc/qos-agent/NOTICE",
    ROOT / "CHANGELOG.md": "usr/share/doc/qos-agent/changelog",
}
# Each folder of this repository, the pattern of its files, and the folder on a device.
_GROUPS = (
    ("deploy/systemd", "*.service", "usr/lib/systemd/system"),
    ("deploy/systemd", "*.timer", "usr/lib/systemd/system"),
    ("deploy/target", "qos-agent-*.service", "usr/lib/systemd/system"),
    ("deploy/systemd", "*.rules", "usr/share/polkit-1/rules.d"),
    ("deploy/systemd", "*.toml", "usr/share/doc/qos-agent/examples"),
    ("deploy/noc/systemd", "*.service", "usr/lib/systemd/system"),
    ("deploy/noc/systemd", "*.timer", "usr/lib/systemd/system"),
    ("deploy/noc/systemd", "*.target", "usr/lib/systemd/system"),
    ("deploy/noc/systemd", "*.conf", "usr/share/qos-agent/drop-ins"),
    ("deploy/systemd/drop-ins", "*.conf", "usr/share/qos-agent/drop-ins"),
)
# Folders whose files keep their relative paths, for Grafana at the centre.
_FOLDERS = (
    ("grafana/provisioning", "usr/share/qos-agent/grafana/provisioning"),
    ("grafana/dashboards", "usr/share/qos-agent/grafana/dashboards"),
    ("grafana/maps", "usr/share/qos-agent/grafana/maps"),
)
# Tests and sources in C, which no program reads.
_USELESS = ("*/tests/*", "*.c", "*.h", "*.pyi", "*/RECORD")


@dataclass(frozen=True, slots=True)
class Entry:
    """A file of a package."""

    content: bytes
    mode: int = 0o644


Tree = Mapping[str, Entry]


def folder_of(version: str) -> str:
    """Return the folder of the modules, relative to the root."""
    return f"usr/lib/qos-agent/{version}"


def tree(version: str, wheels: Iterable[Path]) -> Tree:
    """Return every file by its path, sorted, and the program last."""
    folder = folder_of(version)
    entries = {
        **{f"{folder}/{name}": entry for name, entry in _modules(wheels)},
        **{target: Entry(source.read_bytes()) for source, target in _TEXTS.items()},
        **dict(_grouped()),
        f"{folder}/configure": _script("configure", folder),
        "usr/share/qos-agent/upgrade": _script("upgrade", folder),
    }
    ordered = dict(sorted(entries.items()))
    return {**ordered, PROGRAM: _script("qos-agent", folder)}


def _script(name: str, folder: str) -> Entry:
    text = (FILES / name).read_text(encoding="utf-8")
    return Entry(text.replace("@FOLDER@", f"/{folder}").encode(), 0o755)


def _grouped() -> Iterator[tuple[str, Entry]]:
    for folder, pattern, target in _GROUPS:
        for path in sorted((ROOT / folder).glob(pattern)):
            yield f"{target}/{path.name}", Entry(path.read_bytes())
    for folder, target in _FOLDERS:
        for path in sorted((ROOT / folder).rglob("*.*")):
            if path.suffix in {".yaml", ".json", ".geojson"}:
                name = path.relative_to(ROOT / folder)
                yield f"{target}/{name}", Entry(path.read_bytes())


def _modules(wheels: Iterable[Path]) -> Iterator[tuple[str, Entry]]:
    """Yield the files of all wheels. Raises ValueError if two differ."""
    seen: dict[str, bytes] = {}
    for wheel in sorted(wheels, key=lambda path: path.name):
        for name, content in _files(wheel):
            if seen.setdefault(name, content) != content:
                # The description of the same library for another Python.
                if ".dist-info/" in name:
                    continue
                raise ValueError(f"{wheel.name}: another file has the name {name}")
            yield name, Entry(content)


def _files(wheel: Path) -> Iterator[tuple[str, bytes]]:
    with zipfile.ZipFile(wheel) as archive:
        for info in archive.infolist():
            name = info.filename
            if info.is_dir() or ".data/" in name or _is_useless(name):
                continue
            yield name, archive.read(info)


def _is_useless(name: str) -> bool:
    path = PurePosixPath(name)
    return "tests" in path.parts[:-1] or any(path.match(p) for p in _USELESS)
