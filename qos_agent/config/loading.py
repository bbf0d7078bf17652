"""Loads the configuration and converts it to plain data.

`load` is the only way to a `Settings`: the folders of an installed system, the file,
the remote configuration of the centre, the environment, then the credentials directory;
later sources win.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, SecretStr

from qos_agent.config import checks, environment, text_file, toml_file
from qos_agent.config.faults import PlaceOf, masked, validated
from qos_agent.config.links import LinkSection
from qos_agent.config.remote.in_force import Remote
from qos_agent.config.remote.in_force import held as held_remote
from qos_agent.config.settings import Settings
from qos_agent.config.sources import DEFAULT_PATH, INSTALLED_FOLDERS, Sources
from qos_agent.model import Phase
from qos_agent.model.errors import ConfigError, InvalidConfigError

# The settings without any file (`make run`): they show figures within seconds.
_BUILT_IN: dict[str, Any] = {
    "schedule": {"idle": {"latency": "10s", "host": "30s", "throughput": "30m"}},
    "latency": {"count": 10},
    "journal": {"commit_every": "1s"},
}
_log = logging.getLogger(__name__)
_Source = tuple[str, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Loaded:
    """The settings in force, the source that gave each key, and the remote part.

    `sources` is None for settings that no file gave.
    """

    settings: Settings
    origins: Mapping[str, str]
    remote: Remote | None = None
    sources: Sources | None = None

    @property
    def hash(self) -> str:
        """The first 12 digits of the SHA-256 of the settings; secrets are masked."""
        text = json.dumps(shown(self.settings), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]


def load(sources: Sources, probes: Collection[str]) -> Loaded:
    """Read the settings of `sources`; `probes` are the names a schedule may contain.

    A stored remote configuration that does not fit the device's own file is left out:
    it must not keep the agent from starting. Raises InvalidConfigError with a line for
    each error.
    """
    under, over = _layers_under(sources), _layers_over(sources)
    own, _ = _merged([*under, *over])
    remote = held_remote(own)
    if remote is not None:
        try:
            return _loaded(sources, probes, under, remote, over)
        except InvalidConfigError as error:
            without = _loaded(sources, probes, under, None, over)
            _log.warning("remote: version %d is not used: %s", remote.version, error)
            return without
    return _loaded(sources, probes, under, None, over)


def load_with(sources: Sources, probes: Collection[str], remote: Remote) -> Loaded:
    """Read the settings with a remote configuration that is not in force yet.

    Raises InvalidConfigError with a line for each error.
    """
    under, over = _layers_under(sources), _layers_over(sources)
    return _loaded(sources, probes, under, remote, over)


def _layers_under(sources: Sources) -> list[_Source]:
    return [
        ("installation", _of_installation(sources.file)),
        (str(sources.file or "built-in"), _from_file(sources.file)),
    ]


def _layers_over(sources: Sources) -> list[_Source]:
    return [
        ("environment", environment.values(sources.environment)),
        ("credentials", _from_credentials(sources.credentials)),
    ]


def _merged(layers: Iterable[_Source]) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the merged values, and the source of each key."""
    merged: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for origin, layer in layers:
        merged = _merge(merged, layer)
        origins |= {key: origin for key, _ in leaves(layer)}
    return merged, origins


def _loaded(
    sources: Sources,
    probes: Collection[str],
    under: list[_Source],
    remote: Remote | None,
    over: list[_Source],
) -> Loaded:
    between = [(one.origin, one.values) for one in remote.layers] if remote else []
    merged, origins = _merged([*under, *between, *over])
    place_of = _place_of(sources.file, origins, sources.environment)
    settings = validated(Settings, merged, place_of)
    if faults := tuple(checks.faults(settings, probes, place_of)):
        raise InvalidConfigError(faults)
    return Loaded(settings, origins, remote, sources)


def _place_of(
    file: Path | None, origins: Mapping[str, str], variables: Collection[str]
) -> PlaceOf:
    """Return a function that names the source of a key; by default the file."""

    def place_of(key: str) -> str:
        below = sorted(k for k in origins if k.startswith(f"{key}."))
        if {origins[k] for k in below} == {"environment"}:
            key = below[0]
        # A list is one value, so its entries have the origin of the list.
        while key not in origins and "." in key:
            key = key.rpartition(".")[0]
        match origins.get(key):
            case "environment":
                return f"the environment ({environment.variable(key, variables)})"
            case "credentials":
                return f"the credentials ({key})"
            case str() as origin if origin.startswith("remote "):
                return f"the configuration of the centre ({origin})"
            case _:
                return str(file or "the environment")

    return place_of


def _of_installation(path: Path | None) -> dict[str, Any]:
    return dict(INSTALLED_FOLDERS) if path == DEFAULT_PATH else {}


def _from_file(path: Path | None) -> dict[str, Any]:
    if path is None:
        return _BUILT_IN
    fix = f"check the path, or run qos-agent config init {path}"
    if path == DEFAULT_PATH:
        fix = "use sudo, or join the group: sudo usermod -aG qos-agent USER"
    return toml_file.read(path, fix)


def _from_credentials(folder: Path | None) -> dict[str, Any]:
    """Return the settings of systemd's LoadCredential: a file `collector.token`.

    If the setting is the path of a file, its value is the path of the credential.
    """
    values: dict[str, Any] = {}
    if folder is None or not folder.is_dir():
        return values
    for path in sorted(folder.iterdir()):
        section, _, key = path.name.partition(".")
        if section in Settings.model_fields and key:
            value = str(path) if _is_path(section, key) else _credential(path)
            values.setdefault(section, {})[key] = value
    return values


def _is_path(section: str, key: str) -> bool:
    """Return True if a setting is a path, such as `latency.stamp_key_file`."""
    model = Settings.model_fields[section].annotation
    fields = getattr(model, "model_fields", {})
    return key in fields and bool(environment.alternative(fields[key].annotation, Path))


def _credential(path: Path) -> str:
    try:
        return text_file.decoded(text_file.read_bytes(path)).strip()
    except (OSError, ValueError) as error:
        problem = str(error)
        if isinstance(error, OSError):
            problem = f"cannot be read: {error.strerror or error}"
        fault = ConfigError(str(path), None, problem, "replace the credential")
        raise InvalidConfigError((fault,)) from error


def _merge(under: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """Return `under` with the values of `over`; tables are merged, not replaced."""
    merged = dict(under)
    for key, value in over.items():
        below = merged.get(key)
        both = isinstance(value, dict) and isinstance(below, dict)
        merged[key] = _merge(below, value) if both else value  # type: ignore[arg-type]
    return merged


def leaves(layer: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield dotted keys and values of nested tables; a list is one value."""
    for key, value in layer.items():
        if isinstance(value, dict):
            yield from leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def in_force(
    settings: Settings, default_intervals: Mapping[Phase, Mapping[str, float]]
) -> dict[str, Any]:
    """Return the settings as plain data, with the probes' default intervals."""
    values = shown(settings)
    for phase, intervals in default_intervals.items():
        values["schedule"][phase.value] = {
            **intervals,
            **values["schedule"][phase.value],
        }
    return values


def shown(model: BaseModel) -> dict[str, Any]:
    """Return a model as plain data; a secret is `***`, and None if it is not set.

    The tables of a link contain only the values that are set.
    """
    values = {name: getattr(model, name) for name in type(model).model_fields}
    if isinstance(model, LinkSection):
        for name, value in model:
            if isinstance(value, BaseModel):
                values[name] = value.model_dump(exclude_unset=True)
        values = {name: value for name, value in values.items() if value != {}}
    return _plain(values)  # type: ignore[no-any-return]


def _plain(value: Any) -> Any:
    match value:
        case SecretStr():
            return "***"
        case BaseModel():
            return shown(value)
        case tuple() | list():
            return [_plain(item) for item in value]
        case dict():
            return {str(key): _plain(item) for key, item in value.items()}
        case str() | Path():
            return masked(str(value))
    return value
