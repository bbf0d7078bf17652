"""`make bench`: every figure, one after the other; `python -m bench NAME` only some."""

from __future__ import annotations

import importlib
import sys

# In the order of the README; each is a module of its own and takes some minutes.
BENCHES = (
    "rtt",
    "loss",
    "throughput",
    "varying",
    "varying_live",
    "bytecap",
    "cpu",
    "drain",
    "journal",
    "footprint",
    "startup",
    "register",
    "growth",
    "noc",
)


def main() -> None:
    """Run all benches, or those named on the command line."""
    for name in sys.argv[1:] or BENCHES:
        importlib.import_module(f"bench.{name}").main()


if __name__ == "__main__":
    main()
