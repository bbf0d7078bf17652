"""One database of an InfluxDB: where to write to it, and InfluxQL to read it back.

Reading goes over plain `http.client`, on purpose not over the client library that the
agent writes with: a test must not see its own mistake twice.
"""

from __future__ import annotations

import http.client
import json
import secrets
import socket
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode, urlsplit

from tests.servers.namespace import inside

Row = dict[str, Any]

ANSWER_LIMIT_S = 20.0


class QueryError(Exception):
    """The server refused a statement; the text is its own."""


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """What a server said to one request."""

    status: int
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Database:
    """The address of a database, its credentials, and queries to it."""

    url: str
    token: str
    org: str
    database: str
    namespace: str | None = None
    answer_limit_s: float = ANSWER_LIMIT_S

    @property
    def bucket(self) -> str:
        """The name by which the v2 write path knows the database."""
        return self.database

    @property
    def section(self) -> dict[str, object]:
        """The settings by which an agent or a census speaks to it."""
        given = {"url": self.url, "org": self.org, "bucket": self.bucket}
        return {**given, "token": self.token} if self.token else {**given}

    def query(self, influxql: str) -> list[Row]:
        """Run statements; each row is its series' name as `measurement`, tags, columns.

        Times are integer nanoseconds. The answer is JSON and so 20.0 comes as 20.
        """
        asked = urlencode({"q": influxql, "db": self.database, "epoch": "ns"})
        method = "GET" if influxql.lstrip().upper().startswith("SELECT") else "POST"
        answer = self.request(method, f"/query?{asked}")
        return _rows(answer)

    def rows(self, measurement: str) -> list[Row]:
        """Return all points of a measurement, oldest first, tags as columns."""
        return self.query(f"SELECT * FROM {quoted(measurement)}")

    def count(self, measurement: str, field: str) -> int:
        """Count the points of a measurement that have the field."""
        found = self.query(f"SELECT COUNT({quoted(field)}) FROM {quoted(measurement)}")
        return int(found[0]["count"]) if found else 0

    def drop_series(self, which: str) -> None:
        """Let series vanish, by a clause of InfluxQL; on 2.x all of their points."""
        how = "DELETE" if self._line() == "2" else "DROP SERIES"
        self.query(f"{how} {which}")

    def create_database(self, name: str, duration: str | None = None) -> Database:
        """Make a database (or a bucket, on 2.x) that keeps points for a duration."""
        match self._line():
            case "2":
                self._create_bucket(name, duration)
            case "3":
                self._configure("POST", body={"db": name, "retention_period": duration})
            case _:
                kept = f" WITH DURATION {duration}" if duration else ""
                self.query(f"CREATE DATABASE {quoted(name)}{kept}")
        return replace(self, database=name)

    def fresh(self) -> Database:
        """Make a database with a random name."""
        return self.create_database(f"test_{secrets.token_hex(6)}")

    def drop(self) -> None:
        """Remove the database and what is in it; on 2.x it is left to its owner."""
        match self._line():
            case "2":
                pass
            case "3":
                # It has five at most, with those that are dropped and still there.
                self._configure("DELETE", f"?db={self.database}&hard_delete_at=now")
            case _:
                self.query(f"DROP DATABASE {quoted(self.database)}")

    def version(self) -> str:
        """Return the version the server claims."""
        return self.request("GET", "/ping").headers.get("x-influxdb-version", "")

    def write(self, lines: bytes) -> HttpAnswer:
        """Write line protocol through the v2 path, as it stands."""
        asked = {"org": self.org, "bucket": self.bucket, "precision": "ns"}
        return self.request("POST", f"/api/v2/write?{urlencode(asked)}", lines)

    def request(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> HttpAnswer:
        """Send one request with the token and return the answer, whatever it is."""
        token = {"Authorization": f"Token {self.token}"} if self.token else {}
        connection = connect(self.url, self.namespace, self.answer_limit_s)
        try:
            connection.request(method, path, body, token | dict(headers or {}))
            return read_answer(connection)
        finally:
            connection.close()

    def _line(self) -> str:
        """Which line of InfluxDB it is: 1, 2 or 3."""
        return self.version().lstrip("v")[:1]

    def _configure(
        self, method: str, asked: str = "", body: Mapping[str, object] | None = None
    ) -> None:
        answer = self.request(
            method,
            f"/api/v3/configure/database{asked}",
            json.dumps(body).encode() if body else None,
            {"Content-Type": "application/json"},
        )
        if answer.status >= http.HTTPStatus.BAD_REQUEST:
            raise QueryError(answer.body.decode())

    def _create_bucket(self, name: str, duration: str | None) -> None:
        asked = urlencode({"org": self.org})
        found = json.loads(self.request("GET", f"/api/v2/orgs?{asked}").body)
        kept = [] if duration is None else [_rule(duration)]
        wanted = {"orgID": found["orgs"][0]["id"], "name": name, "retentionRules": kept}
        answer = self.request("POST", "/api/v2/buckets", json.dumps(wanted).encode())
        if answer.status != http.HTTPStatus.CREATED:
            raise QueryError(answer.body.decode())


def _rule(duration: str) -> dict[str, object]:
    """A bucket's rule for a duration of InfluxQL, in hours or days."""
    unit_s = {"h": 3600, "d": 86400}[duration[-1]]
    return {"type": "expire", "everySeconds": int(duration[:-1]) * unit_s}


def connect(
    url: str, namespace: str | None = None, limit_s: float = ANSWER_LIMIT_S
) -> http.client.HTTPConnection:
    """Open a connection to a URL's host from a namespace."""
    parts = urlsplit(url)
    secure = parts.scheme == "https"
    kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=limit_s)
    if namespace is not None:
        address = (connection.host, connection.port)
        connection.sock = inside(
            namespace, lambda: socket.create_connection(address, limit_s)
        )
    return connection


def read_answer(connection: http.client.HTTPConnection) -> HttpAnswer:
    """Read the whole answer; header names come in lower case."""
    response = connection.getresponse()
    headers = {name.lower(): value for name, value in response.getheaders()}
    return HttpAnswer(status=response.status, headers=headers, body=response.read())


def quoted(name: str) -> str:
    """Write a name as an InfluxQL identifier."""
    escaped = name.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def _rows(answer: HttpAnswer) -> list[Row]:
    said = json.loads(answer.body)
    results = said.get("results", [])
    errors = [part["error"] for part in (said, *results) if "error" in part]
    if answer.status >= http.HTTPStatus.BAD_REQUEST:
        errors.append(answer.body.decode())
    if errors:
        raise QueryError("; ".join(errors))
    return [
        {"measurement": series.get("name", "")}
        | series.get("tags", {})
        | dict(zip(series["columns"], values, strict=True))
        for result in results
        for series in result.get("series", [])
        for values in series.get("values", [])
    ]
