"""`python -m bench.cellular replay|live|all [--tuning] [--tests N] [--ours] [NAME...]`.

QOS_TRACES names the folder of recorded traces. A NAME chooses the traces whose file
names contain it. `replay` needs no network; `live` needs root, nginx and iperf3, and
should run alone: `nice -n -15 python -m bench.cellular live`.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from bench.cellular import live, replay_main, traces

_AT_A_TIME = 3


def main(argv: Sequence[str] | None = None) -> int:
    """Run the chosen benches."""
    options = _arguments(argv)
    if options.action in ("replay", "all"):
        replay_main.run(traces.load(options.names), tuning=options.tuning)
    if options.action in ("live", "all"):
        print(f"load of the machine: {os.getloadavg()[0]:.1f}")
        runs = _measured(live.links(traces.files(options.names)), options)
        for link in () if options.names else live.LINKS:
            runs += _measured([link], options)
        print(*live.report(runs), sep="\n")
    return 0


def _measured(
    links: Sequence[live.Link], options: argparse.Namespace
) -> list[live.Run]:
    """Measure a few slow links at the same time; a fast one is alone."""
    with ThreadPoolExecutor(_AT_A_TIME) as pool:
        measure = partial(live.measure, tests=options.tests, peers=not options.ours)
        return list(pool.map(measure, links))


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench.cellular")
    add = parser.add_argument
    add("action", nargs="?", choices=["replay", "live", "all"], default="all")
    add("--tuning", action="store_true", help="Replay the halves used for tuning.")
    add("--tests", type=int, default=12, help="Our tests for each direction.")
    add("--ours", action="store_true", help="Leave out other methods.")
    add("names", nargs="*", help="Parts of the names of the traces to use.")
    return parser.parse_intermixed_args(argv)


if __name__ == "__main__":
    raise SystemExit(main())
