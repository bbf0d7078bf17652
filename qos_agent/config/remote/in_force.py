"""The remote configuration that is in force on this device."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from qos_agent.config.remote import layers
from qos_agent.config.remote.index import Content
from qos_agent.config.remote.layers import Layer
from qos_agent.config.remote.section import RemoteSection
from qos_agent.config.remote.store import APPLIED, FOLDER, Store
from qos_agent.evidence.key_set import Verifying
from qos_agent.model.errors import InvalidConfigError

# As `[journal] folder`, which may not be set in a file.
_JOURNAL = "qos-agent-data"
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Remote:
    """The layers of a content for one station."""

    version: int
    hash: str
    layers: tuple[Layer, ...]


def of_content(store: Store, content: Content, station: str) -> Remote:
    """Return the layers of a content. Raises InvalidConfigError."""
    found = tuple(layers.layers(store, content, station))
    return Remote(content.version, content.hash, found)


def held(own: Mapping[str, Any]) -> Remote | None:
    """Return the stored remote configuration; `own` are the device's own settings.

    It is None without one that can be used. The device's settings then count alone.
    """
    table, station = own.get("remote"), own.get("station")
    if not isinstance(table, dict) or "url" not in table:
        return None
    try:
        section = RemoteSection.model_validate(table)
    except ValidationError:
        return None  # The validation of all settings reports it.
    if not isinstance(station, dict) or section.url is None:
        return None
    code, store = str(station.get("id")), store_of(section, own)
    applied = store.held(APPLIED)
    if applied is None:
        return None
    try:
        return of_content(store, applied.index.chosen(code), code)
    except InvalidConfigError as error:
        _log.warning("remote: the stored configuration is not used: %s", error)
        return None


def store_of(section: RemoteSection, own: Mapping[str, Any]) -> Store:
    """Return the store of the device with these settings."""
    journal = own.get("journal")
    folder = journal.get("folder") if isinstance(journal, dict) else None
    return store_in(Path(str(folder or _JOURNAL)), section)


def store_in(
    folder: Path, section: RemoteSection, verifying: Verifying = lambda key: key
) -> Store:
    """Return the store below the folder of the journal. Raises ValueError."""
    return Store(folder / FOLDER, section.initial_keys(), verifying)
