"""Accounts that may only write to one bucket: one for each device.

1.8 has users with the privilege WRITE on a database. 2.x has authorizations, which
influxdb-client creates. InfluxDB 3 Enterprise has resource tokens. InfluxDB 3 Core has
none: each of its tokens may do everything, so no account is created there.

An account may exist already, because an earlier command was killed before it recorded
the token. Nobody has that token, so it is replaced.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlencode

from qos_agent.config.settings import CollectorSection
from qos_agent.influx import dialects, fixes, results
from qos_agent.influx.responses import compose
from qos_agent.influx.secrets import shown_url, without_token
from qos_agent.influx.tls import tls_context
from qos_agent.influx.transport import failure_of, make_client
from qos_agent.model import json_text, limits
from qos_agent.model.errors import ConfigError, QosAgentError

if TYPE_CHECKING:
    from influxdb_client import Authorization, InfluxDBClient
    from urllib3 import PoolManager

_PASSWORD_BYTES = 24
# Answers that a later attempt may change: the server is busy or restarts.
_PASSING = {408, 425, 429, 500, 502, 503, 504}
_ADMINISTRATOR = "set admin_token_file to the token of an administrator"
_CORE = (
    "this server has no tokens that may only write (InfluxDB 3 Core). "
    "Fix: use InfluxDB 1.8, 2.x or 3 Enterprise"
)
_TOKEN_PATH = "api/v3/enterprise/configure/token"  # noqa: S105  a path


@dataclass(eq=False)
class AccountError(QosAgentError):
    """An account that could not be created or removed.

    `is_passing` is True if a later attempt may succeed.
    """

    server: str
    message: str
    is_passing: bool

    def __str__(self) -> str:
        """Return one line for the log."""
        return f"{self.server}: {self.message}"


class Accounts(Protocol):
    """The accounts of one server; several threads may use them at once."""

    def create(self, name: str, *, may_exist: bool) -> str:
        """Create an account and return its token. Raises AccountError."""
        ...

    def remove(self, name: str) -> None:
        """Remove an account if it exists. Raises AccountError."""
        ...


def accounts_of(section: CollectorSection, connections: int) -> Accounts:
    """Return the accounts of a server; `section` has the token of an administrator.

    Raises AccountError.
    """
    server = AdminServer(section, connections)
    match server.major_version():
        case "2":
            return _Authorizations(server)
        case "3":
            return _ResourceTokens(server)
        case _:
            return _Users(server)


class AdminServer:
    """Requests to one server as its administrator."""

    def __init__(self, section: CollectorSection, connections: int) -> None:
        self.section = section
        self.name = f"{shown_url(section)}/{section.bucket}"
        self._pool = _pool(section, connections)

    def major_version(self) -> str:
        """Return 1, 2 or 3. Raises AccountError if no InfluxDB answers."""
        status, headers, _ = self.request("GET", "ping")
        version = dialects.version(headers)
        if status not in (HTTPStatus.OK, HTTPStatus.NO_CONTENT) or not version:
            raise self.error(status, results.NOT_INFLUXDB)
        return version[:1]

    def request(
        self, method: str, path: str, body: str = "", kind: str = "application/json"
    ) -> tuple[int, Mapping[str, str], bytes]:
        """Return status, headers and body of a response. Raises AccountError."""
        import urllib3

        try:
            token = self.section.sendable_token()
            response = self._pool.request(
                method,
                f"{str(self.section.url).rstrip('/')}/{path}",
                body=body,
                headers={"Authorization": f"Token {token}", "Content-Type": kind},
                redirect=False,
                retries=False,
                timeout=urllib3.Timeout(total=self.section.timeout),
            )
        except (urllib3.exceptions.HTTPError, OSError, ConfigError) as error:
            raise self.no_response(error) from None
        return response.status, response.headers, response.data

    def no_response(self, error: Exception) -> AccountError:
        """Return the error of a request without a response."""
        if isinstance(error, ConfigError):
            return AccountError(self.name, str(error), is_passing=False)
        result = failure_of(error)
        fix = fixes.for_cause(result.cause)
        detail = without_token(self.section.current_token(), result.detail)
        message = compose(result.cause, detail, fix)
        return AccountError(self.name, message, is_passing=True)

    def error(self, status: int, reason: str) -> AccountError:
        """Return the error of a response that refuses the request."""
        refused = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
        fix = _ADMINISTRATOR if status in refused else fixes.for_message(reason)
        reason = without_token(self.section.current_token(), reason)
        message = compose(f"HTTP {status}", reason, fix)
        return AccountError(self.name, message, status in _PASSING)


def _pool(section: CollectorSection, connections: int) -> PoolManager:
    import urllib3

    from qos_agent.influx.limited_http import limit_responses

    pool = urllib3.PoolManager(ssl_context=tls_context(section), maxsize=connections)
    limit_responses(pool, limits.WRITE)
    return pool


class _Users:
    """Users of InfluxDB 1.8 with a random password; the token is USER:PASSWORD."""

    def __init__(self, server: AdminServer) -> None:
        self._server = server

    def create(self, name: str, *, may_exist: bool) -> str:
        """Create a user that may write. A password of an earlier attempt is replaced.

        1.8 hides the error of a statement that others follow, so each is sent alone.
        """
        password = secrets.token_urlsafe(_PASSWORD_BYTES)
        user, database = quoted(name), quoted(self._server.section.bucket)
        change = f"SET PASSWORD FOR {user} = '{password}'"
        if not may_exist or self._run(change):
            problem = self._run(f"CREATE USER {user} WITH PASSWORD '{password}'")
            # A lost response may also have created the user a moment ago.
            if "already exists" in problem:
                problem = self._run(change)
            self._check(problem)
        self._check(self._run(f"GRANT WRITE ON {database} TO {user}"))
        return f"{name}:{password}"

    def _check(self, problem: str) -> None:
        if problem:
            raise self._server.error(HTTPStatus.OK, problem)

    def remove(self, name: str) -> None:
        """Drop the user; one that does not exist is no error."""
        problem = self._run(f"DROP USER {quoted(name)}")
        self._check("" if "not found" in problem else problem)

    def _run(self, statements: str) -> str:
        """Run statements and return the server's error, or nothing."""
        form = "application/x-www-form-urlencoded"
        body = urlencode({"q": statements})
        status, _, answer = self._server.request("POST", "query", body, form)
        if status != HTTPStatus.OK:
            raise self._server.error(status, results.error_of(answer))
        try:
            results.tables(answer)
        except results.ResultError as error:
            return error.message
        return ""


class _ResourceTokens:
    """Resource tokens of InfluxDB 3 Enterprise. Only recorded answers test them."""

    def __init__(self, server: AdminServer) -> None:
        self._server = server

    def create(self, name: str, *, may_exist: bool) -> str:
        """Create a token that may write to the database."""
        if may_exist:
            self.remove(name)
        permission = {
            "resource_type": "db",
            "resource_identifier": [self._server.section.bucket],
            "actions": ["write"],
        }
        body = json.dumps({"token_name": name, "permissions": [permission]})
        status, _, answer = self._server.request("POST", _TOKEN_PATH, body)
        if status == HTTPStatus.NOT_FOUND:
            raise AccountError(self._server.name, _CORE, is_passing=False)
        token = _text(answer, "token")
        if status not in (HTTPStatus.OK, HTTPStatus.CREATED) or not token:
            raise self._server.error(status, _text(answer, "error"))
        return token

    def remove(self, name: str) -> None:
        """Delete the token; one that does not exist is no error."""
        query = urlencode({"token_name": name})
        path = f"api/v3/configure/token?{query}"
        status, _, answer = self._server.request("DELETE", path)
        done = (HTTPStatus.OK, HTTPStatus.NO_CONTENT, HTTPStatus.NOT_FOUND)
        if status not in done:
            raise self._server.error(status, _text(answer, "error"))


class _Authorizations:
    """Authorizations of InfluxDB 2.x. Only recorded answers test them."""

    def __init__(self, server: AdminServer) -> None:
        self._server = server
        self._client: InfluxDBClient | None = None
        self._ids: tuple[str, str] | None = None

    def create(self, name: str, *, may_exist: bool) -> str:
        """Create an authorization that may write to the bucket."""
        from influxdb_client import Permission, PermissionResource

        if may_exist:
            self.remove(name)
        bucket, org = self._bucket_and_org()
        resource = PermissionResource(type="buckets", id=bucket, org_id=org)
        permissions = [Permission(action="write", resource=resource)]
        made = self._call(
            "create_authorization", authorization=_new(name, org, permissions)
        )
        token = getattr(made, "token", None)
        if not isinstance(token, str) or not token:
            raise self._server.error(HTTPStatus.OK, results.NOT_INFLUXDB)
        return token

    def remove(self, name: str) -> None:
        """Delete every authorization with this description."""
        _, org = self._bucket_and_org()
        for found in self._call("find_authorizations", org_id=org) or ():
            if found.description == name:
                self._call("delete_authorization", auth=found.id)

    def _bucket_and_org(self) -> tuple[str, str]:
        """Return the identifiers of the bucket and of its organisation."""
        if self._ids is None:
            name = self._server.section.bucket
            found = self._call("find_buckets", "buckets_api", name=name)
            bucket = next(iter(found.buckets or ()), None)
            if bucket is None:
                reason = f"bucket {name!r} not found"
                raise self._server.error(HTTPStatus.NOT_FOUND, reason)
            self._ids = (bucket.id, bucket.org_id)
        return self._ids

    def _call(self, method: str, api: str = "authorizations_api", **values: Any) -> Any:
        import urllib3
        from influxdb_client.rest import ApiException

        try:
            interface = getattr(self._connected(), api)()
            return getattr(interface, method)(**values)
        except ApiException as error:
            if not error.status:
                raise self._server.no_response(error) from None
            reason = error.body if isinstance(error.body, str) else ""
            message = _text(reason.encode(), "message")
            raise self._server.error(error.status, message) from None
        except (urllib3.exceptions.HTTPError, OSError, ConfigError) as error:
            raise self._server.no_response(error) from None
        except (ValueError, TypeError, AttributeError, RecursionError):
            raise self._server.error(HTTPStatus.OK, results.NOT_INFLUXDB) from None

    def _connected(self) -> InfluxDBClient:
        from qos_agent.influx.limited_http import limit_responses

        if self._client is None:
            section = self._server.section
            client = make_client(section, section.sendable_token())
            # The list of all authorizations is longer than the answer to a write.
            limit_responses(client.api_client.rest_client.pool_manager, limits.QUERY)
            self._client = client
        return self._client


def _new(name: str, org: str, permissions: list[Any]) -> Authorization:
    from influxdb_client import Authorization

    new = Authorization(org_id=org, permissions=permissions)
    new.description = name
    return new


def _text(answer: bytes, key: str) -> str:
    """Return a text in a JSON object from outside, or nothing."""
    try:
        value = json_text.loads(answer)
    except ValueError:
        return ""
    found = value.get(key) if isinstance(value, dict) else None
    return found if isinstance(found, str) else ""


def quoted(name: str) -> str:
    """Return a name of InfluxQL in quotes."""
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
