"""The commented configuration file, generated from the settings themselves.

Every key stands in it, commented out, with its default: uncommenting a line changes
nothing, so the file documents what is in force.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, BeforeValidator, SecretStr
from pydantic.fields import FieldInfo

from qos_agent.config.schedule import ScheduleSection
from qos_agent.config.settings import Settings
from qos_agent.config.types import interval
from qos_agent.model import Phase
from qos_agent.model.units import duration_text, seconds, size_bytes, size_text

_HEAD = """\
# Configuration of QoS Agent. Every key stands here with its default; remove the
# "# " before a line to change it; a key without a default ends in "=".
# Check the file: qos-agent config check -c FILE
# The environment wins over this file (QOS_AGENT_STATION__ID=...), and a file in
# systemd's credentials directory wins over both (collector.token).
"""
_ENTRIES = {
    "links": '# [[links]]\n# name = "main"\n# operator = "telkomsel"\n'
    '# interface = "wwan0"\n',
    "targets": '# [[targets]]\n# name = "anchor"\n# host = "anchor.example.id"\n'
    '# layer = "anchor"\n',
}


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
            parts.append(f"# {_doc(field)}\n{_ENTRIES.get(name, '')}")
    return "\n".join(parts)


def _doc(field: FieldInfo) -> str:
    """What a list holds, from the docstring of its entries."""
    for argument in getattr(field.annotation, "__args__", ()):
        if isinstance(argument, type) and issubclass(argument, BaseModel):
            return _summary(argument)
    return field.description or ""


def _summary(model: type[BaseModel]) -> str:
    """The first line of a section's docstring; nothing under `python -OO`."""
    return (model.__doc__ or "").strip().partition("\n")[0]


def _section(name: str, section: BaseModel) -> Iterator[str]:
    yield f"# {_summary(type(section))}"
    yield f"[{name}]"
    tables = []
    for key, field in type(section).model_fields.items():
        value = getattr(section, key, None)
        if isinstance(value, BaseModel):
            tables.append((f"{name}.{key}", value))
            continue
        yield from _key(key, field, value)
    yield ""
    for path, table in tables:
        yield from _section(path, table)


def _schedule(
    section: ScheduleSection, default_intervals: Mapping[Phase, Mapping[str, float]]
) -> Iterator[str]:
    """Yield the tables of the phases, each with the default of every probe."""
    yield f"# {_summary(type(section))}"
    yield "[schedule]\n"
    for phase, field in type(section).model_fields.items():
        yield f"# {field.description}"
        yield f"[schedule.{phase}]"
        for probe, interval_s in default_intervals[Phase(phase)].items():
            text = duration_text(interval_s) if interval_s else "off"
            yield f"# {probe} = {json.dumps(text)}"
        yield ""


def _key(key: str, field: FieldInfo, value: Any) -> Iterator[str]:
    if field.description:
        yield f"# {field.description}"
    yield f"# {key} = {_toml(field, value)}".rstrip()


def _toml(field: FieldInfo, value: Any) -> str:
    """The value as it is written in TOML; nothing where there is no default."""
    readers = [m.func for m in field.metadata if isinstance(m, BeforeValidator)]
    if value is None or isinstance(value, SecretStr):
        return ""
    if interval in readers and value == 0:
        return '"off"'
    if seconds in readers or interval in readers:
        return json.dumps(duration_text(value))
    if size_bytes in readers:
        return json.dumps(size_text(value).replace(" ", ""))
    return json.dumps(str(value) if isinstance(value, Path) else value)
