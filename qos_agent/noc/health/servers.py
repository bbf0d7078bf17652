"""The parts that answer on a port: gateway, collectors, roll-ups and enrolment."""

from __future__ import annotations

import http.client
import socket
import ssl
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

from qos_agent.config.settings import CollectorSection
from qos_agent.influx.query import QueryError, Server
from qos_agent.model import Value
from qos_agent.noc.health.part import Part
from qos_agent.noc.settings import NocSettings
from qos_agent.system.network.tls import client_context

_TIMEOUT_S = 10.0
_HERE = "127.0.0.1"


def collector(section: CollectorSection, part: str) -> Part:
    """Return the state of an InfluxDB."""
    server = Server(section, _TIMEOUT_S)
    name = urlsplit(str(section.url)).netloc
    started_mono = time.monotonic()
    try:
        server.version()
        next(server.select("SHOW MEASUREMENTS LIMIT 1"), None)
    except QueryError as error:
        return Part(part, name, error.message)
    finally:
        server.close()
    return Part(part, name, figures=_response_ms(started_mono))


def newest(section: CollectorSection, part: str, query: str, limit_s: float) -> Part:
    """Return the state of a service by the age of the newest point that it wrote."""
    server = Server(section, _TIMEOUT_S)
    unit = f"qos-agent-{part}"
    try:
        rows = list(server.select(query))
    except QueryError as error:
        return Part(part, part, error.message)
    finally:
        server.close()
    now_s = time.time()
    ages = [now_s - row.time_ns((0, 2**63 - 1)) / 1e9 for row in rows]
    if not ages:
        return Part(part, part, f"has written nothing for a day. Fix: {_log_of(unit)}")
    age_s = max(0.0, min(ages))
    late = f"has written nothing for {age_s:.0f} s. Fix: {_log_of(unit)}"
    return Part(part, part, late if age_s > limit_s else "", {"age_s": round(age_s, 3)})


def enrolment(settings: NocSettings) -> Part:
    """Return the state of the endpoint, which answers any request."""
    port = settings.enrolment.port
    started_mono = time.monotonic()
    connection = http.client.HTTPConnection(_HERE, port, timeout=_TIMEOUT_S)
    try:
        connection.request("GET", "/")
        connection.getresponse().read()
    except (OSError, http.client.HTTPException) as error:
        fix = _log_of("qos-agent-enrolment")
        return Part("enrolment", "enrolment", f"does not answer: {error}. Fix: {fix}")
    finally:
        connection.close()
    return Part("enrolment", "enrolment", figures=_response_ms(started_mono))


def gateway(url: str, ca_file: Path | None, warn_s: float) -> Iterator[Part]:
    """Yield the state of the gateway, and of the certificate that it shows devices."""
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or 443
    started_mono = time.monotonic()
    try:
        context = client_context(ca_file)
        with (
            socket.create_connection((_HERE, port), timeout=_TIMEOUT_S) as plain,
            context.wrap_socket(plain, server_hostname=host) as secured,
        ):
            status = _status(secured, host)
            certificate = secured.getpeercert() or {}
    except OSError as error:
        fix = _log_of("qos-gateway")
        yield Part("gateway", host, f"does not answer: {error}. Fix: {fix}")
        return
    problem = (
        "" if status == 404 else f"answered {status}. Fix: {_log_of('qos-gateway')}"
    )
    yield Part("gateway", host, problem, _response_ms(started_mono))
    ends = str(certificate.get("notAfter", ""))
    ends_s = ssl.cert_time_to_seconds(ends) if ends else 0.0
    yield certificate_part(
        "served", ends_s, warn_s, "sudo systemctl reload qos-gateway"
    )


def certificate_part(name: str, ends_s: float, warn_s: float, fix: str) -> Part:
    """Return the state of a certificate."""
    left_s = ends_s - time.time()
    end = datetime.fromtimestamp(ends_s, UTC).strftime("%Y-%m-%d")
    problem = f"ends on {end}. Fix: {fix}" if left_s < warn_s else ""
    return Part("certificate", name, problem, {"left_s": round(left_s, 1)})


def _status(secured: ssl.SSLSocket, host: str) -> int:
    request = f"GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
    secured.sendall(request.encode())
    first = secured.recv(64).decode("latin-1").split(" ")
    return int(first[1]) if len(first) > 1 and first[1].isdigit() else 0


def _response_ms(started_mono: float) -> dict[str, Value]:
    return {"response_ms": round((time.monotonic() - started_mono) * 1000, 3)}


def _log_of(unit: str) -> str:
    return f"journalctl -u {unit} -n 20"
