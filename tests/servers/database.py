"""One database of an InfluxDB: its address, and InfluxQL queries.

It uses plain `http.client` and not the client library of the agent. Otherwise an error
in the library could hide itself in a test.
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
    """The server refused a statement; the text is the server's message."""


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """The answer of a server to one request."""

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
        """The name of the database in the v2 write path."""
        return self.database

    @property
    def section(self) -> dict[str, object]:
        """The settings with which an agent or a census connects to it."""
        section = {"url": self.url, "org": self.org, "bucket": self.bucket}
        return {**section, "token": self.token} if self.token else {**section}

    def query(self, influxql: str) -> list[Row]:
        """Run statements; a row has the key `measurement`, the tags and the columns.

        Times are integer nanoseconds. The answer is JSON, so 20.0 is returned as 20.
        """
        parameters = urlencode({"q": influxql, "db": self.database, "epoch": "ns"})
        method = "GET" if influxql.lstrip().upper().startswith("SELECT") else "POST"
        answer = self.request(method, f"/query?{parameters}")
        return _rows(answer)

    def rows(self, measurement: str) -> list[Row]:
        """Return all points of a measurement, oldest first, with tags as columns."""
        return self.query(f"SELECT * FROM {quoted(measurement)}")

    def count(self, measurement: str, field: str) -> int:
        """Count the points of a measurement that have the field."""
        rows = self.query(f"SELECT COUNT({quoted(field)}) FROM {quoted(measurement)}")
        return int(rows[0]["count"]) if rows else 0

    def drop_series(self, clause: str) -> None:
        """Drop series by a clause of InfluxQL; on 2.x delete all of their points."""
        statement = "DELETE" if self._major() == "2" else "DROP SERIES"
        self.query(f"{statement} {clause}")

    def create_database(self, name: str, duration: str | None = None) -> Database:
        """Create a database (a bucket on 2.x) that keeps points for a duration."""
        match self._major():
            case "2":
                self._create_bucket(name, duration)
            case "3":
                self._configure("POST", body={"db": name, "retention_period": duration})
            case _:
                retention = f" WITH DURATION {duration}" if duration else ""
                self.query(f"CREATE DATABASE {quoted(name)}{retention}")
        return replace(self, database=name)

    def fresh(self) -> Database:
        """Create a database with a random name."""
        return self.create_database(f"test_{secrets.token_hex(6)}")

    def drop(self) -> None:
        """Remove the database with its data; on 2.x do nothing."""
        match self._major():
            case "2":
                pass
            case "3":
                # The limit of five databases includes dropped but undeleted ones.
                self._configure("DELETE", f"?db={self.database}&hard_delete_at=now")
            case _:
                self.query(f"DROP DATABASE {quoted(self.database)}")

    def version(self) -> str:
        """Return the version that the server reports."""
        return self.request("GET", "/ping").headers.get("x-influxdb-version", "")

    def write(self, lines: bytes) -> HttpAnswer:
        """Write line protocol through the v2 path, uncompressed."""
        parameters = {"org": self.org, "bucket": self.bucket, "precision": "ns"}
        return self.request("POST", f"/api/v2/write?{urlencode(parameters)}", lines)

    def request(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> HttpAnswer:
        """Send one request with the token and return the answer of any status."""
        token = {"Authorization": f"Token {self.token}"} if self.token else {}
        connection = connect(self.url, self.namespace, self.answer_limit_s)
        try:
            connection.request(method, path, body, token | dict(headers or {}))
            return read_answer(connection)
        finally:
            connection.close()

    def _major(self) -> str:
        """Return the major version of InfluxDB: 1, 2 or 3."""
        return self.version().lstrip("v")[:1]

    def _configure(
        self, method: str, query: str = "", body: Mapping[str, object] | None = None
    ) -> None:
        answer = self.request(
            method,
            f"/api/v3/configure/database{query}",
            json.dumps(body).encode() if body else None,
            {"Content-Type": "application/json"},
        )
        if answer.status >= http.HTTPStatus.BAD_REQUEST:
            raise QueryError(answer.body.decode())

    def _create_bucket(self, name: str, duration: str | None) -> None:
        parameters = urlencode({"org": self.org})
        orgs = json.loads(self.request("GET", f"/api/v2/orgs?{parameters}").body)
        rules = [] if duration is None else [_retention_rule(duration)]
        bucket = {"orgID": orgs["orgs"][0]["id"], "name": name, "retentionRules": rules}
        answer = self.request("POST", "/api/v2/buckets", json.dumps(bucket).encode())
        if answer.status != http.HTTPStatus.CREATED:
            raise QueryError(answer.body.decode())


def _retention_rule(duration: str) -> dict[str, object]:
    """Return a bucket's retention rule for an InfluxQL duration in hours or days."""
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
    """Read the whole answer; header names are in lower case."""
    response = connection.getresponse()
    headers = {name.lower(): value for name, value in response.getheaders()}
    return HttpAnswer(status=response.status, headers=headers, body=response.read())


def quoted(name: str) -> str:
    """Write a name as an InfluxQL identifier."""
    escaped = name.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def _rows(answer: HttpAnswer) -> list[Row]:
    document = json.loads(answer.body)
    results = document.get("results", [])
    errors = [part["error"] for part in (document, *results) if "error" in part]
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
