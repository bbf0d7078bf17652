"""InfluxQL queries over HTTP, which InfluxDB 1.8, 2.x and 3.x answer alike.

Only SELECT with aggregates, subqueries and GROUP BY, one statement in each request.
No SELECT INTO, SHOW SERIES or fill, which some versions lack; empty values are dropped
here. urllib3 sends the requests, because influxdb-client has no InfluxQL. Its QueryApi
sends Flux, which 1.8 has disabled by default and 3.x does not have.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from qos_agent.config.settings import CollectorSection
from qos_agent.influx import buckets, dialects, fixes, results
from qos_agent.influx.responses import compose
from qos_agent.influx.results import PartialResultError, ResultError, Table, tables
from qos_agent.influx.secrets import shown_url, without_token
from qos_agent.influx.tls import tls_context
from qos_agent.influx.transport import failure_of, make_client
from qos_agent.model import limits
from qos_agent.model.errors import ConfigError, QosAgentError
from qos_agent.model.line_protocol import tag_value

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse, PoolManager

__all__ = ["QueryError", "Row", "Server", "Table", "between", "word"]

_PART_BYTES = 65_536
_BEFORE_JSON = b"\xef\xbb\xbf \t\r\n"
# InfluxDB has no larger numbers, except in fields of type float.
_INT64 = 2**63
_CHUNKED = {"chunked": "true", "chunk_size": "10000"}


@dataclass(eq=False)
class QueryError(QosAgentError):
    """A query that failed: the server, and the error with its fix."""

    server: str
    message: str

    def __str__(self) -> str:
        """Return one line for the log."""
        return f"{self.server}: {self.message}"


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a result: the tags of its series, and its values without nulls.

    `time` is in nanoseconds. `server` is the server's name in error messages.
    """

    tags: Mapping[str, str]
    values: Mapping[str, Any]
    server: str

    def has(self, *tags: str) -> bool:
        """Return True if the row has these tags, with values that agents send.

        Other rows cannot be assigned to an area or a station.
        """
        values = [self.tags.get(tag, "") for tag in tags]
        return all(value and value == tag_value(value) for value in values)

    def number(self, name: str) -> float:
        """Return a value that must be a number. Raises QueryError if it is not."""
        value: Any = self.values.get(name)
        # True is no number, although it is an int in Python.
        if type(value) in (int, float) and -_INT64 <= value < _INT64:
            number: float = value
            return number
        raise self._wrong(name, "a number")

    def amount(self, name: str) -> float:
        """Return a number that must not be negative. Raises QueryError."""
        number = self.number(name)
        if number < 0:
            raise self._wrong(name, "0 or more")
        return number

    def count(self, name: str) -> int:
        """Return an amount that must be a whole number. Raises QueryError."""
        number = self.amount(name)
        if number != int(number):
            raise self._wrong(name, "a whole number")
        return int(number)

    def time_ns(self, span: tuple[int, int]) -> int:
        """Return the time, which must be within the span of the query.

        Raises QueryError.
        """
        number = self.number("time")
        if not span[0] <= number <= span[1] or number != int(number):
            raise self._wrong("time", f"from {span[0]} to {span[1]}")
        return int(number)

    def text(self, name: str) -> str:
        """Return a value that must be a text. Raises QueryError."""
        value = self.values.get(name)
        if not isinstance(value, str):
            raise self._wrong(name, "a text")
        return value

    def _wrong(self, name: str, wanted: str) -> QueryError:
        found = str(self.values.get(name))[:40]
        problem = f"{name} must be {wanted} (found: {found!r})"
        return QueryError(self.server, f"{problem}. Fix: {fixes.TYPES}")


class Server:
    """One database to query. The token's file is read again for each query.

    After a query without a response the next ones fail at once until `wake`. Otherwise
    each of them would wait for the timeout and delay the queries to other servers.
    `alive` is called before each request.
    """

    def __init__(
        self,
        section: CollectorSection,
        timeout_s: float = 60.0,
        alive: Callable[[], None] = lambda: None,
    ) -> None:
        self._section = section
        self._alive = alive
        self._timeout_s = timeout_s
        self._pool: PoolManager | None = None
        self._token: str | None = None
        self._unreachable: QueryError | None = None

    def wake(self) -> None:
        """Send queries again, also if the last one had no response."""
        self._unreachable = None

    @property
    def name(self) -> str:
        """The name in error messages."""
        return f"{shown_url(self._section)}/{self._section.bucket}"

    def select(self, query: str) -> Iterator[Row]:
        """Yield the rows of one SELECT. Raises QueryError."""
        for table in self.tables(query):
            for values in table.rows:
                pairs = zip(table.columns, values, strict=True)
                named = {k: v for k, v in pairs if v is not None}
                yield Row(table.tags, named, self.name)

    def tables(self, query: str) -> Iterator[Table]:
        """Yield a table for each series of one SELECT. Raises QueryError.

        The response is chunked, because `max-row-limit` of 1.8 applies to all others.
        They have no mark of their own if the limit leaves out whole series.
        """
        try:
            yield from self._tables(query)
        except PartialResultError as error:
            message = compose(error.message, "", fixes.MAX_ROWS)
            raise QueryError(self.name, message) from error

    def version(self) -> str:
        """Return the server's version such as 1.8.10, or nothing if not reported.

        Raises QueryError.
        """
        status, headers, _ = self._request("GET", "ping")
        if status not in (200, 204):
            raise QueryError(self.name, f"HTTP {status} for /ping")
        return dialects.version(headers)

    def retention_s(self) -> float | None:
        """Return how long points are kept, None if the server does not report it.

        Infinity means permanently. Raises QueryError.
        """
        name = self._section.bucket.replace('"', '\\"')
        policies = self.select(f'SHOW RETENTION POLICIES ON "{name}"')
        policy_s = dialects.policy_retention_s(row.values for row in policies)
        return self._bucket_retention_s() if policy_s == math.inf else policy_s

    def _bucket_retention_s(self) -> float | None:
        import urllib3

        section = self._section
        try:
            with make_client(section, section.sendable_token()) as client:
                return buckets.retention_s(
                    client, section.bucket, section.org, self._timeout_s
                )
        except (urllib3.exceptions.HTTPError, OSError, ConfigError) as error:
            # The texts of the chain may repeat the token.
            raise self._no_response(error) from None

    def close(self) -> None:
        """Close connections."""
        if self._pool is not None:
            self._pool.clear()
            self._pool = None

    def _tables(self, query: str) -> list[Table]:
        form = {"db": self._section.bucket, "epoch": "ns", "q": query, **_CHUNKED}
        status, _, body = self._request("POST", "query", urlencode(form))
        if status == HTTPStatus.OK:
            try:
                return tables(body)
            except PartialResultError:
                raise
            except ResultError as error:
                reason = error.message
        else:
            reason = results.error_of(body) or results.NOT_INFLUXDB
        reason = without_token(self._token, reason)
        fix = fixes.for_query(status, reason)
        raise QueryError(self.name, compose(f"HTTP {status}", reason, fix))

    def _request(
        self, method: str, path: str, body: str = ""
    ) -> tuple[int, Mapping[str, str], bytes]:
        """Return status, headers and body. Raises QueryError without a response."""
        import urllib3

        if self._unreachable is not None:
            raise self._unreachable
        self._alive()
        try:
            self._token = self._section.sendable_token()
            with self._sent(method, path, body) as response:
                return response.status, response.headers, _body(response)
        except (urllib3.exceptions.HTTPError, OSError, ConfigError) as error:
            # The texts of the chain may repeat the token.
            raise self._no_response(error) from None

    @contextmanager
    def _sent(self, method: str, path: str, body: str) -> Iterator[BaseHTTPResponse]:
        """Send a request, and close the connection if the body is not read."""
        import urllib3

        headers = {"Authorization": f"Token {self._token}"} if self._token else {}
        response = self._connections().request(
            method,
            f"{str(self._section.url).rstrip('/')}/{path}",
            body=body,
            headers={
                **headers,
                "Content-Type": "application/x-www-form-urlencoded",
                "Accept-Encoding": "gzip",
            },
            redirect=False,
            retries=False,
            preload_content=False,
            timeout=urllib3.Timeout(total=self._timeout_s),
        )
        try:
            yield response
        finally:
            response.close()
            response.release_conn()

    def _no_response(self, error: Exception) -> QueryError:
        message = without_token(self._token, _message(error))
        self._unreachable = QueryError(self.name, message)
        return self._unreachable

    def _connections(self) -> PoolManager:
        import urllib3

        from qos_agent.influx.limited_http import limit_responses

        if self._pool is None:
            context = tls_context(self._section)
            self._pool = urllib3.PoolManager(ssl_context=context)
            limit_responses(self._pool, limits.QUERY)
        return self._pool


def _body(response: BaseHTTPResponse) -> bytes:
    """Return the decompressed body; only its beginning if it is no result of a query.

    Raises urllib3's HTTPError if it is too long or not compressed as it claims.
    """
    from urllib3.exceptions import DecodeError, HTTPError

    is_result = response.status == HTTPStatus.OK
    max_bytes = limits.QUERY.body_bytes if is_result else limits.QUERY_ERROR_BYTES
    body = bytearray()
    try:
        while part := response.read(_PART_BYTES, decode_content=True):
            body += part
            if not body.lstrip(_BEFORE_JSON).startswith(b"{"):
                break
            if len(body) > max_bytes and is_result:
                raise HTTPError(f"the result is longer than {max_bytes} bytes")
            if len(body) > max_bytes:
                break
    except DecodeError as error:
        raise HTTPError("the body is not compressed as its head says") from error
    return bytes(body[:max_bytes])


def _message(error: Exception) -> str:
    """Return the cause of a query without a response, and its fix."""
    if isinstance(error, ConfigError):
        return str(error)
    result = failure_of(error)
    return compose(result.cause, result.detail, fixes.for_cause(result.cause))


def between(from_ns: int, to_ns: int) -> str:
    """Return the clause for from_ns <= time < to_ns."""
    return f"time >= {from_ns} AND time < {to_ns}"


def word(value: str) -> str:
    """Return a tag's value as a quoted literal."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
