"""The processor time that the gateway needs for a write, with and without its check.

`python -m bench.gateway` sends bodies of 9 and of 500 points over a TLS connection to
nginx as `noc setup` configures it. Another nginx answers 204 in place of InfluxDB. The
processor time of nginx's workers counts, so other load on the machine does not.
"""

from __future__ import annotations

import gzip
import http.client
import os
import re
import ssl
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.table import show
from qos_agent.noc.installation.layout import Layout
from tests.deploy.centres import WRITE, gateway, prepared

_STATION = "3171010001001"
_POINT = (
    "latency,layer=anchor,link=main,operator=telkomsel,phase=voting,province=31,"
    'regency=3171,station={station},target=anchor-1 device="pi-1",journal="a1b2",'
    "lost=0i,received=20i,rtt_max_us={number}i,rtt_min_us=18234i,rtt_sum_us=412345i,"
    "schema=3i,sent=20i,seq={number}i {time}"
)
_REQUESTS = {9: 4000, 500: 400}
_SINK = """
daemon off; user root; pid {folder}/sink.pid; error_log stderr;
events {{ worker_connections 1000; }}
http {{ access_log off; client_body_temp_path {folder}/a; proxy_temp_path {folder}/b;
fastcgi_temp_path {folder}/c; uwsgi_temp_path {folder}/d; scgi_temp_path {folder}/e;
server {{ listen 127.0.0.1:{port}; keepalive_requests 1000000;
client_max_body_size 8m; location / {{ return 204; }} }} }}
"""


def body_of(points: int) -> bytes:
    """Return a compressed body of some points of one station."""
    lines = [
        _POINT.format(station=_STATION, number=1000 + n, time=1_800_000_000 * 10**9 + n)
        for n in range(points)
    ]
    return gzip.compress("\n".join(lines).encode(), 6)


def worker_s(layout: Layout) -> float:
    """Return the processor time of nginx's processes."""
    master = (layout.run / "nginx.pid").read_text().strip()
    children = Path(f"/proc/{master}/task/{master}/children").read_text().split()
    ticks = 0
    for process in (master, *children):
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def cost_us(layout: Layout, body: bytes, requests: int) -> float:
    """Return the microseconds of processor time for one request."""
    context = ssl.create_default_context(cafile=str(layout.authority.trusted))
    connection = http.client.HTTPSConnection(
        "127.0.0.1", layout.ports.gateway, context=context, timeout=30
    )
    headers = {
        "Authorization": f"Token st-{_STATION}-1:secret",
        "Content-Encoding": "gzip",
    }
    for number in range(requests + 100):
        if number == 100:
            before_s = worker_s(layout)
        connection.request("POST", WRITE, body, headers)
        response = connection.getresponse()
        response.read()
        if response.status != 204:
            log = (layout.run / "error.log").read_text()
            raise RuntimeError(f"HTTP {response.status}: {log[-500:]}")
    connection.close()
    return (worker_s(layout) - before_s) / requests * 1e6


@contextmanager
def sink(folder: Path, port: int) -> Iterator[None]:
    """Run an nginx that answers 204 to everything."""
    path = folder / "sink.conf"
    path.write_text(_SINK.format(folder=folder, port=port))
    process = subprocess.Popen(["nginx", "-e", "stderr", "-c", str(path)])
    try:
        time.sleep(1)
        yield
    finally:
        process.terminate()
        process.wait(20)


def main() -> None:
    """Measure each size with the check and without it, and print a table."""
    rows = []
    with tempfile.TemporaryDirectory() as name:
        layout = prepared(Path(name))
        path = layout.config / "nginx.conf"
        checked = path.read_text()
        plain = re.sub(r"access_by_lua_block.*", "", checked)
        with sink(Path(name), layout.ports.influxdb):
            for points, requests in _REQUESTS.items():
                body = body_of(points)
                found = []
                for text in (plain, checked):
                    path.write_text(text)
                    with gateway(layout):
                        found.append(cost_us(layout, body, requests))
                before, after = found
                rows.append(
                    (
                        str(points),
                        f"{len(body):,}",
                        f"{before:.0f}",
                        f"{after:.0f}",
                        f"{after - before:.0f}",
                        f"{1e6 / after:,.0f}",
                    )
                )
    head = (
        "points",
        "bytes",
        "plain, us",
        "checked, us",
        "check, us",
        "requests/core s",
    )
    show(f"one connection, load of the machine {os.getloadavg()[0]:.1f}", head, rows)


if __name__ == "__main__":
    main()
