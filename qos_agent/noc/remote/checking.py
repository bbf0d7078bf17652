"""Checks of a source folder before it is published, with the loader of the devices.

A device would refuse a wrong configuration, but then it would keep the old one. Each
different combination of nation, province and station is loaded once.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from qos_agent.config import thresholds
from qos_agent.config.loading import load_with
from qos_agent.config.remote.in_force import of_content
from qos_agent.config.remote.index import Content
from qos_agent.config.remote.store import Store
from qos_agent.config.sources import Sources
from qos_agent.evidence.key_set import KeySet
from qos_agent.model.errors import InvalidConfigError
from qos_agent.noc.remote.source import Source
from qos_agent.probes.registry import PROBES

_REGENCY = "01"
_STATION = "000000001"
_CONFIG = """
[station]
id = "{station}"
province = "{province}"
regency = "{regency}"
time_zone = "Asia/Jakarta"
[[links]]
name = "main"
"""


def check(source: Source, keys: KeySet) -> int:
    """Load every combination of layers as a device would; return their number.

    Raises InvalidConfigError that names the station.
    """
    count = 0
    with tempfile.TemporaryDirectory(prefix="qos-publish-") as name:
        folder = Path(name)
        store = Store(folder, keys, lambda key: key)
        store.path("").parent.mkdir()
        for digest, content in source.files.items():
            store.path(digest).write_bytes(content)
        for station, found in _combinations(source):
            _load(folder, store, station, found)
            count += 1
    return count


def _combinations(source: Source) -> Iterator[tuple[str, Content]]:
    """Yield a station for each different combination of files."""
    seen: set[str] = set()
    for code, content in source.contents.items():
        layers = f"{content.nation!r}{content.province!r}"
        if layers not in seen:
            seen.add(layers)
            yield f"{code}{_REGENCY}{_STATION}", content
    for station, layer in source.own.items():
        content = source.contents[station[:2]]
        combination = f"{content.province!r}{json.dumps(layer, default=str)}"
        if combination not in seen:
            seen.add(combination)
            yield station, content


def _place(station: str) -> str:
    """Return the layer of a station of the check, or the code of a real one."""
    if not station.endswith(f"{_REGENCY}{_STATION}"):
        return f"station {station}"
    return "nation" if station.startswith("00") else f"province {station[:2]}"


def _load(folder: Path, store: Store, station: str, content: Content) -> None:
    province = station[:2]
    regency = station[:4] if province != "00" else "0000"
    path = folder / "agent.toml"
    path.write_text(_CONFIG.format(station=station, province=province, regency=regency))
    try:
        remote = of_content(store, content, station)
        loaded = load_with(Sources(path, {}, None), PROBES, remote)
        thresholds.load(loaded.settings.verdict.thresholds)
    except InvalidConfigError as error:
        place = _place(station)
        faults = (replace(f, key=f"{place}: {f.key}") for f in error.faults)
        raise InvalidConfigError(tuple(faults)) from error
