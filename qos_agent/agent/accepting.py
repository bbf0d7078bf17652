"""Decides whether a device that was set up is accepted, and why not."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from qos_agent.agent.doctor import Check, Health
from qos_agent.agent.status import Latest

# Without the characters that people confuse: 0 and O, 1, I and L.
_LETTERS = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"
_RECEIPT_LENGTH = 8


@dataclass(frozen=True, slots=True)
class Acceptance:
    """The result of a setup. `failing` is the first failing line, None if accepted."""

    failing: str | None
    receipt: str

    def detail(self) -> str:
        """Return the result as the event stores it."""
        result = "accepted" if self.failing is None else "not accepted"
        text = f"{result}, receipt {self.receipt}"
        return text if self.failing is None else f"{text}: {self.failing}"


def judge(
    checks: Sequence[Check],
    latest: Sequence[Latest],
    links: Sequence[str],
    seed: str,
) -> Acceptance:
    """Return the result of the doctor's checks and of the first readings.

    A device is accepted if no check is bad and each link has a good reading. `seed`
    identifies device, configuration and time.
    """
    failing = next(_failing_lines(checks, latest, links), None)
    return Acceptance(failing, receipt(f"{seed}/{failing}"))


def _failing_lines(
    checks: Sequence[Check], latest: Sequence[Latest], links: Sequence[str]
) -> Iterator[str]:
    for check in checks:
        if check.health is Health.BAD:
            fix = f". Fix: {check.fix}" if check.fix else ""
            yield f"{check.name}: {check.result}{fix}"
    measured = measured_links(latest)
    for link in links:
        if link not in measured:
            yield f"{link}: no measurement succeeded. Fix: qos-agent doctor"


def measured_links(latest: Sequence[Latest]) -> set[str | None]:
    """Return the links that have a good reading."""
    return {entry.tags.get("link") for entry in latest if entry.outcome == "ok"}


def receipt(text: str) -> str:
    """Return a short code that a technician can write down, such as `7F3K-29QD`."""
    number = int.from_bytes(hashlib.sha256(text.encode()).digest())
    letters = ""
    for _ in range(_RECEIPT_LENGTH):
        number, rest = divmod(number, len(_LETTERS))
        letters += _LETTERS[rest]
    return f"{letters[:4]}-{letters[4:]}"
