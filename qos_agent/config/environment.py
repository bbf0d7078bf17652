"""Settings from variables of the environment: QOS_AGENT_SECTION__KEY.

A variable of a list or a table contains JSON; of other settings, the bare value.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from types import UnionType
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic_settings import EnvSettingsSource, SettingsError

from qos_agent.config import variable_names
from qos_agent.config.faults import shown_value
from qos_agent.config.settings import Settings
from qos_agent.config.variable_names import PREFIX
from qos_agent.model import json_text
from qos_agent.model.errors import ConfigError, InvalidConfigError

_SECRET = re.compile("token|password|secret")


def variable(key: str, variables: Collection[str] = ()) -> str:
    """Return the variable that set a key: its own one, or that of a table around it."""
    names = {name.upper(): name for name in variables}
    own = name = PREFIX + key.upper().replace(".", "__")
    while name not in names and "__" in name:
        name = name.rpartition("__")[0]
    return names.get(name, own)


def values(environment: Mapping[str, str]) -> dict[str, Any]:
    """Return the settings of the variables.

    The section of an unknown name is kept, so that it is refused as an unknown key.
    Raises InvalidConfigError for each mistyped name, else for each list or table that
    is not JSON.
    """
    named = variable_names.of_settings(environment, _tables())
    for found in (variable_names.faults(named, _tables()), _faults(named)):
        if faults := tuple(found):
            raise InvalidConfigError(faults)
    source = EnvSettingsSource(Settings)
    source.env_vars = {name.lower(): text for name, text in named.items()}
    try:
        table = source()
    except SettingsError as error:
        fix = "correct or remove the variable"
        fault = ConfigError("the environment", None, f"cannot be read: {error}", fix)
        raise InvalidConfigError((fault,)) from error
    for name, text in named.items():
        section = _path(name)[0]
        if section not in Settings.model_fields:
            table[section] = text
    return table


def _tables() -> dict[str, tuple[str, ...]]:
    """Return the sections and the keys of each."""
    models = {
        section: alternative(field.annotation, BaseModel)
        for section, field in Settings.model_fields.items()
    }
    return {s: tuple(m.model_fields if m else ()) for s, m in models.items()}


def _path(name: str) -> list[str]:
    return name[len(PREFIX) :].lower().split("__")


def _faults(named: Mapping[str, str]) -> Iterator[ConfigError]:
    for name, text in named.items():
        path = _path(name)
        fault = _fault(name, text, path)
        if fault is not None:
            yield fault


def _fault(name: str, text: str, path: list[str]) -> ConfigError | None:
    """Return the error of a variable whose value has not the form of its setting."""
    annotation: Any = Settings
    for index, part in enumerate(path):
        model = alternative(annotation, BaseModel)
        field = model.model_fields.get(part) if model else None
        if field is None:
            if model or alternative(annotation, Mapping) or not index:
                return None  # The validation reports unknown keys and other types.
            whole = PREFIX + "__".join(path[:index]).upper()
            if alternative(annotation, tuple) is None:
                problem = "is not a setting, because the one before it is no table"
                return ConfigError(name, None, problem, f"remove it, or set {whole}")
            problem = "is part of a list, which only one variable can contain"
            fix = f"set {whole} to the whole list in JSON, or use the file"
            return ConfigError(name, shown_value(path, text), problem, fix)
        annotation = field.annotation
    return _shape_fault(name, text, path, annotation)


def _shape_fault(
    name: str, text: str, path: list[str], annotation: Any
) -> ConfigError | None:
    """Return the error of a list or a table that is not JSON of this form."""
    found = shown_value(path, text)
    if _SECRET.search(text.lower()):
        found = f"hidden, {len(text)} characters"
    if alternative(annotation, tuple) is not None:
        if isinstance(_json(text), list):
            return None
        return ConfigError(name, found, "must be a list in JSON", _list_fix(path, text))
    model = alternative(annotation, BaseModel)
    is_table = model is not None or alternative(annotation, Mapping) is not None
    if not is_table or isinstance(_json(text), dict):
        return None
    fields = list(model.model_fields)[:3] if model else ["key"]
    keys = ", ".join(f"{name}__{key.upper()}" for key in fields)
    fix = f"set the variables of its keys, such as {keys}"
    return ConfigError(name, found, "must be a table in JSON", fix)


def _json(text: str) -> object:
    try:
        return json_text.loads(text)
    except ValueError:
        return None


def _list_fix(path: list[str], text: str) -> str:
    """Return an example for the lists that fit into a variable."""
    name = variable(".".join(path))
    match path[-1]:
        case "backends":
            names = ", ".join(f'"{part.strip()}"' for part in text.split(","))
            return f"write {name}='[{names}]'"
        case "links":
            return f'write {name}=\'[{{"name": "main", "interface": "wwan0"}}]\''
        case _:
            return f"write {name} as a list in JSON, or use the configuration file"


def alternative(annotation: Any, kind: type[Any]) -> Any:
    """Return the class of an annotation, or of one of its alternatives, of a kind."""
    origin = get_origin(annotation)
    if isinstance(annotation, type) and issubclass(annotation, kind):
        return annotation
    if origin is kind:
        return kind
    if origin in (Union, UnionType) or hasattr(annotation, "__metadata__"):
        found = (alternative(inner, kind) for inner in get_args(annotation))
        return next(filter(None, found), None)
    return None
