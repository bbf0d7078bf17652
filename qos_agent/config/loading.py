"""Reads the configuration, says what is wrong with it, shows and writes it.

`load` is the only way to a `Settings`: the file, then the environment, then the
credentials directory; what comes later wins. Every problem is one line that names
the key, what was found, what is allowed, and the mend.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import tomllib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, SecretStr, ValidationError
from pydantic_settings import BaseSettings, EnvSettingsSource

from qos_agent.config import checks
from qos_agent.config.settings import Settings
from qos_agent.config.sources import Sources
from qos_agent.model import Phase
from qos_agent.model.errors import ConfigError, InvalidConfigError

_PREFIX = "QOS_AGENT_"
# With no file at all: `make run`, which should show something within seconds.
_EMBEDDED: dict[str, Any] = {
    "schedule": {"idle": {"latency": "10s", "host": "30s", "throughput": "30m"}},
    "latency": {"count": 10},
    "journal": {"commit_every": "1s"},
}
# Where a section's name is read from the environment but is no setting.
_NOT_SETTINGS = {"QOS_AGENT_CONFIG"}


@dataclass(frozen=True, slots=True)
class Loaded:
    """The settings in force, and which source gave each key."""

    settings: Settings
    origins: Mapping[str, str]

    @property
    def hash(self) -> str:
        """SHA-256 of what is in force, 12 digits; secrets enter as stars."""
        text = json.dumps(shown(self.settings), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]


def load(sources: Sources, probes: Collection[str]) -> Loaded:
    """Read the settings of `sources`; `probes` are the names a schedule may contain.

    Raises InvalidConfigError with a line for each fault.
    """
    layers = [
        (str(sources.file or "built-in"), _from_file(sources.file)),
        ("environment", _from_environment(sources.environment)),
        ("credentials", _from_credentials(sources.credentials)),
    ]
    merged: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for origin, layer in layers:
        merged = _merge(merged, layer)
        origins |= {key: origin for key, _ in leaves(layer)}
    try:
        settings = Settings.model_validate(merged)
    except ValidationError as error:
        raise InvalidConfigError(tuple(_explain(error, origins, sources))) from error
    if found := tuple(checks.faults(settings, probes)):
        raise InvalidConfigError(found)
    return Loaded(settings, origins)


def _from_file(path: Path | None) -> dict[str, Any]:
    if path is None:
        return _EMBEDDED
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidConfigError(
            (ConfigError(str(path), str(error.strerror), "a readable file",
                         "write one: qos-agent config init"),)
        ) from error  # fmt: skip
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidConfigError(
            (ConfigError(str(path), str(error), "TOML", f"edit {path}"),)
        ) from error


class _Environment(EnvSettingsSource):
    """pydantic-settings' reader over a given mapping instead of os.environ."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._given = {k.lower(): v for k, v in environment.items()}
        super().__init__(Settings)

    def _load_env_vars(self) -> Mapping[str, str | None]:
        return self._given


def _from_environment(environment: Mapping[str, str]) -> dict[str, Any]:
    """QOS_AGENT_SECTION__KEY; a name that fits nothing becomes an unknown key."""
    found = _Environment(environment)()
    for name in environment:
        if name.startswith(_PREFIX) and name not in _NOT_SETTINGS:
            section = name.removeprefix(_PREFIX).lower().split("__")[0]
            if section not in Settings.model_fields:
                found[section] = environment[name]
    return found


def _from_credentials(folder: Path | None) -> dict[str, Any]:
    """systemd's LoadCredential: a file named `collector.token` is that key."""
    found: dict[str, Any] = {}
    if folder is None or not folder.is_dir():
        return found
    for path in sorted(folder.iterdir()):
        section, _, key = path.name.partition(".")
        if section in Settings.model_fields and key:
            found.setdefault(section, {})[key] = path.read_text().strip()
    return found


def _merge(under: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """`over` laid over `under`, tables merged, everything else replaced."""
    merged = dict(under)
    for key, value in over.items():
        below = merged.get(key)
        both = isinstance(value, dict) and isinstance(below, dict)
        merged[key] = _merge(below, value) if both else value  # type: ignore[arg-type]
    return merged


def leaves(layer: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted keys and values of nested tables; a list is one value."""
    for key, value in layer.items():
        if isinstance(value, dict):
            yield from leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _explain(
    error: ValidationError, origins: Mapping[str, str], sources: Sources
) -> Iterator[ConfigError]:
    for fault in error.errors():
        location = tuple(fault["loc"])
        key = ".".join(str(part) for part in location)
        where = origins.get(key, str(sources.file or "the environment"))
        yield _one(key, location, dict(fault), where)


def _one(
    key: str, location: tuple[int | str, ...], fault: dict[str, Any], where: str
) -> ConfigError:
    edit = f"edit {key} in {where}"
    match fault["type"]:
        case "extra_forbidden":
            names = _siblings(location)
            near = difflib.get_close_matches(str(location[-1]), names, n=1)
            mend = f"did you mean {near[0]}?" if near else f"remove it from {where}"
            return ConfigError(key, "an unknown key", ", ".join(names), mend)
        case "missing":
            return ConfigError(key, "nothing", _allowed(location, fault), edit)
        case "value_error" if "|" in fault["msg"]:
            name, _, found = fault["msg"].removeprefix("Value error, ").partition("|")
            key = f"{key}.{name}"
            allowed = "a file this user can read"
            return ConfigError(key, found, allowed, f"edit {key} in {where}, or chown")
        case _:
            return ConfigError(
                key, _found(location, fault), _allowed(location, fault), edit
            )


def _found(location: tuple[int | str, ...], fault: dict[str, Any]) -> str:
    """The value, but for secrets."""
    secret = any("token" in str(part) or "key" in str(part) for part in location)
    return "a secret" if secret else repr(fault["input"])


def _allowed(location: tuple[int | str, ...], fault: dict[str, Any]) -> str:
    if fault["type"] == "value_error":
        return str(fault["msg"]).removeprefix("Value error, ")
    if fault["type"] == "missing":
        field = _section(location[:-1]).model_fields.get(str(location[-1]))
        choices = get_args(field.annotation) if field else ()
        if choices and all(isinstance(choice, str) for choice in choices):
            return ", ".join(choices)
    said = str(fault["msg"]).removeprefix("Input should be ").removeprefix("a valid ")
    return said.partition(",")[0] if "unable to parse" in said else said


def _siblings(location: tuple[int | str, ...]) -> list[str]:
    return sorted(_section(location[:-1]).model_fields)


def _section(location: tuple[int | str, ...]) -> type[BaseModel]:
    """The model behind a location: tables by name, list entries by their type."""
    model: type[BaseModel] = Settings
    for part in location:
        if isinstance(part, int):
            continue
        field = model.model_fields.get(part)
        inner = _model_in(field.annotation) if field else None
        if inner is None:
            break
        model = inner
    return model


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(filter(None, map(_model_in, get_args(annotation))), None)


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


def shown(model: BaseModel | BaseSettings) -> dict[str, Any]:
    """What is in force as plain data; a secret is `***`, and only where one is set."""
    return {name: _plain(getattr(model, name)) for name in type(model).model_fields}


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
        case Path():
            return str(value)
        case _:
            return value
