"""The loop of the census service: the work of a minute, then what remains."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from qos_agent.config.places import provinces
from qos_agent.noc.service.baseline_job import BaselineJob
from qos_agent.noc.service.census_job import CensusJob
from qos_agent.noc.service.loop import run
from qos_agent.noc.service.report import Priority, Report, Step
from qos_agent.noc.service.rollup_job import RollupJob
from qos_agent.noc.service.watchdog import Watchdog
from qos_agent.noc.settings import NocSettings
from qos_agent.system.supervision import Supervisor
from tests.noc import nation
from tests.noc.commands import centre
from tests.noc.nation import MINUTE_NS, START_NS
from tests.noc.simulation import do_pending, service
from tests.servers.database import Database

SECOND_NS = 10**9
BEGAN_NS = START_NS + 17 * SECOND_NS


class Waits(threading.Event):
    """An event whose waits return at once and advance a simulated clock."""

    def __init__(self) -> None:
        super().__init__()
        self.now_ns = BEGAN_NS

    def wait(self, timeout: float | None = None) -> bool:
        self.now_ns += int((timeout or 0.0) * 1e9)
        return self.is_set()


@dataclass
class SimulatedService:
    """A service whose minutes and pending steps take a known time."""

    stop: Waits
    minutes: int
    load: float = 0.5
    minute_s: float = 4.0
    step_s: float = 2.0
    pending_steps: int = 10**6
    began: list[int] = field(default_factory=list)
    steps: list[int] = field(default_factory=list)
    watchdog: Watchdog = field(default_factory=lambda: Watchdog(Supervisor()))

    @property
    def settings(self) -> NocSettings:
        return NocSettings.model_validate({"rollups": {"load": self.load}})

    def warnings(self) -> Iterator[str]:
        yield "raise the retention"

    def minute(self, at_ns: int) -> Report:
        self.began.append(at_ns)
        self.stop.now_ns += int(self.minute_s * 1e9)
        if len(self.began) == self.minutes:
            self.stop.set()
        return Report(at_ns)

    def pending(self, report: Report) -> Iterator[float]:
        report.pending_failed["31"] = "no answer"
        for _ in range(self.pending_steps):
            self.steps.append(self.stop.now_ns)
            self.stop.now_ns += int(self.step_s * 1e9)
            yield self.step_s


@pytest.fixture
def stop(monkeypatch: pytest.MonkeyPatch) -> Waits:
    """Return the event of the loop, whose clock the loop uses."""
    waits = Waits()
    clock = SimpleNamespace(time_ns=lambda: waits.now_ns)
    monkeypatch.setattr("qos_agent.noc.service.loop.time", clock)
    return waits


def ran(**options: Any) -> SimulatedService:
    """Run the loop until its last minute."""
    simulated = SimulatedService(**options)
    run(simulated, simulated.stop)  # type: ignore[arg-type]
    return simulated


@pytest.mark.parametrize("pending_steps", [0, 10**6])
def test_each_minute_starts_when_the_one_before_has_ended(
    stop: Waits, pending_steps: int
) -> None:
    """The first starts at once, the others on the whole minute."""
    simulated = ran(stop=stop, minutes=4, pending_steps=pending_steps)
    whole = [START_NS + n * MINUTE_NS for n in range(1, 4)]
    assert simulated.began[0] == BEGAN_NS
    late = [at - due for at, due in zip(simulated.began[1:], whole, strict=True)]
    assert all(0 <= ns <= 4 * SECOND_NS for ns in late), late


@pytest.mark.parametrize("load", [0.1, 0.25, 0.5, 1.0])
def test_pending_work_takes_its_share_of_the_minute(stop: Waits, load: float) -> None:
    """After a step of two seconds comes a pause; none starts in the next minute."""
    simulated = ran(stop=stop, minutes=2, load=load)
    first, second = simulated.began
    starts = [at for at in simulated.steps if at < second]
    gaps = {after - at for at, after in pairwise(starts)}
    assert gaps <= {int(2 / load) * SECOND_NS}
    left_s = 60 - 17 - simulated.minute_s
    assert len(starts) == pytest.approx(left_s * load / 2, abs=1)
    assert all(first < at < START_NS + MINUTE_NS for at in starts)


def test_nothing_more_starts_after_a_stop(stop: Waits) -> None:
    """The running step ends, and no other starts."""
    assert len(ran(stop=stop, minutes=1).steps) == 1


def test_warnings_and_errors_are_logged(
    stop: Waits, caplog: pytest.LogCaptureFixture
) -> None:
    """Warnings are logged once, figures and errors of remaining work each minute."""
    with caplog.at_level(logging.INFO):
        ran(stop=stop, minutes=2)
    log = [(record.levelname, record.getMessage()) for record in caplog.records]
    assert log.count(("WARNING", "census: raise the retention")) == 1
    error = "census: remaining work: provinces 31 failed: no answer"
    assert log.count(("WARNING", error)) == 2
    figures = [message for level, message in log if level == "INFO"]
    assert len(figures) == 2
    assert all("census 0.00 s, roll-ups 0.00 s" in message for message in figures)


@pytest.mark.parametrize("minutes", [4, 10, 11, 13, 24])
def test_the_lag_is_reported_and_ends_after_catching_up(
    influxdb: Database, tmp_path: Path, minutes: int
) -> None:
    """Minutes without sums are reported, and the lag stays 0 after they are there."""
    nation.register_stations(tmp_path, {"3171010001001": [("main", "xl", "")]})
    rollup, name = influxdb.fresh(), f"{influxdb.database}_later"
    raw = {**influxdb.section, "bucket": name, "provinces": ["31"]}
    settings = nation.settings(
        influxdb, rollup, tmp_path, collectors=[raw], rollups={"back": "1m"}
    )
    census = service(settings)
    first = census.minute(START_NS)
    assert (first.behind_s, bool(first.failed)) == (0.0, True)
    later = census.minute(START_NS + (minutes - 1) * MINUTE_NS)
    assert later.behind_s == 60.0 * (minutes - 1)
    assert f", behind {minutes - 1}m, " in str(later)
    created = influxdb.create_database(name)
    for minute in range(minutes, minutes + 3):
        do_pending(census, census.minute(START_NS + minute * MINUTE_NS))
    heartbeats = rollup.query("SELECT behind_s FROM pipeline")
    lags = [0, minutes - 1, minutes, 0, 0]
    assert [row["behind_s"] for row in heartbeats] == [60.0 * n for n in lags]
    created.drop()
    census.close()


def test_provinces_without_a_collector_are_reported(
    influxdb: Database, tmp_path: Path
) -> None:
    """One warning has all of them."""
    census = service(nation.settings(influxdb, influxdb.fresh(), tmp_path))
    (warning,) = (line for line in census.warnings() if line.startswith("provinces"))
    named = warning.removeprefix("provinces without a collector: ")
    codes = named.partition(";")[0].split(", ")
    assert codes == sorted(set(provinces()) - {"31", "94"})
    assert warning.endswith("; add them to `provinces` of one")
    census.close()


def test_a_register_without_stations_is_reported(
    influxdb: Database, tmp_path: Path
) -> None:
    """Without expected stations no station is silent, which looks like good news."""
    census = service(nation.settings(influxdb, influxdb, tmp_path))
    text = "the register has no station now; run: qos-agent noc register import"
    assert [text in line for line in census.warnings()].count(True) == 1
    nation.register_stations(tmp_path, {"3171010001001": [("main", "xl", "")]})
    assert not any(text in line for line in census.warnings())
    census.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_the_service_as_a_command(
    influxdb: Database, tmp_path: Path, number: signal.Signals
) -> None:
    """It logs the figures of its first minute, and a signal ends it with status 0."""
    raw = {**influxdb.section, "provinces": ["31"]}
    child = centre(tmp_path, [raw], influxdb.fresh().section).start("census")
    assert child.stderr is not None
    lines = iter(child.stderr.readline, "")
    figures = next(line for line in lines if line.startswith("INFO"))
    assert "census " in figures
    assert "behind 0" in figures
    child.send_signal(number)
    child.communicate(timeout=30)
    assert child.returncode == 0


@pytest.mark.parametrize(("bucket", "status"), [("", 0), ("nowhere", 1)])
def test_one_minute_as_a_command(
    influxdb: Database, tmp_path: Path, bucket: str, status: int
) -> None:
    """`--once` prints the figures of a minute, and ends with status 1 after errors."""
    raw = {**influxdb.section, "provinces": ["31"]}
    raw |= {"bucket": bucket} if bucket else {}
    done = centre(tmp_path, [raw], influxdb.fresh().section).run("census", "--once")
    assert done.returncode == status
    (line,) = done.stdout.splitlines()
    assert ("create the bucket" in line) == bool(status)


def test_a_minute_that_raises_ends_no_service(
    stop: Waits, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After an unexpected exception the next minute is worked on as usual."""
    minute, failures = SimulatedService.minute, ["minute", "pending"]

    def fail_once(simulated: SimulatedService, at_ns: int) -> Report:
        report = minute(simulated, at_ns)
        if failures:
            raise RecursionError(failures.pop())
        return report

    monkeypatch.setattr(SimulatedService, "minute", fail_once)
    simulated = ran(stop=stop, minutes=4)
    assert len(simulated.began) == 4
    assert len(simulated.steps) > 1
    assert "census: unexpected exception (bug)" in caplog.text


@pytest.mark.parametrize("job", [CensusJob, RollupJob])
def test_a_job_that_raises_is_in_the_heartbeat(
    influxdb: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, job: type
) -> None:
    """The other job of the minute is done, and the heartbeat has the error."""
    nation.register_stations(tmp_path, {"3171010001001": [("main", "xl", "")]})
    rollup = influxdb.fresh()
    raw = {**influxdb.section, "provinces": ["31"]}
    census = service(nation.settings(influxdb, rollup, tmp_path, collectors=[raw]))

    def fail(*_: object) -> None:
        raise TypeError("bad")

    monkeypatch.setattr(job, "run", fail)
    report = census.minute(START_NS)
    assert report.failed == {"31": "internal error (bug): TypeError: bad"}
    assert bool(report.points) == (job is RollupJob)
    (row,) = rollup.query("SELECT failed, detail FROM pipeline")
    assert (row["failed"], row["detail"]) == (1, report.failed["31"])
    census.close()


def test_a_step_that_raises_lets_the_others_run(
    influxdb: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pending work of another kind is done in the same minute."""
    raw = {**influxdb.section, "provinces": ["31"]}
    settings = nation.settings(influxdb, influxdb.fresh(), tmp_path, collectors=[raw])
    census = service(settings)
    done: list[Priority] = []

    def step(priority: Priority) -> Callable[[object, Report], Step | None]:
        def due(_job: object, _report: Report) -> Step | None:
            def act() -> None:
                done.append(priority)
                if priority is Priority.GAP:
                    raise TypeError("bad")

            return None if done.count(priority) == 2 else Step(priority, act)

        return due

    monkeypatch.setattr(RollupJob, "due", step(Priority.GAP))
    monkeypatch.setattr(CensusJob, "due", step(Priority.CENSUS))
    monkeypatch.setattr(BaselineJob, "due", lambda *_: None)
    list(census.pending(Report(START_NS)))
    assert done == [Priority.GAP, Priority.CENSUS, Priority.CENSUS]
    census.close()
