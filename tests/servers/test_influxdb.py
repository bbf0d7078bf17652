"""Properties of the real InfluxDB of the tests: what it stores, drops and refuses."""

from __future__ import annotations

import gzip
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from influxdb_client.client.influxdb_client import InfluxDBClient
from influxdb_client.client.write_api import SYNCHRONOUS, WriteOptions
from influxdb_client.domain.write_precision import WritePrecision

from tests.servers import influxd
from tests.servers.answers import Request, Status
from tests.servers.database import Database, QueryError
from tests.servers.fixtures import MakeFront, MakeInfluxDB
from tests.servers.influxdb import InfluxDB, Settings
from tests.servers.mapping import map_write
from tests.servers.namespace import inside
from tests.support.requirement import require

AT_NS = 1_707_868_800_123_456_789


def client_write(target: Database | InfluxDB, lines: str) -> None:
    """Write like the agent, with the client library, gzip and nanoseconds."""
    with InfluxDBClient(
        url=target.url, token=target.token or "-", org=target.org, enable_gzip=True
    ) as client:
        client.write_api(write_options=SYNCHRONOUS).write(
            bucket=target.bucket, record=lines, write_precision=WritePrecision.NS
        )


def test_client_write_is_read_back_to_the_nanosecond(influxdb: Database) -> None:
    """A point written by influxdb-client with gzip has its exact time."""
    client_write(influxdb, f"latency,link=sim1 sent=10i {AT_NS}")
    assert influxdb.rows("latency") == [
        {"measurement": "latency", "time": AT_NS, "link": "sim1", "sent": 10}
    ]


def test_client_batching_writer_loses_nothing(influxdb: Database) -> None:
    """All points of a batching writer are stored once it is closed."""
    with (
        InfluxDBClient(
            url=influxdb.url, token=influxdb.token or "-", org=influxdb.org
        ) as client,
        client.write_api(WriteOptions(batch_size=70)) as writer,
    ):
        for number in range(200):
            line = f"latency sent={number}i {AT_NS + number}"
            writer.write(influxdb.bucket, record=line)
    assert influxdb.count("latency", "sent") == 200


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("9223372036854775807i", 2**63 - 1, id="largest integer"),
        pytest.param("-9223372036854775808i", -(2**63), id="smallest integer"),
        pytest.param("9007199254740993i", 2**53 + 1, id="integer no float holds"),
        pytest.param("0.1", 0.1, id="float"),
        pytest.param("5e-324", 5e-324, id="smallest float"),
        pytest.param("1.7976931348623157e308", 1.7976931348623157e308, id="largest"),
        pytest.param("1.0000000000000002", 1.0000000000000002, id="float's last bit"),
        pytest.param(
            '"Kabupaten Nduga, “Papua” 🗳"', "Kabupaten Nduga, “Papua” 🗳", id="unicode"
        ),
        pytest.param(
            '"a \\"quote\\", a \\\\ and = sign"',
            'a "quote", a \\ and = sign',
            id="escapes",
        ),
        pytest.param('"two\nlines"', "two\nlines", id="line feed"),
        pytest.param('""', "", id="empty string"),
        pytest.param("t", True, id="boolean"),
    ],
)
def test_field_is_read_back_as_written(
    influxdb: Database, text: str, expected: object
) -> None:
    """Each type of field keeps its value in a write and a query."""
    client_write(influxdb, f"m value={text} {AT_NS}")
    value = influxdb.rows("m")[0]["value"]
    assert (type(value), value) == (type(expected), expected)


def test_query_answer_loses_the_difference_of_20_and_20_0(influxdb: Database) -> None:
    """A whole float is returned as an integer, so types must come from the schema."""
    client_write(influxdb, f"m whole=20.0,integer=20i {AT_NS}")
    row = influxdb.rows("m")[0]
    assert (type(row["whole"]), type(row["integer"])) == (int, int)


def test_tag_and_names_keep_their_escapes(influxdb: Database) -> None:
    """Blanks, commas and equal signs in names and tags are stored."""
    client_write(influxdb, f"a\\ b,tag\\,key=x\\=y\\ z field\\ 1=1i {AT_NS}")
    row = influxdb.rows("a b")[0]
    assert (row["tag,key"], row["field 1"]) == ("x=y z", 1)


def test_same_series_and_time_is_one_point(influxdb: Database) -> None:
    """Writing a point twice stores one, so a repeated delivery does no harm."""
    for _ in range(2):
        client_write(influxdb, f"latency,link=a sent=10i {AT_NS}")
    assert len(influxdb.rows("latency")) == 1


def test_field_of_another_type_is_refused_and_the_rest_stored(
    influxdb: Database,
) -> None:
    """The answer to a type conflict is 400; the other points are stored."""
    influxdb.write(f"m value=1i {AT_NS}".encode())
    answer = influxdb.write(f"m value=2.5 {AT_NS + 1}\nm value=3i {AT_NS + 2}".encode())
    assert (answer.status, b"partial write" in answer.body) == (400, True)
    assert influxdb.count("m", "value") == 2


def test_conflict_of_types_in_a_new_measurement_is_refused(
    influxdb: Database,
) -> None:
    """If the first points conflict in type, 1.8 stores none and returns 400.

    Its message does not contain "partial write". Older servers store the points of the
    first type. A client must therefore send such lines alone.
    """
    answer = influxdb.write(f"m value=1i {AT_NS}\nm value=2.5 {AT_NS + 1}".encode())
    assert (answer.status, b"field type conflict" in answer.body) == (400, True)
    assert len(influxdb.rows("m")) == (1 if b"partial write" in answer.body else 0)


def test_invalid_line_is_refused_and_the_rest_stored(influxdb: Database) -> None:
    """The answer to an invalid line is 400, although the other lines are stored."""
    answer = influxdb.write(f"m v=1i {AT_NS}\nm v=zz\nm v=3i {AT_NS + 2}".encode())
    assert (answer.status, b"partial write" in answer.body) == (400, True)
    assert influxdb.count("m", "v") == 2


def test_field_named_time_is_dropped_silently(influxdb: Database) -> None:
    """A field named `time` is dropped with 204, so the schema must not have one."""
    answer = influxdb.write(f"m time=1i,v=2i {AT_NS}".encode())
    stored = [{"measurement": "m", "time": AT_NS, "v": 2}]
    assert (answer.status, influxdb.rows("m")) == (204, stored)


def test_field_type_is_checked_per_shard(influxdb: Database) -> None:
    """Another type in a later shard (one week) is stored; the schema prevents it."""
    later_ns = AT_NS + 30 * 86_400 * 10**9
    influxdb.write(f"m v=1i {AT_NS}".encode())
    answer = influxdb.write(f"m v=2.5 {later_ns}".encode())
    assert (answer.status, influxdb.count("m", "v")) == (204, 2)


def test_tests_do_not_share_data(influxdb: Database) -> None:
    """A new database has no measurements."""
    assert influxdb.query("SHOW MEASUREMENTS") == []


def test_group_by_adds_tags_to_rows(influxdb: Database) -> None:
    """Rows of a grouped query have the tags of their series."""
    client_write(influxdb, f"m,link=a v=1i {AT_NS}\nm,link=b v=2i {AT_NS}")
    rows = influxdb.query('SELECT SUM("v") FROM "m" GROUP BY "link"')
    assert [(row["link"], row["sum"]) for row in rows] == [("a", 1), ("b", 2)]


def test_refused_statement_raises_the_servers_message(influxdb: Database) -> None:
    """A wrong statement is an error and not an empty result."""
    with pytest.raises(QueryError, match="error parsing query"):
        influxdb.query("SELEKT 1")


def test_retention_is_set(influxdb: Database) -> None:
    """A database with a retention duration refuses older points."""
    short = influxdb.create_database(f"{influxdb.database}_short", "1d")
    answer = short.write(f"m v=1i {AT_NS}".encode())
    short.drop()
    assert (answer.status, b"beyond retention policy" in answer.body) == (400, True)


def test_acknowledged_points_survive_kill(influxdb_process: InfluxDB) -> None:
    """Points acknowledged with 204 exist after SIGKILL, at the same address."""
    server = influxdb_process
    for number in range(20):
        client_write(server, f"latency sent={number}i {AT_NS + number}")
    server.kill()
    with pytest.raises(ConnectionError):
        server.query("SHOW DATABASES")
    server.start()
    assert server.count("latency", "sent") == 20


def test_restart_keeps_data_and_address(influxdb_process: InfluxDB) -> None:
    """A normal restart keeps the points and the port."""
    server = influxdb_process
    url = server.url
    client_write(server, f"latency sent=1i {AT_NS}")
    server.restart()
    assert (server.url, server.count("latency", "sent")) == (url, 1)


def test_auth_requires_the_token(make_influxdb: MakeInfluxDB) -> None:
    """With authentication the token can write and read; a wrong one gets 401."""
    server = make_influxdb(Settings(auth=True))
    client_write(server, f"m v=1i {AT_NS}")
    wrong = Database(server.url, "qos:wrong", server.org, server.database)
    assert (server.count("m", "v"), wrong.write(b"m v=1i").status) == (1, 401)


def test_values_per_tag_are_limited(make_influxdb: MakeInfluxDB) -> None:
    """A server with a limit refuses the first tag value above it."""
    server = make_influxdb(Settings(index="inmem", max_values_per_tag=3))
    answers = [server.write(f"m,link=l{n} v=1i".encode()) for n in range(4)]
    assert [answer.status for answer in answers] == [204, 204, 204, 400]
    assert b"max-values-per-tag limit exceeded (3/3)" in answers[-1].body


def test_body_size_is_limited(make_influxdb: MakeInfluxDB) -> None:
    """A server with a limit answers 413; it counts compressed bytes."""
    server = make_influxdb(Settings(max_body_bytes=1000))
    lines = b"m v=1i 1\n" * 500
    path, gzipped = "/api/v2/write?org=o&bucket=qos", {"Content-Encoding": "gzip"}
    packed = server.view.request("POST", path, gzip.compress(lines), gzipped)
    assert (server.write(lines).status, packed.status) == (413, 204)


@pytest.fixture
def namespace() -> Iterator[str]:
    """Create a network namespace with loopback only."""
    name = f"qos-srv-{os.getpid()}"
    created = os.geteuid() == 0 and not subprocess.call(["ip", "netns", "add", name])
    require(created, "a network namespace", "run as root, with iproute2 installed")
    subprocess.check_call(["ip", "-n", name, "link", "set", "lo", "up"])
    yield name
    subprocess.check_call(["ip", "netns", "delete", name])


def test_server_runs_inside_a_namespace(
    namespace: str, make_influxdb: MakeInfluxDB
) -> None:
    """A server in a namespace answers there and is not reachable from outside."""
    server = make_influxdb(namespace=namespace)
    assert server.write(f"m v=1i {AT_NS}".encode()).status == 204
    assert server.count("m", "v") == 1
    outside = Database(server.url, server.token, server.org, server.database)
    with pytest.raises(ConnectionError):
        outside.query("SHOW DATABASES")


def current_namespace() -> str:
    """Return the network namespace of the calling thread."""
    return str(Path("/proc/thread-self/ns/net").readlink())


def test_inside_does_not_move_this_thread(namespace: str) -> None:
    """A function runs inside the namespace, and the calling thread stays outside."""
    outer = current_namespace()
    assert inside(namespace, current_namespace) != outer
    assert current_namespace() == outer


def test_bucket_is_created_on_a_2x_server(front: MakeFront) -> None:
    """On a 2.x server a database is created as a bucket of the organisation."""

    def answer(request: Request) -> Status:
        if request.path == "/ping":
            return Status(204, headers={"X-Influxdb-Version": "v2.7.1"})
        if request.path.startswith("/api/v2/orgs"):
            return Status(200, b'{"orgs":[{"id":"0a"}]}')
        return Status(201, b"{}")

    server = front("")
    server.always(answer)
    created = Database(server.url, "secret", "kpu", "").create_database("b")
    requests = [(request.method, request.path) for request in server.requests]
    assert created.bucket == "b"
    assert requests[1:] == [
        ("GET", "/api/v2/orgs?org=kpu"),
        ("POST", "/api/v2/buckets"),
    ]
    assert server.requests[2].body == (
        b'{"orgID": "0a", "name": "b", "retentionRules": []}'
    )


@pytest.mark.parametrize(
    ("new", "old"),
    [
        ("/api/v2/write?org=o&bucket=qos&precision=ns", "/write?db=qos&precision=n"),
        ("/api/v2/write?bucket=qos%2Fraw", "/write?db=qos&precision=n&rp=raw"),
        ("/api/v2/write?bucket=q&precision=us", "/write?db=q&precision=u"),
    ],
)
def test_write_path_is_mapped_for_an_old_server(new: str, old: str) -> None:
    """The v2 write path is converted to the path of InfluxDB before 1.8."""
    assert map_write(new) == old


def test_wrong_precision_is_refused_with_either_server(influxdb: Database) -> None:
    """The answer to an invalid precision is 400."""
    path = f"/api/v2/write?org=o&bucket={influxdb.bucket}&precision=xx"
    assert influxdb.request("POST", path, b"m v=1i 1").status == 400


def test_version_decides_whether_a_front_is_needed() -> None:
    """InfluxDB 1.8 has the v2 write path; 1.6 does not."""
    versions = ("1.6.7", "1.8.10", "1.11.8")
    has_path = [influxd.Influxd(Path("influxd"), v).has_v2_write for v in versions]
    assert has_path == [False, True, True]


def test_gzip_and_plain_bodies_store_the_same(influxdb: Database) -> None:
    """A gzip body stores the same points as a plain body."""
    packed = gzip.compress(f"m v=1i {AT_NS}".encode())
    headers = {"Content-Encoding": "gzip"}
    path = f"/api/v2/write?org=o&bucket={influxdb.bucket}&precision=ns"
    answer = influxdb.request("POST", path, packed, headers)
    assert (answer.status, influxdb.count("m", "v")) == (204, 1)


def test_stop_is_quick(influxdb_process: InfluxDB) -> None:
    """A normal stop takes less than five seconds."""
    start_mono = time.monotonic()
    influxdb_process.stop()
    assert time.monotonic() - start_mono < 5
