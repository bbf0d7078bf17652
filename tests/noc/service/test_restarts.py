"""Stopped at any moment and started again, no minute is missing or doubled."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from random import Random
from typing import Any

import pytest

from qos_agent.influx.query import Server
from qos_agent.influx.writer import Writer
from qos_agent.noc.service.service import Service
from qos_agent.noc.settings import NocSettings
from qos_agent.noc.state import State
from tests.noc import nation
from tests.noc.nation import MINUTE_NS, START_NS
from tests.noc.simulation import PASSES, Simulation, do_pending, service
from tests.servers.database import Database

ROOT = Path(__file__).parents[3]


class KilledError(BaseException):
    """Stands for a signal that ends the process; no handler catches it."""


def kill_at(
    monkeypatch: pytest.MonkeyPatch, owner: type, name: str, nth: int, after: bool
) -> None:
    """Let the nth call of a method raise KilledError, before or after its work."""
    real, calls = getattr(owner, name), iter(range(1, 10**9))

    def call(self: Any, *args: Any, **named: Any) -> Any:
        last = next(calls) == nth
        if last and not after:
            raise KilledError
        result = real(self, *args, **named)
        if last:
            raise KilledError
        return result

    monkeypatch.setattr(owner, name, call)


def until_killed(census: Service, at_ns: int) -> None:
    """Repeat a minute's work; one minute makes few calls of some methods."""
    for _ in range(9):
        do_pending(census, census.minute(at_ns))


@pytest.mark.parametrize("skipped", [0, 2])
@pytest.mark.parametrize("nth", [1, 2, 4])
@pytest.mark.parametrize(
    ("owner", "name", "after"),
    [
        pytest.param(Writer, "write", False, id="before a write"),
        pytest.param(Writer, "write", True, id="written, not recorded"),
        pytest.param(State, "set_mark", True, id="recorded"),
        pytest.param(Server, "select", False, id="before a query"),
        pytest.param(State, "since_ns", True, id="within an area"),
    ],
)
def test_nothing_is_lost_after_a_kill_at_each_step(
    influxdb: Database,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    owner: type,
    name: str,
    after: bool,
    nth: int,
    skipped: int,
) -> None:
    """Killed in the third minute, it starts in the same one or two minutes later."""
    rollup = influxdb.fresh()
    simulation = Simulation(tmp_path, influxdb, rollup, stations=6, minutes=7)
    shard = {**influxdb.section, "provinces": ["31"]}
    settings = nation.settings(
        influxdb, rollup, tmp_path, rollups=PASSES, collectors=[shard]
    )
    census, ends = service(settings), []
    for minute, at_ns in enumerate(simulation.minutes(), start=1):
        ends.append(at_ns)
        if minute == 3:
            with monkeypatch.context() as patch:
                kill_at(patch, owner, name, nth, after)
                with pytest.raises(KilledError):
                    until_killed(census, at_ns)
            census = service(settings)
        if minute < 3 or minute >= 3 + skipped:
            do_pending(census, census.minute(at_ns))
    do_pending(census, census.minute(at_ns + 5 * MINUTE_NS))
    simulation.assert_complete(ends)
    census.close()


def test_nothing_is_lost_after_sigkill(influxdb: Database, tmp_path: Path) -> None:
    """A real process is killed at random moments, five times in twelve minutes."""
    rollup = influxdb.fresh()
    simulation = Simulation(tmp_path, influxdb, rollup, stations=6, minutes=12)
    ends = list(simulation.minutes())
    shard = {**influxdb.section, "provinces": ["31"]}
    table = {
        "folder": str(tmp_path),
        "collectors": [shard],
        "rollups": PASSES,
        "rollup": rollup.section,
        "election": {"calendar": "2024-02-14"},
    }
    path = tmp_path / "settings.json"
    path.write_text(json.dumps(table))
    rng, minute = Random(7), 1
    for kill in range(6):
        module = "tests.noc.service.census_child"
        arguments = [str(path), str(minute), str(len(ends) + 1)]
        command = [sys.executable, "-m", module, *arguments]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as child:
            assert child.stdout is not None
            last = kill == 5
            kill_minute = len(ends) if last else max(2, minute + rng.randrange(2))
            for line in child.stdout:
                minute = int(line)
                if minute >= kill_minute and not last:
                    # The kill hits a random moment of that minute's work.
                    with pytest.raises(subprocess.TimeoutExpired):
                        child.wait(rng.uniform(0.0, 0.05))
                    child.kill()
                    break
        assert child.returncode == (0 if last else -signal.SIGKILL)
        minute += rng.randrange(2)
    census = service(NocSettings.model_validate(table))
    do_pending(census, census.minute(START_NS + (len(ends) + 5) * MINUTE_NS))
    simulation.assert_complete(ends)
    census.close()
