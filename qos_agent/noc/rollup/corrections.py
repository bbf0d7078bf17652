"""Sums are made again: written over the ones before, or beside them as differences.

InfluxDB 1.8 and 2.x keep the later of two versions of a point. InfluxDB 3 may keep
either ("Duplicate points" in its line protocol's reference): there what has changed
since is a point of its own in the same minute, and all points of a minute add up.
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


class Rewriting:
    """Whether a point can be written over, by the version of the roll-ups' server."""

    def __init__(self, rollups: Server) -> None:
        self._rollups = rollups
        self._version: str | None = None

    def overwrites(self) -> bool:
        """True of 1.8, 2.x, and of a server that does not say. Raises QueryError."""
        if self._version is None:
            self._version = self._rollups.version()
        return overwrites_points(self._version)


def differences(found: Iterable[bytes], stored: Iterable[bytes]) -> Iterator[bytes]:
    """The lines found, less what is stored; none where nothing has changed.

    Each has a moment of its own in the minute. A write that is repeated is the same
    bytes; one that is lost is made good by the next pass, which reads what is there.
    """
    before = {key(record): record for record in map(decode, stored)}
    moment_ns = 1 + secrets.randbelow(MINUTE_NS - 1)
    for record in map(decode, found):
        if (old := before.get(key(record))) is None:
            yield encode(record)
        elif changed := _less(record, old):
            at_ns = record.time_ns + moment_ns
            yield encode(Record(record.measurement, record.tags, changed, at_ns))


def _less(new: Record, old: Record) -> dict[str, Value]:
    """What is to be added to the old to have the new: sums, so by subtraction.

    Sums of readings are rounded, or the last bit would be put right in each pass.
    """
    return {
        name: value
        for name in new.fields
        if (value := round(_number(new, name) - _number(old, name), _DIGITS))
    }


def _number(record: Record, name: str) -> int | float:
    return cast("int | float", record.fields.get(name, 0))
