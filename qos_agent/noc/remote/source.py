"""The source folder of the remote configuration, which people edit.

    nation/settings.toml, nation/calendar.toml, nation/thresholds.toml
    province/31/settings.toml, ...
    station/3171010001001/settings.toml, ...

Every file is optional. The files of nation and province are published as they are. The
layers of stations are collected in files, by two digits of a hash of the code, so that
823,220 stations need no file each.
"""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from qos_agent.config import calendar_file, thresholds, toml_file
from qos_agent.config.places import province_zones
from qos_agent.config.remote.index import (
    FILE_MAX_BYTES,
    Content,
    Files,
    bucket,
    toml_text,
)
from qos_agent.model.errors import ConfigError, InvalidConfigError

# Each kind of file, and the function that refuses a wrong one.
_LOADERS: Mapping[str, Callable[[Path], object]] = {
    "settings": toml_file.read,
    "calendar": calendar_file.load,
    "thresholds": thresholds.load,
}
KINDS = tuple(_LOADERS)
# The province of devices that no station was assigned to.
_UNASSIGNED = "00"
_STATION = re.compile(r"[0-9]{13}", re.ASCII)
_FIX = "remove it from the source folder"


@dataclass(frozen=True, slots=True)
class Source:
    """The content of the folder: files by hash, and the contents by province."""

    files: Mapping[str, bytes]
    contents: Mapping[str, Content]
    own: Mapping[str, Mapping[str, Any]]


@dataclass(slots=True)
class _Reader:
    """Reads the files and keeps each content once, by its hash."""

    files: dict[str, bytes] = field(default_factory=dict)

    def add(self, content: bytes, name: str) -> str:
        """Keep a content and return its hash. Raises InvalidConfigError."""
        if len(content) > FILE_MAX_BYTES:
            problem = f"must be at most {FILE_MAX_BYTES} bytes"
            fault = ConfigError(name, f"{len(content)} bytes", problem, "shorten it")
            raise InvalidConfigError((fault,))
        digest = hashlib.sha256(content).hexdigest()
        self.files[digest] = content
        return digest

    def layer(self, folder: Path) -> Files:
        """Return the files of a layer; a missing folder has none."""
        found = {path.stem: content for path, content in _layer(folder)}
        return Files(**{k: self.add(c, f"{folder}/{k}") for k, c in found.items()})

    def station(self, folder: Path) -> dict[str, Any]:
        """Return the layer of a station, with its settings inside."""
        layer: dict[str, Any] = {}
        for path, content in _layer(folder):
            if path.stem == "settings":
                layer["settings"] = toml_file.parse(path, content)
            else:
                layer[path.stem] = self.add(content, str(path))
        return layer


def _layer(folder: Path) -> Iterator[tuple[Path, bytes]]:
    """Yield the files of a layer, checked. Raises InvalidConfigError."""
    for path in _entries(folder):
        if path.stem not in KINDS or path.suffix != ".toml":
            raise _fault(path, f"is not one of {', '.join(KINDS)} with .toml")
        content = toml_file.read_bytes(path, _FIX)
        _LOADERS[path.stem](path)
        yield path, content


def read(folder: Path, version: int) -> Source:
    """Read the folder as the content of a version. Raises InvalidConfigError."""
    _check_names(folder)
    reader = _Reader()
    nation = reader.layer(folder / "nation")
    provinces = {
        path.name: reader.layer(path)
        for path in _entries(folder / "province")
        if _is_province(path)
    }
    own = {
        path.name: reader.station(path)
        for path in _entries(folder / "station")
        if _is_station(path)
    }
    buckets = _buckets(reader, own)
    contents = {
        code: Content(
            version=version,
            nation=nation,
            province=provinces.get(code, Files()),
            stations=buckets.get(code, {}),
        )
        for code in provinces_of_nation()
    }
    return Source(reader.files, contents, own)


def provinces_of_nation() -> tuple[str, ...]:
    """Return the codes of all provinces, and of devices without one."""
    return (_UNASSIGNED, *sorted(province_zones()))


def same_files(one: Content, other: Content) -> bool:
    """Return True if two contents differ in nothing but their version."""
    return one.model_copy(update={"version": other.version}) == other


def _buckets(
    reader: _Reader, own: Mapping[str, dict[str, Any]]
) -> dict[str, dict[str, str]]:
    """Return the hash of each file with layers of stations, by province and name."""
    groups: dict[tuple[str, str], dict[str, Any]] = defaultdict(dict)
    for station, layer in sorted(own.items()):
        if layer:
            groups[station[:2], bucket(station)][station] = layer
    found: dict[str, dict[str, str]] = defaultdict(dict)
    for (province, name), layers in groups.items():
        content = toml_text(layers).encode()
        place = f"the layers of {len(layers)} stations of province {province}"
        found[province][name] = reader.add(content, place)
    return found


def _check_names(folder: Path) -> None:
    if not folder.is_dir():
        raise _fault(folder, "is not a folder", "create it, or set remote.source")
    for path in _entries(folder):
        if path.name not in ("nation", "province", "station"):
            raise _fault(path, "must be nation, province or station")


def _is_province(path: Path) -> bool:
    if path.name not in provinces_of_nation():
        raise _fault(path, "is not the code of a province")
    return True


def _is_station(path: Path) -> bool:
    if not _STATION.fullmatch(path.name):
        raise _fault(path, "must be the 13-digit code of a station")
    if path.name[:2] not in provinces_of_nation():
        raise _fault(path, "is in no known province")
    return True


def _entries(folder: Path) -> Iterator[Path]:
    """Yield what a folder contains, without hidden files such as those of git."""
    if folder.is_dir():
        yield from sorted(p for p in folder.iterdir() if not p.name.startswith("."))


def _fault(path: Path, problem: str, fix: str = _FIX) -> InvalidConfigError:
    return InvalidConfigError((ConfigError(str(path), None, problem, fix),))
