"""The databases of a centre, and the accounts of its services.

1.8 gets users with the rights that each service needs; a real server tests it. 2.x gets
buckets and authorizations, and 3 Core gets databases only, because each of its tokens
may do everything. Only recorded answers test these two.

Every step can be repeated: what exists already is left as it is.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

from qos_agent.config.settings import CollectorSection
from qos_agent.influx import results
from qos_agent.influx.accounts import AccountError, AdminServer, quoted
from qos_agent.influx.query import word
from qos_agent.model import json_text

_FORM = "application/x-www-form-urlencoded"
_DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class Bucket:
    """A database: its name, its retention, and how much time one file covers."""

    name: str
    days: int
    shard_days: int


@dataclass(frozen=True, slots=True)
class Access:
    """A service that uses the databases, with the password that it has on 1.8."""

    user: str
    password: str
    reads: Sequence[str] = ()
    writes: Sequence[str] = ()


def prepare(
    administrator: CollectorSection,
    buckets: Sequence[Bucket],
    accesses: Sequence[Access],
) -> dict[str, str]:
    """Create all databases and accounts, and return the token of each service.

    Raises AccountError.
    """
    server = AdminServer(administrator, 1)
    match server.major_version():
        case "2":
            return _V2(server).prepare(buckets, accesses)
        case "3":
            return _prepare_v3(server, buckets, accesses)
        case _:
            return _prepare_v1(server, buckets, accesses)


def _prepare_v1(
    server: AdminServer, buckets: Sequence[Bucket], accesses: Sequence[Access]
) -> dict[str, str]:
    user, _, password = (server.section.current_token() or "").partition(":")
    # InfluxDB accepts this first statement from anyone on its loopback address. After
    # that the administrator exists, and the answer is 401.
    first = f"CREATE USER {quoted(user)} WITH PASSWORD {word(password)}"
    _statement(server, f"{first} WITH ALL PRIVILEGES", may_fail=True)
    for bucket in buckets:
        _statement(
            server,
            f"CREATE DATABASE {quoted(bucket.name)} WITH DURATION {bucket.days}d "
            f'REPLICATION 1 SHARD DURATION {bucket.shard_days}d NAME "raw"',
        )
    for access in accesses:
        _create_user(server, access)
    return {access.user: f"{access.user}:{access.password}" for access in accesses}


def _create_user(server: AdminServer, access: Access) -> None:
    name, password = quoted(access.user), word(access.password)
    problem = _statement(
        server, f"CREATE USER {name} WITH PASSWORD {password}", may_fail=True
    )
    if problem:
        _statement(server, f"SET PASSWORD FOR {name} = {password}")
    for bucket in {*access.reads, *access.writes}:
        both = bucket in access.reads and bucket in access.writes
        right = "ALL" if both else "READ" if bucket in access.reads else "WRITE"
        _statement(server, f"GRANT {right} ON {quoted(bucket)} TO {name}")


def _statement(server: AdminServer, text: str, *, may_fail: bool = False) -> str:
    """Run a statement of 1.8. Return its error, or raise it as AccountError."""
    body = urlencode({"q": text})
    status, _, answer = server.request("POST", "query", body, _FORM)
    problem = "" if status == HTTPStatus.OK else results.error_of(answer) or "refused"
    if not problem:
        try:
            results.tables(answer)
        except results.ResultError as error:
            problem = error.message
    if problem and not may_fail:
        raise server.error(status, problem)
    return problem


class _V2:
    """The set-up of InfluxDB 2.x. Only recorded answers test it."""

    def __init__(self, server: AdminServer) -> None:
        self._server = server

    def prepare(
        self, buckets: Sequence[Bucket], accesses: Sequence[Access]
    ) -> dict[str, str]:
        """Create organisation, buckets and authorizations."""
        section = self._server.section
        token = section.current_token() or ""
        if self._get("api/v2/setup").get("allowed"):
            first = buckets[0]
            values = {"username": "admin", "password": token, "token": token}
            more = {"org": section.org, "bucket": first.name}
            retention = {"retentionPeriodSeconds": first.days * _DAY_S}
            self._post("api/v2/setup", {**values, **more, **retention})
        org = self._only("api/v2/orgs", "orgs", section.org)
        ids = {bucket.name: self._bucket(org, bucket) for bucket in buckets}
        return {access.user: self._access(org, ids, access) for access in accesses}

    def _bucket(self, org: str, bucket: Bucket) -> str:
        try:
            return self._only("api/v2/buckets", "buckets", bucket.name, "name")
        except AccountError as error:
            if error.is_passing:
                raise
        rule = {"type": "expire", "everySeconds": bucket.days * _DAY_S}
        body = {"orgID": org, "name": bucket.name, "retentionRules": [rule]}
        return str(self._post("api/v2/buckets", body).get("id", ""))

    def _access(self, org: str, ids: Mapping[str, str], access: Access) -> str:
        permissions = [
            {"action": action, "resource": {"type": "buckets", "id": ids[name]}}
            for action, names in (("read", access.reads), ("write", access.writes))
            for name in names
        ]
        body = {"orgID": org, "description": access.user, "permissions": permissions}
        return str(self._post("api/v2/authorizations", body).get("token", ""))

    def _only(self, path: str, key: str, name: str, parameter: str = "org") -> str:
        """Return the identifier of the thing with this name. Raises AccountError."""
        found = self._get(f"{path}?{urlencode({parameter: name})}").get(key)
        first = found[0] if isinstance(found, list) and found else None
        if not isinstance(first, dict) or not isinstance(first.get("id"), str):
            reason = f"{key}: {name!r} not found"
            raise self._server.error(HTTPStatus.NOT_FOUND, reason)
        return str(first["id"])

    def _get(self, path: str) -> dict[str, Any]:
        return self._checked(*self._server.request("GET", path))

    def _post(self, path: str, body: Mapping[str, object]) -> dict[str, Any]:
        return self._checked(*self._server.request("POST", path, json.dumps(body)))

    def _checked(
        self, status: int, _: Mapping[str, str], answer: bytes
    ) -> dict[str, Any]:
        if status not in (HTTPStatus.OK, HTTPStatus.CREATED):
            raise self._server.error(status, results.error_of(answer))
        try:
            value = json_text.loads(answer)
        except ValueError:
            value = None
        if not isinstance(value, dict):
            raise self._server.error(status, results.NOT_INFLUXDB)
        return value


def _prepare_v3(
    server: AdminServer, buckets: Sequence[Bucket], accesses: Sequence[Access]
) -> dict[str, str]:
    """Create the databases; every service uses the token of the administrator."""
    for bucket in buckets:
        body = json.dumps({"db": bucket.name, "retention_period": f"{bucket.days}d"})
        path = "api/v3/configure/database"
        status, _, answer = server.request("POST", path, body)
        exists = status == HTTPStatus.CONFLICT
        if status not in (HTTPStatus.OK, HTTPStatus.CREATED) and not exists:
            raise server.error(status, results.error_of(answer))
    return {access.user: server.section.current_token() or "" for access in accesses}
