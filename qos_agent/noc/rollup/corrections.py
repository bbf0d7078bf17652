"""Recalculated sums: written over the old ones, or as differences next to them.

InfluxDB 1.8 and 2.x keep the later of two versions of a point. InfluxDB 3 may keep
either one ("Duplicate points" in its line protocol reference). There, a change is
written as another point in the same minute, and all points of a minute are added up.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator
from typing import cast

from qos_agent.influx.dialects import overwrites_points
from qos_agent.influx.query import Server
from qos_agent.model import Record, Value
from qos_agent.model.line_protocol import decode, encode
from qos_agent.noc.rollup.sums import MINUTE_NS, key

_DIGITS = 6


class OverwriteSupport:
    """Finds out once if the server of the roll-ups replaces points."""

    def __init__(self, rollups: Server) -> None:
        self._rollups = rollups
        self._version: str | None = None

    def overwrites(self) -> bool:
        """Return True for 1.8, 2.x and an unknown version. Raises QueryError."""
        if self._version is None:
            self._version = self._rollups.version()
        return overwrites_points(self._version)


def differences(lines: Iterable[bytes], stored: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the differences between new sums and stored ones; no line if equal.

    Each difference has its own moment in the minute. A repeated write has the same
    bytes. The next pass reads what is stored, so it also corrects after a lost write.
    """
    before = {key(record): record for record in map(decode, stored)}
    moment_ns = 1 + secrets.randbelow(MINUTE_NS - 1)
    for record in map(decode, lines):
        if (old := before.get(key(record))) is None:
            yield encode(record)
        elif changed := _difference(record, old):
            at_ns = record.time_ns + moment_ns
            yield encode(Record(record.measurement, record.tags, changed, at_ns))


def _difference(new: Record, old: Record) -> dict[str, Value]:
    """Return the values that must be added to the old record to get the new one.

    Values are rounded. Otherwise each pass would write a correction for rounding
    errors.
    """
    return {
        name: value
        for name in new.fields
        if (value := round(_number(new, name) - _number(old, name), _DIGITS))
    }


def _number(record: Record, name: str) -> int | float:
    return cast("int | float", record.fields.get(name, 0))
