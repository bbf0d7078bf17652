"""InfluxQL queries over HTTP, which InfluxDB 1.8, 2.x and 3.x answer alike.

Only SELECT with aggregates, subqueries and GROUP BY, one statement in each request.
No SELECT INTO, SHOW SERIES or fill, which some versions lack; empty values are dropped
here. urllib3 sends the requests, because influxdb-client has no InfluxQL. Its QueryApi
sends Flux, which 1.8 has disabled by default and 3.x does not have.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from qos_agent.config.settings import CollectorSection
from qos_agent.influx import buckets, dialects, fixes
from qos_agent.influx.responses import compose
from qos_agent.influx.transport import make_client
from qos_agent.model.errors import QosAgentError
from qos_agent.model.line_protocol import one_line
from qos_agent.system.network.tls import collector_context

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse, PoolManager


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

    `time` is in nanoseconds.
    """

    tags: Mapping[str, str]
    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Table:
    """A series of a result: its tags, and rows of values, which may be None.

    The first column is `time`, in nanoseconds.
    """

    tags: Mapping[str, str]
    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]


class Server:
    """One database to query. The token's file is read again for each query.

    After a query without a response the next ones fail at once until `wake`. Otherwise
    each of them would wait for the timeout and delay the queries to other servers.
    """

    def __init__(self, section: CollectorSection, timeout_s: float = 60.0) -> None:
        self._section = section
        self._timeout_s = timeout_s
        self._pool: PoolManager | None = None
        self._unreachable: QueryError | None = None

    def wake(self) -> None:
        """Send queries again, also if the last one had no response."""
        self._unreachable = None

    @property
    def name(self) -> str:
        """The name in error messages."""
        return f"{self._section.url}/{self._section.bucket}"

    def select(self, query: str) -> Iterator[Row]:
        """Yield the rows of one SELECT. Raises QueryError."""
        for table in self.tables(query):
            for values in table.rows:
                pairs = zip(table.columns, values, strict=True)
                yield Row(table.tags, {k: v for k, v in pairs if v is not None})

    def tables(self, query: str) -> Iterator[Table]:
        """Yield a table for each series of one SELECT. Raises QueryError."""
        for series in self._series(query):
            tags = {k: v for k, v in series.get("tags", {}).items() if v}
            yield Table(tags, series["columns"], series.get("values", ()))

    def version(self) -> str:
        """Return the server's version such as 1.8.10, or nothing if not reported.

        Raises QueryError.
        """
        response = self._request("GET", "ping")
        if response.status not in (200, 204):
            raise QueryError(self.name, f"HTTP {response.status} for /ping")
        return dialects.version(response.headers)

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
            with make_client(section, section.current_token()) as client:
                return buckets.retention_s(
                    client, section.bucket, section.org, self._timeout_s
                )
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise self._no_response(error) from error

    def close(self) -> None:
        """Close connections."""
        if self._pool is not None:
            self._pool.clear()
            self._pool = None

    def _series(self, query: str) -> list[dict[str, Any]]:
        asked = {"db": self._section.bucket, "epoch": "ns", "q": query}
        response = self._request("POST", "query", urlencode(asked))
        content = _object(response.data)
        results = content.get("results", [])
        # 2.x reports the error of a request at the top, that of a statement below.
        messages = map(dialects.error_message, (content, *results))
        error = next((message for message in messages if message), "")
        if response.status != 200 or error or not results:
            error = error or "this response is not from InfluxDB"
            fix = fixes.for_query(response.status, error)
            message = compose(f"HTTP {response.status}", error, fix)
            raise QueryError(self.name, message)
        return [series for result in results for series in result.get("series", ())]

    def _request(self, method: str, path: str, body: str = "") -> BaseHTTPResponse:
        import urllib3

        if self._unreachable is not None:
            raise self._unreachable
        try:
            token = self._section.current_token()
            headers = {"Authorization": f"Token {token}"} if token else {}
            return self._connections().request(
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
                timeout=self._timeout_s,
            )
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise self._no_response(error) from error

    def _no_response(self, error: Exception) -> QueryError:
        self._unreachable = QueryError(self.name, one_line(str(error)))
        return self._unreachable

    def _connections(self) -> PoolManager:
        import urllib3

        if self._pool is None:
            context = collector_context(str(self._section.url), self._section.ca_file)
            self._pool = urllib3.PoolManager(ssl_context=context)
        return self._pool


def _object(body: bytes) -> dict[str, Any]:
    """Return a JSON object, or an empty one if the body is something else."""
    try:
        content = json.loads(body)
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}


def between(from_ns: int, to_ns: int) -> str:
    """Return the clause for from_ns <= time < to_ns."""
    return f"time >= {from_ns} AND time < {to_ns}"


def word(value: str) -> str:
    """Return a tag's value as a quoted literal."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
