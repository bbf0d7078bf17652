"""`noc enrolment` and `enrol` together, as processes over TLS."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from qos_agent.model.enrolment_code import shown_code
from qos_agent.noc.provision.ledger import State
from qos_agent.noc.register.keys import KeyRegister
from tests.noc.commands import ROOT, Centre
from tests.noc.provision.centres import (
    centre_with,
    code_of,
    codes_of,
    ledger_of,
    write_status,
)
from tests.noc.provision.endpoints import Issuer
from tests.servers.certificates import Authority
from tests.servers.fixtures import MakeInfluxDB
from tests.servers.influxdb import InfluxDB, Settings


@pytest.fixture
def server(make_influxdb: MakeInfluxDB) -> InfluxDB:
    """Return an InfluxDB 1.8 that requires a token."""
    return make_influxdb(Settings(auth=True))


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """Return the authority of the endpoint."""
    return Authority(tmp_path)


@pytest.fixture
def centre(server: InfluxDB, authority: Authority, tmp_path: Path) -> Centre:
    """Return a centre with two stations whose endpoint has its own certificate."""
    chain = authority.identity_file("127.0.0.1")
    more = f'[enrolment]\nport = 0\ncert_file = "{chain}"\nca_file = "{authority.file}"'
    return centre_with(tmp_path, server, 2, more)


@pytest.fixture
def endpoint(centre: Centre) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Return the process of the endpoint and its URL."""
    process = centre.start("enrolment")
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line.startswith("enrolment: listening on 127.0.0.1, port "), line
    yield process, f"https://127.0.0.1:{line.rsplit(' ', 1)[1].strip()}"
    process.terminate()
    process.communicate(timeout=30)


def _device(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    folder.mkdir(exist_ok=True)
    config = folder / "agent.toml"
    command = [sys.executable, "-m", "qos_agent", "enrol", *arguments]
    return subprocess.run(
        [*command, "-c", str(config)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_a_device_enrols_over_tls_and_writes(
    centre: Centre,
    server: InfluxDB,
    authority: Authority,
    endpoint: tuple[subprocess.Popen[str], str],
    tmp_path: Path,
) -> None:
    """From the register to a point in InfluxDB, a visible theft, and the end."""
    assert centre.run("provision").returncode == 0
    process, url = endpoint
    one = codes_of(1)[0]
    code = shown_code(code_of(tmp_path, ledger_of(tmp_path).issues(one)[0]))
    common = (code, "--centre", url, "--ca-file", str(authority.file))
    result = _device(tmp_path / "pi", *common)
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith(f"enrolled: station {one}, device ")
    token = (tmp_path / "pi" / "collector.token").read_text().strip()
    assert write_status(server, token) == 204
    authority_text = (tmp_path / "pi" / "collector-ca.pem").read_bytes()
    assert authority_text == authority.file.read_bytes()
    thief = _device(tmp_path / "thief", *common)
    assert (thief.returncode, thief.stdout) == (1, "")
    assert "was used already" in thief.stderr
    totals = centre.run("provision", "--show")
    assert totals.returncode == 1
    assert f"{one}: its code was tried again" in totals.stdout
    shown = json.loads(centre.run("provision", "--show", one, "--json").stdout)[one]
    assert [a["outcome"] for a in shown["attempt"]] == ["accepted", "used"]
    assert [k["valid_to"] for k in shown["key"]] == [None]
    assert centre.run("provision", "--revoke", one).returncode == 0
    assert write_status(server, token) == 401
    (key,) = KeyRegister(tmp_path / "register.sqlite3").history(one)
    assert key.valid_to is not None
    process.terminate()
    output, errors = process.communicate(timeout=30)
    assert process.returncode == 0, errors
    for secret in (token, token.partition(":")[2], code, code.replace("-", "")):
        assert secret not in output + errors + result.stdout + result.stderr


def test_a_device_enrols_from_a_stick(
    centre: Centre,
    server: InfluxDB,
    endpoint: tuple[subprocess.Popen[str], str],
    tmp_path: Path,
) -> None:
    """The centre accepts the request once, and the device gets its token later."""
    config, stick, one = centre.path, tmp_path / "stick", codes_of(1)[0]
    stick.mkdir()
    assert centre.run("provision", "--stick", str(stick)).returncode == 2
    url = f'[provision]\nendpoint = "{endpoint[1]}"'
    config.write_text(config.read_text().replace("[provision]", url))
    made = centre.run("provision", one, "--stick", str(stick))
    assert (made.returncode, made.stderr) == (0, "")
    assert f"enrolment files: 1 in {stick}" in made.stdout
    fingerprint = made.stdout.split()[-1]
    assert [path.name for path in stick.iterdir()] == [f"{one}.enrol"]
    device = tmp_path / "pi"
    options = ("--stick", str(stick), "--fingerprint", fingerprint)
    result = _device(device, *options)
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith(f"enrolment pending: station {one}, device ")
    request = str(stick / f"{one}.request")
    shown = centre.run("register", "import-keys", request)
    assert "Nothing was imported yet" in shown.stdout
    taken = centre.run("register", "import-keys", request, "--apply")
    assert (taken.returncode, taken.stdout) == (0, f"{request}: {one} accepted\n")
    (key,) = KeyRegister(tmp_path / "register.sqlite3").history(one)
    assert key.key.fingerprint in result.stdout
    done = _device(device, "--pending")
    assert done.returncode == 0, done.stderr
    assert write_status(server, (device / "collector.token").read_text().strip()) == 204
    thief = tmp_path / "thief"
    assert _device(thief, *options).returncode == 0
    refused = centre.run("register", "import-keys", request, "--apply")
    assert refused.returncode == 1
    assert "the code was used already. Fix: " in refused.stdout


def test_a_killed_endpoint_gives_the_code_to_one_device(
    centre: Centre, authority: Authority, server: InfluxDB, tmp_path: Path
) -> None:
    """After each kill the device asks again, and the ledger has one key."""
    centre.run("provision")
    one = codes_of(1)[0]
    code = code_of(tmp_path, ledger_of(tmp_path).issues(one)[0])
    for number in range(3):
        process = centre.start("enrolment")
        assert process.stdout is not None
        port = process.stdout.readline().rsplit(" ", 1)[1].strip()
        url = f"https://127.0.0.1:{port}"
        result = _device(
            tmp_path / "pi", code, "--centre", url, "--ca-file", str(authority.file)
        )
        process.kill()
        process.communicate()
        assert result.returncode == 0, (number, result.stderr)
    assert ledger_of(tmp_path).issues(one)[0].state is State.USED
    assert len(KeyRegister(tmp_path / "register.sqlite3").history(one)) == 1


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ('[enrolment]\naddress = "0.0.0.0"', "enrolment.cert_file: is missing"),
        ('[enrolment]\ncert_file = "/nowhere"', "enrolment.cert_file: must be"),
        ('[enrolment]\nca_file = "/nowhere"', "/nowhere: cannot be read"),
        ('[election]\ncalendar = "/nowhere"', "/nowhere: cannot be read"),
    ],
)
def test_a_wrong_endpoint_does_not_start(
    tmp_path: Path, more: str, message: str
) -> None:
    """The exit status is 2, and no token could cross a network without TLS."""
    Issuer(tmp_path).issue(codes_of(1)[0])
    path = tmp_path / "noc.toml"
    path.write_text(f'folder = "{tmp_path}"\n{more}\n')
    result = Centre(path).run("enrolment")
    assert result.returncode == 2, result.stderr
    assert message in result.stderr
    assert os.linesep.join(result.stderr.splitlines()).count("Fix: ") == 1
