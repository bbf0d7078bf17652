"""deploy/target as shipped, with real nginx and iperf3 in a laboratory."""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.target import certificate, iperf3_command, target
from tests.lab.fixtures import MakeLab
from tests.lab.network import SERVER, Lab
from tests.lab.shape import Shape
from tests.support.requirement import require


@pytest.fixture
def net(lab: MakeLab) -> Lab:
    """Return a laboratory if the servers are installed."""
    require(shutil.which("nginx") is not None, "nginx", "apt-get install nginx-light")
    require(shutil.which("iperf3") is not None, "iperf3", "apt-get install iperf3")
    require(shutil.which("curl") is not None, "curl", "apt-get install curl")
    return lab(Shape(ipv6=False))


@pytest.fixture
def folder() -> Iterator[Path]:
    """Return a folder that the client can write to."""
    with tempfile.TemporaryDirectory(prefix="qos-target-test-") as name:
        yield Path(name)


def curl(net: Lab, *options: str) -> str:
    """Return status and size of a response, requested by the client."""
    output = ["-s", "-o", "/dev/null", "-w", "%{http_code} %{size_download}"]
    return net.run(["curl", *output, *options]).stdout


def measured(net: Lab, **order: object) -> dict[str, dict[str, object]]:
    """Return the fields of a backend's results by direction, run in the client."""
    defaults = {"interface": "eth0", "time_limit_s": 20}
    argv = [sys.executable, "-m", "bench.one", json.dumps({**defaults, **order})]
    results: dict[str, dict[str, object]] = json.loads(net.run(argv).stdout)
    return results


def test_the_body_is_long_random_and_served_in_ranges(net: Lab, folder: Path) -> None:
    """The body of 100 MB cannot be compressed, and ranges work with any query."""
    body = folder / "body"
    with target(net) as url:
        assert curl(net, f"{url}/garbage.php?ckSize=100") == "200 100000000"
        part = ["--range", "1000000-1999999", f"{url}/garbage.php"]
        output = ["-s", "-o", str(body), "-w", "%{http_code}"]
        status = net.run(["curl", *output, *part]).stdout
    assert status == "206"
    assert body.stat().st_size == 1_000_000
    assert len(zlib.compress(body.read_bytes())) > 1_000_000


def test_uploads_are_discarded_and_nothing_else_is_served(
    net: Lab, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A POST of any size gets 200 and leaves no file; another path gets 404."""
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    folder.chmod(0o755)
    bundle = folder / "bundle"
    bundle.write_bytes(bytes(20_000_000))
    post = ["--data-binary", f"@{bundle}", "-H", "Expect:"]
    with target(net) as url:
        assert curl(net, *post, f"{url}/empty.php").startswith("200")
        assert curl(net, "-X", "DELETE", f"{url}/garbage.php").startswith("403")
        assert curl(net, f"{url}/etc/passwd").startswith("404")
        (server,) = folder.glob("qos-target-*")
        assert (server / "client_body").is_dir()
        files = [p for p in server.glob("client_body/**/*") if p.is_file()]
    assert files == []


REQUEST_AND_HOLD = """
import socket
sockets = [socket.create_connection(("%s", 80), 30) for _ in range(70)]
for sock in sockets:
    sock.sendall(b"GET /garbage.php HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n")
print(*[sock.recv(12).decode()[-3:] for sock in sockets])
"""


def test_one_address_gets_64_connections(net: Lab) -> None:
    """Sixteen agents with four flows share an address; further ones get 503."""
    with target(net):
        client = [sys.executable, "-c", REQUEST_AND_HOLD % SERVER]
        statuses = net.run(client).stdout.split()
    assert (statuses.count("200"), statuses.count("503")) == (64, 6)


def test_the_tls_lines_of_the_configuration_work(net: Lab, folder: Path) -> None:
    """With the comment signs removed both directions are measured over TLS."""
    with target(net, pem=certificate(folder)) as url:
        results = measured(
            net,
            backend="http",
            server=url.replace("http:", "https:"),
            limits={"down": 5_000_000, "up": 5_000_000},
            ca_file=str(folder / "pem"),
        )
    assert {d: f.get("stop") for d, f in results.items()} == {
        "down": "bytes",
        "up": "bytes",
    }, results


def test_the_iperf3_unit_serves_one_port_each(net: Lab) -> None:
    """Two instances of the unit serve two ports, as its header describes."""
    # Without a limit of its rate, retransmissions can exceed the byte limit.
    net.set_rate(100)
    with target(net):
        second = net.popen(iperf3_command(5202), "server", stdout=-3)
        for port in (5201, 5202):
            wait = f"until ss -Hltn 'sport = :{port}' | grep -q .; do :; done"
            net.run(["sh", "-c", wait], "server")
            server = f"{SERVER}:{port}"
            limits = {"down": 3_000_000, "up": 3_000_000}
            results = measured(
                net, backend="iperf3", server=server, limits=limits, connections=1
            )
            assert all(fields["rate_bps"] for fields in results.values()), results
        second.terminate()
        second.wait(5)
