"""The commented configuration file, generated from the settings themselves.

The file contains every key with its default, commented out. Uncommenting a line
changes nothing, so the file shows what is in force.
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, BeforeValidator, SecretStr
from pydantic.fields import FieldInfo

from qos_agent.config.schedule import ScheduleSection
from qos_agent.config.settings import Settings
from qos_agent.config.types import interval
from qos_agent.model import Phase
from qos_agent.model.units import duration_text, seconds, size_bytes, size_text

_HEAD = """\
# Configuration of QoS Agent. The file contains every key with its default. To change
# a value, remove the "# " before its line. A key without a default ends in "=".
# Check the file: qos-agent config check -c FILE
# The environment has priority over this file (QOS_AGENT_STATION__ID=...), and a file
# in systemd's credentials directory has priority over both (collector.token).
"""
_WIDTH = 88
_LINKS = """\
# [[links]]
# name = "main"
# operator = "telkomsel"
# interface = "wwan0"
# source_address =
# Values that differ on this link; every key of [throughput] up to upload_path, of
# [allowance] and of [schedule.PHASE] may stand here:
# [links.throughput]
# server = "https://measure.example.id"
# [links.allowance]
# monthly = "2GB"
# [links.schedule.voting]
# throughput = "off"
"""
_TARGETS = """\
# [[targets]]
# name = "anchor"
# host = "anchor.example.id"
# layer = "anchor"
# method = "icmp"
# port =
"""
_ENTRIES = {"links": _LINKS, "targets": _TARGETS}


def commented(default_intervals: Mapping[Phase, Mapping[str, float]]) -> str:
    """Return the whole file as TOML, with the probes' default intervals by phase."""
    defaults = Settings.model_construct()
    parts = [_HEAD]
    for name, field in Settings.model_fields.items():
        section = getattr(defaults, name)
        if isinstance(section, ScheduleSection):
            parts.append("\n".join(_schedule(section, default_intervals)))
        elif isinstance(section, BaseModel):
            parts.append("\n".join(_section(name, section)))
        else:
            lines = "\n".join(_comment(_entry_summary(field)))
            parts.append(f"{lines}\n{_ENTRIES.get(name, '')}")
    return "\n".join(parts)


def _comment(text: str) -> list[str]:
    return textwrap.wrap(
        text,
        _WIDTH,
        initial_indent="# ",
        subsequent_indent="# ",
        break_on_hyphens=False,
    )


def _entry_summary(field: FieldInfo) -> str:
    """Return the summary of the entries of a list, else the field's description."""
    for argument in getattr(field.annotation, "__args__", ()):
        if isinstance(argument, type) and issubclass(argument, BaseModel):
            return _summary(argument)
    return field.description or ""


def _summary(model: type[BaseModel]) -> str:
    """Return the first line of a section's docstring; empty under `python -OO`."""
    return (model.__doc__ or "").strip().partition("\n")[0]


def _section(name: str, section: BaseModel) -> Iterator[str]:
    yield from _comment(_summary(type(section)))
    yield f"[{name}]"
    for key, field in type(section).model_fields.items():
        yield from _key(key, field, getattr(section, key, None))
    yield ""


def _schedule(
    section: ScheduleSection, default_intervals: Mapping[Phase, Mapping[str, float]]
) -> Iterator[str]:
    """Yield the tables of the phases, each with the default of every probe."""
    yield from _comment(_summary(type(section)))
    yield "[schedule]\n"
    for phase, field in type(section).model_fields.items():
        yield from _comment(field.description or "")
        yield f"[schedule.{phase}]"
        for probe, interval_s in default_intervals[Phase(phase)].items():
            text = duration_text(interval_s) if interval_s else "off"
            yield f"# {probe} = {json.dumps(text)}"
        yield ""


def _key(key: str, field: FieldInfo, value: Any) -> Iterator[str]:
    yield from _comment(field.description or "")
    yield f"# {key} = {toml_text(field, value)}".rstrip()


def toml_text(field: FieldInfo, value: Any) -> str:
    """Return the value as TOML; empty if there is no default."""
    readers = [m.func for m in field.metadata if isinstance(m, BeforeValidator)]
    if value is None or isinstance(value, SecretStr):
        return ""
    if interval in readers and value == 0:
        return '"off"'
    if seconds in readers or interval in readers:
        return json.dumps(duration_text(value))
    if isinstance(value, tuple) and seconds in _item_readers(field):
        return json.dumps([duration_text(item) for item in value])
    if size_bytes in readers:
        return json.dumps(size_text(value).replace(" ", ""))
    return json.dumps(str(value) if isinstance(value, Path) else value)


def _item_readers(field: FieldInfo) -> list[object]:
    """Return the functions that read the items of a list."""
    items = get_args(field.annotation)[:1]
    metadata = [m for item in items for m in getattr(item, "__metadata__", ())]
    return [m.func for m in metadata if isinstance(m, BeforeValidator)]
