"""Other ways to measure throughput: `python -m bench.peers NAME URL down`.

`ten` runs four flows for ten seconds and divides all bytes that were read or given to
`send` by the time, as most testers do. `speedtest` runs the transfer code of
speedtest-cli with its own sizes for ten seconds. Benches run both inside a laboratory's
client.
"""

from __future__ import annotations

import http.client
import json
import os
import socket
import struct
import sys
import threading
import time
import urllib.request
from collections.abc import Callable
from urllib.parse import urlsplit

_SECONDS = 10.0
_FLOWS = 4


def ten(url: str, direction: str) -> float:
    """Return the mean over ten seconds."""
    return _mean(url, _read if direction == "down" else _write)


def _mean(url: str, transfer: Callable[[str, float], int]) -> float:
    """Return the bits per second of all flows together."""
    counts: list[int] = []
    started_s = time.monotonic()
    end_s = started_s + _SECONDS
    threads = [
        threading.Thread(target=lambda: counts.append(transfer(url, end_s)))
        for _ in range(_FLOWS)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sum(counts) * 8 / (time.monotonic() - started_s)


def _read(url: str, end_s: float) -> int:
    count = 0
    while time.monotonic() < end_s:
        with urllib.request.urlopen(f"{url}/garbage.php") as response:
            while time.monotonic() < end_s and (chunk := response.read1(65536)):
                count += len(chunk)
    return count


def _write(url: str, end_s: float) -> int:
    block, count = os.urandom(65536), 0
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=_SECONDS)
    connection.putrequest("POST", "/empty.php")
    connection.putheader("Content-Length", str(10**12))
    connection.endheaders()
    reset = struct.pack("ii", 1, 0)
    connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
    while (left_s := end_s - time.monotonic()) > 0:
        connection.sock.settimeout(left_s)
        try:
            count += connection.sock.send(block)
        except TimeoutError:
            break
    connection.close()
    return count


def speedtest(url: str, direction: str) -> float:
    """Run download() or upload() of speedtest-cli, unchanged and without a limit."""
    from qos_agent.probes.throughput.speedtest_child import own_server

    tester = own_server()
    tester.get_best_server(tester.set_mini_server(url))
    tester.config.update(
        {
            "sizes": {
                "download": [350, 500, 750, 1000, 1500, 2000, 2500, 3000, 3500, 4000],
                "upload": [524288, 1048576, 7340032],
            },
            "counts": {"download": 4, "upload": 10},
            "length": {"download": _SECONDS, "upload": _SECONDS},
            "threads": {"download": 8, "upload": 2},
            "upload_max": 30,
        }
    )
    rate_bps: float = tester.download() if direction == "down" else tester.upload()
    return rate_bps


PEERS: dict[str, Callable[[str, str], float]] = {
    "ten": ten,
    "speedtest": speedtest,
}


def main() -> int:
    """Run one in one direction and print its rate in bit/s."""
    name, url, direction = sys.argv[1:]
    json.dump(PEERS[name](url, direction), sys.stdout)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
