"""`make bench`: every figure, one after the other; a name runs only that one."""

from __future__ import annotations

import importlib
import pkgutil
import sys

import bench

# Helpers of the benches, and the peers they start as processes of their own.
_NOT_BENCHES = {"__main__", "table", "probers", "target", "one", "peers", "noc_queries"}


def main() -> None:
    """Run all benches, or those named on the command line."""
    names = sorted(
        module.name
        for module in pkgutil.iter_modules(bench.__path__)
        if module.name not in _NOT_BENCHES
    )
    for name in sys.argv[1:] or names:
        importlib.import_module(f"bench.{name}").main()


if __name__ == "__main__":
    main()
