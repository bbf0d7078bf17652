"""The use of an enrolment code: at most one device, with every attempt recorded.

A device whose answer was lost on the way may ask again with the same key for a day.
Any other use of a used code is refused and recorded, so a stolen code shows in the
ledger: either the thief's key, or the refused attempt of the rightful device.

Attempts are counted per minute, address, outcome and issue. A flood of attempts
therefore adds rows for its addresses only, and the oldest of unknown codes are deleted.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from qos_agent.noc.database import transaction
from qos_agent.noc.provision.ledger import Ledger, State

REPEAT_S = 86_400
# About 10 MB. Attempts with the code of an issue are never deleted.
_UNKNOWN_MAX = 100_000
_SCHEMA = """
CREATE TABLE IF NOT EXISTS attempt (
    minute_s INTEGER NOT NULL, peer TEXT NOT NULL, outcome TEXT NOT NULL,
    issue INTEGER NOT NULL, fingerprint TEXT NOT NULL, count INTEGER NOT NULL,
    PRIMARY KEY (minute_s, peer, outcome, issue, fingerprint)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS attempt_issue ON attempt(issue);
"""


class Outcome(StrEnum):
    """The result of an attempt to enrol."""

    ACCEPTED = "accepted"
    REPEATED = "repeated"
    USED = "used"
    EXPIRED = "expired"
    REVOKED = "revoked"
    REPLACED = "replaced"
    UNKNOWN = "unknown"
    MALFORMED = "malformed"
    UNSIGNED = "unsigned"
    LIMITED = "limited"

    @property
    def is_admitted(self) -> bool:
        """Return True if the device receives its credential."""
        return self in {Outcome.ACCEPTED, Outcome.REPEATED}


@dataclass(frozen=True, slots=True)
class Applicant:
    """A device that asks to be enrolled: its name, public key and address."""

    device: str
    public_key: bytes
    fingerprint: str
    peer: str


@dataclass(frozen=True, slots=True)
class Admission:
    """The result of an attempt, with what the device receives if it is admitted."""

    outcome: Outcome
    station: str = ""
    serial: int = 0
    used_s: int = 0
    sealed: bytes = b""
    config: str = ""


@dataclass(frozen=True, slots=True)
class Attempt:
    """Attempts of one minute from one address with the same outcome."""

    minute_s: int
    peer: str
    outcome: Outcome
    fingerprint: str
    count: int


class Admissions:
    """The part of the ledger that the enrolment endpoint changes."""

    def __init__(self, ledger: Ledger) -> None:
        self._db = ledger.database
        self._db.executescript(_SCHEMA)

    def admit(self, code_hash: bytes, applicant: Applicant, at_s: int) -> Admission:
        """Use a code once, and record the attempt, in one transaction."""
        with transaction(self._db):
            row = self._db.execute(
                "SELECT id, station, serial, state, expires_s, used_s, public_key, "
                "sealed, config FROM issue WHERE code_hash = ?",
                (code_hash,),
            ).fetchone()
            if row is None:
                self._record(Outcome.UNKNOWN, 0, applicant, at_s)
                return Admission(Outcome.UNKNOWN)
            number, station, serial, state, expires_s, used_s, key, *given = row
            is_same = key == applicant.public_key and at_s <= (used_s or 0) + REPEAT_S
            outcome = _outcome(State(state), is_same, at_s >= (expires_s or 0))
            self._change(outcome, number, applicant, at_s)
            self._record(outcome, number, applicant, at_s)
        if not outcome.is_admitted:
            return Admission(outcome, station, serial)
        first_s = at_s if outcome is Outcome.ACCEPTED else used_s
        return Admission(outcome, station, serial, first_s, bytes(given[0]), given[1])

    def refuse(self, outcome: Outcome, peer: str, at_s: int, count: int = 1) -> None:
        """Record attempts that were refused before their code was looked up."""
        with transaction(self._db):
            self._record(outcome, 0, Applicant("", b"", "", peer), at_s, count)

    def attempts(self, station: str | None = None) -> list[Attempt]:
        """Return the attempts on a station's issues; without one, on none of them."""
        rows = self._db.execute(
            "SELECT minute_s, peer, outcome, fingerprint, count FROM attempt "
            "WHERE issue IN (SELECT id FROM issue WHERE station = ?1) "
            "OR (?1 IS NULL AND issue = 0) ORDER BY minute_s",
            (station,),
        )
        return [Attempt(m, p, Outcome(o), f, c) for m, p, o, f, c in rows]

    def suspicious(self) -> list[str]:
        """Return the stations whose code someone tried after it was used or ended."""
        rows = self._db.execute(
            "SELECT DISTINCT station FROM attempt JOIN issue ON issue.id = issue "
            "WHERE outcome IN ('used', 'revoked', 'replaced') ORDER BY station"
        )
        return [station for (station,) in rows]

    def _change(self, outcome: Outcome, issue: int, who: Applicant, at_s: int) -> None:
        if outcome is Outcome.EXPIRED:
            self._db.execute(
                "UPDATE issue SET state = 'expired', changed_s = ?2, "
                "changed_by = 'time' WHERE id = ?1 AND state = 'issued'",
                (issue, at_s),
            )
        if outcome is not Outcome.ACCEPTED:
            return
        by = f"device {who.device}, key {who.fingerprint}, address {who.peer}"
        self._db.execute(
            "UPDATE issue SET state = 'used', changed_s = ?2, used_s = ?2, "
            "changed_by = ?3, device = ?4, public_key = ?5 WHERE id = ?1",
            (issue, at_s, by, who.device, who.public_key),
        )

    def _record(
        self, outcome: Outcome, issue: int, who: Applicant, at_s: int, count: int = 1
    ) -> None:
        # Keys cost nothing, so they must not add rows for unknown codes.
        fingerprint = who.fingerprint if issue else ""
        self._db.execute(
            "INSERT INTO attempt VALUES (?1,?2,?3,?4,?5,?6) "
            "ON CONFLICT DO UPDATE SET count = count + ?6",
            (at_s - at_s % 60, who.peer, outcome, issue, fingerprint, count),
        )
        if issue == 0:
            self._db.execute(
                "DELETE FROM attempt WHERE issue = 0 AND minute_s < (SELECT minute_s "
                "FROM attempt WHERE issue = 0 ORDER BY minute_s DESC LIMIT 1 OFFSET ?)",
                (_UNKNOWN_MAX,),
            )


def _outcome(state: State, is_same: bool, has_expired: bool) -> Outcome:
    match state:
        case State.ISSUED:
            return Outcome.EXPIRED if has_expired else Outcome.ACCEPTED
        case State.USED:
            return Outcome.REPEATED if is_same else Outcome.USED
        case State.MAKING:
            return Outcome.UNKNOWN
        case _:
            return Outcome(state.value)
