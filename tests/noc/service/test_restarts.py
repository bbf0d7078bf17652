"""Stopped at any moment and started again: no minute is missing, none is double."""

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
from qos_agent.noc.service.loop import work_off
from qos_agent.noc.service.service import Service
from qos_agent.noc.settings import NocSettings
from qos_agent.noc.state import State
from tests.noc import nation
from tests.noc.life import BRIEF, Life, service
from tests.noc.nation import MINUTE_NS, START_NS
from tests.servers.database import Database

ROOT = Path(__file__).parents[3]


class KilledError(BaseException):
    """What no handler catches, as a signal that ends the process."""


def kill_at(
    monkeypatch: pytest.MonkeyPatch, owner: type, name: str, nth: int, after: bool
) -> None:
    """The nth call of a method does not return, done or not."""
    real, calls = getattr(owner, name), iter(range(1, 10**9))

    def call(self: Any, *args: Any, **named: Any) -> Any:
        last = next(calls) == nth
        if last and not after:
            raise KilledError
        found = real(self, *args, **named)
        if last:
            raise KilledError
        return found

    monkeypatch.setattr(owner, name, call)


def until_killed(census: Service, at_ns: int) -> None:
    """A minute's work, again and again: some seams come few times in one."""
    for _ in range(9):
        work_off(census, census.minute(at_ns))


@pytest.mark.parametrize("skipped", [0, 2])
@pytest.mark.parametrize("nth", [1, 2, 4])
@pytest.mark.parametrize(
    ("owner", "name", "after"),
    [
        pytest.param(Writer, "write", False, id="before a write"),
        pytest.param(Writer, "write", True, id="written, not noted"),
        pytest.param(State, "set_mark", True, id="noted"),
        pytest.param(Server, "select", False, id="before a question"),
        pytest.param(State, "since_ns", True, id="within an area"),
    ],
)
def test_killed_at_each_seam(
    influxdb: Database,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    owner: type,
    name: str,
    after: bool,
    nth: int,
    skipped: int,
) -> None:
    """Killed there in the third minute, back in the same or two minutes later."""
    rollup = influxdb.fresh()
    life = Life(tmp_path, influxdb, rollup, stations=6, minutes=7)
    one = {**influxdb.section, "provinces": ["31"]}
    settings = nation.settings(
        influxdb, rollup, tmp_path, rollups=BRIEF, collectors=[one]
    )
    census, ends = service(settings), []
    for minute, at_ns in enumerate(life.minutes(), start=1):
        ends.append(at_ns)
        if minute == 3:
            with monkeypatch.context() as patch:
                kill_at(patch, owner, name, nth, after)
                with pytest.raises(KilledError):
                    until_killed(census, at_ns)
            census = service(settings)
        if minute < 3 or minute >= 3 + skipped:
            work_off(census, census.minute(at_ns))
    work_off(census, census.minute(at_ns + 5 * MINUTE_NS))
    life.assert_whole(ends)
    census.close()


def test_killed_by_the_kernel(influxdb: Database, tmp_path: Path) -> None:
    """SIGKILL at random moments of a real process, five times in twelve minutes."""
    rollup = influxdb.fresh()
    life = Life(tmp_path, influxdb, rollup, stations=6, minutes=12)
    ends = list(life.minutes())
    one = {**influxdb.section, "provinces": ["31"]}
    table = {
        "folder": str(tmp_path), "collectors": [one], "rollups": BRIEF,
        "rollup": rollup.section,
        "election": {"calendar": "2024-02-14"},
    }  # fmt: skip
    path = tmp_path / "settings.json"
    path.write_text(json.dumps(table))
    rng, minute = Random(7), 1
    for kill in range(6):
        command = [sys.executable, "-m", "tests.noc.service.census_child", str(path),
                   str(minute), str(len(ends) + 1)]  # fmt: skip
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as child:
            assert child.stdout is not None
            last = kill == 5
            wanted = len(ends) if last else max(2, minute + rng.randrange(2))
            for line in child.stdout:
                minute = int(line)
                if minute >= wanted and not last:
                    # At a random moment of that minute's work.
                    with pytest.raises(subprocess.TimeoutExpired):
                        child.wait(rng.uniform(0.0, 0.05))
                    child.kill()
                    break
        assert child.returncode == (0 if last else -signal.SIGKILL)
        minute += rng.randrange(2)
    census = service(NocSettings.model_validate(table))
    work_off(census, census.minute(START_NS + (len(ends) + 5) * MINUTE_NS))
    life.assert_whole(ends)
    census.close()
