"""The demonstration: its compose file, its day, its nation, and what it says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from deploy.demo import influxd
from deploy.demo.__main__ import variables
from deploy.demo.drill import BACK_MINUTES, calendar_text, planned
from deploy.demo.engine import COMPOSE_FILE
from deploy.demo.grafana import FILES, INSTALLED, shared_environment
from deploy.demo.nation import Drill
from qos_agent.config.calendar_file import named
from qos_agent.model import Identity, Phase
from qos_agent.model.calendar import ZONES
from qos_agent.noc.simulator.faults import Troubles
from qos_agent.noc.simulator.population import nation
from tests.servers.influxdb import InfluxDB

COMPOSE: dict[str, Any] = yaml.safe_load(COMPOSE_FILE.read_text(encoding="utf-8"))
SERVICES: dict[str, Any] = COMPOSE["services"]
ROOT = COMPOSE_FILE.parent.parent.parent
PROVISIONING = FILES / "provisioning"
# Annotations hold `{{ $labels.x }}` and queries `$timeFilter`; ours begin with QOS_.
NEEDED = {
    name
    for path in PROVISIONING.rglob("*.yaml")
    for name in re.findall(r"\$\{?(QOS_\w+)", path.read_text(encoding="utf-8"))
}
MOMENTS = st.datetimes(
    min_value=datetime(2026, 1, 1),  # noqa: DTZ001
    max_value=datetime(2030, 1, 1),  # noqa: DTZ001
    timezones=st.just(UTC),
)


def images() -> list[str]:
    """Every image that is fetched: of the compose file and of the Dockerfile."""
    text = (COMPOSE_FILE.parent / "Dockerfile").read_text(encoding="utf-8")
    fetched = [service["image"] for service in SERVICES.values() if "image" in service]
    return fetched + re.findall(r"^FROM (\S+)", text, re.MULTILINE)


@pytest.mark.parametrize("image", images())
def test_images_are_pinned(image: str) -> None:
    """Every image names its registry and a whole version."""
    assert re.fullmatch(r"docker\.io/[\w./-]+:\d+\.\d+\.\d+[\w.-]*", image)


def test_what_compose_mounts_exists() -> None:
    """Each folder and file mounted from here is there, each volume declared."""
    for service in SERVICES.values():
        for volume in service.get("volumes", ()):
            source = volume.split(":")[0]
            if source.startswith("."):
                assert (COMPOSE_FILE.parent / source).exists(), volume
            else:
                assert source in COMPOSE["volumes"], volume


def test_boards_are_mounted_where_the_provider_looks() -> None:
    """The provider's paths lie in the folder that compose mounts the boards at."""
    mounted = dict(v.split(":")[:2] for v in SERVICES["grafana"]["volumes"])
    assert mounted["../../grafana/dashboards"] == INSTALLED
    provider = yaml.safe_load((PROVISIONING / "dashboards/qos.yaml").read_text("utf-8"))
    for one in provider["providers"]:
        path = Path(one["options"]["path"])
        assert (FILES / "dashboards" / path.relative_to(INSTALLED)).is_dir()


@pytest.mark.parametrize(
    "given",
    [set(SERVICES["grafana"]["environment"]), set(variables(""))],
    ids=["compose", "without containers"],
)
def test_environment_is_what_provisioning_asks_for(given: set[str]) -> None:
    """No variable of the provisioning files is missing, and none is left over."""
    assert {name for name in given if name.startswith("QOS_")} == NEEDED


def test_compose_and_the_local_way_say_the_same() -> None:
    """Both ways give Grafana the same values, but for the server's address."""
    compose = SERVICES["grafana"]["environment"]
    here = variables("http://influxdb:8086")
    assert {name: compose[name] for name in here} == here


def test_nothing_is_published_beyond_this_machine() -> None:
    """Ports are published on the loopback address only; Grafana reports nothing."""
    ports = [port for service in SERVICES.values() for port in service.get("ports", ())]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)
    said = shared_environment()
    assert said["GF_ANALYTICS_REPORTING_ENABLED"] == "false"
    assert said["GF_ANALYTICS_CHECK_FOR_UPDATES"] == "false"
    assert said["GF_ANALYTICS_CHECK_FOR_PLUGIN_UPDATES"] == "false"
    assert SERVICES["influxdb"]["environment"]["INFLUXDB_REPORTING_DISABLED"] == "true"


def test_dockerfile_copies_what_exists() -> None:
    """Each path that the image is made of is in this folder."""
    text = (COMPOSE_FILE.parent / "Dockerfile").read_text(encoding="utf-8")
    sources = re.findall(r"^COPY (\S+) ", text, re.MULTILINE)
    assert sources
    assert [source for source in sources if not (ROOT / source).exists()] == []


@settings(deadline=None)
@given(now=MOMENTS)
def test_the_drill_votes_now(
    now: datetime, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """At any hour of any day all three zones vote, now and for an hour to come."""
    path = tmp_path_factory.mktemp("drill") / "calendar.toml"
    path.write_text(calendar_text(now), encoding="utf-8")
    calendar = named(str(path))
    for zone in ZONES.values():
        station = Identity("1", "31", "3174", zone, "d")
        for moment in (now, now + timedelta(minutes=59)):
            at_ns = int(moment.timestamp() * 1e9)
            assert calendar.phase_at(at_ns, station) is Phase.VOTING
        before_ns = int((now - timedelta(days=2)).timestamp() * 1e9)
        assert calendar.phase_at(before_ns, station) is Phase.PRE


def test_every_planted_trouble_hits_someone() -> None:
    """No trouble of drill.toml is planted where nobody lives; some go on at its now."""
    plan = planned()
    troubles = Troubles(plan, list(nation(plan)))
    assert [
        t for t, hit in zip(plan.trouble, troubles.hit, strict=True) if not hit
    ] == []
    kinds = {trouble.kind for trouble in plan.trouble if trouble.holds_at(BACK_MINUTES)}
    assert {"core_failure", "power_cut", "cut_off", "overload"} <= kinds


def test_the_nation_lives(influxdb_process: InfluxDB, tmp_path: Path) -> None:
    """Past minutes are counted and summed when the clock is caught up with."""
    plan = planned().model_copy(
        update={"stations": 20, "minutes": 6, "provinces": ("51",), "trouble": ()}
    )
    # Six minutes of which four have passed.
    now = datetime.now(UTC) + timedelta(minutes=BACK_MINUTES - 4)
    drill = Drill(tmp_path, influxdb_process.url, plan, now)
    drill.before()
    behind = list(drill.minutes(lambda _: None))
    drill.close()
    assert behind == sorted(behind, reverse=True)
    assert behind[0] >= 3
    expected: Counter[int] = Counter()
    for row in _rows(influxdb_process, "qos-drill-rollup", _EXPECTED):
        expected[int(row["time"])] += int(row["expected"])
    assert set(expected.values()) == {20}
    assert len(expected) >= plan.minutes
    assert _rows(influxdb_process, "qos-drill-rollup", _SENT) == _rows(
        influxdb_process, "qos-drill", _SENT
    )
    assert _phases(influxdb_process) == {"pre", "voting"}


_EXPECTED = 'SELECT "expected" FROM "census" WHERE "operator" = \'all\''
_SENT = 'SELECT sum("sent") AS "sent" FROM "latency" GROUP BY "phase"'


def _rows(server: InfluxDB, database: str, query: str) -> list[dict[str, Any]]:
    view = server.view
    rows = type(view)(view.url, view.token, view.org, database).query(query)
    return [dict(row) for row in rows]


def _phases(server: InfluxDB) -> set[str]:
    rows = _rows(server, "qos-drill-rollup", _SENT)
    return {str(row["phase"]) for row in rows}


def test_an_earlier_drill_is_forgotten(
    influxdb_process: InfluxDB, tmp_path: Path
) -> None:
    """A new drill begins with empty databases, and touches no other database."""
    plan = planned().model_copy(update={"stations": 5, "minutes": 1})
    influxdb_process.write(b"kept value=1i 1")
    first = Drill(tmp_path, influxdb_process.url, plan)
    first.before()
    first.close()
    assert _rows(influxdb_process, "qos-drill", _SENT)
    Drill(tmp_path, influxdb_process.url, plan).close()
    assert _rows(influxdb_process, "qos-drill", _SENT) == []
    assert influxdb_process.count("kept", "value") == 1


def test_without_an_engine_one_line_says_what_to_do(tmp_path: Path) -> None:
    """Nothing to start it with: exit status 1, and one line with two ways."""
    done = _demo({"PATH": str(tmp_path)})
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert "apt-get install podman" in line
    assert "QOS_GRAFANA" in line


@pytest.mark.parametrize(
    ("variable", "said"),
    [("QOS_GRAFANA", "conf/defaults.ini"), (influxd.VARIABLE, "no program")],
)
def test_a_wrong_name_is_told(variable: str, said: str, tmp_path: Path) -> None:
    """A variable that names something else is wrong usage, not a fall-back."""
    done = _demo({"PATH": str(tmp_path), variable: str(tmp_path)})
    assert done.returncode == 2
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1


def _demo(environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "deploy.demo"],
        cwd=ROOT,
        env={"HOME": os.environ.get("HOME", "/")} | environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
