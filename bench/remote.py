"""Remote configuration: publishing, bytes of a check, clients, and memory of an agent.

`python -m bench.remote [publish|checks|clients|memory ...]` runs some parts. Publishing
is for 823,220 stations, of which one in a hundred has a layer of its own. Bytes are
those of IP packets, by the kernel's counters of the connection, to nginx with TLS.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from bench.footprint import use
from bench.table import show
from qos_agent.config.settings import CollectorSection
from qos_agent.influx.documents import Document, DocumentClient
from qos_agent.influx.transport import make_client
from qos_agent.noc.remote.source import provinces_of_nation
from qos_agent.system.network.tcp_info import tcp_info
from tests.agent.remote.agents import config, pause_all, running
from tests.agent.remote.device import Device
from tests.noc.remote.centre import Centre, make_centre
from tests.servers.certificates import Authority
from tests.servers.namespace import free_port
from tests.support.waiting import eventually

_STATIONS = 823_220
_OWN_SHARE = 100
_CHECKS = 50
_CLIENTS = 10_000
_CYCLE_S = 60
# A check comes between 0.85 and 0.99 of a cycle after the one before.
_MEAN_CYCLE = 0.92
_AGENT_S = 40
_NGINX = """
daemon off; worker_processes 2; pid {folder}/pid; error_log {folder}/error.log;
events {{ worker_connections 4096; }}
http {{
    {temporary} access_log off; keepalive_timeout 400s; keepalive_requests 100000;
    server {{
        listen 127.0.0.1:{port} ssl; listen 127.0.0.1:{plain};
        ssl_certificate {chain}; ssl_certificate_key {chain};
        gzip off; etag on;
        location /config/ {{ alias {published}/; }}
    }}
}}
"""
_KINDS = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


@contextmanager
def nginx(folder: Path, published: Path) -> Iterator[tuple[str, str, Path]]:
    """Serve the published folder; yield the https and http URL and the authority."""
    authority = Authority(folder)
    port, plain = free_port("127.0.0.1"), free_port("127.0.0.1")
    file = folder / "nginx.conf"
    temporary = "".join(f"{kind}_temp_path {folder}/{kind}; " for kind in _KINDS)
    text = _NGINX.format(
        folder=folder,
        temporary=temporary,
        port=port,
        plain=plain,
        chain=authority.identity_file("127.0.0.1"),
        published=published,
    )
    file.write_text(text)
    # Workers that run as another user must read the folder.
    folder.chmod(0o755)
    server = subprocess.Popen(["nginx", "-c", str(file), "-g", "user root;"])
    try:
        eventually((folder / "pid").exists, 20)
        urls = (f"https://127.0.0.1:{port}/config", f"http://127.0.0.1:{plain}/config")
        yield *urls, authority.file
    finally:
        server.terminate()
        server.wait(20)


def codes() -> Iterator[str]:
    """Yield the codes of all stations, spread over the provinces."""
    provinces = provinces_of_nation()[1:]
    for number in range(_STATIONS):
        province = provinces[number % len(provinces)]
        yield f"{province}01{number:09d}"


def publish(folder: Path) -> list[tuple[str, str, str]]:
    """Measure the first publication, one change, and a pause."""
    centre = make_centre(folder / "noc")
    centre.write("nation/settings.toml", '[schedule.voting]\nthroughput = "30m"\n')
    for number, code in enumerate(codes()):
        if number % _OWN_SHARE == 0:
            text = f'[schedule.voting]\nthroughput = "{10 + number % 7}m"\n'
            centre.write(f"station/{code}/settings.toml", text)
    rows = [_timed("first publication", centre.publish)]
    centre.write("nation/settings.toml", '[schedule.voting]\nthroughput = "20m"\n')
    rows.append(_timed("a change for the nation", centre.publish))
    rows.append(_timed("a pause", partial(pause_all, centre, 60)))
    size = max(path.stat().st_size for path in centre.published.glob("*.note"))
    rows.append(("largest index", f"{size / 1000:.1f} kB", "48 kB"))
    return rows


def _timed(name: str, action: Callable[[], object]) -> tuple[str, str, str]:
    start_s = time.monotonic()
    action()
    return name, f"{time.monotonic() - start_s:.1f} s", "60 s"


def checks(folder: Path) -> list[tuple[str, str, str]]:
    """Measure the bytes of checks on an open connection, as the uplink has it."""
    centre = make_centre(folder / "noc")
    centre.write("nation/settings.toml", '[schedule.voting]\nthroughput = "30m"\n')
    centre.publish(now_s=int(time.time()))
    with nginx(folder, centre.published) as (url, _, authority):
        section = CollectorSection(url=url, ca_file=authority)
        client = make_client(section, None)
        manager: Any = client.api_client.rest_client.pool_manager
        documents = DocumentClient(section, lambda: manager)
        first = documents.get(f"{url}/31.note", None, 10)
        assert isinstance(first, Document), first
        before = _moved(manager, url)
        for _ in range(_CHECKS):
            answer = documents.get(f"{url}/31.note", first.etag, 10)
            assert isinstance(answer, Document), answer
            assert answer.status == 304
        each = (_moved(manager, url) - before) / _CHECKS
        counted = answer.size_bytes
        client.close()
    in_pre = each * 144 / _MEAN_CYCLE / 1e6
    voting = each * 1440 / _MEAN_CYCLE / 1e6
    return [
        ("a check without a change", f"{each:.0f} B", "2,000 B"),
        ("counted on the allowance for it", f"{counted} B", ""),
        ("a day in pre, every 10 min", f"{in_pre:.2f} MB", "0.5 MB"),
        ("a day of voting, every minute", f"{voting:.2f} MB", "3 MB"),
        ("an index that changed", f"{len(first.body)} B", ""),
    ]


def _moved(manager: Any, url: str) -> int:
    """Return the bytes of IP packets of the open connection so far."""
    connection = manager.connection_from_url(url).pool.queue[-1]
    return tcp_info(connection.sock).packet_bytes()


def clients(folder: Path) -> list[tuple[str, str, str]]:
    """Measure how long 10,000 clients need to have a pause, with the agent's code."""
    centre = make_centre(folder / "noc")
    centre.write("nation/settings.toml", '[schedule.voting]\nthroughput = "30m"\n')
    centre.publish(now_s=int(time.time()))
    with nginx(folder, centre.published) as (_, url, _):
        halves = [range(0, _CLIENTS, 2), range(1, _CLIENTS, 2)]
        with ProcessPoolExecutor(2) as pool:
            work = partial(_follow, centre.folder, folder / "clients", url)
            began_s = time.monotonic()
            list(pool.map(partial(work, wanted=0), halves))
            first_s = time.monotonic() - began_s
            pause_all(centre, 3600)
            began_s = time.monotonic()
            reached = sum(pool.map(partial(work, wanted=1), halves))
            took_s = time.monotonic() - began_s
    return [
        ("10,000 clients load version 1", f"{first_s:.1f} s", ""),
        ("10,000 clients have the pause", f"{took_s:.1f} s", f"{_CYCLE_S} s"),
        ("clients that have it", f"{reached:,}", f"{_CLIENTS:,}"),
    ]


def _follow(
    noc: Path, folder: Path, url: str, numbers: Sequence[int], *, wanted: int
) -> int:
    """Check once as each of these devices; return how many have the pauses."""
    import urllib3

    from qos_agent.influx.limited_http import limit_responses
    from qos_agent.model import limits

    centre, manager = Centre(noc), urllib3.PoolManager(maxsize=1)
    limit_responses(manager, limits.WRITE)
    documents = DocumentClient(CollectorSection(), lambda: manager)

    def get(name: str, etag: str | None = None) -> Document | None:
        answer = documents.get(f"{url}/{name}", etag, 10)
        return answer if isinstance(answer, Document) else None

    count = 0
    for number in numbers:
        device = Device(centre, folder / str(number), f"31710100{number:05d}", get=get)
        device.now_s = time.time()
        device.run(frozen=bool(wanted))
        index = device.check.index
        count += index is not None and len(index.pause) == wanted
    return count


def memory(folder: Path) -> list[tuple[str, str, str]]:
    """Measure an agent without and with the remote configuration."""
    centre = make_centre(folder / "noc")
    centre.write("nation/settings.toml", "[latency]\ncount = 7\n")
    centre.publish(now_s=int(time.time()))
    rows = []
    with nginx(folder, centre.published) as (_, url, _):
        for name in ("off", "on"):
            path = config(centre, folder / name, url, "3171010001001")
            if name == "off":
                path.write_text(path.read_text().partition("[remote]")[0])
            with running(path) as agent:
                time.sleep(_AGENT_S / 2)
                centre.write(
                    "nation/settings.toml", f"[latency]\ncount = {len(name)}\n"
                )
                centre.publish(now_s=int(time.time()))
                time.sleep(_AGENT_S / 2)
                used = use(agent.process.pid)
            figures = (
                f"{used.peak_kib / 1024:.1f} MiB peak, {used.resident_kib / 1024:.1f}"
            )
            written = f"{used.written_bytes / 1000:.0f} kB written"
            rows.append((f"remote {name}", f"{figures} MiB at the end", written))
    return rows


PARTS: dict[str, Callable[[Path], list[tuple[str, str, str]]]] = {
    "publish": publish,
    "checks": checks,
    "clients": clients,
    "memory": memory,
}


def main(arguments: Sequence[str] = ()) -> None:
    """Print a table for each part."""
    for name in arguments or PARTS:
        with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
            rows = PARTS[name](Path(folder))
        load = Path("/proc/loadavg").read_text().split()[0]
        title = f"Remote configuration: {name} (n 1, load {load})"
        show(title, ("figure", "measured", "goal"), rows)


if __name__ == "__main__":
    main(sys.argv[1:])
