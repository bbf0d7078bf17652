"""Fixtures that the tests of accounts and of databases share."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.servers.recorded import Recorded


@pytest.fixture
def recorded() -> Iterator[Any]:
    """Return a function that starts servers with recorded answers."""
    started: list[Recorded] = []

    def start(version: str, answers: dict[str, tuple[int, Any]]) -> Recorded:
        started.append(Recorded(version, answers))
        return started[-1]

    yield start
    for server in started:
        server.stop()
