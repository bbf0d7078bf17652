"""The same expressions on other engines than DuckDB."""

from __future__ import annotations

import importlib.util
import subprocess
import sys

import pytest

from tests.support.requirement import require


@pytest.mark.slow
def test_sail_gives_the_same_integers() -> None:
    """Sail takes the client of Spark, and every whole number of it is equal."""
    is_there = importlib.util.find_spec("pysail") is not None
    require(is_there, "pysail", "pip install -r requirements/dev.txt")
    command = [sys.executable, "-m", "tests.report.engines", "sail"]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "integers are equal" in done.stdout
