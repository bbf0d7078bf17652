"""`make bench`: runs every bench. `python -m bench NAME ...` runs only some of them."""

from __future__ import annotations

import importlib
import sys

# Each is a module of this folder and takes a few minutes.
BENCHES = (
    "rtt",
    "loss",
    "throughput",
    "cellular",
    "varying",
    "varying_live",
    "bytecap",
    "cpu",
    "drain",
    "journal",
    "evidence",
    "bundle",
    "verify",
    "footprint",
    "startup",
    "install",
    "upgrade",
    "register",
    "witness",
    "remote",
    "growth",
    "alerts",
    "boards",
    "delivery",
    "noc",
    "gateway",
    "report",
)


def main() -> None:
    """Run all benches, or those named on the command line."""
    unknown = [name for name in sys.argv[1:] if name not in BENCHES]
    if unknown:
        sys.exit(f"usage: python -m bench [NAME ...]; names: {', '.join(BENCHES)}")
    for name in sys.argv[1:] or BENCHES:
        importlib.import_module(f"bench.{name}").main()


if __name__ == "__main__":
    main()
