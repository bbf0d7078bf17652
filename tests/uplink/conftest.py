"""Test benches of the uplink."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from qos_agent.config.settings import Settings
from tests.uplink.support import Bench

MakeBench = Callable[[Settings], Bench]


@pytest.fixture
def make_bench(tmp_path: Path) -> Iterator[MakeBench]:
    """Return a factory of benches, which are closed after the test."""
    benches: list[Bench] = []

    def make(settings: Settings) -> Bench:
        benches.append(Bench(tmp_path / f"journal{len(benches)}", settings))
        return benches[-1]

    yield make
    for bench in benches:
        bench.end()
