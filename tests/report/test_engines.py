"""The same expressions on other engines than DuckDB."""

from __future__ import annotations

import importlib.util
import subprocess
import sys

import pytest

IS_THERE = importlib.util.find_spec("pysail") is not None


@pytest.mark.slow
@pytest.mark.skipif(not IS_THERE, reason="pysail and the client of Spark are large")
def test_sail_gives_the_same_integers() -> None:
    """Sail takes the client of Spark, and every whole number of it is equal."""
    command = [sys.executable, "-m", "tests.report.engines", "sail"]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "integers are equal" in done.stdout
