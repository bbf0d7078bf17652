"""The census as a service: a minute's work each minute, then what is owed, in turn."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from qos_agent.config.places import provinces
from qos_agent.noc.service.loop import run, work_off
from qos_agent.noc.service.service import Report
from qos_agent.noc.settings import NocSettings
from tests.noc import nation
from tests.noc.commands import centre
from tests.noc.life import service
from tests.noc.nation import MINUTE_NS, START_NS
from tests.servers.database import Database

SECOND_NS = 10**9
BEGAN_NS = START_NS + 17 * SECOND_NS


class Waits(threading.Event):
    """An event whose waits pass at once, on a clock of their own."""

    def __init__(self) -> None:
        super().__init__()
        self.now_ns = BEGAN_NS

    def wait(self, timeout: float | None = None) -> bool:
        self.now_ns += int((timeout or 0.0) * 1e9)
        return self.is_set()


@dataclass
class Worked:
    """Stands in for the service: each minute and each stretch takes a known time."""

    stop: Waits
    minutes: int
    load: float = 0.5
    minute_s: float = 4.0
    stretch_s: float = 2.0
    owes: int = 10**6
    began: list[int] = field(default_factory=list)
    stretches: list[int] = field(default_factory=list)

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

    def owed(self, _at_ns: int, report: Report) -> Iterator[float]:
        report.late["31"] = "no answer"
        for _ in range(self.owes):
            self.stretches.append(self.stop.now_ns)
            self.stop.now_ns += int(self.stretch_s * 1e9)
            yield self.stretch_s


@pytest.fixture
def stop(monkeypatch: pytest.MonkeyPatch) -> Waits:
    """The event and the clock of the service's loop."""
    waits = Waits()
    clock = SimpleNamespace(time_ns=lambda: waits.now_ns)
    monkeypatch.setattr("qos_agent.noc.service.loop.time", clock)
    return waits


def ran(**given: Any) -> Worked:
    """The loop until its last minute."""
    worked = Worked(**given)
    run(worked, worked.stop)  # type: ignore[arg-type]
    return worked


@pytest.mark.parametrize("owes", [0, 10**6])
def test_each_minute_is_begun_as_the_one_before_has_ended(
    stop: Waits, owes: int
) -> None:
    """At once, then on the whole minute; one that takes longer is not waited for."""
    worked = ran(stop=stop, minutes=4, owes=owes)
    whole = [START_NS + n * MINUTE_NS for n in range(1, 4)]
    assert worked.began[0] == BEGAN_NS
    late = [at - due for at, due in zip(worked.began[1:], whole, strict=True)]
    assert all(0 <= ns <= 4 * SECOND_NS for ns in late), late


@pytest.mark.parametrize("load", [0.1, 0.25, 0.5, 1.0])
def test_what_is_owed_takes_its_share_of_the_minute(stop: Waits, load: float) -> None:
    """A stretch of two seconds, then rest enough; none is begun in the next minute."""
    worked = ran(stop=stop, minutes=2, load=load)
    first, second = worked.began
    mine = [at for at in worked.stretches if at < second]
    gaps = {after - at for at, after in pairwise(mine)}
    assert gaps <= {int(2 / load) * SECOND_NS}
    left_s = 60 - 17 - worked.minute_s
    assert len(mine) == pytest.approx(left_s * load / 2, abs=1)
    assert all(first < at < START_NS + MINUTE_NS for at in mine)


def test_told_to_stop_it_begins_nothing_more(stop: Waits) -> None:
    """The stretch under way ends, and that is all."""
    assert len(ran(stop=stop, minutes=1).stretches) == 1


def test_what_should_be_changed_is_in_the_log(
    stop: Waits, caplog: pytest.LogCaptureFixture
) -> None:
    """Warnings once at the start; each minute its figures, and what is owed still."""
    with caplog.at_level(logging.INFO):
        ran(stop=stop, minutes=2)
    said = [(record.levelname, record.getMessage()) for record in caplog.records]
    assert said.count(("WARNING", "raise the retention")) == 1
    assert said.count(("WARNING", "not in provinces 31: no answer")) == 2
    told = [words for level, words in said if level == "INFO"]
    assert len(told) == 2
    assert all("census 0.00 s, roll-ups 0.00 s" in words for words in told)


@pytest.mark.parametrize("minutes", [4, 10, 11, 13, 24])
def test_how_far_behind_it_is(influxdb: Database, tmp_path: Path, minutes: int) -> None:
    """Minutes without sums are told; made good, it is behind no more, and stays so."""
    nation.settled(tmp_path, {"3171010001001": [("main", "xl", "")]})
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
    there = influxdb.create_database(name)
    for minute in range(minutes, minutes + 3):
        work_off(census, census.minute(START_NS + minute * MINUTE_NS))
    hearts = rollup.query("SELECT behind_s FROM pipeline")
    told = [0, minutes - 1, minutes, 0, 0]
    assert [heart["behind_s"] for heart in hearts] == [60.0 * n for n in told]
    there.drop()
    census.close()


def test_provinces_without_a_collector_are_told(
    influxdb: Database, tmp_path: Path
) -> None:
    """Nobody would miss their stations otherwise. One line, however many they are."""
    made = service(nation.settings(influxdb, influxdb.fresh(), tmp_path))
    (told,) = (line for line in made.warnings() if line.startswith("provinces"))
    codes = told.removeprefix("provinces ").partition(":")[0].split(", ")
    assert codes == sorted(set(provinces()) - {"31", "94"})
    assert told.endswith("no collector here holds them; add them to one")
    made.close()


def test_a_register_without_stations_is_told(
    influxdb: Database, tmp_path: Path
) -> None:
    """Of nobody expected, nobody is ever silent: that must not look well."""
    made = service(nation.settings(influxdb, influxdb, tmp_path))
    said = "the register expects no station now; qos-agent noc register import"
    assert [said in line for line in made.warnings()].count(True) == 1
    nation.settled(tmp_path, {"3171010001001": [("main", "xl", "")]})
    assert not any(said in line for line in made.warnings())
    made.close()


def test_the_service_as_it_is_typed(influxdb: Database, tmp_path: Path) -> None:
    """It tells its first minute with how long that took; SIGTERM ends it, status 0."""
    raw = {**influxdb.section, "provinces": ["31"]}
    child = centre(tmp_path, [raw], influxdb.fresh().section).begun("census")
    assert child.stderr is not None
    lines = iter(child.stderr.readline, "")
    said = next(line for line in lines if line.startswith("INFO"))
    assert "census " in said
    assert "behind 0" in said
    child.send_signal(signal.SIGTERM)
    child.communicate(timeout=30)
    assert child.returncode == 0


@pytest.mark.parametrize(("bucket", "status"), [("", 0), ("nowhere", 1)])
def test_one_minute_as_it_is_typed(
    influxdb: Database, tmp_path: Path, bucket: str, status: int
) -> None:
    """`--once` prints the minute's figures; where a province failed, status 1."""
    raw = {**influxdb.section, "provinces": ["31"]}
    raw |= {"bucket": bucket} if bucket else {}
    done = centre(tmp_path, [raw], influxdb.fresh().section).typed("census", "--once")
    assert done.returncode == status
    (line,) = done.stdout.splitlines()
    assert ("create the bucket" in line) == bool(status)
