"""Which variables of the environment are settings, by their names.

Other programs set variables with the same prefix. Kubernetes and Docker do so for a
service named `qos-agent`, and an image may name its version. Such a name must not stop
the agent, but a mistyped setting must.
"""

from __future__ import annotations

import difflib
import logging
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache

from qos_agent.model.errors import ConfigError
from qos_agent.model.text import control_character, one_line

PREFIX = "QOS_AGENT_"
_NOT_SETTINGS = {"CONFIG"}
_OF_SERVICE = re.compile(
    r"(\w+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT(_\d+_(TCP|UDP|SCTP)(_[A-Z]+)?)?)"
)
# From this similarity on, a name that is no setting is taken for a mistyped one.
_MISTYPED = 0.85
_log = logging.getLogger(__name__)


def of_settings(
    environment: Mapping[str, str], tables: Mapping[str, Iterable[str]]
) -> dict[str, str]:
    """Return the variables that are settings or are meant to be.

    `tables` are the sections and their keys. Other names are logged once, except those
    of services.
    """
    ends = {name: name[len(PREFIX) :] for name in environment if _has_prefix(name)}
    known = _plain_names(tables)
    foreign = {
        name
        for name, end in ends.items()
        if "__" not in end and (_is_of_service(end) or not _nearest(end, known))
    }
    if names := sorted(name for name in foreign if not _is_of_service(ends[name])):
        _warn(tuple(names))
    return {name: environment[name] for name in ends if name not in foreign}


def faults(
    names: Iterable[str], tables: Mapping[str, Iterable[str]]
) -> Iterator[ConfigError]:
    """Yield an error for each name that is mistyped or set twice."""
    known = _plain_names(tables)
    seen: dict[str, str] = {}
    for name in names:
        end = name[len(PREFIX) :].lower()
        first = seen.setdefault(end, name)
        if (fix := _fix(end, known)) is not None:
            yield ConfigError(name, None, "is not a setting", fix)
        elif first != name:
            problem = f"is the same setting as {first}"
            yield ConfigError(name, None, problem, "remove one of the two")


def _fix(end: str, known: Mapping[str, str]) -> str | None:
    """Return how to correct the end of a name; None if it has the right form."""
    if "__" in end:
        is_complete = "" not in end.split("__") and control_character(end) is None
        return None if is_complete else "remove it"
    right = known[str(_nearest(end, known))]
    if right == end:
        return None
    return f"rename it to {PREFIX}{right.upper()}, or remove it"


def _has_prefix(name: str) -> bool:
    upper = name.upper()
    return upper.startswith(PREFIX) and upper[len(PREFIX) :] not in _NOT_SETTINGS


def _is_of_service(end: str) -> bool:
    return _OF_SERVICE.fullmatch(end.upper()) is not None


def _plain_names(tables: Mapping[str, Iterable[str]]) -> dict[str, str]:
    """Return the end of each variable by its spelling with single underscores."""
    names = {section: section for section in tables}
    for section, keys in tables.items():
        names |= {f"{section}_{key}": f"{section}__{key}" for key in keys}
    return names


def _nearest(end: str, known: Mapping[str, str]) -> str | None:
    near = difflib.get_close_matches(end.lower(), known, n=1, cutoff=_MISTYPED)
    return near[0] if near else None


@lru_cache(1)
def _warn(names: tuple[str, ...]) -> None:
    """Log the names that are ignored; the cache keeps the line from repeating."""
    text = one_line(", ".join(names))
    _log.warning("environment: ignored, because no setting has these names: %s", text)
