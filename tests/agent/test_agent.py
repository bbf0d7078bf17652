"""The whole agent as `run` starts it: real packets, journal and InfluxDB."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from qos_agent.journal.reader import EVERY_SEQ, reading
from qos_agent.model import Record
from qos_agent.model.errors import OperatorError
from qos_agent.model.line_protocol import decode
from tests.lab.fixtures import MakeLab
from tests.lab.network import Lab
from tests.lab.shape import Shape
from tests.servers.influxdb import InfluxDB

ANCHOR = "1.1.1.1"
OUTAGE_S = 60 if os.environ.get("QOS_FAULTS") == "full" else 6


def _settings(folder: Path, server: InfluxDB | None, **extra: str) -> dict[str, str]:
    """Return environment variables for a short round against one target."""
    target = [{"name": "anchor", "host": ANCHOR, "layer": "anchor"}]
    settings = {
        "PATH": os.environ["PATH"],
        "QOS_AGENT_TARGETS": json.dumps(target),
        "QOS_AGENT_LATENCY__COUNT": "20",
        "QOS_AGENT_LATENCY__SPACING": "10ms",
        "QOS_AGENT_SCHEDULE__IDLE__LATENCY": "5s",
        "QOS_AGENT_SCHEDULE__IDLE__HOST": "2s",
        "QOS_AGENT_SCHEDULE__IDLE__THROUGHPUT": "off",
        "QOS_AGENT_JOURNAL__FOLDER": str(folder / "journal"),
        "QOS_AGENT_JOURNAL__COMMIT_EVERY": "1s",
        "QOS_AGENT_UPLINK__BACKOFF": "1s",
        "QOS_AGENT_UPLINK__PAUSE": "off",
    }
    if server is not None:
        settings["QOS_AGENT_COLLECTOR__URL"] = server.url
        settings["QOS_AGENT_COLLECTOR__BUCKET"] = server.bucket
        settings["QOS_AGENT_COLLECTOR__TOKEN"] = server.token
    return settings | extra


def _start(net: Lab, settings: dict[str, str], for_s: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "qos_agent", "run", "--for", f"{for_s}s"]
    return net.popen(command, "client", env=settings, stdout=subprocess.PIPE)


def _records(folder: Path, settings: dict[str, str]) -> list[Record]:
    """Return the records of the journal, from the export command."""
    out = folder / "export"
    command = [sys.executable, "-m", "qos_agent", "export", "--out", str(out)]
    subprocess.run(command, env=settings, check=True, capture_output=True)
    return [decode(line) for line in (out / "points.lp").read_bytes().splitlines()]


def _await_lines(folder: Path, part: bytes, count: int, limit_s: float = 60.0) -> None:
    """Wait until the running agent's journal has `count` lines with that part."""
    end = time.monotonic() + limit_s
    while (present := _count(folder, part)) < count:
        assert time.monotonic() < end, f"{present} of {count} lines with {part!r}"
        time.sleep(0.1)


def _count(folder: Path, part: bytes) -> int:
    with suppress(OperatorError), reading(folder / "journal") as journal:
        return sum(part in line for line in journal.lines(EVERY_SEQ))
    return 0  # the agent has not created the journal yet


def _undelivered(folder: Path) -> int:
    with reading(folder / "journal") as journal:
        return journal.stats().undelivered["collector"]


def _sum(records: list[Record], measurement: str, field: str) -> int:
    return sum(
        int(record.fields.get(field, 0))
        for record in records
        if record.measurement == measurement
    )


def test_loss_in_the_journal_is_the_loss_on_the_wire_and_in_influxdb(
    lab: MakeLab, make_influxdb: Callable[..., InfluxDB], tmp_path: Path
) -> None:
    """With 2 % random loss, sent and lost equal the counters of nft."""
    net = lab(Shape(loss=0.02))
    server = make_influxdb(namespace=net.name("server"), address="10.77.1.2")
    settings = _settings(tmp_path, server, QOS_AGENT_LATENCY__COUNT="200")
    for _ in range(2):
        once = [sys.executable, "-m", "qos_agent", "once", "--probe", "latency"]
        assert net.popen(once, "client", env=settings).wait(90) == 0
    records = _records(tmp_path, settings)
    sent, lost = _sum(records, "latency", "sent"), _sum(records, "latency", "lost")
    trains = [r for r in records if r.measurement == "latency" and "sent" in r.fields]
    unwoken = sum("wake_ms" not in train.fields for train in trains)
    dropped = net.dropped("forward", "echo_requests")
    assert (len(trains), sent) == (2, 400)
    # One request before each train wakes the radio; it is counted separately.
    assert sent + len(trains) == net.passed("forward", "echo_requests") + dropped
    assert lost + unwoken == dropped
    (row,) = server.query("SELECT SUM(sent) AS sent, SUM(lost) AS lost FROM latency")
    assert (row["sent"], row["lost"]) == (sent, lost)


def test_a_collector_that_restarts_loses_and_duplicates_nothing(
    lab: MakeLab, make_influxdb: Callable[..., InfluxDB], tmp_path: Path
) -> None:
    """After a kill and a start it has each point of the journal exactly once."""
    net = lab(Shape())
    server = make_influxdb(namespace=net.name("server"), address="10.77.1.2")
    settings = _settings(tmp_path, server)
    agent = _start(net, settings, 600)
    _await_lines(tmp_path, b"latency,", 1)
    server.kill()
    time.sleep(OUTAGE_S)
    _await_lines(tmp_path, b"latency,", 2)
    server.start()
    _await_lines(tmp_path, b"latency,", 4)
    agent.send_signal(signal.SIGTERM)
    assert agent.wait(40) == 0
    # The stop delivers for two seconds. A round after it delivers the rest.
    once = [sys.executable, "-m", "qos_agent", "once", "--probe", "host"]
    for _ in range(10):
        if not _undelivered(tmp_path):
            break
        assert net.popen(once, "client", env=settings).wait(60) == 0
    records = _records(tmp_path, settings)
    for measurement in ("latency", "host", "event"):
        expected = sorted(_seqs(records, measurement))
        delivered = sorted(row["seq"] for row in server.rows(measurement))
        assert delivered == expected


def _seqs(records: list[Record], measurement: str) -> list[int]:
    return [
        int(record.fields["seq"])
        for record in records
        if record.measurement == measurement
    ]


def test_offline_is_a_normal_day(lab: MakeLab, tmp_path: Path) -> None:
    """Without a network every train is a failed reading with a cause; status 0."""
    net = lab(Shape())
    net.cut()
    settings = _settings(tmp_path, None)
    agent = _start(net, settings, 300)
    _await_lines(tmp_path, b"latency,", 2)
    agent.send_signal(signal.SIGTERM)
    assert agent.wait(40) == 0
    records = [r for r in _records(tmp_path, settings) if r.measurement == "latency"]
    failed = [record for record in records if record.fields["failed"]]
    assert len(failed) >= 2
    assert {record.fields["cause"] for record in failed} == {"timeout"}
    assert not [record for record in records if record.fields["ok"]]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_it_within_five_seconds(
    lab: MakeLab, tmp_path: Path, number: signal.Signals
) -> None:
    """It ends its tasks, prints the summary and exits with status 0."""
    net = lab(Shape(delay_ms=40))
    settings = _settings(tmp_path, None)
    agent = _start(net, settings, 120)
    assert agent.stdout is not None
    for line in agent.stdout:
        if b" latency " in line:
            break
    signalled_s = time.monotonic()
    agent.send_signal(number)
    rest = agent.stdout.read().decode()
    assert agent.wait(10) == 0
    assert time.monotonic() - signalled_s < 5
    summary = dict(
        row.strip().split(" ", 1) for row in rest.splitlines() if row.startswith("  ")
    )
    due = int(summary["due"])
    parts = (int(summary[name].split()[0]) for name in ("ok", "failed", "skipped"))
    assert due == sum(parts)
    records = _records(tmp_path, settings)
    assert due == sum(int(record.fields.get("slots", 0)) for record in records)


def _calendar(folder: Path, opens: datetime) -> Path:
    """Write a calendar: voting from `opens` on, and pre for the hour before."""
    path = folder / "calendar.toml"
    begin, end = opens - timedelta(hours=1), opens + timedelta(hours=1)
    path.write_text(
        '[[election]]\nname = "now"\n'
        f'[[election.period]]\nkind = "pre"\nstart = {begin:%Y-%m-%dT%H:%M:%S}\n'
        f"end = {opens:%Y-%m-%dT%H:%M:%S}\n"
        f'[[election.period]]\nkind = "voting"\nstart = {opens:%Y-%m-%dT%H:%M:%S}\n'
        f"end = {end:%Y-%m-%dT%H:%M:%S}\n"
    )
    return path


def test_the_phase_changes_by_itself_without_a_network(
    lab: MakeLab, tmp_path: Path
) -> None:
    """When the polls open, there is an event and the voting intervals apply."""
    net = lab(Shape())
    net.cut()
    zone = ZoneInfo("Asia/Jakarta")
    opens = datetime.now(zone).replace(microsecond=0) + timedelta(seconds=8)
    settings = _settings(
        tmp_path,
        None,
        QOS_AGENT_ELECTION__CALENDAR=str(_calendar(tmp_path, opens)),
        QOS_AGENT_SCHEDULE__PRE__LATENCY="off",
        QOS_AGENT_SCHEDULE__PRE__HOST="off",
        QOS_AGENT_SCHEDULE__VOTING__LATENCY="off",
        QOS_AGENT_SCHEDULE__VOTING__HOST="1s",
        QOS_AGENT_SCHEDULE__PRE__THROUGHPUT="off",
        QOS_AGENT_SCHEDULE__VOTING__THROUGHPUT="off",
    )
    assert _start(net, settings, 14).wait(40) == 0
    records = _records(tmp_path, settings)
    (change,) = [r for r in records if r.tags.get("kind") == "phase"]
    assert (change.fields["before"], change.fields["after"]) == ("pre", "voting")
    assert abs(change.time_ns / 1e9 - opens.timestamp()) < 0.01
    hosts = [record for record in records if record.measurement == "host"]
    assert len(hosts) >= 3
    assert all(r.time_ns / 1e9 >= opens.timestamp() for r in hosts)
    assert {record.tags["phase"] for record in hosts} == {"voting"}


def test_a_pause_and_a_reload_reach_the_running_agent(
    lab: MakeLab, tmp_path: Path
) -> None:
    """Paused tasks are skipped, and a reload starts with the new configuration.

    A reload must not announce a stop: systemd would kill the agent.
    """
    net = lab(Shape())
    manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    manager.bind(str(tmp_path / "notify"))
    manager.settimeout(5)
    settings = _settings(
        tmp_path,
        None,
        QOS_AGENT_SCHEDULE__IDLE__HOST="1s",
        QOS_AGENT_SCHEDULE__IDLE__LATENCY="off",
        NOTIFY_SOCKET=str(tmp_path / "notify"),
    )
    config = tmp_path / "agent.toml"
    config.write_text("[latency]\n")
    settings["QOS_AGENT_CONFIG"] = str(config)
    agent = _start(net, settings, 300)
    assert agent.stdout is not None
    next(line for line in agent.stdout if b" host " in line)
    for arguments in (["pause", "host", "--for", "10m"], ["config", "reload"]):
        if arguments[0] == "config":
            next(line for line in agent.stdout if b"skipped paused" in line)
            config.write_text('[allowance]\nmonthly = "1GB"\n')
        command = [sys.executable, "-m", "qos_agent", *arguments]
        subprocess.run(command, env=settings, check=True, capture_output=True)
    _await_lines(tmp_path, b",kind=start,", 2)
    agent.send_signal(signal.SIGTERM)
    agent.stdout.read()
    assert agent.wait(40) == 0
    records = _records(tmp_path, settings)
    paused = [r for r in records if r.fields.get("reason") == "paused"]
    assert paused
    kinds = [r.tags["kind"] for r in records if r.measurement == "event"]
    assert kinds.count("start") == 2
    with manager:
        states = [manager.recv(100).split(b"=")[0] for _ in range(4)]
    assert states == [b"READY", b"RELOADING", b"READY", b"STOPPING"]
    assert {"pause", "configuration"} <= set(kinds)
