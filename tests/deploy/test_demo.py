"""The demonstration: compose file, calendar, scenario, stations and messages."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from deploy.demo import influxd
from deploy.demo.__main__ import ALERT_LOG_PORT, variables
from deploy.demo.alert_log import AlertLog
from deploy.demo.drill import BACK_MINUTES, calendar_text, planned
from deploy.demo.engine import COMPOSE_FILE
from deploy.demo.grafana import FILES, INSTALLED, shared_environment
from deploy.demo.nation import Drill
from qos_agent.config.calendar_file import named
from qos_agent.model import Identity, Phase
from qos_agent.model.calendar import ZONES
from qos_agent.noc.simulator.faults import FaultInjection
from qos_agent.noc.simulator.population import nation
from qos_agent.noc.troubles.points import to_text
from qos_agent.noc.troubles.signals import Key, Signal
from qos_agent.noc.troubles.standing import Trouble
from tests.servers.influxdb import InfluxDB

COMPOSE: dict[str, Any] = yaml.safe_load(COMPOSE_FILE.read_text(encoding="utf-8"))
SERVICES: dict[str, Any] = COMPOSE["services"]
ROOT = COMPOSE_FILE.parent.parent.parent
PROVISIONING = FILES / "provisioning"
# Grafana's own variables are `{{ $labels.x }}` and `$timeFilter`.
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
    """Return every image that the compose file or the Dockerfile downloads."""
    text = (COMPOSE_FILE.parent / "Dockerfile").read_text(encoding="utf-8")
    images = [service["image"] for service in SERVICES.values() if "image" in service]
    return images + re.findall(r"^FROM (\S+)", text, re.MULTILINE)


@pytest.mark.parametrize("image", images())
def test_images_are_pinned(image: str) -> None:
    """Every image has a registry and a complete version."""
    assert re.fullmatch(r"docker\.io/[\w./-]+:\d+\.\d+\.\d+[\w.-]*", image)


def test_mounted_paths_exist() -> None:
    """Each mounted folder and file exists, and each volume is declared."""
    for service in SERVICES.values():
        for volume in service.get("volumes", ()):
            source = volume.split(":")[0]
            if source.startswith("."):
                assert (COMPOSE_FILE.parent / source).exists(), volume
            else:
                assert source in COMPOSE["volumes"], volume


def test_boards_are_mounted_at_the_path_of_the_provider() -> None:
    """The provider's paths are in the folder at which compose mounts the boards."""
    mounted = dict(v.split(":")[:2] for v in SERVICES["grafana"]["volumes"])
    assert mounted["../../grafana/dashboards"] == INSTALLED
    provider = yaml.safe_load((PROVISIONING / "dashboards/qos.yaml").read_text("utf-8"))
    for entry in provider["providers"]:
        path = Path(entry["options"]["path"])
        assert (FILES / "dashboards" / path.relative_to(INSTALLED)).is_dir()


@pytest.mark.parametrize(
    "names",
    [set(SERVICES["grafana"]["environment"]), set(variables(""))],
    ids=["compose", "without containers"],
)
def test_the_environment_has_the_variables_of_the_provisioning(names: set[str]) -> None:
    """No variable of the provisioning files is missing, and none is unused."""
    assert {name for name in names if name.startswith("QOS_")} == NEEDED


def test_both_ways_to_start_use_the_same_values() -> None:
    """Only the address of the server differs."""
    compose = SERVICES["grafana"]["environment"]
    local = variables("http://influxdb:8086", f"http://nation:{ALERT_LOG_PORT}/")
    assert {name: compose[name] for name in local} == local


def test_nothing_is_published_beyond_this_machine() -> None:
    """Ports are published on the loopback address, and there are no usage reports."""
    ports = [port for service in SERVICES.values() for port in service.get("ports", ())]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)
    environment = shared_environment()
    assert environment["GF_ANALYTICS_REPORTING_ENABLED"] == "false"
    assert environment["GF_ANALYTICS_CHECK_FOR_UPDATES"] == "false"
    assert environment["GF_ANALYTICS_CHECK_FOR_PLUGIN_UPDATES"] == "false"
    assert SERVICES["influxdb"]["environment"]["INFLUXDB_REPORTING_DISABLED"] == "true"


def test_every_contact_point_sends_to_the_local_log() -> None:
    """Each contact point of the centre has a local one here, and no other channel."""
    own = yaml.safe_load((COMPOSE_FILE.parent / "contact-points.yaml").read_text())
    centre = yaml.safe_load(
        (PROVISIONING / "alerting" / "contact-points.yaml").read_text("utf-8")
    )
    names = [contact["name"] for contact in own["contactPoints"]]
    assert names == [contact["name"] for contact in centre["contactPoints"]]
    receivers = [r for contact in own["contactPoints"] for r in contact["receivers"]]
    assert {receiver["type"] for receiver in receivers} == {"webhook"}
    urls = {receiver["settings"]["url"] for receiver in receivers}
    assert urls == {"$QOS_ALERT_WEBHOOK_URL"}
    mounted = dict(v.split(":")[:2] for v in SERVICES["grafana"]["volumes"])
    assert mounted["./contact-points.yaml"].endswith("alerting/contact-points.yaml")


def test_the_log_keeps_every_message(tmp_path: Path) -> None:
    """A message is a line of the log, also one that is not JSON."""
    log = AlertLog(tmp_path / "alerts.log")
    log.start()
    for body in (b'{"status": "firing"}', b"\xff no JSON"):
        with urlopen(Request(log.url, body)) as response:
            assert response.status == 204
    log.stop()
    first, second = (tmp_path / "alerts.log").read_text("utf-8").splitlines()
    assert json.loads(first) == {"status": "firing"}
    assert json.loads(second) == "\ufffd no JSON"


def test_the_database_of_grafana_waits_for_locks() -> None:
    """Grafana 9.3 reads WAL and the timeout from the address of its SQLite file."""
    environment = shared_environment()
    assert environment["GF_DATABASE_URL"].endswith(
        "?_journal_mode=WAL&_busy_timeout=10000"
    )
    assert environment["GF_DATABASE_QUERY_RETRIES"] == "5"


def test_dockerfile_copies_what_exists() -> None:
    """Each path that the image copies is in this folder."""
    text = (COMPOSE_FILE.parent / "Dockerfile").read_text(encoding="utf-8")
    sources = re.findall(r"^COPY (\S+) ", text, re.MULTILINE)
    assert sources
    assert [source for source in sources if not (ROOT / source).exists()] == []


@settings(deadline=None)
@given(now=MOMENTS)
def test_all_zones_of_the_demonstration_vote_now(
    now: datetime, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """At any time of any day all three zones vote, now and for another hour."""
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


def test_every_injected_fault_affects_stations() -> None:
    """Each fault of drill.toml affects stations, and some are active at the start."""
    plan = planned()
    faults = FaultInjection(plan, list(nation(plan)))
    affected = zip(plan.fault, faults.affected, strict=True)
    assert [fault for fault, stations in affected if not stations] == []
    kinds = {fault.kind for fault in plan.fault if fault.is_active(BACK_MINUTES)}
    assert {"core_failure", "power_cut", "cut_off", "overload"} <= kinds


def test_the_demonstration_follows_the_clock(
    influxdb_process: InfluxDB, tmp_path: Path
) -> None:
    """Past minutes are counted, and rolled up once the clock is reached."""
    plan = planned().model_copy(
        update={"stations": 20, "minutes": 6, "provinces": ("51",), "fault": ()}
    )
    # Six minutes of which four have passed.
    now = datetime.now(UTC) + timedelta(minutes=BACK_MINUTES - 4)
    drill = Drill(tmp_path, influxdb_process.url, plan, now)
    drill.simulate_baseline()
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


def test_an_earlier_demonstration_is_dropped(
    influxdb_process: InfluxDB, tmp_path: Path
) -> None:
    """A new demonstration starts with empty databases and touches no other database."""
    plan = planned().model_copy(update={"stations": 5, "minutes": 1})
    influxdb_process.write(b"kept value=1i 1")
    first = Drill(tmp_path, influxdb_process.url, plan)
    first.simulate_baseline()
    first.close()
    assert _rows(influxdb_process, "qos-drill", _SENT)
    Drill(tmp_path, influxdb_process.url, plan).close()
    assert _rows(influxdb_process, "qos-drill", _SENT) == []
    assert influxdb_process.count("kept", "value") == 1


def test_a_restart_of_the_database_loses_no_minute(
    influxdb_process: InfluxDB, tmp_path: Path
) -> None:
    """Lines of a minute without a database are delivered with the next one."""
    plan = planned().model_copy(update={"stations": 5, "minutes": 2, "fault": ()})
    drill = Drill(tmp_path, influxdb_process.url, plan)
    drill._writer._wait = lambda _: None
    first, second, *_ = drill.nation.run()
    influxdb_process.stop()
    drill._deliver(first)
    influxdb_process.start()
    drill._deliver(second)
    (row,) = _rows(influxdb_process, "qos-drill", 'SELECT count("beats") FROM "agent"')
    assert row["count"] == 10
    drill.close()


def test_a_planted_trouble_is_printed_once(
    influxdb_process: InfluxDB, tmp_path: Path
) -> None:
    """One line names it when the centre has reported it, and only then."""
    plan = planned().model_copy(update={"stations": 5, "minutes": 1})
    drill = Drill(tmp_path, influxdb_process.url, plan)
    key = Key("outage-operator", "regency", "3174", "telkomsel")
    waiting = Trouble(key, 0, 0, Signal(key, "critical", 60.0, 12, 19))
    reported = replace(waiting, reported="critical")
    drill.service.state.replace_troubles([to_text(waiting)])
    assert list(drill.new_troubles()) == []
    drill.service.state.replace_troubles([to_text(reported)])
    (line,) = drill.new_troubles()
    assert line == (
        "to be seen on the boards: One operator down while others work of telkomsel, "
        "Kota Administrasi Jakarta Selatan: 12 / 19"
    )
    assert list(drill.new_troubles()) == []
    drill.close()


@pytest.mark.slow
def test_without_an_engine_one_line_names_the_fixes(tmp_path: Path) -> None:
    """The exit status is 1, and one line names both ways to start."""
    done = _demo({"PATH": str(tmp_path)})
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert "apt-get install podman" in line
    assert "QOS_GRAFANA" in line


@pytest.mark.slow
@pytest.mark.parametrize(
    ("variable", "problem"),
    [("QOS_GRAFANA", "conf/defaults.ini"), (influxd.VARIABLE, "is not a program")],
)
def test_a_wrong_path_is_reported(variable: str, problem: str, tmp_path: Path) -> None:
    """A variable with a wrong path is an error. It does not start containers."""
    done = _demo({"PATH": str(tmp_path), variable: str(tmp_path)})
    assert done.returncode == 2
    assert problem in done.stderr
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
