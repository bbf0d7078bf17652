"""Overrides: values of one link that differ from the values of all links.

They stand below the link's `[[links]]` entry, for example in `[links.allowance]`.
"""

from __future__ import annotations

from typing import TypeVar

from qos_agent.config.faults import invalid
from qos_agent.config.types import Section

_Section = TypeVar("_Section", bound=Section)


def merged(common: _Section, override: Section) -> _Section:
    """Return `common` with the values that are set in `override`."""
    values = {name: getattr(override, name) for name in override.model_fields_set}
    return common.model_copy(update=values)


def refuse_links(values: object, table: str, key: str = "links") -> None:
    """Raise an error for the former place of overrides, a list named `links`."""
    if isinstance(values, dict) and "links" in values:
        raise invalid(
            "values of one link belong below its [[links]] entry",
            key=key,
            fix=f"move them there, as [links.{table}] without the key link",
        )
