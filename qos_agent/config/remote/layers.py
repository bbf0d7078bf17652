"""The settings of a remote configuration: nation, then province, then station.

A later layer has priority over an earlier one. Tables are merged; a list, a calendar
and a file of thresholds replace the earlier one as a whole. All of them have priority
over the device's file, and the environment and credentials over all of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qos_agent.config import thresholds, toml_file
from qos_agent.config.faults import validated
from qos_agent.config.remote.allowed import checked
from qos_agent.config.remote.index import Content, Files, bucket
from qos_agent.config.remote.store import Store
from qos_agent.config.types import Section
from qos_agent.model.errors import ConfigError, InvalidConfigError


@dataclass(frozen=True, slots=True)
class Layer:
    """The settings of one layer; `origin` is the source that `config show` prints."""

    origin: str
    values: dict[str, Any]


class _Own(Section):
    """The layer of a station, in the file of its bucket."""

    settings: Mapping[str, Any] = {}
    calendar: str | None = None
    thresholds: str | None = None

    def files(self) -> Files:
        """Return the files, which the bucket names by their hash."""
        return Files(calendar=self.calendar, thresholds=self.thresholds)


def own_layer(store: Store, content: Content, station: str) -> tuple[Files, Any] | None:
    """Return the files and the settings of a station's own layer, or None.

    Raises InvalidConfigError.
    """
    digest = content.bucket_of(station)
    if digest is None:
        return None
    name = f"bucket {bucket(station)}"
    table = toml_file.parse(Path(name), _content(store, digest, name)).get(station)
    if table is None:
        return None
    own = validated(_Own, table, lambda _: name)
    return own.files(), dict(own.settings)


def layers(store: Store, content: Content, station: str) -> Iterator[Layer]:
    """Yield the layers of a station in the order in which they are merged.

    Raises InvalidConfigError if a file is missing, damaged or not allowed.
    """
    for name, files in (("nation", content.nation), ("province", content.province)):
        table = {}
        if files.settings is not None:
            place = Path(f"the settings of the {name}")
            text = _content(store, files.settings, str(place))
            table = toml_file.parse(place, text)
        yield _layer(store, content, name, files, table)
    if (own := own_layer(store, content, station)) is not None:
        yield _layer(store, content, "station", *own)


def _layer(
    store: Store, content: Content, name: str, files: Files, table: dict[str, Any]
) -> Layer:
    origin = f"remote {content.version} {name}"
    values = checked(table, f"the settings of the {name}")
    if files.calendar is not None:
        path = _path(store, files.calendar, f"the calendar of the {name}")
        values["election"] = {"calendar": str(path)}
    if files.thresholds is not None:
        path = _path(store, files.thresholds, f"the thresholds of the {name}")
        thresholds.load(path)
        values["verdict"] = {**values.get("verdict", {}), "thresholds": str(path)}
    return Layer(origin, values)


def _path(store: Store, digest: str, name: str) -> Path:
    _content(store, digest, name)
    return store.path(digest).absolute()


def _content(store: Store, digest: str, name: str) -> bytes:
    content = store.file(digest)
    if content is None:
        fault = ConfigError(name, None, "is missing or damaged", "wait for the centre")
        raise InvalidConfigError((fault,))
    return content
