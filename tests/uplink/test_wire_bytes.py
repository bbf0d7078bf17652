"""The uplink's estimate of bytes, compared with the frames of a link."""

from __future__ import annotations

from pathlib import Path

from tests.lab.fixtures import MakeLab
from tests.lab.network import SERVER, Lab
from tests.lab.shape import Shape
from tests.servers.database import Database
from tests.servers.fixtures import MakeFront
from tests.uplink.conftest import MakeBench
from tests.uplink.support import Bench, make_settings, towards

ETHERNET_BYTES = 14


def test_bytes_on_the_wire_are_estimated_from_above(
    lab: MakeLab, make_bench: MakeBench, influxdb: Database, front: MakeFront
) -> None:
    """The estimate is never below the link's counters, and not much above."""
    net = lab(Shape(ipv6=False))
    through = front(namespace=net.name("server"), address=SERVER)
    bench = make_bench(make_settings(towards(influxdb, through.url)))
    for points in (1, 40, 400, 4000):
        bench.put(points)
        before = (_estimated(bench), _counted(net))
        assert net.call("client", lambda: bench.uplink.drain(60))
        estimated = _estimated(bench) - before[0]
        counted = _counted(net) - before[1]
        assert counted <= estimated < 1.5 * counted + 1000
    spent = sum(use.spent_bytes for use in bench.journal.usage("default", "2000-01-01"))
    assert spent == _estimated(bench)


def _estimated(bench: Bench) -> int:
    status = bench.uplink.status()
    return status.sent_bytes + status.received_bytes


def _counted(net: Lab) -> int:
    """Return the bytes of IP in both directions: a modem has no Ethernet headers."""
    text = net.call("client", Path("/proc/thread-self/net/dev").read_text)
    line = next(line for line in text.splitlines() if "eth0:" in line)
    columns = [int(word) for word in line.partition(":")[2].split()]
    return columns[0] + columns[8] - ETHERNET_BYTES * (columns[1] + columns[9])
