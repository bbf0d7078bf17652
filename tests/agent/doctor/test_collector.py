"""The check of a collector: reach, TLS, token, bucket and clock, against InfluxDB."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from qos_agent.agent.doctor import clock
from qos_agent.agent.doctor.check import Check, Health
from qos_agent.agent.doctor.collector import Delivery, collector
from qos_agent.evidence.enrolment_file import PENDING_NAME
from tests.agent.doctor.support import of
from tests.servers.answers import Status, portal_page, refused
from tests.servers.certificates import Authority, Fault
from tests.servers.database import Database
from tests.servers.fixtures import MakeFront
from tests.servers.influxd import Influxd
from tests.servers.influxdb import InfluxDB, Settings

TOKEN = "qos:secret-password"


def _check(folder: Path, **section: Any) -> Check:
    examined = of(folder, collector=section)
    return collector("collector", Delivery(examined.collector()), examined)


@pytest.fixture(scope="module")
def strict(
    influxd_program: Influxd, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[InfluxDB]:
    """Return a server that wants a token."""
    folder = tmp_path_factory.mktemp("influxdb")
    server = InfluxDB(influxd_program, folder, Settings(auth=True)).start()
    yield server
    server.kill()


def test_a_write_without_points_is_accepted(influxdb: Database, tmp_path: Path) -> None:
    """Token and bucket are right, and nothing is stored."""
    check = _check(tmp_path, url=influxdb.url, bucket=influxdb.database)
    assert check.health is Health.OK, check
    assert influxdb.query("SHOW MEASUREMENTS") == []


def test_a_wrong_bucket_has_the_right_name_in_its_fix(
    strict: InfluxDB, tmp_path: Path
) -> None:
    """The command writes the only database of the server into the file."""
    file = tmp_path / "agent.toml"
    file.write_text(f'[collector]\nurl = "{strict.url}"\nbucket = "nonesuch"\n')
    values = {"url": strict.url, "bucket": "nonesuch", "token": strict.token}
    examined = replace(of(tmp_path, collector=values), file=file)
    check = collector("collector", Delivery(examined.collector()), examined)
    assert check.health is Health.BAD
    assert "bucket or organisation not found" in check.result
    command = check.fix.replace("sudo ", "")
    subprocess.run(command, shell=True, check=True)
    assert f'bucket = "{strict.database}"' in file.read_text()
    values["bucket"] = strict.database
    assert _check(tmp_path, **values).health is Health.OK


def test_a_wrong_token_has_the_command_that_replaces_it(
    strict: InfluxDB, tmp_path: Path
) -> None:
    """The command reads the new token, and the file is private afterwards."""
    file = tmp_path / "token"
    file.write_text("qos:wrong-password\n")
    values = {"url": strict.url, "bucket": strict.database, "token_file": file}
    check = _check(tmp_path, **values)
    assert check.health is Health.BAD
    assert "token not accepted" in check.result
    assert "wrong-password" not in check.result + check.fix
    command = check.fix.replace("sudo ", "")
    subprocess.run(command, shell=True, input=strict.token.encode(), check=True)
    assert file.stat().st_mode & 0o777 == 0o600
    assert _check(tmp_path, **values).health is Health.OK


def test_a_pending_enrolment_explains_the_missing_token(
    strict: InfluxDB, tmp_path: Path
) -> None:
    """The technician completes the enrolment and writes no token by hand."""
    values = {"url": strict.url, "bucket": strict.database, "token": ""}
    file = tmp_path / "agent.toml"
    examined = replace(of(tmp_path, collector=values), file=file)
    file.with_name(PENDING_NAME).touch()
    check = collector("collector", Delivery(examined.collector()), examined)
    assert (check.health, check.fix) == (Health.WARN, "sudo qos-agent enrol --pending")


@pytest.mark.parametrize("content", ["two\nlines", "typographic “quotes”"])
def test_a_token_that_cannot_be_sent_has_the_same_command(
    content: str, strict: InfluxDB, tmp_path: Path
) -> None:
    """The problem is in the file, and the file is written again."""
    file = tmp_path / "token"
    file.write_text("good")
    values = {"url": strict.url, "bucket": strict.database, "token_file": file}
    examined = of(tmp_path, collector=values)
    file.write_text(content)
    check = collector("collector", Delivery(examined.collector()), examined)
    assert check.health is Health.BAD
    assert check.fix == f"sudo install -m 600 /dev/stdin {file}"
    assert content not in check.result


@pytest.mark.parametrize(
    ("fault", "text"),
    [
        ("self_signed", "tls_untrusted"),
        ("expired", "tls_expired"),
        ("not_yet_valid", "tls_expired"),
        ("wrong_name", "tls_name"),
    ],
)
def test_each_fault_of_tls_is_named(
    fault: Fault,
    text: str,
    authority: Authority,
    front: MakeFront,
    influxdb: Database,
    tmp_path: Path,
) -> None:
    """A connection alone is not enough: the certificate must be valid."""
    server = front(tls=authority.server_context(fault))
    check = _check(tmp_path, url=server.url, ca_file=authority.file)
    assert check.health is Health.BAD
    assert text in check.result
    assert check.fix


def test_an_untrusted_authority_is_fixed_by_its_file(
    authority: Authority, front: MakeFront, influxdb: Database, tmp_path: Path
) -> None:
    """The fix names the setting; with it the check passes."""
    server = front(tls=authority.server_context())
    values = {"url": server.url, "bucket": influxdb.database}
    check = _check(tmp_path, **values)
    assert "tls_untrusted" in check.result
    assert check.fix.startswith("set ca_file")
    assert _check(tmp_path, **values, ca_file=authority.file).health is Health.OK


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (refused(401), "token not accepted"),
        (refused(403), "the token may not write"),
        (refused(503), "server not available"),
        (portal_page(), "not from InfluxDB"),
        (Status(511), "requires a login"),
    ],
)
def test_other_answers_are_errors_with_a_fix(
    answer: Status, text: str, front: MakeFront, influxdb: Database, tmp_path: Path
) -> None:
    """A login page or a busy server does not count as a collector."""
    server = front()
    server.always(answer)
    check = _check(tmp_path, url=server.url, bucket=influxdb.database)
    assert check.health is Health.BAD
    assert text in check.result
    assert check.fix


@pytest.mark.parametrize(
    ("message", "health"),
    [
        ("writing requires points", Health.OK),
        ("incoming write was empty", Health.OK),
        ("unable to parse the header", Health.BAD),
    ],
)
def test_a_server_that_wants_points_accepts_token_and_bucket(
    message: str,
    health: Health,
    front: MakeFront,
    influxdb: Database,
    tmp_path: Path,
) -> None:
    """InfluxDB 2.7 and 3.x answer 400 to a body without points, after both."""
    server = front()
    server.always(refused(400, message))
    assert _check(tmp_path, url=server.url).health is health


def test_a_closed_port_is_named(tmp_path: Path) -> None:
    """The result has the URL with the closed port."""
    check = _check(tmp_path, url="http://127.0.0.1:9")
    assert check.health is Health.BAD
    assert "http://127.0.0.1:9" in check.result


def test_a_token_over_plain_http_waits(tmp_path: Path) -> None:
    """The fix names the setting."""
    check = _check(tmp_path, url="http://192.0.2.7", token="x")
    assert check.health is Health.BAD
    assert "delivery waits" in check.result
    assert "set collector.url to https://" in check.fix


@pytest.mark.parametrize("date", ["Wed, 01 Jan 2031 00:00:00 GMT"])
def test_a_clock_that_differs_from_the_collector_is_bad(
    date: str, front: MakeFront, influxdb: Database, tmp_path: Path
) -> None:
    """The clock is compared with the Date header of an accepted write."""
    server = front()
    server.always(Status(204, headers={"Date": date}))
    examined = of(tmp_path, collector={"url": server.url})
    check = clock.clock(examined, Delivery(examined.collector()))
    if examined.clock.state().synced:
        pytest.skip("a synchronised clock is trusted")
    assert check.health is Health.BAD
    assert "compared with the collector" in check.result
    assert check.fix.startswith("sudo ")
