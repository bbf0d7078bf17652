"""A reading as one line of the log, and as fields of systemd's journal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from qos_agent.model import Reading, Value

_TAGS = ("link", "target", "direction", "technology", "kind")


def log_line(reading: Reading, fields: Sequence[str]) -> str:
    """Return measurement, tags, the named fields and the outcome of a reading."""
    parts = [reading.measurement]
    before: Mapping[str, str] = {}
    for sample in reading.samples:
        named = {tag: sample.tags[tag] for tag in _TAGS if tag in sample.tags}
        parts += [text for tag, text in named.items() if before.get(tag) != text]
        before = named
        parts += [
            f"{name}={_short(sample.fields[name])}"
            for name in (*fields, "detail")
            if name in sample.fields
        ]
    parts.append(reading.outcome.value)
    detail = reading.detail.replace(f"{reading.cause}: ", "", 1)
    parts += [text for text in (reading.cause, reading.reason, detail) if text]
    return " ".join(parts)


def log_fields(reading: Reading) -> dict[str, str]:
    """Return the fields by which systemd's journal finds a reading."""
    fields = {"measurement": reading.measurement, "outcome": reading.outcome.value}
    for sample in reading.samples:
        fields |= {tag: sample.tags[tag] for tag in _TAGS if tag in sample.tags}
    reason = reading.cause or reading.reason
    return fields | ({"cause": reason} if reason else {})


def _short(value: Value) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)
