"""Reads the body of a response to an InfluxQL query. Pure.

InfluxDB may return fewer rows than there are. 1.8 marks a result or series with
`partial` if `max-row-limit` has cut it, but not if it leaves out whole series. In
chunked responses, which have no such limit, `partial` means that more of it follows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from qos_agent.influx import dialects
from qos_agent.model import json_text
from qos_agent.model.errors import QosAgentError

NOT_INFLUXDB = "this response is not from InfluxDB"
_INCOMPLETE = "the result is incomplete"


@dataclass(eq=False)
class ResultError(QosAgentError):
    """A response without a complete result, and the reason."""

    message: str

    def __str__(self) -> str:
        """Return the reason."""
        return self.message


class PartialResultError(ResultError):
    """A result of which the server left out rows."""


@dataclass(frozen=True, slots=True)
class Table:
    """A series of a result: its tags, and rows of values, which may be None.

    The first column is `time`, in nanoseconds.
    """

    tags: Mapping[str, str]
    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]


def tables(body: bytes) -> list[Table]:
    """Return the series of one statement's result.

    Raises PartialResultError if the server left out rows, and ResultError if the body
    reports an error or is not a result.
    """
    merged: list[Table] = []
    is_continued = is_partial = False
    for result in _results(body):
        is_partial = _flag(result)
        for series in _entries(result, "series"):
            table = _table(series)
            if is_continued and _is_same(merged[-1], table):
                rows = [*merged[-1].rows, *table.rows]
                merged[-1] = Table(table.tags, table.columns, rows)
            else:
                merged.append(table)
            is_continued = _flag(series)
    if is_partial or is_continued:
        raise PartialResultError(_INCOMPLETE)
    return merged


def _results(body: bytes) -> Iterator[dict[str, Any]]:
    """Yield the results of each response in the body, which is one if not chunked."""
    try:
        responses = json_text.loads_all(body)
    except ValueError as error:
        raise ResultError(NOT_INFLUXDB) from error
    count = 0
    for response in responses:
        # 2.x reports the error of a request at the top, that of a statement below.
        _raise_error(response)
        for result in _entries(response, "results"):
            _raise_error(result)
            count += 1
            yield result
    if not count:
        raise ResultError(NOT_INFLUXDB)


def error_of(body: bytes) -> str:
    """Return the error message in a body, or nothing."""
    try:
        list(_results(body))
    except ResultError as error:
        return error.message if error.message != NOT_INFLUXDB else ""
    return ""


def _raise_error(response: object) -> None:
    if not isinstance(response, dict):
        raise ResultError(NOT_INFLUXDB)
    if message := dialects.error_message(response):
        raise ResultError(message)


def _entries(table: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    entries = table.get(name) or []
    if not isinstance(entries, list) or not all(isinstance(e, dict) for e in entries):
        raise ResultError(NOT_INFLUXDB)
    return entries


def _flag(entry: Mapping[str, Any]) -> bool:
    return bool(entry.get("partial"))


def _table(series: Mapping[str, Any]) -> Table:
    if message := dialects.error_message(series):
        raise ResultError(message)
    tags, columns = series.get("tags") or {}, series.get("columns")
    rows = series.get("values") or []
    if not (
        isinstance(tags, dict)
        and all(value is None or isinstance(value, str) for value in tags.values())
        and isinstance(columns, list)
        and all(isinstance(name, str) for name in columns)
        and isinstance(rows, list)
        and all(isinstance(row, list) and len(row) == len(columns) for row in rows)
    ):
        raise ResultError(NOT_INFLUXDB)
    return Table({name: tag for name, tag in tags.items() if tag}, columns, rows)


def _is_same(before: Table, after: Table) -> bool:
    return (before.tags, before.columns) == (after.tags, after.columns)
