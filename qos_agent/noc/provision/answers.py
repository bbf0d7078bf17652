"""The answers of the enrolment endpoint: checks a request, uses its code, records it.

An address whose requests fail too often is refused for the rest of the minute. Only
failures count, because the devices of an operator may share one address. A limit for
all requests protects the server. Refused requests are counted in memory and recorded
once a minute, so that a flood does not write to the disk with each request.
"""

from __future__ import annotations

import ipaddress
import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus

from qos_agent.evidence import enrolment
from qos_agent.evidence.signer import PublicKey
from qos_agent.noc.provision.admission import Outcome
from qos_agent.noc.provision.intake import Intake
from qos_agent.noc.provision.ledger import Ledger
from qos_agent.noc.provision.vault import Codes, Vault
from qos_agent.noc.register.keys import KeyRegister

_STATUSES = {
    Outcome.MALFORMED: HTTPStatus.BAD_REQUEST,
    Outcome.UNSIGNED: HTTPStatus.BAD_REQUEST,
    Outcome.LIMITED: HTTPStatus.TOO_MANY_REQUESTS,
}


Certify = Callable[[str, PublicKey], str]


@dataclass(frozen=True, slots=True)
class Answer:
    """The status and the JSON body of an HTTP response."""

    status: HTTPStatus
    body: bytes


class Limiter:
    """Limits of requests within a minute, and the refused requests by address."""

    def __init__(self, failures_per_address: int, requests: int) -> None:
        self._failures_max = failures_per_address
        self._requests_max = requests
        self._minute = 0
        self._requests = 0
        self._failures: Counter[str] = Counter()
        self._refused: Counter[str] = Counter()

    def new_minute(self, at_s: int) -> dict[str, int]:
        """Begin a new minute if it is time, and return the refused of the last one."""
        if at_s // 60 == self._minute:
            return {}
        refused = dict(self._refused)
        self._minute, self._requests = at_s // 60, 0
        self._failures.clear()
        self._refused.clear()
        return refused

    def allows(self, peer: str) -> bool:
        """Count a request, and return True if it may be answered."""
        self._requests += 1
        if self._requests > self._requests_max:
            # The address of a flood may be forged, so it adds no entry.
            self._refused["all"] += 1
            return False
        if self._failures[peer] >= self._failures_max:
            self._refused[peer] += 1
            return False
        return True

    def failed(self, peer: str) -> None:
        """Count a failure of an address."""
        self._failures[peer] += 1


class Desk:
    """Answers requests to enrol, from one thread."""

    def __init__(
        self,
        ledger: Ledger,
        keys: KeyRegister,
        vault: Vault,
        limiter: Limiter,
        calendar: str | None = None,
        authority: str | None = None,
        certify: Certify | None = None,
    ) -> None:
        self._intake = Intake(ledger, keys, Codes.of(ledger, vault))
        self._vault = vault
        self._limiter = limiter
        self._extra = {"calendar": calendar, "ca": authority}
        self._certify = certify

    def answer(self, content: bytes, peer: str, at_s: int) -> Answer:
        """Answer a request and record it. Raises SigningError or sqlite3.Error."""
        peer = network_of(peer)
        for address, count in self._limiter.new_minute(at_s).items():
            self._intake.admissions.refuse(Outcome.LIMITED, address, at_s - 60, count)
        if not self._limiter.allows(peer):
            return _refusal(Outcome.LIMITED)
        try:
            request, note = enrolment.parsed(content)
        except ValueError:
            return self._refused(Outcome.MALFORMED, peer, at_s)
        if not enrolment.is_signed(request, note):
            return self._refused(Outcome.UNSIGNED, peer, at_s)
        return self._admitted(request, peer, at_s)

    def _refused(self, outcome: Outcome, peer: str, at_s: int) -> Answer:
        self._limiter.failed(peer)
        self._intake.admissions.refuse(outcome, peer, at_s)
        return _refusal(outcome)

    def _admitted(self, request: enrolment.Request, peer: str, at_s: int) -> Answer:
        admission = self._intake.take(request, peer, at_s)
        if not admission.outcome.is_admitted:
            self._limiter.failed(peer)
            return _refusal(admission.outcome)
        content = {
            "station": admission.station,
            "serial": admission.serial,
            "token": self._vault.unseal(admission.sealed),
            "config": admission.config,
            **self._extra,
        }
        if self._certify is not None:
            content["certificate"] = self._certify(admission.station, request.key)
        return Answer(HTTPStatus.OK, json.dumps(content).encode())


def network_of(peer: str) -> str:
    """Return an address as limits count it: IPv6 by its network of 64 bits."""
    try:
        address = ipaddress.ip_address(peer)
    except ValueError:
        return "unknown"
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address)


def _refusal(outcome: Outcome) -> Answer:
    status = _STATUSES.get(outcome, HTTPStatus.FORBIDDEN)
    return Answer(status, json.dumps({"error": outcome.value}).encode())
