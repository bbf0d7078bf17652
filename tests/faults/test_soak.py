"""A long outage, and a soak test with all faults at random."""

from __future__ import annotations

import gc
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from itertools import count, takewhile
from pathlib import Path

from qos_agent.config.settings import Settings
from qos_agent.journal import JournalLimits
from qos_agent.journal.reader import requeue
from qos_agent.system.link_lock import LinkLock
from tests.faults.conftest import FULL, Account, tried
from tests.faults.ledger import check_ledger, ledger
from tests.journal.support import open_journal, point, seqs
from tests.servers.answers import (
    Answer,
    CutRequest,
    Delay,
    Hang,
    Pass,
    Request,
    Reset,
    Unheard,
    portal_page,
    portal_redirect,
    refused,
    throttled,
)
from tests.servers.database import Database
from tests.servers.fixtures import MakeFront
from tests.support.clocks import FakeClock
from tests.uplink.support import make_settings, make_uplink, system_clock, towards

SOAK_S = 300.0 if FULL else 12.0
OUTAGE_MINUTES = 72 * 60
# The full run lasts longer than the default retention; the sample sets 3 hours.
LIMITS = JournalLimits(disk_reserve_bytes=0)
if not FULL:
    LIMITS = replace(LIMITS, keep_s=3 * 3600.0)
READINGS_A_MINUTE = 10 if FULL else 2


def _chaos(chance: random.Random) -> Callable[[Request], Answer]:
    faults: tuple[Answer, ...] = (
        CutRequest(),
        Reset(),
        Unheard(),
        Hang(0.3),
        Delay(0.1),
        refused(500),
        refused(503),
        refused(404),
        refused(401),
        refused(413),
        portal_page(),
        portal_redirect(),
        throttled("0"),
        Delay(0.7, Pass()),
    )
    return lambda _: chance.choice(faults) if chance.random() < 0.5 else Pass()


def _compare(agent: _Agent, database: Database) -> tuple[int, int, int]:
    """Return the number of points that were put, lost and doubled at the server.

    The server must have all points that were put, not only those that are still in the
    journal. Points that left the journal must be in its records of removals.
    """
    put_seqs = range(1, agent.last_seq + 1)
    rows = [row for name in ("latency", "host") for row in database.rows(name)]
    held = Counter((str(row["journal"]), int(row["seq"])) for row in rows)
    wanted = {(agent.journal.id, seq) for seq in put_seqs}
    check_ledger(agent.folder, set(put_seqs) - set(seqs(agent.journal)))
    doubled = sum(held.values()) - len(held) + len(held.keys() - wanted)
    return agent.last_seq, len(wanted - held.keys()), doubled


def _memory_bytes() -> int:
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


class _Agent:
    """Journal and uplink, which are stopped and opened again at random times."""

    def __init__(self, folder: Path, settings: Settings) -> None:
        self.folder, self._settings = folder, settings
        self.last_seq = 0
        self.clock = FakeClock(now_boot_ns=system_clock().boot_ns())
        self.restart()

    def restart(self) -> None:
        """Open journal and uplink again."""
        self.journal = open_journal(self.folder, LIMITS)
        self.stop = threading.Event()
        self.uplink = make_uplink(
            self.journal, self._settings, system_clock(), self.stop, LinkLock()
        )
        self._thread = threading.Thread(target=self.uplink.run, daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Stop normally."""
        self.stop.set()
        self.uplink.wake()
        self._thread.join()
        self.uplink.close()
        self.journal.close()

    def put(self, count: int) -> None:
        """Store points at intervals of a millisecond."""
        points = []
        for _ in range(count):
            self.clock.advance(0.001)
            points.append(point(self.clock.boot_ns()))
        put_seqs = self.journal.put(points, self.clock.state(), self.clock.boot_id)
        assert put_seqs.start == self.last_seq + 1
        self.last_seq += len(put_seqs)
        self.uplink.wake()


def test_soak_in_which_everything_fails(
    tmp_path: Path, influxdb: Database, front: MakeFront, account: Account
) -> None:
    """Bad responses, clock steps and restarts lose and double no point."""
    chance = random.Random()
    between = front()
    between.always(_chaos(chance))
    section = towards(influxdb, between.url) | {"timeout": "500ms"}
    agent = _Agent(tmp_path, make_settings(section, batch=40, backoff="100ms"))
    end, rounds = time.monotonic() + SOAK_S, 0
    start_ns, early_bytes = agent.clock.boot_ns(), 0
    endless = takewhile(lambda _: time.monotonic() < end, count(1))
    for rounds in tried("rounds of the soak", endless, SOAK_S):
        _one_round(agent, chance)
        if rounds == 200:
            early_bytes = _memory_bytes()
        time.sleep(0.003)
    grown_bytes = _memory_bytes() - early_bytes
    hours = (agent.clock.boot_ns() - start_ns) / 3600e9
    print(f"\n  {hours:.0f} h of the agent's time; memory {grown_bytes / 1e6:+.1f} MB")
    assert hours * 3600 > LIMITS.keep_s or not FULL
    agent.clock.trusted = True
    agent.put(1)
    agent.end()
    between.always(Pass())
    agent.restart()
    # A single point rejected as too large is in quarantine until a person requeues it.
    requeue(agent.folder)
    assert agent.uplink.drain(300)
    # After this time some delivered points have expired, with any clock steps.
    agent.clock.advance(LIMITS.keep_s)
    agent.put(1)
    assert agent.uplink.drain(300)
    entries = ledger(tmp_path)
    assert {entry.reason for entry in entries} == {"kept its time"}
    removed = sum(entry.points for entry in entries)
    print(f"  {removed} points expired and left the journal")
    readings, lost, doubled = _compare(agent, influxdb)
    agent.end()
    assert grown_bytes < 24_000_000
    account("soak, everything fails at random", rounds, readings, lost, doubled)


def _one_round(agent: _Agent, chance: random.Random) -> None:
    agent.put(chance.randint(1, 6))
    match chance.randrange(120):
        case 0:
            agent.end()
            agent.restart()
        case 1:
            agent.clock.step(chance.choice((3600, -3600, 0.5, -0.5, 1e-6)))
        case 2 | 3:
            agent.clock.trusted = not agent.clock.trusted
        case 4:
            agent.clock.advance(chance.choice((300, 6 * 3600, 86400)))


def test_outage_of_days_in_compressed_time(
    quick_disk: Path, influxdb: Database, front: MakeFront, account: Account
) -> None:
    """After days without network, fresh points are sent before the backlog."""
    between = front()
    between.stop()
    settings = make_settings(towards(influxdb, between.url), backoff="300ms")
    agent = _Agent(quick_disk, settings)
    for _ in tried("minutes without network", range(OUTAGE_MINUTES)):
        agent.clock.advance(60)
        agent.put(READINGS_A_MINUTE)
    backlog = OUTAGE_MINUTES * READINGS_A_MINUTE
    assert agent.journal.counts().undelivered["collector"] == backlog
    between.start()
    started, delays_s = time.monotonic(), []
    while agent.journal.counts().undelivered["collector"] > 5:
        agent.clock.advance(1)
        agent.put(1)
        put_at = time.monotonic()
        newest = agent.journal.counts().points
        _await_ack(influxdb, newest)
        delays_s.append(time.monotonic() - put_at)
    took_s = time.monotonic() - started
    agent.uplink.drain(120)
    readings, lost, doubled = _compare(agent, influxdb)
    agent.end()
    print(
        f"\n  drained {backlog / took_s:.0f} points/s through a front;"
        f" fresh points delayed by at most {max(delays_s):.2f} s"
    )
    assert max(delays_s) < 15
    name = f"72 h without network, {READINGS_A_MINUTE} a minute"
    account(name, 1, readings, lost, doubled)


def _await_ack(database: Database, seq: int, limit_s: float = 15.0) -> None:
    end = time.monotonic() + limit_s
    query = f"SELECT COUNT(seq) FROM latency WHERE seq = {seq}"
    while not database.query(query):
        assert time.monotonic() < end, "the fresh point did not arrive"
        time.sleep(0.02)
