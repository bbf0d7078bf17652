"""An uplink towards a real InfluxDB, through a front that can misbehave."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from qos_agent.config.settings import Settings
from tests.uplink.support import Bench

MakeBench = Callable[[Settings], Bench]


@pytest.fixture
def make_bench(tmp_path: Path) -> Iterator[MakeBench]:
    """A factory of benches that end with the test."""
    made: list[Bench] = []

    def make(settings: Settings) -> Bench:
        made.append(Bench(tmp_path / f"journal{len(made)}", settings))
        return made[-1]

    yield make
    for bench in made:
        bench.end()
