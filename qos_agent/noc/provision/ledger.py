"""The ledger of provisioning: each issue to a station, its state and its history.

An issue is one credential, one configuration and one enrolment code. Its states:

    making    its account may exist at the collector already, or not yet
    issued    its code enrols one device until it expires
    used      a device has enrolled with it
    expired   the code was not used in time
    revoked   an operator has withdrawn it
    replaced  a later issue of the station has taken its place

A station has at most one issue in the first three states; an index of the database
ensures it. The code is stored as a keyed hash only, and the credential is encrypted.
Triggers record each change of state, so no code path can leave one out. Every change is
one transaction on disk, so another process may be killed or write at any moment.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields
from enum import StrEnum
from pathlib import Path

from qos_agent.noc.database import open_database, transaction

FILE_NAME = "provision.sqlite3"
_SCHEMA = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;
CREATE TABLE IF NOT EXISTS issue (
    id INTEGER PRIMARY KEY, station TEXT NOT NULL, serial INTEGER NOT NULL,
    account TEXT NOT NULL, config TEXT NOT NULL, code_hash BLOB NOT NULL UNIQUE,
    stick_hash BLOB UNIQUE,
    state TEXT NOT NULL CHECK (state IN
        ('making', 'issued', 'used', 'expired', 'revoked', 'replaced')),
    changed_s INTEGER NOT NULL, changed_by TEXT NOT NULL,
    sealed BLOB, expires_s INTEGER, used_s INTEGER, given_s INTEGER,
    device TEXT, public_key BLOB, key_from_s INTEGER,
    has_account INTEGER NOT NULL DEFAULT 1,
    UNIQUE (station, serial));
CREATE UNIQUE INDEX IF NOT EXISTS issue_live ON issue(station)
    WHERE state IN ('making', 'issued', 'used');
CREATE INDEX IF NOT EXISTS issue_state ON issue(state);
CREATE TABLE IF NOT EXISTS event (
    id INTEGER PRIMARY KEY, issue INTEGER NOT NULL, at_s INTEGER NOT NULL,
    state TEXT NOT NULL, by TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS event_issue ON event(issue);
CREATE TRIGGER IF NOT EXISTS issue_made AFTER INSERT ON issue BEGIN
    INSERT INTO event (issue, at_s, state, by)
    VALUES (new.id, new.changed_s, new.state, new.changed_by); END;
CREATE TRIGGER IF NOT EXISTS issue_changed AFTER UPDATE OF state ON issue BEGIN
    INSERT INTO event (issue, at_s, state, by)
    VALUES (new.id, new.changed_s, new.state, new.changed_by); END;
CREATE TABLE IF NOT EXISTS secret (name TEXT PRIMARY KEY, sealed BLOB NOT NULL);
"""


class State(StrEnum):
    """The state of an issue."""

    MAKING = "making"
    ISSUED = "issued"
    USED = "used"
    EXPIRED = "expired"
    REVOKED = "revoked"
    REPLACED = "replaced"


@dataclass(frozen=True, slots=True)
class Draft:
    """An issue that is about to be made."""

    account: str
    config: str
    code_hash: bytes


@dataclass(frozen=True, slots=True)
class Issue:
    """An issue as the ledger has it."""

    id: int
    station: str
    serial: int
    account: str
    state: State
    changed_s: int
    changed_by: str
    expires_s: int | None
    used_s: int | None
    device: str | None
    public_key: bytes | None


@dataclass(frozen=True, slots=True)
class Event:
    """A change of an issue's state, and who made it."""

    serial: int
    at_s: int
    state: State
    by: str


_COLUMNS = ", ".join(field.name for field in fields(Issue))
_LIVE = "state IN ('making', 'issued', 'used')"


class Ledger:
    """The ledger in one SQLite file."""

    def __init__(self, path: Path) -> None:
        # The enrolment endpoint opens it in one thread and uses it in another.
        self._db = open_database(path, _SCHEMA, any_thread=True)
        path.chmod(0o600)
        give_to_owner(path)

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def secret(self, name: str) -> bytes | None:
        """Return an encrypted secret of the centre, or None if there is none."""
        row = self._db.execute("SELECT sealed FROM secret WHERE name = ?", (name,))
        found = row.fetchone()
        return None if found is None else bytes(found[0])

    def keep_secret(self, name: str, sealed: bytes) -> bytes:
        """Store an encrypted secret unless there is one, and return the stored one."""
        self._db.execute("INSERT OR IGNORE INTO secret VALUES (?, ?)", (name, sealed))
        return self.secret(name) or sealed

    def begin(
        self,
        stations: Iterable[str],
        draft: Callable[[str, int], Draft],
        at_s: int,
        by: str,
    ) -> list[Issue]:
        """Record issues that will now be made, in one transaction, and return them.

        A station with an issue that is being made, issued or used is left out.
        `draft` gets the station and the number of its issue.
        """
        begun = []
        with transaction(self._db):
            for station in stations:
                serial = self._next_serial(station)
                if serial is not None:
                    new = draft(station, serial)
                    begun.append(self._insert(station, serial, new, at_s, by))
        return begun

    def _next_serial(self, station: str) -> int | None:
        """Return the number of the next issue; None if the station has a live one."""
        last, live = self._db.execute(
            f"SELECT coalesce(max(serial), 0), coalesce(max({_LIVE}), 0) "
            "FROM issue WHERE station = ?",
            (station,),
        ).fetchone()
        return None if live else int(last) + 1

    def _insert(
        self, station: str, serial: int, draft: Draft, at_s: int, by: str
    ) -> Issue:
        row = self._db.execute(
            "INSERT INTO issue (station, serial, account, config, code_hash, state, "
            "changed_s, changed_by) VALUES (?,?,?,?,?,'making',?,?) "
            f"RETURNING {_COLUMNS}",
            (station, serial, draft.account, draft.config, draft.code_hash, at_s, by),
        ).fetchone()
        return _issue(row)

    def finish(
        self, made: Iterable[tuple[int, bytes]], expires_s: int, at_s: int
    ) -> int:
        """Store the encrypted credentials of issues that are made.

        Return the number of issues that are now issued. One that was revoked in the
        meantime stays revoked.
        """
        with transaction(self._db):
            done = self._db.executemany(
                "UPDATE issue SET state = 'issued', sealed = ?2, expires_s = ?3, "
                "changed_s = ?4 WHERE id = ?1 AND state = 'making'",
                [(number, sealed, expires_s, at_s) for number, sealed in made],
            )
        return done.rowcount

    def allow_stick(self, issue: int, stick_hash: bytes) -> str | None:
        """Allow the secret of a file in place of the code.

        Return the configuration of the issue; None if its code was used or has ended.
        """
        row = self._db.execute(
            "UPDATE issue SET stick_hash = ?2 WHERE id = ?1 AND state = 'issued' "
            "RETURNING config",
            (issue, stick_hash),
        ).fetchone()
        return None if row is None else str(row[0])

    def end(self, station: str, state: State, at_s: int, by: str) -> bool:
        """End the live issue of a station. Return False if there is none.

        Its code does not count from now on. Its account still exists until
        `account_removed`.
        """
        ended = self._db.execute(
            "UPDATE issue SET state = ?2, changed_s = ?3, changed_by = ?4 "
            f"WHERE station = ?1 AND {_LIVE}",
            (station, state, at_s, by),
        )
        return ended.rowcount > 0

    def expire(self, at_s: int) -> int:
        """End the issues whose code has expired, and return their number."""
        ended = self._db.execute(
            "UPDATE issue SET state = 'expired', changed_s = ?1, changed_by = 'time' "
            "WHERE state = 'issued' AND expires_s <= ?1",
            (at_s,),
        )
        return ended.rowcount

    def account_removed(self, issue: int) -> None:
        """Record that the account of an ended issue does not exist any more."""
        self._db.execute(
            "UPDATE issue SET has_account = 0, sealed = NULL WHERE id = ?", (issue,)
        )

    def ended_with_account(self) -> list[Issue]:
        """Return the issues that have ended and whose account may still exist."""
        return self._issues(f"has_account AND NOT {_LIVE}")

    def in_state(self, *states: State) -> list[Issue]:
        """Return the issues in some states."""
        marks = ", ".join("?" for _ in states)
        return self._issues(f"state IN ({marks})", *states)

    def issues(self, station: str) -> list[Issue]:
        """Return all issues of a station, the oldest first."""
        return self._issues("station = ?", station)

    def events(self, station: str) -> list[Event]:
        """Return the history of a station's issues, the oldest first."""
        rows = self._db.execute(
            "SELECT serial, at_s, event.state, by FROM event "
            "JOIN issue ON issue.id = event.issue WHERE station = ? ORDER BY event.id",
            (station,),
        )
        return [Event(serial, at_s, State(s), by) for serial, at_s, s, by in rows]

    def counts(self) -> dict[State, int]:
        """Return the number of issues in each state."""
        rows = self._db.execute("SELECT state, count(*) FROM issue GROUP BY state")
        found = dict(rows.fetchall())
        return {state: found.get(state, 0) for state in State}

    def counts_of(self, province: str) -> dict[State, int]:
        """Return the number of issues to stations of a province, by state."""
        rows = self._db.execute(
            "SELECT state, count(*) FROM issue WHERE station BETWEEN ? AND ? "
            "GROUP BY state",
            (province, f"{province}:"),
        )
        return {State(state): n for state, n in rows}

    def with_issue(self) -> set[str]:
        """Return the stations that have had an issue."""
        return {code for (code,) in self._db.execute("SELECT station FROM issue")}

    def _issues(self, condition: str, *parameters: str) -> list[Issue]:
        rows = self._db.execute(
            f"SELECT {_COLUMNS} FROM issue WHERE {condition} ORDER BY station, serial",
            parameters,
        )
        return [_issue(row) for row in rows]

    @property
    def database(self) -> sqlite3.Connection:
        """The connection, for the part of the ledger that enrols devices."""
        return self._db


def give_to_owner(path: Path) -> None:
    """Give a file that root creates to the owner of its folder, who runs the service.

    SQLite gives its other files to the owner of the database.
    """
    if os.geteuid() == 0:
        owner = path.parent.stat()
        os.chown(path, owner.st_uid, owner.st_gid)


def _issue(row: Sequence[object]) -> Issue:
    values = dict(zip((field.name for field in fields(Issue)), row, strict=True))
    values["state"] = State(str(values["state"]))
    return Issue(**values)  # type: ignore[arg-type]
