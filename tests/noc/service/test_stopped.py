"""`noc simulate` in a process of its own, stopped by hand."""

from __future__ import annotations

import signal
import time
from pathlib import Path

from tests.noc.commands import centre
from tests.servers.database import Database


def test_a_simulation_that_is_stopped_has_counted_what_is_there(
    influxdb: Database, tmp_path: Path
) -> None:
    """SIGINT ends it at once; its count is the database's; again gives the same."""
    here = centre(tmp_path, [influxdb.section], {})
    words = ("simulate", "core-failure", "--count", "300", "--minutes", "600")
    child = here.begun(*words, "--rate", "2000")
    while not _there(influxdb):
        assert child.poll() is None
    child.send_signal(signal.SIGINT)
    told_mono = time.monotonic()
    said, _ = child.communicate(timeout=20)
    assert time.monotonic() - told_mono < 5
    assert child.returncode == 0
    assert f"stopped by hand, 300 stations, {_there(influxdb)} points\n" in said


def _there(influxdb: Database) -> int:
    names = [row["name"] for row in influxdb.query("SHOW MEASUREMENTS")]
    return sum(influxdb.count(name, "seq") for name in names)
