"""The enrolment endpoint keeps answering, whatever clients send."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from qos_agent.evidence import enrolment, keys
from qos_agent.evidence.signer import OpensslSigner
from qos_agent.model.enrolment_code import code_of
from qos_agent.noc.provision.admission import Admissions, Outcome
from qos_agent.noc.provision.answers import Limiter, network_of
from qos_agent.noc.provision.ledger import State
from tests.noc.provision.endpoints import CALENDAR, ONE, OTHER, Issuer, endpoint

SINCE_S = 1_800_000_000


@pytest.fixture
def issuer(tmp_path: Path) -> Issuer:
    """Return the issuer of the endpoint."""
    return Issuer(tmp_path)


@pytest.fixture
def port(issuer: Issuer) -> Iterator[int]:
    """Return the port of a running endpoint whose requests may take two seconds."""
    with endpoint(issuer.desk(), request_s=2.0) as found:
        yield found


@pytest.fixture
def signer(tmp_path: Path) -> OpensslSigner:
    """Return the key of a device."""
    return keys.create_key(tmp_path / "device.pem")


def _post(
    port: int, body: bytes, peer: str = "192.0.2.1"
) -> tuple[int, dict[str, str]]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        headers = {"X-Real-IP": peer}
        connection.request("POST", enrolment.PATH, body, headers)
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


def test_a_device_receives_all_it_needs_once(
    issuer: Issuer, port: int, signer: OpensslSigner, tmp_path: Path
) -> None:
    """The first key receives token, configuration and calendar; another one nothing."""
    code = issuer.issue(ONE)
    status, given = _post(port, enrolment.signed(code, "pi-1", "1", signer, SINCE_S))
    assert status == 200
    assert (given["station"], given["token"]) == (ONE, f"st-{ONE}:secret-1")
    assert given["calendar"] == CALENDAR
    assert f'id = "{ONE}"' in given["config"]
    thief = keys.create_key(tmp_path / "thief.pem")
    stolen = enrolment.signed(code, "pi-2", "1", thief, SINCE_S)
    assert _post(port, stolen, "192.0.2.9") == (403, {"error": "used"})
    ledger = issuer.ledger()
    assert ledger.issues(ONE)[0].device == "pi-1"
    attempts = Admissions(ledger).attempts(ONE)
    found = [(a.peer, a.outcome, a.fingerprint) for a in attempts]
    assert ("192.0.2.9", Outcome.USED, thief.public_key.fingerprint) in found


def test_every_refusal_has_its_reason_and_is_recorded(
    issuer: Issuer, port: int, signer: OpensslSigner, tmp_path: Path
) -> None:
    """Unknown, expired, withdrawn, malformed and unsigned requests get nothing."""
    expired, revoked = issuer.issue(ONE, valid_s=0), issuer.issue(OTHER)
    issuer.ledger().end(OTHER, State.REVOKED, 0, "tester")
    other = keys.create_key(tmp_path / "other.pem")
    unsigned = enrolment.signed(revoked, "pi-1", "1", signer, SINCE_S)
    forged = enrolment.signed(revoked, "pi-1", "1", other, SINCE_S)
    unsigned = unsigned.partition(b"\n\n")[0] + b"\n\n" + forged.partition(b"\n\n")[2]
    cases = {
        "unknown": enrolment.signed(code_of(1), "pi-1", "1", signer, SINCE_S),
        "expired": enrolment.signed(expired, "pi-1", "1", signer, SINCE_S),
        "revoked": enrolment.signed(revoked, "pi-1", "1", signer, SINCE_S),
        "malformed": b"hello",
        "unsigned": unsigned,
    }
    for reason, body in cases.items():
        status, answer = _post(port, body)
        assert (status in {400, 403}, answer) == (True, {"error": reason})
    ledger = issuer.ledger()
    attempts = [
        attempt
        for station in (ONE, OTHER, None)
        for attempt in Admissions(ledger).attempts(station)
    ]
    assert sorted(a.outcome for a in attempts) == sorted(cases)


def test_an_address_that_fails_too_often_must_wait(
    issuer: Issuer, port: int, signer: OpensslSigner
) -> None:
    """Guessing ends after five failures; another address is still answered."""
    code = issuer.issue(ONE)
    statuses = [_post(port, b"x")[0] for _ in range(7)]
    assert statuses == [400] * 5 + [429] * 2
    right = enrolment.signed(code, "pi-1", "1", signer, SINCE_S)
    assert _post(port, right)[0] == 429
    assert _post(port, right, "192.0.2.2")[0] == 200


def test_refused_requests_are_recorded_by_the_minute() -> None:
    """A flood does not write, and the next minute records its number."""
    limiter = Limiter(1, 10)
    assert limiter.new_minute(60) == {}
    assert limiter.allows("a")
    limiter.failed("a")
    assert [limiter.allows("a") for _ in range(3)] == [False] * 3
    assert [limiter.allows("b") for _ in range(8)] == [True] * 6 + [False] * 2
    assert limiter.new_minute(119) == {}
    assert limiter.new_minute(120) == {"a": 3, "all": 2}
    assert limiter.allows("a")


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8::1:2:3:4", "2001:db8::/64"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("evil\nname", "unknown"),
        ("", "unknown"),
    ],
)
def test_addresses_are_counted_by_network(address: str, network: str) -> None:
    """A device with IPv6 has 2^64 addresses, and a header may contain anything."""
    assert network_of(address) == network


_HEAD = b"POST /v1/enrol HTTP/1.1\r\nHost: a\r\n"
HOSTILE = {
    "silence": (b"", None),
    "half a head": (b"POST /v1/enrol HT", None),
    "endless head": (_HEAD + b"X: " + b"a" * 100_000, 400),
    "endless headers": (_HEAD + b"X: a\r\n" * 20_000, 400),
    "no HTTP": (b"\x16\x03\x01" + bytes(range(256)) + b"\r\n\r\n", 400),
    "bytes": (bytes(range(256)) * 10 + b"\r\n\r\n", 400),
    "missing length": (_HEAD + b"\r\n", 411),
    "negative length": (_HEAD + b"Content-Length: -1\r\n\r\n", 411),
    "arabic length": (_HEAD + "Content-Length: \u0663\r\n\r\n".encode(), 411),
    "huge length": (_HEAD + b"Content-Length: 99999999\r\n\r\n", 413),
    "endless length": (_HEAD + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n", 411),
    "two lengths": (_HEAD + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab", 400),
    "chunks": (_HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    "header without a colon": (_HEAD + b"Content-Length\r\n\r\n", 400),
    "short body": (_HEAD + b"Content-Length: 100\r\n\r\nabc", None),
    "other path": (b"POST /v1/other HTTP/1.1\r\n\r\n", 404),
    "GET": (b"GET /v1/enrol HTTP/1.1\r\n\r\n", 405),
    "two requests": (2 * (_HEAD + b"Content-Length: 1\r\n\r\na"), 400),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_client_gets_an_error_and_the_next_one_an_answer(
    issuer: Issuer, port: int, signer: OpensslSigner, name: str
) -> None:
    """Each request ends within its time, and stores and grows nothing."""
    content, status = HOSTILE[name]
    with socket.create_connection(("127.0.0.1", port), 20) as client:
        client.sendall(content)
        answer = client.makefile("rb").readline() if status else client.recv(1)
    if status:
        assert answer.startswith(b"HTTP/1.1 %d " % status)
    else:
        assert answer == b""
    code = issuer.issue(ONE)
    right = enrolment.signed(code, "pi-1", "1", signer, SINCE_S)
    assert _post(port, right, "192.0.2.7")[0] == 200


def test_many_silent_clients_do_not_block_a_device(
    issuer: Issuer, port: int, signer: OpensslSigner
) -> None:
    """They are disconnected after the time of a request."""
    code = issuer.issue(ONE)
    right = enrolment.signed(code, "pi-1", "1", signer, SINCE_S)
    clients = [socket.create_connection(("127.0.0.1", port), 20) for _ in range(220)]
    try:
        for client in clients:
            client.recv(1)
        assert _post(port, right)[0] == 200
    finally:
        for client in clients:
            client.close()


def test_a_ledger_that_cannot_be_used_gives_a_retry(
    issuer: Issuer, port: int, signer: OpensslSigner, tmp_path: Path
) -> None:
    """A lost key of the centre is no answer about the code, which stays usable."""
    code = issuer.issue(ONE)
    right = enrolment.signed(code, "pi-1", "1", signer, SINCE_S)
    path = tmp_path / "centre-key.pem"
    content = path.read_bytes()
    path.write_text("")
    assert _post(port, right)[0] == 503
    path.write_bytes(content)
    assert _post(port, right)[0] == 200
