"""Processor seconds per Gbit, ours and the peers'.

`python -m bench.cpu`: over a virtual cable that carries single frames, as the
laboratory's do, and over one that joins them, as network cards do; then with TLS.
curl and openssl, which measure nothing, carry the same bodies to and from the same
server beside: what moving and what encrypting cost at least.
"""

from __future__ import annotations

import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from bench.target import certificate, target
from tests.lab.network import DEVICES, NODES, SERVER, Lab
from tests.lab.shape import Shape

_RUNS = 5
_RATE_MBPS = 500.0
_LIMIT_BYTES = 300_000_000
_BODY_BYTES = 100_000_000  # of deploy/target/make-body


def main() -> int:
    """Measure and print the medians."""
    print("cable     who         dir    CPU s/Gbit   Mbit/s   runs")
    with Lab(Shape(rate_mbps=_RATE_MBPS, ipv6=False)) as lab, target(lab) as url:
        _cable(lab, url, "frames")
    with (
        tempfile.TemporaryDirectory(prefix="qos-cpu-") as folder,
        Lab(Shape(ipv6=False)) as lab,
        target(lab, pem=certificate(Path(folder))) as url,
    ):
        for node in NODES:
            for device in DEVICES[node]:
                join = f"ethtool -K {device} tso on gso on gro on"
                lab.run(join.split(), node)
        _cable(lab, url, "joined")
        for direction in ("down", "up"):
            order = _order("http", url.replace("http:", "https:"), direction)
            order["ca_file"] = f"{folder}/pem"
            _row(lab, "joined+TLS", "http", order)
        _curl(lab, "joined+TLS", url.replace("http:", "https:"), f"{folder}/pem")
        _openssl(lab, "joined+TLS", f"{folder}/pem")
    return 0


def _cable(lab: Lab, url: str, cable: str) -> None:
    for who, server in (("http", url), ("iperf3", SERVER)):
        for direction in ("down", "up"):
            _row(lab, cable, who, _order(who, server, direction))
    _curl(lab, cable, url)
    _ten(lab, cable, url)


def _order(who: str, server: str, direction: str) -> dict[str, object]:
    return {
        "backend": who,
        "interface": "eth0",
        "server": server,
        "limits": {direction: _LIMIT_BYTES},
        "time_limit_s": 14,
        "tolerance": 1e-6,
    }


def _row(lab: Lab, cable: str, who: str, order: dict[str, object]) -> None:
    found = []
    for _ in range(_RUNS):
        argv = [sys.executable, "-m", "bench.one", json.dumps(order)]
        ((direction, fields),) = json.loads(lab.run(argv).stdout).items()
        if "cause" in fields:
            print("FAILED", cable, who, direction, fields)
            return
        cpu_s = fields["cpu_share"] * fields["measured_us"] / 1e6
        found.append((cpu_s / _gbit(fields["measured_bytes"]), fields["rate_bps"]))
    _print(cable, who, direction, found)


def _curl(lab: Lab, cable: str, url: str, ca_file: str | None = None) -> None:
    """curl, one flow, as many whole bodies as our own test may move."""
    trust = [] if ca_file is None else ["--cacert", ca_file]
    # nginx answers at once and reads on; asked first, it would not be sent the body.
    plain = ["curl", "-sSf", "-H", "Expect:", *trust]
    times = _LIMIT_BYTES // _BODY_BYTES
    with tempfile.NamedTemporaryFile(prefix="qos-cpu-") as body:
        body.truncate(_BODY_BYTES)
        for direction, words in (
            ("down", ["-o", "/dev/null", f"{url}/garbage.php"]),
            ("up", ["-X", "POST", "-T", body.name, f"{url}/empty.php"]),
        ):
            say = ["-w", f"%{{size_{direction}load}} %{{time_total}}\n"]
            argv = [*plain, *say, *words * times]
            found = [_carried(*_child(lab, argv)) for _ in range(_RUNS)]
            _print(cable, "curl", direction, found)


def _openssl(lab: Lab, cable: str, ca_file: str) -> None:
    """openssl s_client: one flow, one body, read from and written to no disk."""
    asks: tuple[tuple[str, str, Literal["rx", "tx"], int], ...] = (
        ("down", "GET /garbage.php HTTP/1.1", "rx", 0),
        ("up", "POST /empty.php HTTP/1.1", "tx", _BODY_BYTES),
    )
    for direction, first, way, body_bytes in asks:
        lines = (first, f"Host: {SERVER}", "Connection: close",
                 f"Content-Length: {body_bytes}", "", "")  # fmt: skip
        with tempfile.NamedTemporaryFile(prefix="qos-cpu-") as asked:
            asked.write("\r\n".join(lines).encode())
            asked.truncate(asked.tell() + body_bytes)
            client = f"openssl s_client -quiet -ign_eof -CAfile {ca_file}"
            line = f"{client} -connect {SERVER}:443 <{asked.name} >/dev/null 2>&1"
            found = [_whole(lab, line, way) for _ in range(_RUNS)]
        _print(cable, "openssl", direction, found)


def _whole(lab: Lab, line: str, way: Literal["rx", "tx"]) -> tuple[float, float]:
    """Processor seconds per Gbit and bit/s of a client that says neither itself."""
    start_s, before = time.monotonic(), lab.interface_bytes("client", way)
    cpu_s, _ = _child(lab, ["sh", "-c", line])
    took_s = time.monotonic() - start_s
    if lab.interface_bytes("client", way) - before < _BODY_BYTES:
        raise RuntimeError(f"not a whole body: {line}")
    return cpu_s / _gbit(_BODY_BYTES), _BODY_BYTES * 8 / took_s


def _carried(cpu_s: float, printed: str) -> tuple[float, float]:
    """Processor seconds per Gbit and bit/s, of what curl says of each body."""
    each = [line.split() for line in printed.splitlines()]
    size_bytes = sum(int(size) for size, _ in each)
    seconds = sum(float(time) for _, time in each)
    return cpu_s / _gbit(size_bytes), size_bytes * 8 / seconds


def _ten(lab: Lab, cable: str, url: str) -> None:
    """urllib, four threads, ten seconds."""
    argv = [sys.executable, "-m", "bench.peers", "ten", url, "down"]
    found = []
    for _ in range(2):
        cpu_s, printed = _child(lab, argv)
        rate_bps = json.loads(printed)
        found.append((cpu_s / (rate_bps * 10 / 1e9), rate_bps))
    _print(cable, "urllib", "down", found)


def _child(lab: Lab, argv: Sequence[str]) -> tuple[float, str]:
    """User and system time of a process, and what it printed."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    ran = subprocess.run(lab.argv(argv), capture_output=True, check=True, text=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return used_s, ran.stdout


def _gbit(size_bytes: float) -> float:
    return size_bytes * 8 / 1e9


def _print(
    cable: str, who: str, direction: str, found: list[tuple[float, float]]
) -> None:
    cost = statistics.median(cost for cost, _ in found)
    rate = statistics.median(rate for _, rate in found) / 1e6
    print(
        f"{cable:10} {who:10}  {direction:4} {cost:12.3f} {rate:8.0f} {len(found):6}",
        flush=True,
    )


if __name__ == "__main__":
    raise SystemExit(main())
