"""InfluxQL over HTTP, as InfluxDB 1.8, 2.x and 3.x answer it alike.

SELECT with aggregates, subqueries and GROUP BY only; one statement a request; no
SELECT INTO, no SHOW SERIES, no fill: what has no value is dropped here.
"""

from __future__ import annotations

import json
import math
import re
import ssl
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from qos_agent.config.settings import CollectorSection
from qos_agent.model.errors import QosAgentError
from qos_agent.model.line_protocol import one_line

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse, PoolManager

_MENDS = {
    401: "the token is not known; set token_file",
    403: "the token may not read here; give it read permission",
    404: "no such database; create the bucket",
}
# What 1.x says when a limit of its own is met: in queries, and in points written.
LIMITS = {
    "database not found": _MENDS[404],
    "max-select-series": "raise max-select-series, or set 0",
    "max-select-point": "raise max-select-point, or set 0",
    "max-select-buckets": "raise max-select-buckets, or set 0",
    "query-timeout": "raise query-timeout, or rollups.span down",
    "max-concurrent-queries": "raise max-concurrent-queries, or set 0",
    "max-values-per-tag": "set index-version = tsi1, or raise max-values-per-tag",
    "max-series-per-database":
        "set index-version = tsi1, or raise max-series-per-database",
    "beyond retention policy": "raise the retention of this database",
}  # fmt: skip


@dataclass(eq=False)
class QueryError(QosAgentError):
    """A server that did not answer a query: which one, and what mends it."""

    server: str
    why: str

    def __str__(self) -> str:
        """One line for the log."""
        return f"{self.server}: {self.why}"


@dataclass(frozen=True, slots=True)
class Row:
    """One row of an answer: its series' tags, and values by column, none of them null.

    `time` is in nanoseconds.
    """

    tags: Mapping[str, str]
    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Table:
    """One series of an answer: its tags, and rows of values, None where there is none.

    The first column is `time`, in nanoseconds.
    """

    tags: Mapping[str, str]
    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]


class Server:
    """One database to query. The token's file is read again at each question.

    A server that did not answer is not asked again until `wake`: were each question
    to wait for it, the others would wait too.
    """

    def __init__(self, section: CollectorSection, timeout_s: float = 60.0) -> None:
        self._section = section
        self._timeout_s = timeout_s
        self._pool: PoolManager | None = None
        self._silent: QueryError | None = None

    def wake(self) -> None:
        """Ask again, also where there was no answer."""
        self._silent = None

    @property
    def name(self) -> str:
        """How errors call it."""
        return f"{self._section.url}/{self._section.bucket}"

    def select(self, query: str) -> Iterator[Row]:
        """The rows of one SELECT. Raises QueryError."""
        for table in self.tables(query):
            for values in table.rows:
                pairs = zip(table.columns, values, strict=True)
                yield Row(table.tags, {k: v for k, v in pairs if v is not None})

    def tables(self, query: str) -> Iterator[Table]:
        """The answer to one SELECT, a table a series. Raises QueryError."""
        for series in self._series(query):
            tags = {k: v for k, v in series.get("tags", {}).items() if v}
            yield Table(tags, series["columns"], series.get("values", ()))

    def version(self) -> str:
        """Of the program, such as 1.8.10; empty where it is not said.

        Raises QueryError.
        """
        answer = self._request("GET", "ping")
        if answer.status not in (200, 204):
            raise QueryError(self.name, f"{answer.status} to /ping")
        return answer.headers.get("X-Influxdb-Version", "").removeprefix("v")

    def retention_s(self) -> float | None:
        """How long points are kept; None where the server does not say.

        For ever is infinity. Raises QueryError.
        """
        name = self._section.bucket.replace('"', '\\"')
        rows = list(self.select(f'SHOW RETENTION POLICIES ON "{name}"'))
        kept = [row.values for row in rows if row.values.get("default", True)]
        said_s = _go_duration_s(str(kept[0].get("duration", ""))) if kept else None
        return self._bucket_s() if said_s == math.inf else said_s

    def _bucket_s(self) -> float | None:
        """What a bucket's rule says. To InfluxQL 2.x calls every bucket endless."""
        asked = {"name": self._section.bucket, "org": self._section.org}
        answer = self._request("GET", f"api/v2/buckets?{urlencode(asked)}")
        if answer.status == 404:  # 1.x and 3.x have no such path
            return math.inf
        try:
            rules = json.loads(answer.data)["buckets"][0]["retentionRules"]
            return float(rules[0]["everySeconds"] if rules else 0) or math.inf
        except (ValueError, LookupError, TypeError):
            return None

    def close(self) -> None:
        """Close connections."""
        if self._pool is not None:
            self._pool.clear()
            self._pool = None

    def _series(self, query: str) -> list[dict[str, Any]]:
        answer = self._ask(query)
        try:
            said = json.loads(answer.data)
        except ValueError:
            said = {}
        results = said.get("results", []) if isinstance(said, dict) else []
        # 2.x says `message` of a request, `error` of a statement.
        error = next(
            (part[key] for part in (said, *results) for key in ("error", "message")
             if key in part), ""
        )  # fmt: skip
        if answer.status != 200 or error or not results:
            mend = mend_of(error) or _MENDS.get(answer.status, "")
            error = error or "something answers in InfluxDB's place"
            why = one_line(f"{answer.status}: {error}")
            raise QueryError(self.name, f"{why}; {mend}" if mend else why)
        return [series for result in results for series in result.get("series", ())]

    def _ask(self, query: str) -> BaseHTTPResponse:
        asked = {"db": self._section.bucket, "epoch": "ns", "q": query}
        return self._request("POST", "query", urlencode(asked))

    def _request(self, method: str, path: str, body: str = "") -> BaseHTTPResponse:
        import urllib3

        if self._silent is not None:
            raise self._silent
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
            self._silent = QueryError(self.name, one_line(str(error)))
            raise self._silent from error

    def _connections(self) -> PoolManager:
        import urllib3

        if self._pool is None:
            context = None
            if str(self._section.url).startswith("https"):
                context = ssl.create_default_context()
                if self._section.ca_file is not None:
                    context.load_verify_locations(self._section.ca_file)
            self._pool = urllib3.PoolManager(ssl_context=context)
        return self._pool


def mend_of(said: str) -> str:
    """What to change, where a server's words name a limit; empty where they do not."""
    return next((mend for name, mend in LIMITS.items() if name in said), "")


def _go_duration_s(text: str) -> float | None:
    """Go's duration, "720h0m0s"; 0 is for ever; None for what cannot be read."""
    parts = re.findall(r"(\d+)([hms])", text)
    if not parts or "".join(n + unit for n, unit in parts) != text:
        return None
    scale = {"h": 3600, "m": 60, "s": 1}
    return float(sum(int(n) * scale[unit] for n, unit in parts)) or math.inf


def between(from_ns: int, to_ns: int) -> str:
    """The clause for from_ns <= time < to_ns."""
    return f"time >= {from_ns} AND time < {to_ns}"


def word(value: str) -> str:
    """A tag's value as a literal; values hold nothing but letters, digits, - and _."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
