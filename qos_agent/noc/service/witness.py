"""The witness service: reads arriving seals, checks them, reports, and builds roots.

It is a service of its own and no job of the census. It has the centre's private key,
which the census does not need, and neither of the two must stop the other. Another
institution runs only this one.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from qos_agent.config.calendar_file import named
from qos_agent.config.places import provinces
from qos_agent.evidence import keys
from qos_agent.evidence.library import fastest_signer
from qos_agent.evidence.notes import (
    NOTE_MAX_BYTES,
    parse_verifier_key,
    verifier_key,
)
from qos_agent.evidence.signer import PublicKey, Signer
from qos_agent.influx.query import Server
from qos_agent.influx.writer import Writer
from qos_agent.model import Phase
from qos_agent.model.errors import OperatorError, QosAgentError
from qos_agent.noc.census.voting_window import VotingWindow
from qos_agent.noc.register.keys import KeyRegister
from qos_agent.noc.service.watchdog import Watchdog
from qos_agent.noc.settings import NocSettings
from qos_agent.noc.witness import audit, checking, reading, root, timestamps
from qos_agent.noc.witness.checking import Checker, Tally
from qos_agent.noc.witness.events import Counts, count_lines, event_lines
from qos_agent.noc.witness.records import Problem
from qos_agent.noc.witness.schedule import root_due_s
from qos_agent.noc.witness.store import WitnessStore
from qos_agent.system.files import read_bytes, write_atomically
from qos_agent.system.supervision import Supervisor

_log = logging.getLogger(__name__)

DATABASE, CREDENTIAL = "witness.sqlite3", "witness-key"
KEY_NAME, PUBLIC_NAME = "witness-key.pem", "witness-key.pub"
_SECOND_NS = 10**9
_QUERY_TIMEOUT_S = 60.0
PASS_S = 60.0
# Points arrive within this time after they are committed, if there is no outage.
_OVERLAP_NS = 120 * _SECOND_NS
# A hand-over arrives with the first seal of the journal, or soon after it.
_GRACE_NS = 900 * _SECOND_NS
_EVALUATE_NS = 300 * _SECOND_NS
_RECENT_NS = 3600 * _SECOND_NS
# Devices seal each hour before the day of voting.
_AUDITED_NS = 2 * 3600 * _SECOND_NS
_EVENTS_A_PASS = 20_000
_SERIOUS = (
    checking.INVALID,
    checking.UNKNOWN_KEY,
    checking.INCONSISTENT,
    checking.FORKED,
    checking.TWO_JOURNALS,
    audit.FOREIGN,
)


@dataclass(slots=True)
class PassReport:
    """The result of one pass, for the log and for `--once`."""

    tally: Tally = field(default_factory=Tally)
    failed: dict[str, str] = field(default_factory=dict)
    root: str = ""

    def __str__(self) -> str:
        """Return one line."""
        t = self.tally
        figures = (
            f"{t.cosigned} cosigned, {t.known} known, {t.waiting} waiting, "
            f"{t.handovers} hand-overs, {t.problems} problems"
        )
        reasons = dict.fromkeys(self.failed.values())
        return "; ".join([figures, *([self.root] if self.root else []), *reasons])


class WitnessService:
    """The servers, the register's keys and the database of the witness."""

    def __init__(self, settings: NocSettings) -> None:
        self.settings = settings
        self.signer = load_signer(settings.folder)
        write_public_key(settings.folder, settings.witness.name, self.signer)
        self.supervisor = Supervisor()
        self.watchdog = Watchdog(self.supervisor)
        feed = self.watchdog.feed
        self._servers = {
            shard: Server(shard, max(_QUERY_TIMEOUT_S, shard.timeout), feed)
            for shard in settings.collectors
        }
        self.servers = {
            province: self._servers[shard]
            for province in provinces()
            if (shard := settings.shard_of(province)) is not None
        }
        has_database = settings.rollup.url is not None
        self._writer = Writer(settings.rollup, alive=feed) if has_database else None
        self._voting = VotingWindow(named(settings.election.calendar))
        self._keys = KeyRegister(settings.folder / "register.sqlite3")
        self.store = WitnessStore(settings.folder / DATABASE)
        name = settings.witness.name
        self._checker = Checker(self.store, self._keys, self.signer, name)

    def close(self) -> None:
        """Close connections and files."""
        for server in self._servers.values():
            server.close()
        if self._writer is not None:
            self._writer.close()
        self._keys.close()
        self.store.close()

    def do_pass(self, now_ns: int) -> PassReport:
        """Check all seals that have arrived, report, and build a root if one is due."""
        report = PassReport()
        for server in self._servers.values():
            server.wake()
        if self._writer is not None:
            self._writer.wake()
        for province in self.servers:
            self._try(report, province, partial(self._read, province, now_ns, report))
        if self._is_due("evaluated", now_ns, _EVALUATE_NS):
            self._try(report, "gaps", partial(self._fill_gaps, now_ns, report))
            self._try(report, "audit", partial(self._audit, now_ns))
            self._try(report, "state", partial(self._evaluate, now_ns))
        self._try(report, "events", partial(self._write_events, now_ns))
        self._try(report, "root", partial(self._build_root, now_ns, report))
        return report

    def _try(self, report: PassReport, part: str, action: partial[None]) -> None:
        """Run a part; its error is reported and does not stop the other parts."""
        error = self.supervisor.call(f"witness {part}", action)
        if isinstance(error, QosAgentError | OSError):
            report.failed[part] = str(error)
        elif error is not None:
            report.failed[part] = f"internal error (bug): {error!r}"

    def _is_due(self, name: str, now_ns: int, every_ns: int) -> bool:
        last_ns = self.store.mark(name)
        if last_ns is not None and 0 <= now_ns - last_ns < every_ns:
            return False
        self.store.set_mark(name, now_ns)
        return True

    def _read(self, province: str, now_ns: int, report: PassReport) -> None:
        """Read and check the seals of a province since its last pass."""
        earliest_ns = now_ns - int(self.settings.witness.catch_up * 1e9)
        last_ns = self.store.mark(f"read/{province}")
        start_ns = earliest_ns
        # After the clock was set back, the last pass is in the future.
        if last_ns is not None and last_ns <= now_ns:
            start_ns = last_ns - _OVERLAP_NS
        server = self.servers[province]
        at_ns, window_ns = start_ns, reading.FIRST_WINDOW_NS
        while at_ns < now_ns:
            span = (at_ns, min(now_ns, at_ns + window_ns))
            arrived = list(reading.seals_of(server, province, span))
            _add(report.tally, self._checker.check(arrived, now_ns))
            at_ns = span[1]
            self.store.set_mark(f"read/{province}", at_ns)
            window_ns = reading.next_window(window_ns, len(arrived))
            self.watchdog.feed()

    def _fill_gaps(self, now_ns: int, report: PassReport) -> None:
        """Look for the seals that others wait for, by the names of their stations."""
        by_server: dict[Server, list[tuple[str, int, int]]] = {}
        for seal, last_ns in self.store.gaps(now_ns):
            server = self.servers.get(seal.regency[:2])
            if server is not None:
                gap = (seal.station, last_ns, seal.at_ns)
                by_server.setdefault(server, []).append(gap)
        for server, gaps in by_server.items():
            stations = sorted({station for station, _, _ in gaps})
            span = min(start for _, start, _ in gaps), max(end for *_, end in gaps)
            arrived = reading.seals_of_stations(server, stations, span)
            _add(report.tally, self._checker.check(arrived, now_ns))

    def _audit(self, now_ns: int) -> None:
        """Compare the points of random stations with their seals. Raises QueryError."""
        count = self.settings.witness.audit
        for journal in self.store.sample(now_ns - _AUDITED_NS, count):
            server = self.servers.get(journal.regency[:2])
            pair = self.store.newest_pair(journal.id)
            if server is None or pair is None:
                continue
            known = [one.origin for one in self.store.journals(journal.station)]
            text = audit.foreign_points(server, journal, pair, known)
            if text:
                subject = f"{journal.origin} {pair[1].checkpoint.size}"
                place = journal.station, journal.regency, pair[1].at_ns
                found = Problem(audit.FOREIGN, subject, *place, text)
                self.store.add_problem(found, now_ns)
            self.watchdog.feed()

    def _evaluate(self, now_ns: int) -> None:
        """Record missing and late seals and unexplained journals; write the counts."""
        witness = self.settings.witness
        before_ns = min(self.store.mark("journals") or 0, now_ns - _GRACE_NS)
        with self.store.transaction():
            checking.find_missing(self.store, now_ns, witness.missing)
            until_ns = now_ns - _GRACE_NS
            checking.find_two_journals(self.store, before_ns, until_ns)
            self.store.set_mark("journals", until_ns)
            counts = self._find_late(now_ns)
        for name, kinds in (("missing", (checking.MISSING,)), ("problems", _SERIOUS)):
            since_ns = 0 if name == "missing" else now_ns - _RECENT_NS
            for regency, number in self.store.stations_with(kinds, since_ns):
                setattr(counts.setdefault(regency, Counts()), name, number)
        if self._writer is not None:
            at_ns = now_ns // _SECOND_NS * _SECOND_NS
            self._writer.write(list(count_lines(counts, at_ns)))

    def _find_late(self, now_ns: int) -> dict[str, Counts]:
        """Record the stations whose newest seal is too old; count all by regency."""
        counts: dict[str, Counts] = {}
        for station, regency, last_ns in list(self.store.newest_by_station()):
            count = counts.setdefault(regency, Counts())
            count.stations += 1
            if now_ns - last_ns <= self._late_ns(regency, now_ns):
                continue
            if self._keys.at(station, now_ns // _SECOND_NS) is None:
                continue
            count.late += 1
            age_min = (now_ns - last_ns) // (60 * _SECOND_NS)
            text = f"the newest seal is {age_min} minutes old"
            late = Problem(checking.LATE, station, station, regency, last_ns, text)
            self.store.add_problem(late, now_ns)
        return counts

    def _late_ns(self, regency: str, now_ns: int) -> int:
        witness = self.settings.witness
        phase = self._voting.phase(regency, now_ns)
        is_fast = phase in {Phase.VOTING, Phase.COUNTING}
        return int((witness.late if is_fast else witness.late_otherwise) * 1e9)

    def _write_events(self, now_ns: int) -> None:
        """Write the events that are not written yet. Raises WriteError."""
        problems = self.store.problems("written = 0")[:_EVENTS_A_PASS]
        if not problems:
            return
        if self._writer is not None:
            phases = (self._voting.phase(p.regency, now_ns) for p in problems)
            self._writer.write(event_lines(zip(problems, phases, strict=True)))
        with self.store.transaction():
            self.store.set_written(problems)

    def _build_root(self, now_ns: int, report: PassReport) -> None:
        """Build the national root if one is due, and have it timestamped."""
        newest = root.newest(self.store)
        now_s = now_ns // _SECOND_NS
        due_s = root_due_s(self._voting, now_s)
        if newest is not None and due_s <= newest.at_s <= now_s:
            return
        if not self.store.last_seal_id():
            return
        witness = self.settings.witness
        with self.store.transaction():
            built = root.build(self.store, witness.name, self.signer, now_s)
        path = root.publish(built, self.settings.folder)
        report.root = f"root of {built.checkpoint.size - 1} journals"
        if witness.timestamp_url is not None and witness.timestamp_ca_file is not None:
            url = str(witness.timestamp_url)
            timestamps.obtain(path, url, witness.timestamp_ca_file)


def run(service: WitnessService, stop: threading.Event) -> None:
    """Work until `stop` is set, with a pass each minute."""
    service.watchdog.ready()
    while not stop.is_set():
        began_s = time.monotonic()
        service.watchdog.feed()
        _log.info("witness: %s", service.do_pass(time.time_ns()))
        stop.wait(max(0.0, PASS_S - (time.monotonic() - began_s)))


def key_path(folder: Path) -> Path:
    """Return the path of the centre's key: a credential of systemd, or its file."""
    credentials = os.environ.get("CREDENTIALS_DIRECTORY")
    if credentials and (path := Path(credentials) / CREDENTIAL).exists():
        return path
    return folder / KEY_NAME


def load_signer(folder: Path) -> Signer:
    """Return the signer of the centre. Raises OperatorError, SigningError."""
    path = key_path(folder)
    signer = fastest_signer(path)
    if signer is None:
        fix = "qos-agent noc witness key --create"
        raise OperatorError(f"{path}: there is no key of the witness. Fix: {fix}.")
    return signer


def create_key(folder: Path, name: str) -> Signer:
    """Create the centre's key. Raises OperatorError if there is one."""
    signer = keys.create_key(folder / KEY_NAME)
    write_public_key(folder, name, signer)
    return signer


def write_public_key(folder: Path, name: str, signer: Signer) -> None:
    """Write the public key to a file: the private one may be out of reach later."""
    text = f"{verifier_key(name, signer.public_key.raw)}\n"
    if (folder / PUBLIC_NAME).exists() and text == _public_text(folder):
        return
    write_atomically(folder / PUBLIC_NAME, text)


def load_public_key(folder: Path) -> PublicKey:
    """Return the public key of the centre. Raises OperatorError if there is none."""
    if not (folder / PUBLIC_NAME).exists():
        return load_signer(folder).public_key
    try:
        return PublicKey(parse_verifier_key(_public_text(folder).strip())[1])
    except ValueError as error:
        problem = f"{folder / PUBLIC_NAME}: {error}"
        fix = "remove the file and restart the witness"
        raise OperatorError(f"{problem}. Fix: {fix}.") from error


def _public_text(folder: Path) -> str:
    content = read_bytes(folder / PUBLIC_NAME, NOTE_MAX_BYTES)
    return content.decode("utf-8", "replace")


def _add(total: Tally, part: Tally) -> None:
    for name in Tally.__slots__:
        setattr(total, name, getattr(total, name) + getattr(part, name))
