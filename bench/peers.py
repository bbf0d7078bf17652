"""What others do, run inside a laboratory's client: `python -m bench.peers NAME URL`.

`ten`: four downloads for ten seconds, all bytes by all the time, as most testers do.
`speedtest`: speedtest-cli's own transfer code with its own sizes and ten seconds.
"""

from __future__ import annotations

import json
import sys
import threading
import time
import urllib.request
from collections.abc import Callable

_SECONDS = 10.0
_FLOWS = 4


def ten(url: str) -> dict[str, float]:
    """Mean over ten seconds of what an application read."""
    counts = [0] * _FLOWS
    end_s = time.monotonic() + _SECONDS

    def read(flow: int) -> None:
        while time.monotonic() < end_s:
            with urllib.request.urlopen(f"{url}/garbage.php") as answer:
                while time.monotonic() < end_s and (chunk := answer.read1(65536)):
                    counts[flow] += len(chunk)

    threads = [threading.Thread(target=read, args=(i,)) for i in range(_FLOWS)]
    started_s = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return {"down": sum(counts) * 8 / (time.monotonic() - started_s)}


def speedtest(url: str) -> dict[str, float]:
    """speedtest-cli's download() and upload(), unchanged and unbounded."""
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
    return {"down": tester.download(), "up": tester.upload()}


PEERS: dict[str, Callable[[str], dict[str, float]]] = {
    "ten": ten,
    "speedtest": speedtest,
}


def main() -> int:
    """Run one, print its rates in bit/s."""
    json.dump(PEERS[sys.argv[1]](sys.argv[2]), sys.stdout)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
