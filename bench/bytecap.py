"""The byte cap: how far the interface counter passes it, beside one round trip's worth.

`python -m bench.bytecap`: caps too small for precision, on links of several speeds.
The counter is read by the laboratory, from outside the client, after all has ended.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass

from bench.target import target
from tests.lab.network import SERVER, Lab
from tests.lab.shape import Shape

_CAPS_BYTES = (300_000, 3_000_000)
_LINKS = ((2.0, 100.0), (10.0, 40.0), (50.0, 40.0))
_BUFFER_MS = 50.0


@dataclass(frozen=True, slots=True)
class Row:
    """One test and what it moved beyond its cap; the bound is a loaded round trip."""

    backend: str
    rate_mbps: float
    delay_ms: float
    direction: str
    cap_bytes: int
    over_bytes: int
    stop: str

    @property
    def flight_bytes(self) -> float:
        """What one round trip through the full buffer holds."""
        return self.rate_mbps * 1e6 / 8 * (self.delay_ms + _BUFFER_MS) / 1e3


def main() -> int:
    """Measure and print each."""
    print("backend   Mbit/s   ms dir      cap B     over B  flight B  stop")
    for rate_mbps, delay_ms in _LINKS:
        shape = Shape(rate_mbps=rate_mbps, delay_ms=delay_ms, ipv6=False)
        with Lab(shape) as lab, target(lab) as url:
            for backend, server in (("http", url), ("iperf3", SERVER)):
                for direction in ("down", "up"):
                    for cap_bytes in _CAPS_BYTES:
                        row = _row(lab, backend, server, direction, cap_bytes)
                        _print(Row(backend, rate_mbps, delay_ms, *row))
    return 0


def _row(
    lab: Lab, backend: str, server: str, direction: str, cap_bytes: int
) -> tuple[str, int, int, str]:
    order = {
        "backend": backend,
        "interface": "eth0",
        "server": server,
        "limits": {direction: cap_bytes},
        "time_limit_s": 30,
        "tolerance": 1e-6,
    }
    before = _moved(lab)
    argv = [sys.executable, "-m", "bench.one", json.dumps(order)]
    answer = json.loads(lab.run(argv).stdout)[direction]
    time.sleep(0.5)
    over = _moved(lab) - before - cap_bytes
    return direction, cap_bytes, over, answer.get("stop") or answer["cause"]


def _moved(lab: Lab) -> int:
    return lab.interface_bytes("client", "rx") + lab.interface_bytes("client", "tx")


def _print(row: Row) -> None:
    print(
        f"{row.backend:8} {row.rate_mbps:7g} {row.delay_ms:4g} {row.direction:4}"
        f" {row.cap_bytes:9} {row.over_bytes:+10} {row.flight_bytes:9.0f}  {row.stop}",
        flush=True,
    )


if __name__ == "__main__":
    raise SystemExit(main())
