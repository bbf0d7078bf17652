"""The status of the devices and the halt of a roll-out, with a real InfluxDB."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from qos_agent.cli.noc_config import app
from qos_agent.config.remote.index import share
from tests.noc.remote.centre import Centre, make_centre
from tests.servers.influxdb import InfluxDB

pytestmark = pytest.mark.server
STATIONS = [f"31710100{number:05d}" for number in range(60)]


def _run(noc: Path, *arguments: str) -> tuple[int, list[str]]:
    done = CliRunner().invoke(app, [*arguments, "-c", str(noc)], standalone_mode=False)
    assert done.exception is None, done.exception
    return done.return_value or 0, done.output.splitlines()


def _beat(station: str, at_s: int, version: int, seen: int, failed: int = 0) -> str:
    tags = f"agent,phase=pre,province=31,regency=3171,station={station}"
    fields = f"beats=1i,due=10i,failed={failed}i,remote_version={version}i"
    return f"{tags} {fields},remote_seen={seen}i,remote_refused=0i {at_s}000000000"


def _configured(centre: Centre, influxdb: InfluxDB) -> Path:
    noc = centre.folder / "noc.toml"
    noc.write_text(
        f'folder = "{centre.folder}"\n[remote]\nkey_file = "{centre.key("config-1")}"\n'
        f'[[collectors]]\nurl = "{influxdb.url}"\nbucket = "{influxdb.bucket}"\n'
        f'token = "{influxdb.token}"\n'
    )
    return noc


def test_the_status_names_who_has_what_and_a_bad_stage_is_withdrawn(
    influxdb: InfluxDB, tmp_path: Path
) -> None:
    """The stations of the stage fail half of their slots, so everyone returns."""
    centre = make_centre(tmp_path / "noc")
    noc, now_s = _configured(centre, influxdb), int(time.time())
    centre.write("nation/settings.toml", "[latency]\ncount = 7\n")
    centre.publish(now_s=now_s - 7200)
    centre.write("nation/settings.toml", "[latency]\ncount = 9\n")
    centre.publish(percent=50, now_s=now_s - 1800)
    staged = [s for s in STATIONS if share(s, 2) < 50]
    lines = []
    for station in STATIONS:
        is_staged = station in staged
        for at_s in range(now_s - 3500, now_s, 300):
            since = at_s >= now_s - 1700
            version, failed = (2, 5) if is_staged and since else (1, 0)
            lines.append(_beat(station, at_s, version, 2 if since else 1, failed))
    lines.append(_beat("3171999999999", now_s - 200, 1, 1))
    influxdb.write("\n".join(lines).encode())
    status, output = _run(noc, "status")
    assert status == 1
    assert output[0] == f"{len(STATIONS) + 1 - len(staged)} station(s) with content 1"
    assert output[1] == f"{len(staged)} station(s) with content 2"
    assert output[2] == "61 station(s) heard, 1 behind"
    assert output[3].startswith("3171999999999: content 1 since ")
    status, output = _run(noc, "status", staged[0])
    assert status == 0
    assert ", accepted 2, wanted 2 of version 2, last heartbeat" in output[-1]
    status, output = _run(noc, "rollout")
    assert status == 1
    assert output[0].startswith(f"halt: worse {len(staged)} of {len(staged)} in the")
    status, output = _run(noc, "rollout", "--apply")
    assert output[1] == "published: version 3, without the new content"
    assert centre.index().content.version == 1
    assert _run(noc, "rollout")[1][0].startswith("nothing: ")


def test_a_good_stage_takes_the_next_step(influxdb: InfluxDB, tmp_path: Path) -> None:
    """After the hold time, 10 percent become 50."""
    centre = make_centre(tmp_path / "noc")
    noc, now_s = _configured(centre, influxdb), int(time.time())
    centre.write("nation/settings.toml", "[latency]\ncount = 7\n")
    centre.publish(now_s=now_s - 7200)
    centre.write("nation/settings.toml", "[latency]\ncount = 9\n")
    centre.publish(percent=10, now_s=now_s - 1800)
    lines = [
        _beat(station, at_s, 2 if share(station, 2) < 10 else 1, 2)
        for station in STATIONS
        for at_s in range(now_s - 3500, now_s, 300)
    ]
    influxdb.write("\n".join(lines).encode())
    assert _run(noc, "rollout", "--apply")[1][0].startswith("wait: ")
    assert _run(noc, "rollout", "--apply", "--hold", "20m")[1][1] == (
        "published: version 3, 50 % of stations"
    )
