"""The use of an enrolment code: at most one device, with every attempt recorded.

A device whose answer was lost on the way may ask again with the same key for a day
after its first answer. A request from a USB stick has no answer, so its day begins when
the device reaches the endpoint.
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
    since_s: int = 0


@dataclass(frozen=True, slots=True)
class Admission:
    """The result of an attempt, with what the device receives if it is admitted."""

    outcome: Outcome
    station: str = ""
    serial: int = 0
    key_from_s: int = 0
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

    def admit(
        self, code_hash: bytes, applicant: Applicant, at_s: int, *, gives: bool = True
    ) -> Admission:
        """Use a code once, and record the attempt, in one transaction.

        Without `gives` the device does not receive its token now.
        """
        with transaction(self._db):
            row = self._db.execute(
                "SELECT id, state, expires_s, given_s, public_key FROM issue "
                "WHERE code_hash = ?1 OR stick_hash = ?1",
                (code_hash,),
            ).fetchone()
            if row is None:
                self._record(Outcome.UNKNOWN, 0, applicant, at_s)
                return Admission(Outcome.UNKNOWN)
            number, state, expires_s, given_s, key = row
            is_first = given_s is None or at_s <= given_s + REPEAT_S
            is_same = key == applicant.public_key and is_first
            outcome = _outcome(State(state), is_same, at_s >= (expires_s or 0))
            self._change(outcome, number, applicant, at_s)
            if gives and outcome.is_admitted:
                self._give(number, at_s)
            self._record(outcome, number, applicant, at_s)
            return self._admission(outcome, number)

    def _admission(self, outcome: Outcome, issue: int) -> Admission:
        station, serial, *given = self._db.execute(
            "SELECT station, serial, key_from_s, sealed, config FROM issue "
            "WHERE id = ?",
            (issue,),
        ).fetchone()
        if not outcome.is_admitted:
            return Admission(outcome, station, serial)
        return Admission(outcome, station, serial, *given)

    def _give(self, issue: int, at_s: int) -> None:
        self._db.execute(
            "UPDATE issue SET given_s = coalesce(given_s, ?2) WHERE id = ?1",
            (issue, at_s),
        )

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
            "changed_by = ?3, device = ?4, public_key = ?5, "
            # The clock of a device may be wrong: its key is not valid before the code
            # existed, and not after this moment.
            "key_from_s = min(?2, max(?6, (SELECT max(at_s) FROM event "
            "WHERE issue = ?1 AND state = 'issued'))) WHERE id = ?1",
            (issue, at_s, by, who.device, who.public_key, who.since_s),
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
