"""`make bench` runs every bench."""

from __future__ import annotations

import importlib
import inspect
import pkgutil

import bench
from bench.__main__ import BENCHES

# Other benches start these as processes.
CHILDREN = {"one", "peers", "report_data"}


def test_every_bench_is_listed() -> None:
    """Each module that can be run is in the list and runs without arguments."""
    names = {module.name for module in pkgutil.iter_modules(bench.__path__)}
    mains = {
        name: importlib.import_module(f"bench.{name}").main
        for name in names - CHILDREN - {"__main__"}
        if hasattr(importlib.import_module(f"bench.{name}"), "main")
    }
    assert set(mains) == set(BENCHES)
    for main in mains.values():
        inspect.signature(main).bind()
