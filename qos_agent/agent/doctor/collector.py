"""Check of a collector: reach, TLS, token and bucket by a write without points."""

from __future__ import annotations

import re
import threading
from contextlib import closing
from shlex import quote

from qos_agent.agent.doctor.check import Check, bad, ok, warn
from qos_agent.agent.doctor.edit import set_text
from qos_agent.agent.doctor.subject import TOKEN_FILE, Subject
from qos_agent.config.settings import CollectorSection
from qos_agent.influx.query import QueryError, Server
from qos_agent.influx.responses import Action, Decision, Failure, Response, decide
from qos_agent.influx.secrets import shown_url
from qos_agent.influx.transport import Exchange, InfluxTransport, pack

_TIMEOUT_S = 10.0
# Databases of the server itself.
_INTERNAL = ("_internal", "_monitoring", "_tasks")
# A comment of line protocol: the server checks token and bucket, and stores nothing.
_NO_POINTS = b"# qos-agent doctor"
_WRITE_FILE = "sudo install -m 600 /dev/stdin {file}"
# Only such a name is part of a command.
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,100}")
_UNTRUSTED = "tls_untrusted"
_TOKEN_CAUSES = ("token", "token_file")
# Answers of 2.7 and 3.x to a request without points, after token and bucket.
_NO_POINTS_TEXTS = ("writing requires points", "incoming write was empty")
_BAD_REQUEST, _NOT_FOUND, _UNAUTHORISED = 400, 404, (401, 403)


class Delivery:
    """One write without points to a collector, which several checks share."""

    def __init__(self, section: CollectorSection) -> None:
        timeout_s = min(section.timeout, _TIMEOUT_S)
        self.section = section.model_copy(update={"timeout": timeout_s})
        self._lock = threading.Lock()
        self._exchange: Exchange | None = None

    def is_possible(self) -> bool:
        """Return True if there is a URL, and the token may be sent there."""
        section = self.section
        if section.url is None:
            return False
        return section.insecure or not section.exposes_token()

    def exchange(self) -> Exchange:
        """Return the exchange. The first call sends the request."""
        with self._lock:
            if self._exchange is None:
                transport = InfluxTransport(self.section)
                self._exchange = transport.post(
                    pack([_NO_POINTS]), self.section.timeout
                )
                transport.close()
            return self._exchange

    def offset_ms(self) -> float | None:
        """Return this clock minus the collector's, or None if it is not known."""
        return self.exchange().offset_ms if self.is_possible() else None

    def cause(self) -> str | None:
        """Return the cause of a request without a response, or None."""
        result = self.exchange().result if self.is_possible() else None
        return result.cause if isinstance(result, Failure) else None


def collector(name: str, delivery: Delivery, subject: Subject) -> Check:
    """Check that the collector would accept points now."""
    section = delivery.section
    if section.url is None:
        advice = "sudo qos-agent setup --collector URL"
        return warn(name, "none configured", advice)
    if section.exposes_token() and not section.insecure:
        text = "delivery waits: the token is not sent over plain HTTP"
        advice = "set {name}.url to https://..., or {name}.insecure = true"
        return bad(name, text, advice, name=name)
    result = delivery.exchange().result
    decision = decide(result)
    if decision.action is not Action.DELIVERED and not _misses_points(result):
        return _refused(name, decision, delivery, subject)
    if section.exposes_token():
        text = "{name}.insecure: the token is sent over plain HTTP"
        advice = "set {name}.url to https://..."
        return warn(name, text, advice, name=name)
    return ok(name, "{url} accepts points", url=shown_url(section))


def _misses_points(result: Response | Failure) -> bool:
    """Return True if only the missing points are wrong with the request."""
    if isinstance(result, Failure) or result.status != _BAD_REQUEST:
        return False
    return any(text in result.body for text in _NO_POINTS_TEXTS)


def _refused(
    name: str, decision: Decision, delivery: Delivery, subject: Subject
) -> Check:
    """Return the check for a failed write, with the fix for its status or cause."""
    result = delivery.exchange().result
    status = None if isinstance(result, Failure) else result.status
    url = shown_url(delivery.section)
    problem, _, advice = decision.message.partition(". Fix: ")
    values = {"url": url, "problem": problem, "fix": advice or "tell the NOC"}
    if status in _UNAUTHORISED and subject.is_enrolment_pending():
        text = "{url} answers; this device gets its token when it is enrolled"
        return warn(name, text, "sudo qos-agent enrol --pending", url=url)
    if status in _UNAUTHORISED and not subject.may_read_token():
        return _without_token(name, url, subject)
    cause = result.cause if isinstance(result, Failure) else None
    if status in _UNAUTHORISED or cause in _TOKEN_CAUSES:
        values["fix"] = token_fix(name, delivery.section, subject)
    elif status == _NOT_FOUND:
        values["fix"] = bucket_fix(name, delivery.section, subject) or values["fix"]
    elif cause == _UNTRUSTED:
        fix = authority_fix(name, delivery.section, subject)
        values["fix"] = fix or values["fix"]
    return bad(name, "{url}: {problem}", "{fix}", **values)


def _without_token(name: str, url: str, subject: Subject) -> Check:
    """Return the check of a user who may not read the token: the agent's own result."""
    running = subject.running()
    if running is not None and running.collector_state == "failing":
        problem, _, fix = (running.collector_error or "").partition(". Fix: ")
        fix = fix or "sudo qos-agent doctor"
        return bad(name, "{url}: {problem}", "{fix}", url=url, problem=problem, fix=fix)
    text = "{url} answers; this user may not read the token, so it is not checked"
    return warn(name, text, "sudo qos-agent doctor", url=url)


def token_fix(name: str, section: CollectorSection, subject: Subject) -> str:
    """Return the command that replaces the token; it reads the new one from the input.

    systemd passes the token on at the start of the service.
    """
    file = section.token_file
    if file is None and subject.unit is not None and section.token is None:
        file = TOKEN_FILE
    if file is None:
        return f"set {name}.token_file to a file with a valid token"
    command = _WRITE_FILE.format(file=quote(str(file)))
    if file == TOKEN_FILE and subject.unit is not None:
        command += " && sudo systemctl restart qos-agent"
    return command


def bucket_fix(name: str, section: CollectorSection, subject: Subject) -> str | None:
    """Return the command that names the only bucket of the server; else None."""
    found = _buckets(section)
    if len(found) != 1 or subject.file is None:
        return None
    return set_text(subject.file, name, "bucket", found[0])


def authority_fix(name: str, section: CollectorSection, subject: Subject) -> str | None:
    """Return the command that trusts another authority; it reads the certificate."""
    if subject.file is None:
        return None
    file = section.ca_file or subject.file.with_name(f"{name}-ca.pem")
    command = f"sudo install -m 644 /dev/stdin {quote(str(file))}"
    if section.ca_file is not None:
        return command
    return f"{command} && {set_text(subject.file, name, 'ca_file', str(file))}"


def _buckets(section: CollectorSection) -> list[str]:
    """Return the databases that the token may see; none if the server refuses."""
    try:
        with closing(Server(section, section.timeout)) as server:
            rows = [
                row for table in server.tables("SHOW DATABASES") for row in table.rows
            ]
    except QueryError:
        return []
    found = [str(row[-1]) for row in rows if row]
    return [name for name in found if name not in _INTERNAL and _NAME.fullmatch(name)]
