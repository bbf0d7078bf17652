"""The gateway as `noc setup` writes it: real nginx, InfluxDB and enrolment endpoint."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from qos_agent.evidence import enrolment, keys
from qos_agent.influx.rejections import Kind, refusal
from qos_agent.model.errors import ConfigError, OperatorError
from qos_agent.noc import authority as authorities
from qos_agent.noc.installation import writing
from qos_agent.noc.provision.admission import Admissions
from qos_agent.noc.settings import load
from tests.deploy.centres import WRITE, Gateway, gateway, prepared
from tests.noc.provision.endpoints import ONE, OTHER, Issuer, endpoint
from tests.servers.certificates import Authority as Certificates
from tests.servers.fixtures import MakeInfluxDB
from tests.servers.influxdb import InfluxDB, Settings
from tests.servers.recorded import Recorded

# An account of InfluxDB 1.8 as provisioning names it.
ACCOUNT = f"st-{ONE}-1:secret"
LINE = f"latency,station={ONE} rtt=1 1"


@pytest.fixture
def server(make_influxdb: MakeInfluxDB) -> InfluxDB:
    """Return an InfluxDB 1.8 that requires a token."""
    return make_influxdb(Settings(auth=True))


@pytest.fixture
def device(server: InfluxDB) -> str:
    """Return the token of a device, which InfluxDB knows."""
    user, _, password = ACCOUNT.partition(":")
    for statement in (
        f"CREATE USER \"{user}\" WITH PASSWORD '{password}'",
        f'GRANT WRITE ON "{server.bucket}" TO "{user}"',
    ):
        server.query(statement)
    return ACCOUNT


def test_only_the_collector_acknowledges(
    server: InfluxDB, device: str, tmp_path: Path
) -> None:
    """While InfluxDB is killed, a device gets 503 and keeps its readings."""
    with gateway(prepared(tmp_path, influxdb=server.port)) as front:
        assert front.write(LINE, device) == 204
        assert front.write(LINE, f"st-{ONE}-1:wrong") == 401
        server.kill()
        status, headers, _ = front.post(WRITE, b"latency,station=1 rtt=3 3")
        assert (status, headers["Retry-After"]) == (503, "30")
        server.start()
        assert front.write(f"latency,station={ONE} rtt=3 3", device) == 204
    assert server.count("latency", "rtt") == 2


def test_devices_reach_nothing_but_writing_and_enrolling(
    server: InfluxDB, tmp_path: Path
) -> None:
    """A token that may delete on InfluxDB 1.8 cannot reach the path for it."""
    with gateway(prepared(tmp_path, influxdb=server.port)) as front:
        front.write(LINE, server.token)
        token = {"Authorization": f"Token {server.token}"}
        for path in (
            "/query?db=qos&q=DROP+MEASUREMENT+latency",
            "/api/v2/write/../../query?db=qos&q=DROP+MEASUREMENT+latency",
            "/api/v2/write/x",
            "/api/v2/delete",
            "/write?db=qos",
            "/debug/vars",
            "/status",
            "/v1/enrol/x",
            "/config/../etc/noc.toml",
            "/config../etc/noc.toml",
            "/config/",
        ):
            assert front.post(path, b"", **token)[0] in {403, 404}, path
            assert front.request("GET", path, b"", **token)[0] in {403, 404}, path
        assert front.post(WRITE, b"x" * 9_000_000, **token)[0] == 413
    assert server.count("latency", "rtt") == 1


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        (f"latency,station={OTHER} rtt=1 1", Kind.POINT),
        (f"{LINE}\nlatency,station={OTHER} rtt=1 1", Kind.POINT),
        (f"latency,link=a,station={ONE},station={OTHER} rtt=1 1", Kind.POINT),
        (f"latency\\,station={ONE},station={OTHER} rtt=1 1", Kind.POINT),
        (f"latency,link=a\\,station\\={ONE},station={OTHER} rtt=1 1", Kind.POINT),
        (f"latency,link=a\\\\,station={ONE} rtt=1 1", Kind.POINT),
        (f'latency,station={ONE} t="x\nlatency,station={OTHER} rtt=1" 1', Kind.POINT),
        (f"\tlatency,station={OTHER} rtt=1 1", Kind.POINT),
        (f"{LINE}\r\n \rlatency,station={OTHER} rtt=1 1", Kind.POINT),
        ("latency rtt=1 1", Kind.POINT),
    ],
)
def test_points_of_another_station_are_refused(
    shared: Gateway, line: str, kind: Kind
) -> None:
    """The device quarantines them, and delivers the others of the same body."""
    for body, encoding in (
        (line.encode(), "identity"),
        (gzip.compress(line.encode()), "gzip"),
    ):
        status, _, content = shared.post(
            WRITE, body, Authorization=f"Token {ACCOUNT}", Content_Encoding=encoding
        )
        assert status == 422, content
        assert refusal(content.decode()).kind is kind


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        (f"{WRITE}&u=st-{OTHER}-1&p=secret", {}, 400),
        (f"{WRITE};u=st-{OTHER}-1;p=secret", {}, 400),
        (f"{WRITE}&%75=st-{OTHER}-1&p=secret", {}, 400),
        (WRITE, {"Authorization": "Basic c3Q6c2VjcmV0"}, 401),
        (WRITE, {"Authorization": f"token st-{OTHER}-1:secret"}, 401),
        (WRITE, {"Content_Encoding": "deflate"}, 400),
        (WRITE, {"Content_Encoding": "gzip"}, 400),
    ],
)
def test_no_account_is_hidden_from_the_gateway(
    shared: Gateway, path: str, headers: dict[str, str], status: int
) -> None:
    """InfluxDB knows more ways to name an account than an agent uses."""
    given = {"Authorization": f"Token {ACCOUNT}", **headers}
    assert shared.post(path, LINE.encode(), **given)[0] == status


@pytest.mark.parametrize(
    ("body", "status"),
    [("# qos-agent doctor", 503), (f"# a\nlatency,station={OTHER} rtt=1 1", 422)],
)
def test_a_comment_reaches_influxdb(shared: Gateway, body: str, status: int) -> None:
    """The agent's doctor sends one to check its token, and no point hides behind it."""
    token = f"Token {ACCOUNT}"
    assert shared.post(WRITE, body.encode(), Authorization=token)[0] == status


def test_a_large_body_is_compared_too(shared: Gateway) -> None:
    """nginx keeps it in a file."""
    lines = f"{LINE}\n" * 5000
    token = f"Token {ACCOUNT}"
    answer = shared.post(WRITE, lines.encode(), Authorization=token)
    assert answer[0] == 503, "there is no InfluxDB"
    lines += f"latency,station={OTHER} rtt=1 1\n"
    answer = shared.post(WRITE, lines.encode(), Authorization=token)
    assert answer[0] == 422


def test_files_that_people_edit_stay(tmp_path: Path) -> None:
    """A second set-up changes nothing, and an option without effect is named."""
    layout = prepared(tmp_path)
    path = layout.config / "noc.toml"
    path.write_text(path.read_text() + "# edited\n")
    before = {p: p.read_bytes() for p in layout.config.rglob("*") if p.is_file()}
    assert writing.write(layout, []) == []
    assert {p: p.read_bytes() for p in before} == before
    with pytest.raises(ConfigError, match=r"enrolment\.certificates: is not set"):
        writing.write(layout, [], certificates=True)


def test_a_second_gzip_member_hides_nothing(shared: Gateway) -> None:
    """InfluxDB reads all members of a body, so only one may be there."""
    body = gzip.compress(LINE.encode()) + gzip.compress(
        f"latency,station={OTHER} rtt=1 1".encode()
    )
    token = f"Token {ACCOUNT}"
    answer = shared.post(WRITE, body, Authorization=token, Content_Encoding="gzip")
    assert answer[0] == 400
    bomb = gzip.compress(bytes(200_000_000))
    answer = shared.post(WRITE, bomb, Authorization=token, Content_Encoding="gzip")
    assert answer[0] == 400


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> object:
    """Return a gateway whose InfluxDB does not run."""
    with gateway(prepared(tmp_path_factory.mktemp("centre"))) as front:
        yield front


def test_a_certificate_decides_before_the_account(
    server: InfluxDB, tmp_path: Path
) -> None:
    """Tokens of InfluxDB 2.x name no station, so the certificate does."""
    layout = prepared(tmp_path, certificates=True, influxdb=server.port)
    signer = keys.create_key(tmp_path / "device.pem")
    certificate = tmp_path / "device.crt"
    issued = authorities.issue_device(layout.authority, ONE, signer.public_key)
    certificate.write_text(issued)
    with gateway(layout) as front:
        assert front.write(LINE, server.token) == 403
        assert front.request("GET", "/config/x")[0] == 404
        known = Gateway(layout, (certificate, signer.path))
        assert known.write(LINE, server.token) == 204
        assert known.write(LINE.replace(ONE, OTHER), server.token) == 422
    assert server.count("latency", "rtt") == 1


def test_each_province_has_its_influxdb(tmp_path: Path) -> None:
    """The host name in the configuration of a device selects the server."""
    acknowledging = {"POST /api/v2/write": (204, None)}
    first, second = (Recorded("1.8.10", acknowledging) for _ in range(2))
    try:
        layout = prepared(tmp_path, influxdb=urlsplit(first.url).port or 0)
        path = layout.config / "noc.toml"
        table = (
            f'[[collectors]]\nurl = "{second.url}"\nprovinces = ["33"]\n'
            'devices_url = "https://collector-2.example.id"\n\n[rollup]'
        )
        path.write_text(path.read_text().replace("[rollup]", table))
        writing.write(layout, ["localhost", "127.0.0.1", "collector-2.example.id"])
        with gateway(layout) as front:
            for host in ("collector-2.example.id", "localhost", "unknown.example.id"):
                assert front.write(LINE, ACCOUNT, Host=host) == 204
        assert (len(first.requests), len(second.requests)) == (2, 1)
    finally:
        first.stop()
        second.stop()


def test_a_collector_that_nginx_cannot_reach_is_named(tmp_path: Path) -> None:
    """The present configuration of nginx stays as it is."""
    layout = prepared(tmp_path)
    before = (layout.config / "nginx.conf").read_text()
    path = layout.config / "noc.toml"
    url = layout.influxdb_url
    path.write_text(path.read_text().replace(url, "https://10.0.0.2:8086", 1))
    with pytest.raises(ConfigError, match=r"collectors\.url: must be an http URL"):
        writing.write(layout, [])
    assert (layout.config / "nginx.conf").read_text() == before


def test_the_ministry_may_issue_the_certificate(tmp_path: Path) -> None:
    """It is used as it is, and devices do not receive another authority for it."""
    ministry = Certificates(tmp_path)
    chain = ministry.identity_file("127.0.0.1")
    folder = tmp_path / "etc/ca"
    folder.mkdir(parents=True)
    for name in ("server.pem", "server.key"):
        (folder / name).write_bytes(chain.read_bytes())
    layout = prepared(tmp_path, names=())
    for name in ("noc.toml", "enrolment.toml"):
        assert load(layout.config / name).enrolment.ca_file is None
    with gateway(layout, ministry.file) as front:
        assert front.post("/", b"")[0] == 404
    with pytest.raises(ConfigError, match="is not in the certificate"):
        writing.write(layout, ["other.example.id"])
    with pytest.raises(OperatorError, match="issued by another authority"):
        authorities.renew_server(layout.authority)
    assert (folder / "server.pem").read_bytes() == chain.read_bytes()


def test_a_device_enrols_behind_the_gateway(tmp_path: Path) -> None:
    """The ledger has the real address, whatever a device writes into the header."""
    issuer = Issuer(tmp_path / "issuer")
    code = issuer.issue(ONE)
    signer = keys.create_key(tmp_path / "device.pem")
    body = enrolment.signed(code, "pi-1", "1", signer, 0)
    forged = {"X-Real-IP": "192.0.2.66"}
    with (
        endpoint(issuer.desk()) as port,
        gateway(prepared(tmp_path, enrolment=port)) as front,
    ):
        status, _, content = front.post(enrolment.PATH, body, **forged)
        assert (status, json.loads(content)["station"]) == (200, ONE)
        assert front.post(enrolment.PATH, b"x" * 5000)[0] == 413
    (attempt,) = Admissions(issuer.ledger()).attempts(ONE)
    assert attempt.peer == "127.0.0.1"


def test_an_endpoint_that_is_down_costs_no_code(shared: Gateway) -> None:
    """The device is asked to come back."""
    status, headers, _ = shared.post(enrolment.PATH, b"x")
    assert (status, headers["Retry-After"]) == (503, "30")


def test_published_files_are_served_once(shared: Gateway) -> None:
    """A device that has the file already receives no content."""
    file = shared.layout.published / "31" / "index.note"
    file.parent.mkdir()
    file.write_text("signed\n")
    (file.parent / "link").symlink_to(shared.layout.config / "admin.token")
    status, headers, content = shared.request("GET", "/config/31/index.note")
    assert (status, content) == (200, b"signed\n")
    again = {"If_None_Match": headers["ETag"]}
    assert shared.request("GET", "/config/31/index.note", b"", **again)[0] == 304
    assert shared.request("PUT", "/config/31/index.note", b"x")[0] == 403
    assert shared.request("GET", "/config/31/link")[0] == 403
