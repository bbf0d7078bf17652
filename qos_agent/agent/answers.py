"""The answers of a technician to `qos-agent setup`, and their checks."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from qos_agent.config import toml_file
from qos_agent.config.faults import unknown_key, validated
from qos_agent.config.places import regencies
from qos_agent.config.types import Operator, Url
from qos_agent.model.errors import ConfigError, InvalidConfigError

STATION = re.compile(r"\d{13}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Answers:
    """The answers of a technician; None for what was not answered yet."""

    station: str | None = None
    operator: str | None = None
    interface: str | None = None
    collector: str | None = None
    calendar: str | None = None
    ca_file: str | None = None

    def or_else(self, other: Answers) -> Answers:
        """Return these answers, with the missing ones taken from `other`."""
        own = {name: value for name, value in asdict(self).items() if value is not None}
        return Answers(**(asdict(other) | own))

    def missing(self) -> list[str]:
        """Return the names of the required answers that are missing."""
        required = ("station", "operator", "interface", "collector")
        return [name for name in required if not getattr(self, name)]


@dataclass(frozen=True, slots=True)
class Preseed:
    """Answers in a file, and files from which the token and a certificate come."""

    answers: Answers = Answers()
    token_file: Path | None = None
    ca_file: Path | None = None


class _Collector(BaseModel):
    collector: Url


class _Operator(BaseModel):
    operator: Operator


def check_station(code: str) -> str:
    """Return the code of a station. Raises ConfigError if it cannot be one."""
    if not STATION.fullmatch(code):
        fix = "copy it from the assignment letter"
        raise ConfigError("station", repr(code[:40]), "must have 13 digits", fix)
    if code[:4] not in regencies():
        problem = "must begin with the code of a regency"
        raise ConfigError("station", repr(code), problem, "check the first 4 digits")
    return code


def check_collector(text: str) -> str:
    """Return the URL of a collector. Raises ConfigError.

    People copy addresses from a screen that hides https://.
    """
    url = text if "://" in text else f"https://{text}"
    fix = "copy it from the NOC's sheet, such as https://collector.example.id"
    return str(_checked(_Collector, "collector", url, fix))


def check_operator(name: str) -> str:
    """Return the code of an operator. Raises ConfigError."""
    fix = "write its name, such as telkomsel"
    return str(_checked(_Operator, "operator", name, fix))


def _checked(model: type[BaseModel], name: str, value: str, fix: str) -> Any:
    try:
        found = validated(model, {name: value}, lambda _: "")
    except InvalidConfigError as error:
        fault = error.faults[0]
        raise ConfigError(name, fault.found, fault.problem, fix) from error
    return getattr(found, name)


def preseed(path: Path) -> Preseed:
    """Return the answers in a TOML file. Raises InvalidConfigError.

    `token_file` and `ca_file` are relative to the folder of the file, such as a USB
    stick.
    """
    table = toml_file.read(path)
    own = ("station", "operator", "interface", "collector", "calendar")
    names = [*own, "token_file", "ca_file"]
    faults = [
        unknown_key(key, names, str(path))
        if key not in names
        else ConfigError(key, None, "must be text in quotes", f"edit {path}")
        for key, value in table.items()
        if key not in names or not isinstance(value, str)
    ]
    if faults:
        raise InvalidConfigError(tuple(faults))
    files = [path.parent / table[n] if n in table else None for n in names[-2:]]
    return Preseed(Answers(**{n: table[n] for n in own if n in table}), *files)
