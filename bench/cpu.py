"""Processor seconds per Gbit of the agent's throughput test and of other programs.

`python -m bench.cpu` uses a virtual cable with single frames, as in the laboratory.
Then it uses one that joins frames, as network cards do, and then TLS. curl and openssl
transfer the same bodies with the same server without measuring. They show the minimum
cost of the transfer and of the encryption.
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
    print("cable     program     dir    CPU s/Gbit   Mbit/s   runs")
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
    for program, server in (("http", url), ("iperf3", SERVER)):
        for direction in ("down", "up"):
            _row(lab, cable, program, _order(program, server, direction))
    _curl(lab, cable, url)
    _ten(lab, cable, url)


def _order(program: str, server: str, direction: str) -> dict[str, object]:
    return {
        "backend": program,
        "interface": "eth0",
        "server": server,
        "limits": {direction: _LIMIT_BYTES},
        "time_limit_s": 14,
        "tolerance": 1e-6,
    }


def _row(lab: Lab, cable: str, program: str, order: dict[str, object]) -> None:
    results = []
    for _ in range(_RUNS):
        argv = [sys.executable, "-m", "bench.one", json.dumps(order)]
        ((direction, fields),) = json.loads(lab.run(argv).stdout).items()
        if "cause" in fields:
            print("FAILED", cable, program, direction, fields)
            return
        cpu_s = fields["cpu_share"] * fields["measured_us"] / 1e6
        results.append((cpu_s / _gbit(fields["measured_bytes"]), fields["rate_bps"]))
    _print(cable, program, direction, results)


def _curl(lab: Lab, cable: str, url: str, ca_file: str | None = None) -> None:
    """Measure curl: one flow, and as many bodies as the agent's test may transfer."""
    trust = [] if ca_file is None else ["--cacert", ca_file]
    # With `Expect: 100-continue` nginx would answer before curl sends the body.
    plain = ["curl", "-sSf", "-H", "Expect:", *trust]
    times = _LIMIT_BYTES // _BODY_BYTES
    with tempfile.NamedTemporaryFile(prefix="qos-cpu-") as body:
        body.truncate(_BODY_BYTES)
        for direction, arguments in (
            ("down", ["-o", "/dev/null", f"{url}/garbage.php"]),
            ("up", ["-X", "POST", "-T", body.name, f"{url}/empty.php"]),
        ):
            output = ["-w", f"%{{size_{direction}load}} %{{time_total}}\n"]
            argv = [*plain, *output, *arguments * times]
            results = [_transferred(*_child(lab, argv)) for _ in range(_RUNS)]
            _print(cable, "curl", direction, results)


def _openssl(lab: Lab, cable: str, ca_file: str) -> None:
    """Measure openssl s_client with one flow and one body, without the disk."""
    requests: tuple[tuple[str, str, Literal["rx", "tx"], int], ...] = (
        ("down", "GET /garbage.php HTTP/1.1", "rx", 0),
        ("up", "POST /empty.php HTTP/1.1", "tx", _BODY_BYTES),
    )
    for direction, first, counter, body_bytes in requests:
        headers = (f"Host: {SERVER}", "Connection: close")
        lines = (first, *headers, f"Content-Length: {body_bytes}", "", "")
        with tempfile.NamedTemporaryFile(prefix="qos-cpu-") as request:
            request.write("\r\n".join(lines).encode())
            request.truncate(request.tell() + body_bytes)
            client = f"openssl s_client -quiet -ign_eof -CAfile {ca_file}"
            line = f"{client} -connect {SERVER}:443 <{request.name} >/dev/null 2>&1"
            results = [_whole(lab, line, counter) for _ in range(_RUNS)]
        _print(cable, "openssl", direction, results)


def _whole(lab: Lab, line: str, counter: Literal["rx", "tx"]) -> tuple[float, float]:
    """Return CPU seconds per Gbit and bit/s of a client that prints neither."""
    start_s, before = time.monotonic(), lab.interface_bytes("client", counter)
    cpu_s, _ = _child(lab, ["sh", "-c", line])
    took_s = time.monotonic() - start_s
    if lab.interface_bytes("client", counter) - before < _BODY_BYTES:
        raise RuntimeError(f"the body is incomplete: {line}")
    return cpu_s / _gbit(_BODY_BYTES), _BODY_BYTES * 8 / took_s


def _transferred(cpu_s: float, printed: str) -> tuple[float, float]:
    """Return CPU seconds per Gbit and bit/s from the output of curl."""
    bodies = [line.split() for line in printed.splitlines()]
    size_bytes = sum(int(size) for size, _ in bodies)
    seconds = sum(float(time) for _, time in bodies)
    return cpu_s / _gbit(size_bytes), size_bytes * 8 / seconds


def _ten(lab: Lab, cable: str, url: str) -> None:
    """Measure urllib with four threads for ten seconds."""
    argv = [sys.executable, "-m", "bench.peers", "ten", url, "down"]
    results = []
    for _ in range(2):
        cpu_s, printed = _child(lab, argv)
        rate_bps = json.loads(printed)
        results.append((cpu_s / (rate_bps * 10 / 1e9), rate_bps))
    _print(cable, "urllib", "down", results)


def _child(lab: Lab, argv: Sequence[str]) -> tuple[float, str]:
    """Return user and system time of a process, and its output."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    ran = subprocess.run(lab.argv(argv), capture_output=True, check=True, text=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return used_s, ran.stdout


def _gbit(size_bytes: float) -> float:
    return size_bytes * 8 / 1e9


def _print(
    cable: str, program: str, direction: str, results: list[tuple[float, float]]
) -> None:
    cost = statistics.median(cost for cost, _ in results)
    rate = statistics.median(rate for _, rate in results) / 1e6
    print(
        f"{cable:10} {program:10}  {direction:4} {cost:12.3f} {rate:8.0f}"
        f" {len(results):6}",
        flush=True,
    )


if __name__ == "__main__":
    raise SystemExit(main())
