"""`make bench` prints every figure."""

from __future__ import annotations

import importlib
import inspect
import pkgutil

import bench
from bench.__main__ import BENCHES

# Started by others as processes of their own.
CHILDREN = {"one", "peers"}


def test_every_bench_is_among_them() -> None:
    """Each module that can be run is in the list, and runs without an argument."""
    names = {module.name for module in pkgutil.iter_modules(bench.__path__)}
    mains = {
        name: importlib.import_module(f"bench.{name}").main
        for name in names - CHILDREN - {"__main__"}
        if hasattr(importlib.import_module(f"bench.{name}"), "main")
    }
    assert set(mains) == set(BENCHES)
    for main in mains.values():
        inspect.signature(main).bind()
