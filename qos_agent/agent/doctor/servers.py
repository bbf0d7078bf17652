"""Checks of the throughput test: its programs, and its servers."""

from __future__ import annotations

import shutil
from urllib.parse import urlsplit

from qos_agent.agent.doctor.check import Check, bad, ok, warn
from qos_agent.agent.doctor.link import deadline_after
from qos_agent.agent.doctor.subject import Subject
from qos_agent.config.faults import masked
from qos_agent.model import Link
from qos_agent.model.addresses import host_in
from qos_agent.model.errors import ProbeError
from qos_agent.probes.throughput import BACKENDS
from qos_agent.system import network
from qos_agent.system.network.attempts import Attempts

_CONNECT_S = 8.0
_PORTS = {"http": 80, "https": 443, "iperf3": 5201}
_INSTALL = "sudo apt-get install iperf3"


def throughput(link: Link, subject: Subject) -> Check:
    """Check that a backend of the link can work; the result has its licence."""
    name = f"throughput {link.name}"
    section = subject.settings.throughput_of(link.name)
    order = section.order()
    backends = ", ".join(f"{entry} ({BACKENDS[entry].licence})" for entry in order)
    problems = {
        entry: problem
        for entry in order
        if (problem := _problem(entry, section.server_of(entry), link, subject))
    }
    if not problems:
        return ok(name, "{backends}", backends=backends)
    report = bad if len(problems) == len(order) else warn
    first = next(iter(problems))
    values = {"backends": backends, "problem": problems[first]}
    if problems[first] == _NOT_INSTALLED:
        return report(name, "{backends}; iperf3 is not installed", _INSTALL, **values)
    advice = "start the measurement server, or correct its address"
    return report(name, "{backends}; {problem}", advice, **values)


_NOT_INSTALLED = "iperf3 is not installed"


def _problem(
    backend: str, server: str | None, link: Link, subject: Subject
) -> str | None:
    """Return why a backend cannot work; None if its server accepts connections."""
    if backend == "iperf3" and shutil.which("iperf3") is None:
        return _NOT_INSTALLED
    if server is None:
        return None if backend == "speedtest" else f"{backend}: no server"
    url = server if "://" in server else f"iperf3://{server}"
    parts = urlsplit(url)
    port = parts.port or _PORTS.get(parts.scheme, 80)
    try:
        connect(host_in(url), port, link, subject)
    except ProbeError as error:
        return f"{masked(server)}: {error}"
    return None


def connect(host: str, port: int, link: Link, subject: Subject) -> None:
    """Open and close a connection over a link. Raises ProbeError."""
    deadline = deadline_after(subject.clock, _CONNECT_S)
    address = network.resolve(host, link, deadline)
    attempts = Attempts(link, port, _CONNECT_S)
    attempts.connect(iter([address]), deadline).sock.close()
