"""kill -9 at random times: every committed point reaches a real server once."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from qos_agent.evidence.merkle import CompactRange, leaf_hash
from tests.faults.conftest import FULL, Account, tried
from tests.journal.support import open_journal
from tests.servers.database import Database

KILLS = 300 if FULL else 10
LIMIT_S = 480.0
WORKER = [sys.executable, "-m", "tests.faults.worker"]


def _run_until_killed(arguments: list[str], life_s: float) -> list[tuple[str, int]]:
    """Kill a worker some time after its first commit; return the commits it printed."""
    with subprocess.Popen([*WORKER, *arguments], stdout=subprocess.PIPE) as worker:
        assert worker.stdout is not None
        first = worker.stdout.readline()
        time.sleep(life_s)
        worker.kill()
        output = first + worker.stdout.read()
    # The last line may be cut. Its commit was not printed completely.
    lines = output.decode().split("\n")[:-1]
    return [
        (name, int(seq)) for name, _, seq in (line.partition(" ") for line in lines)
    ]


def test_kill_at_any_moment(
    tmp_path: Path, influxdb: Database, account: Account
) -> None:
    """The kill may come during a put, a claim, a request or a settle."""
    arguments = [str(tmp_path / "journal"), influxdb.url, influxdb.database]
    chance = random.Random()
    committed: set[tuple[str, int]] = set()
    kills = 0
    for _ in tried("kills", range(KILLS), LIMIT_S):
        kills += 1
        printed = _run_until_killed(arguments, chance.uniform(0.0, 0.4))
        assert printed, "the worker ended before its first commit"
        committed |= set(printed)
    ended = subprocess.run([*WORKER, *arguments, "300"], check=False)
    assert ended.returncode == 0, "not all was delivered in five minutes"
    journal = open_journal(tmp_path / "journal")
    stored = {(journal.id, seq) for seq, _ in journal.lines()}
    leaves = [leaf_hash(line) for _, line in journal.lines()]
    assert journal.tree().root() == CompactRange().extended(leaves).root()
    journal.close()
    rows = influxdb.rows("latency")
    held = Counter((str(row["journal"]), int(row["seq"])) for row in rows)
    assert committed <= stored
    assert sorted(seq for _, seq in stored) == list(range(1, len(stored) + 1))
    account(
        "kill -9 while storing and sending",
        kills,
        len(stored),
        len(stored - held.keys()),
        sum(held.values()) - len(held) + len(held.keys() - stored),
    )
