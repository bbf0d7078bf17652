"""Outages and a soak in which everything fails at random."""

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
)  # fmt: skip
from tests.servers.database import Database
from tests.servers.fixtures import MakeFront
from tests.support.clocks import FakeClock
from tests.uplink.support import make_settings, make_uplink, system_clock, towards

SOAK_S = 300.0 if FULL else 12.0
OUTAGE_MINUTES = 72 * 60
# In full the product's own time, which the soak outlasts; sampled, a part of a day.
LIMITS = JournalLimits(disk_reserve_bytes=0)
if not FULL:
    LIMITS = replace(LIMITS, keep_s=3 * 3600.0)
READINGS_A_MINUTE = 10 if FULL else 2


def _chaos(chance: random.Random) -> Callable[[Request], Answer]:
    faults: tuple[Answer, ...] = (
        CutRequest(), Reset(), Unheard(), Hang(0.3), Delay(0.1), refused(500),
        refused(503), refused(404), refused(401), refused(413), portal_page(),
        portal_redirect(), throttled("0"), Delay(0.7, Pass()),
    )  # fmt: skip
    return lambda _: chance.choice(faults) if chance.random() < 0.5 else Pass()


def _compare(agent: _Agent, database: Database) -> tuple[int, int, int]:
    """Points given, and of them lost and doubled at the server.

    The server is held to what was given, not to what is still in the journal; what
    left the journal is held to the journal's own account of it.
    """
    given = range(1, agent.given + 1)
    rows = [row for name in ("latency", "host") for row in database.rows(name)]
    held = Counter((str(row["journal"]), int(row["seq"])) for row in rows)
    wanted = {(agent.journal.id, seq) for seq in given}
    check_ledger(agent.folder, set(given) - set(seqs(agent.journal)))
    doubled = sum(held.values()) - len(held) + len(held.keys() - wanted)
    return agent.given, len(wanted - held.keys()), doubled


def _memory_bytes() -> int:
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


class _Agent:
    """Journal and uplink that are stopped and opened again at random moments."""

    def __init__(self, folder: Path, settings: Settings) -> None:
        self.folder, self._settings = folder, settings
        self.given = 0
        self.clock = FakeClock(now_boot_ns=system_clock().boot_ns())
        self.restart()

    def restart(self) -> None:
        """As after a stop."""
        self.journal = open_journal(self.folder, LIMITS)
        self.stop = threading.Event()
        self.uplink = make_uplink(
            self.journal, self._settings, system_clock(), self.stop, LinkLock()
        )
        self._thread = threading.Thread(target=self.uplink.run, daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Stop in order."""
        self.stop.set()
        self.uplink.wake()
        self._thread.join()
        self.uplink.close()
        self.journal.close()

    def put(self, count: int) -> None:
        """Store points a little apart."""
        points = []
        for _ in range(count):
            self.clock.advance(0.001)
            points.append(point(self.clock.boot_ns()))
        given = self.journal.put(points, self.clock.state(), self.clock.boot_id)
        assert given.start == self.given + 1
        self.given += len(given)
        self.uplink.wake()


def test_soak_in_which_everything_fails(
    tmp_path: Path, influxdb: Database, front: MakeFront, account: Account
) -> None:
    """Bad answers, clock steps, lost trust, restarts: nothing lost, nothing doubled."""
    chance = random.Random()
    through = front()
    through.always(_chaos(chance))
    section = towards(influxdb, through.url) | {"timeout": "500ms"}
    agent = _Agent(tmp_path, make_settings(section, batch=40, backoff="100ms"))
    end, rounds = time.monotonic() + SOAK_S, 0
    began_ns, early_bytes = agent.clock.boot_ns(), 0
    endless = takewhile(lambda _: time.monotonic() < end, count(1))
    for rounds in tried("rounds of the soak", endless, SOAK_S):
        _one_round(agent, chance)
        if rounds == 200:
            early_bytes = _memory_bytes()
        time.sleep(0.003)
    grown_bytes = _memory_bytes() - early_bytes
    hours = (agent.clock.boot_ns() - began_ns) / 3600e9
    print(f"\n  {hours:.0f} h of the agent's time; memory {grown_bytes / 1e6:+.1f} MB")
    assert hours * 3600 > LIMITS.keep_s or not FULL
    agent.clock.trusted = True
    agent.put(1)
    agent.end()
    through.always(Pass())
    agent.restart()
    # A single point refused as too large was set aside: a person brings it back.
    requeue(agent.folder)
    assert agent.uplink.drain(300)
    # Whatever the leaps were: something delivered has now been kept its time.
    agent.clock.advance(LIMITS.keep_s)
    agent.put(1)
    assert agent.uplink.drain(300)
    entries = ledger(tmp_path)
    assert {entry.reason for entry in entries} == {"kept its time"}
    removed = sum(entry.points for entry in entries)
    print(f"  {removed} points had been kept their time and left the journal")
    given, lost, doubled = _compare(agent, influxdb)
    agent.end()
    assert grown_bytes < 24_000_000
    account("soak, everything fails at random", rounds, given, lost, doubled)


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
    """Days without a network, then the backlog, and live points ahead of it."""
    through = front()
    through.stop()
    settings = make_settings(towards(influxdb, through.url), backoff="300ms")
    agent = _Agent(quick_disk, settings)
    for _ in tried("minutes without network", range(OUTAGE_MINUTES)):
        agent.clock.advance(60)
        agent.put(READINGS_A_MINUTE)
    backlog = OUTAGE_MINUTES * READINGS_A_MINUTE
    assert agent.journal.counts().undelivered["collector"] == backlog
    through.start()
    began, delays_s = time.monotonic(), []
    while agent.journal.counts().undelivered["collector"] > 5:
        agent.clock.advance(1)
        agent.put(1)
        put_at = time.monotonic()
        newest = agent.journal.counts().points
        _await_ack(influxdb, newest)
        delays_s.append(time.monotonic() - put_at)
    took_s = time.monotonic() - began
    agent.uplink.drain(120)
    given, lost, doubled = _compare(agent, influxdb)
    agent.end()
    print(
        f"\n  drained {backlog / took_s:.0f} points/s through a front;"
        f" live delay at most {max(delays_s):.2f} s"
    )
    assert max(delays_s) < 15
    what = f"72 h without network, {READINGS_A_MINUTE} a minute"
    account(what, 1, given, lost, doubled)


def _await_ack(database: Database, seq: int, limit_s: float = 15.0) -> None:
    end = time.monotonic() + limit_s
    query = f"SELECT COUNT(seq) FROM latency WHERE seq = {seq}"
    while not database.query(query):
        assert time.monotonic() < end, "the live point did not come"
        time.sleep(0.02)
