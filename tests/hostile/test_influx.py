"""Hostile servers in place of InfluxDB: uplink, queries, and the retention of 2.x."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.hostile.child import Case
from tests.hostile.clients import check, running
from tests.servers.certificates import Authority, Fault
from tests.servers.hostile import BEFORE_TLS, HTTP, Talk, fixed, hostile
from tests.servers.raw import response

pytestmark = pytest.mark.slow

# Results of the uplink; every other misbehaviour is `HTTP 5..` or `closed_early`.
CAUSES = {
    "10 GB, accepted": "HTTP 200: this response is not from InfluxDB",
    "endless body, accepted": "HTTP 200: this response is not from InfluxDB",
    "endless headers": "closed_early: the head of the response is longer than",
    "endless header": "closed_early: the head of the response is longer than",
    "endless interim": "closed_early: the head of the response is longer than",
    "endless status": "closed_early: the head of the response is longer than",
    "slow head": "timeout: no complete response in time",
    "slow body": "timeout: no complete response in time",
    "slow chunks": "timeout: no complete response in time",
    "silence": "timeout: no complete response in time",
    "invalid UTF-8": "HTTP 400: request refused: \ufffd",
    "nested": "not from InfluxDB",
    "NaN": "not from InfluxDB",
    "no HTTP": "closed_early: the response is not HTTP",
    "bytes": "closed_early: the response is not HTTP",
    "moved": "HTTP 301: redirected",
    "redirected": "HTTP 307: redirected to another server: http://127.0.0.1:9",
}
TLS_FAULTS: dict[Fault, str] = {
    "expired": "tls_expired",
    "not_yet_valid": "tls_expired",
    "wrong_name": "tls_name",
    "self_signed": "tls_untrusted",
}


def test_http_against_the_uplink(tmp_path: Path) -> None:
    """Memory and time stay within bounds, points are kept, the cause is named."""
    wrong: dict[str, object] = {}
    with running("uplink", tmp_path) as client:
        for name, talk in HTTP.items():
            with hostile(talk) as server:
                report = client.run(Case(name, server.url()))
            expected = CAUSES.get(name, "HTTP |closed_early: .")
            if faults := check(report):
                wrong[name] = faults
            if not re.search(expected, report["message"]):
                wrong[name] = report["message"]
        log = client.log()
    assert wrong == {}
    assert "Traceback" not in log
    assert "PLANTED" not in log


@pytest.mark.parametrize("name", ["query", "retention"])
def test_http_against_queries(name: str, tmp_path: Path) -> None:
    """No misbehaviour is a result; each is one line with a cause."""
    wrong: dict[str, object] = {}
    with running(name, tmp_path) as client:
        for behaviour, talk in HTTP.items():
            with hostile(talk) as server:
                report = client.run(Case(behaviour, server.url()))
            if faults := check(report):
                wrong[behaviour] = faults
            if not re.search(r": \S|unknown", report["message"]):
                wrong[behaviour] = report["message"]
        log = client.log()
    assert wrong == {}
    assert "Traceback" not in log


def test_tls_faults(tmp_path: Path) -> None:
    """No token crosses a connection whose server is not the expected one."""
    authority, wrong = Authority(tmp_path), {}
    accepted = fixed(response("204 No Content"))
    with running("uplink", tmp_path) as client:
        for fault, cause in TLS_FAULTS.items():
            with hostile(accepted, authority.server_context(fault)) as server:
                case = Case(fault, server.url("https"), str(authority.file))
                report = client.run(case)
            assert server.requests == 0
            if check(report) or not report["message"].startswith(cause):
                wrong[str(fault)] = report
        with hostile(accepted, Authority(tmp_path).server_context()) as server:
            case = Case("unknown", server.url("https"), str(authority.file))
            report = client.run(case)
        assert server.requests == 0
        assert report["message"].startswith("tls_untrusted")
    assert wrong == {}


@pytest.mark.parametrize("name", ["uplink", "query"])
def test_no_tls_at_all(name: str, tmp_path: Path) -> None:
    """A handshake that is garbage, slow or endless ends like a slow response."""
    wrong = {}
    with running(name, tmp_path) as client:
        for behaviour, talk in BEFORE_TLS.items():
            with hostile(talk, reads=False) as server:
                report = client.run(Case(behaviour, server.url("https")))
            if check(report) or not re.search(
                "tls|timeout|closed_early|reset", report["message"]
            ):
                wrong[behaviour] = report
        assert "Traceback" not in client.log()
    assert wrong == {}


ACCEPTED: dict[str, Talk] = {
    "extra data": fixed(response("204 No Content") + b"HTTP/1.1 401 No\r\n\r\n" * 9),
    "a body": fixed(b"HTTP/1.1 204 No Content\r\nContent-Length: 9\r\n\r\n" + b"a" * 9),
    "an absurd date": fixed(
        response("204 No Content", b"", b"Date: Fri, 31 Dec 99999 23:59:59 GMT")
    ),
}


def test_odd_acknowledgements(tmp_path: Path) -> None:
    """A 204 acknowledges the points, whatever comes with it."""
    with running("uplink", tmp_path) as client:
        for name, talk in ACCEPTED.items():
            with hostile(talk) as server:
                report = client.run(Case(name, server.url()))
            assert (report["kept"], report["message"]) == (0, "")
