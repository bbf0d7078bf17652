"""Loss against the router's own count, at 1, 5 and 20 % each way.

`python -m bench.loss`. Truth is what nft dropped of the very packets: in every run,
a prober's count of the lost must equal it.
"""

from __future__ import annotations

from statistics import median

from bench.probers import PROBERS, Answer, Count, Prober, reflector
from bench.table import show
from qos_agent.probes.latency import stamp_packets
from tests.lab.network import Lab
from tests.lab.shape import Shape

_RUNS = 3
_LOSSES = (0.01, 0.05, 0.20)
_COUNT = Count(probes=200, spacing_s=0.01, wait_s=0.2)
_HEAD = ("prober", "loss each way", "equal to nft", "lost (nft)", "probes")


def dropped(lab: Lab) -> int:
    """What the router has dropped so far, of echoes and of STAMP's packets."""
    return (
        lab.dropped("forward", "echo_requests")
        + lab.dropped("back", "echo_replies")
        + lab.udp("forward", stamp_packets.PORT, "dropped")
        + lab.udp("back", stamp_packets.PORT, "dropped")
    )


def run(lab: Lab, prober: Prober) -> tuple[Answer, int]:
    """One run, and what the router dropped of it."""
    before = dropped(lab)
    answer = prober(lab, _COUNT)
    # The exchange that wakes the radio is no probe: its loss is the router's alone.
    return answer, dropped(lab) - before - answer.wakes_lost


def row(lab: Lab, name: str, loss: float) -> tuple[str, ...]:
    """Some runs of one prober."""
    found = [run(lab, PROBERS[name]) for _ in range(_RUNS)]
    lost = [(answer.sent - answer.received, truth) for answer, truth in found]
    equal = sum(ours == truth for ours, truth in lost)
    seen = ", ".join(f"{ours} ({truth})" for ours, truth in lost)
    sent = median(answer.sent for answer, _ in found)
    return (name, f"{loss:.0%}", f"{equal} of {_RUNS}", seen, f"{sent:.0f}")


def main() -> None:
    """Print each prober's count beside the router's."""
    rows = []
    with Lab(Shape()) as lab, reflector(lab):
        for loss in _LOSSES:
            lab.set_loss(loss, "forward")
            lab.set_loss(loss, "back")
            rows += [row(lab, name, loss) for name in PROBERS]
    show("Probes lost, and what the router dropped", _HEAD, rows)


if __name__ == "__main__":
    main()
