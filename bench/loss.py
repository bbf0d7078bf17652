"""Packet loss compared with the router's count, at 1, 5 and 20 % each way.

`python -m bench.loss` compares the lost packets of each prober with the packets that
nftables dropped in the same run. Both must be equal.
"""

from __future__ import annotations

from statistics import median

from bench.probers import PROBERS, Count, Prober, Result, reflector
from bench.table import show
from qos_agent.probes.latency import stamp_packets
from tests.lab.network import Lab
from tests.lab.shape import Shape

_RUNS = 3
_LOSSES = (0.01, 0.05, 0.20)
_COUNT = Count(probes=200, spacing_s=0.01, wait_s=0.2)
_HEAD = ("prober", "loss each way", "equal to nft", "lost (nft)", "probes")


def dropped(lab: Lab) -> int:
    """Return the number of echo and STAMP packets dropped by the router so far."""
    return (
        lab.dropped("forward", "echo_requests")
        + lab.dropped("back", "echo_replies")
        + lab.udp("forward", stamp_packets.PORT, "dropped")
        + lab.udp("back", stamp_packets.PORT, "dropped")
    )


def run(lab: Lab, prober: Prober) -> tuple[Result, int]:
    """Run a prober, and return its result with the number of dropped packets."""
    before = dropped(lab)
    result = prober(lab, _COUNT)
    # The exchange that wakes the radio is not a probe, so its loss does not count.
    return result, dropped(lab) - before - result.wakes_lost


def row(lab: Lab, name: str, loss: float) -> tuple[str, ...]:
    """Run one prober several times and return a row of the table."""
    runs = [run(lab, PROBERS[name]) for _ in range(_RUNS)]
    lost = [(result.sent - result.received, truth) for result, truth in runs]
    equal = sum(ours == truth for ours, truth in lost)
    counts = ", ".join(f"{ours} ({truth})" for ours, truth in lost)
    sent = median(result.sent for result, _ in runs)
    return (name, f"{loss:.0%}", f"{equal} of {_RUNS}", counts, f"{sent:.0f}")


def main() -> None:
    """Print the count of each prober next to that of the router."""
    rows = []
    with Lab(Shape()) as lab, reflector(lab):
        for loss in _LOSSES:
            lab.set_loss(loss, "forward")
            lab.set_loss(loss, "back")
            rows += [row(lab, name, loss) for name in PROBERS]
    show("Lost probes, and packets that the router dropped", _HEAD, rows)


if __name__ == "__main__":
    main()
