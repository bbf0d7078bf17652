"""`noc provision` issues once a station on a real server, whatever happens."""

from __future__ import annotations

import json
import os
import random
import sqlite3
import subprocess
import time
from contextlib import closing
from pathlib import Path

import pytest

from qos_agent.noc.provision.ledger import FILE_NAME, State
from qos_agent.noc.provision.making import Pace
from tests.noc.commands import Centre
from tests.noc.provision.centres import (
    centre_with,
    code_of,
    codes_of,
    ledger_of,
    tokens_of,
    users,
    write_status,
)
from tests.servers.fixtures import MakeInfluxDB
from tests.servers.influxdb import InfluxDB, Settings

_FULL = os.environ.get("QOS_FAULTS") == "full"
_STATIONS = 10_000 if _FULL else 24
# Killing every 1 to 20 s of a run that takes an hour, or twice in a short one.
_KILLS = 100 if _FULL else 2


@pytest.fixture
def server(make_influxdb: MakeInfluxDB) -> InfluxDB:
    """Return an InfluxDB 1.8 that requires a token."""
    return make_influxdb(Settings(auth=True))


def test_each_station_has_its_own_write_only_account(
    server: InfluxDB, tmp_path: Path
) -> None:
    """A second run changes nothing, and no secret is in a file or in the output."""
    centre = centre_with(tmp_path, server, 3)
    first = centre.run("provision")
    assert (first.returncode, first.stdout) == (0, "issued: 3 station(s)\n")
    tokens = tokens_of(tmp_path)
    assert users(server) == {f"st-{code}-1" for code in codes_of(3)}
    assert {write_status(server, token) for token in tokens.values()} == {204}
    again = centre.run("provision")
    assert (again.returncode, again.stdout) == (0, "issued: 0 station(s)\n")
    assert tokens_of(tmp_path) == tokens
    issue = ledger_of(tmp_path).issues(codes_of(1)[0])[0]
    secrets = [*tokens.values(), code_of(tmp_path, issue)]
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    for path in tmp_path.iterdir():
        content = path.read_bytes()
        assert not any(s.partition(":")[2].encode() in content for s in secrets[:-1])
        assert secrets[-1].encode() not in content
    assert not any(secret in first.stdout + first.stderr for secret in secrets)


def test_a_revoked_station_cannot_write_until_it_is_issued_again(
    server: InfluxDB, tmp_path: Path
) -> None:
    """Revoking removes the account, a plain run leaves the station out."""
    centre = centre_with(tmp_path, server, 2)
    centre.run("provision")
    one, other = codes_of(2)
    old = tokens_of(tmp_path)
    assert centre.run("provision", "--revoke", one).returncode == 0
    assert write_status(server, old[one]) == 401
    assert write_status(server, old[other]) == 204
    assert centre.run("provision").stdout == "issued: 0 station(s)\n"
    again = centre.run("provision", "--reissue", one)
    assert again.returncode == 0, again.stderr
    new = ledger_of(tmp_path).issues(one)[-1]
    code = code_of(tmp_path, new)
    assert f"{code[:4]}-{code[4:8]}-{code[8:]}" in again.stdout
    assert [i.state for i in ledger_of(tmp_path).issues(one)] == [
        State.REVOKED,
        State.ISSUED,
    ]
    assert users(server) == {f"st-{one}-2", f"st-{other}-1"}
    assert write_status(server, tokens_of(tmp_path)[one]) == 204


def test_an_account_that_could_not_be_removed_is_removed_later(
    server: InfluxDB, tmp_path: Path
) -> None:
    """The code ends at once. The next run removes the account."""
    centre = centre_with(tmp_path, server, 1)
    centre.run("provision")
    server.kill()
    (one,) = codes_of(1)
    result = centre.run("provision", "--revoke", one)
    assert result.returncode == 1
    assert f"{one}: its account remains" in result.stdout
    assert ledger_of(tmp_path).issues(one)[-1].state is State.REVOKED
    server.start()
    assert centre.run("provision").returncode == 0
    assert users(server) == set()


def test_the_ledger_is_shown(server: InfluxDB, tmp_path: Path) -> None:
    """Totals, and the history of a station with the person who changed it."""
    centre = centre_with(tmp_path, server, 2)
    centre.run("provision", codes_of(2)[1])
    totals = centre.run("provision", "--show").stdout
    assert totals.startswith("0 making, 1 issued, 0 used")
    shown = json.loads(centre.run("provision", "--show", *codes_of(2), "--json").stdout)
    assert shown[codes_of(2)[0]] == {"issue": [], "event": [], "key": [], "attempt": []}
    assert [e["state"] for e in shown[codes_of(2)[1]]["event"]] == ["making", "issued"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--revoke",), "--revoke: needs the codes of stations"),
        (("--revoke", "--reissue", "3171010001001"), "--reissue: cannot be used"),
        (("3171010009999",), "station: is not in the register (found: 3171010009999)"),
    ],
)
def test_wrong_usage_is_named(
    tmp_path: Path, server: InfluxDB, arguments: tuple[str, ...], message: str
) -> None:
    """The exit status is 2 and nothing is issued."""
    result = centre_with(tmp_path, server, 1).run("provision", *arguments)
    assert result.returncode == 2
    assert result.stderr.startswith(message)
    assert users(server) == set()


def test_a_wrong_administrator_stops_the_run(server: InfluxDB, tmp_path: Path) -> None:
    """The error has the fix, and the next run with the right token continues."""
    centre = centre_with(tmp_path, server, 3)
    (tmp_path / "admin.token").write_text("qos:wrong")
    result = centre.run("provision")
    assert result.returncode == 1
    assert "admin_token_file" in result.stdout
    assert "wrong" not in result.stdout + result.stderr
    (tmp_path / "admin.token").write_text(server.token)
    assert centre.run("provision").stdout == "issued: 3 station(s)\n"


def test_settings_of_all_devices_are_checked_before_anything_is_made(
    server: InfluxDB, tmp_path: Path
) -> None:
    """A wrong key in the common file stops the run with its name."""
    common = tmp_path / "common.toml"
    centre = centre_with(tmp_path, server, 1, f'common = "{common}"')
    common.write_text("[latency]\ncount = 0\n")
    assert "latency.count" in centre.run("provision").stderr
    common.write_text('[station]\nid = "1"\n')
    assert "station: is made for each station" in centre.run("provision").stderr
    assert users(server) == set()
    common.write_text("[latency]\ncount = 7\n")
    assert centre.run("provision").returncode == 0
    query = "SELECT config FROM issue"
    ((config,),) = ledger_of(tmp_path).database.execute(query).fetchall()
    assert 'id = "3171010001001"' in config
    assert "count = 7" in config


def _killed_run(centre: Centre, choose: random.Random) -> bool:
    """Run the command, kill it after a while, and return True if it had ended."""
    process = centre.start("provision")
    try:
        after_s = choose.uniform(1, 20) if _FULL else choose.uniform(0.8, 2.0)
        process.communicate(timeout=after_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return False
    return True


def test_a_killed_run_issues_each_station_once(
    server: InfluxDB, tmp_path: Path
) -> None:
    """Killing the command and restarting the server lose and double nothing.

    Each station ends with one account, whose token of the ledger may write.
    """
    centre = centre_with(tmp_path, server, _STATIONS)
    choose = random.Random(16)
    started_mono = time.monotonic()
    for number in range(_KILLS):
        if _killed_run(centre, choose):
            break
        if number % 10 == 1:
            server.kill()
            server.start()
    while (process := centre.start("provision")).wait():
        output, _ = process.communicate()
        assert "Then run the same command again" in output
    process.communicate()
    taken_s = time.monotonic() - started_mono
    expected = {f"st-{code}-1" for code in codes_of(_STATIONS)}
    assert users(server) == expected
    ledger = ledger_of(tmp_path)
    assert ledger.counts()[State.ISSUED] == _STATIONS
    (total,) = ledger.database.execute("SELECT count(*) FROM issue").fetchone()
    assert total == _STATIONS
    tokens = tokens_of(tmp_path)
    checked = choose.sample(sorted(tokens), min(_STATIONS, 200))
    assert {write_status(server, tokens[code]) for code in checked} == {204}
    print(f"{_STATIONS} stations, {number + 1} kills, {taken_s:.0f} s")


def test_calls_keep_their_distance() -> None:
    """A pace of four a second lets one call pass every quarter of a second."""
    times, now = [], [0.0]

    def pause(wait_s: float) -> None:
        now[0] += wait_s

    pace = Pace(4, lambda: now[0], pause)
    for _ in range(5):
        pace.turn()
        times.append(now[0])
    assert times == [0.0, 0.25, 0.5, 0.75, 1.0]
