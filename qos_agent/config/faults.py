"""Texts of configuration errors, for every file that pydantic validates.

Each error becomes a ConfigError: `KEY: PROBLEM (found: VALUE). Fix: ACTION.` Secrets
and the user information of URLs are never part of it.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import date, time
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError

from qos_agent.model.errors import ConfigError, InvalidConfigError

# The place that gave a key: a file, or a variable of the environment.
PlaceOf = Callable[[str], str]

_Model = TypeVar("_Model", bound=BaseModel)
_Location = tuple[int | str, ...]

_INVALID = "qos_agent_invalid"  # the type of the errors that `invalid` returns
_SECRET = re.compile(r"token|password|secret")
_LONGEST_FOUND = 100
# A wrong URL may lack its slashes, and a password may contain any character. The last
# "@" therefore ends the user information.
_USER_INFORMATION = re.compile(r"^([a-z][a-z0-9+.-]*://)?.*@", re.DOTALL | re.I)
# Problems by pydantic's type of error; other messages begin with "Input should be".
_PROBLEMS: Mapping[str, str] = MappingProxyType(
    {
        "greater_than_equal": "must be at least {ge}",
        "greater_than": "must be greater than {gt}",
        "less_than_equal": "must be at most {le}",
        "less_than": "must be less than {lt}",
        "string_type": "must be text in quotes",
        "tuple_type": "must be a list",
        "dict_type": "must be a table",
        "mapping_type": "must be a table",
        "model_type": "must be a table",
        "path_type": "must be a path in quotes",
        "timezone_aware": "must have a UTC offset",
    }
)


def invalid(
    problem: str, *, key: str = "", found: str | None = None, fix: str = ""
) -> PydanticCustomError:
    """Return the error that a validator raises to state more than a problem.

    `key` is relative to the table that is validated. Without `fix`, the fix is to
    edit the key.
    """
    context = {"problem": problem, "key": key, "fix": fix}
    if found is not None:
        context["found"] = found
    return PydanticCustomError(_INVALID, "{problem}", context)


def refuse_former_key(table: object, former: str, key: str) -> None:
    """Raise an error if a table contains a key by its former name."""
    if isinstance(table, dict) and former in table:
        raise invalid("has a new name", key=former, fix=f"rename it to {key}")


def validated(
    model: type[_Model], table: Mapping[str, Any], place_of: PlaceOf
) -> _Model:
    """Return the model of a table.

    Raises InvalidConfigError with an error for each wrong key.
    """
    try:
        return model.model_validate(table)
    except ValidationError as error:
        details = error.errors(include_url=False)
        raise InvalidConfigError(
            tuple(_explain(detail, model, place_of) for detail in details)
        ) from error


def unknown_key(key: str, known: Collection[str], place: str = "") -> ConfigError:
    """Return the error for a key that is not one of `known`."""
    source = f" in {place}" if place else ""
    name = key.rsplit(".", 1)[-1]
    near = difflib.get_close_matches(name, known, n=1)
    fix = (
        f"rename it to {near[0]}{source}, or remove it"
        if near
        else f"remove it{source} (known keys: {', '.join(sorted(known))})"
    )
    return ConfigError(key, None, "unknown key", fix)


def masked(text: str) -> str:
    """Return a text without the user information of a valid URL in it."""
    return re.sub(r"(?<=://)[^/?#\s]*@", "***@", text)


def shown_text(value: str | Path) -> str:
    """Return a text or a path as errors show it: in quotes, without a user name."""
    text = _USER_INFORMATION.sub(r"\1***@", str(value))
    return repr(text[:_LONGEST_FOUND])


def _explain(
    detail: ErrorDetails, model: type[BaseModel], place: PlaceOf
) -> ConfigError:
    location = detail["loc"]
    context = detail.get("ctx", {})
    key = ".".join(map(str, (*location, context.get("key", "")))).strip(".")
    fix = f"edit {key} in {place(key)}" if key else f"edit {place(key)}"
    match detail["type"]:
        case "extra_forbidden":
            known = _model_at(model, location[:-1]).model_fields
            return unknown_key(key, known, place(key))
        case "missing":
            problem = "is missing" + _choices(model, location)
            return ConfigError(key, None, problem, f"add {key} to {place(key)}")
        case _ if detail["type"] == _INVALID:
            found = context.get("found")
            return ConfigError(
                key or place(key), found, context["problem"], context["fix"] or fix
            )
        case _:
            found = shown_value(location, detail["input"])
            return ConfigError(key or place(key), found, _problem(detail), fix)


def _problem(detail: ErrorDetails) -> str:
    context = detail.get("ctx", {})
    if detail["type"] == "value_error":
        return str(context["error"])
    if detail["type"] in _PROBLEMS:
        return _PROBLEMS[detail["type"]].format(**context)
    message = detail["msg"].replace("Input should", "must").replace("a valid ", "a ")
    message = message.replace("be a integer", "be an integer")
    return message.partition(", unable to")[0]


def _choices(model: type[BaseModel], location: _Location) -> str:
    """Return the values that a missing key may have, if it is one of a few texts."""
    field = _model_at(model, location[:-1]).model_fields.get(str(location[-1]))
    choices = get_args(field.annotation) if field else ()
    if not choices or not all(isinstance(choice, str) for choice in choices):
        return ""
    return f"; it must be one of {', '.join(choices)}"


def shown_value(location: Sequence[int | str], value: object) -> str:
    """Return the value as users wrote it; the length only of a secret."""
    name = next((part for part in reversed(location) if isinstance(part, str)), "")
    if _SECRET.search(name) and not name.endswith("_file"):
        return f"hidden, {len(str(value))} characters"
    match value:
        case date() | time():
            return value.isoformat()
        case dict() | BaseModel():
            return "a table"
        case list() | tuple():
            return "a list" if value else "an empty list"
        case str() | Path():
            return shown_text(value)
        case _:
            text = repr(value)[:_LONGEST_FOUND]
            return text.lower() if isinstance(value, bool) else text


def _model_at(model: type[BaseModel], location: _Location) -> type[BaseModel]:
    """Return the model of a table; entries of lists have the model of their type."""
    for part in location:
        field = model.model_fields.get(part) if isinstance(part, str) else None
        model = (_model_in(field.annotation) if field else None) or model
    return model


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(filter(None, map(_model_in, get_args(annotation))), None)
