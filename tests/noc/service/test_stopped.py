"""The command `noc simulate`, stopped by a signal."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest

from tests.noc.commands import centre
from tests.servers.database import Database


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_a_stopped_simulation_reports_the_points_it_wrote(
    influxdb: Database, tmp_path: Path, number: signal.Signals
) -> None:
    """A signal ends it at once, and its count is that of the database."""
    command = centre(tmp_path, [influxdb.section], {})
    arguments = ("simulate", "core-failure", "--count", "300", "--minutes", "600")
    child = command.start(*arguments, "--rate", "2000")
    while not _points(influxdb):
        assert child.poll() is None
    child.send_signal(number)
    stopped_mono = time.monotonic()
    output, _ = child.communicate(timeout=20)
    assert time.monotonic() - stopped_mono < 5
    assert child.returncode == 0
    assert f"stopped by hand, 300 stations, {_points(influxdb)} points\n" in output


def _points(influxdb: Database) -> int:
    """Return the number of stored points."""
    names = [row["name"] for row in influxdb.query("SHOW MEASUREMENTS")]
    return sum(influxdb.count(name, "seq") for name in names)
