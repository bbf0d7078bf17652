"""A real InfluxDB process with its own data folder, which tests start and kill.

Usage reports, subscriptions, monitoring and other listeners are off. The port is chosen
once, so that address and data are the same after `kill` and `start`.
"""

from __future__ import annotations

import subprocess
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from tests.servers.database import Database, HttpAnswer, QueryError, Row
from tests.servers.front import Front
from tests.servers.influxd import Influxd
from tests.servers.mapping import mapping_front
from tests.servers.namespace import free_port, inside

USER = "qos"
PASSWORD = "qos-test"
START_LIMIT_S = 30.0
STOP_LIMIT_S = 30.0


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings that tests change; all others are InfluxDB's defaults."""

    auth: bool = False
    index: Literal["inmem", "tsi1"] = "tsi1"
    # Both limits apply to the inmem index only; 0 means no limit.
    max_values_per_tag: int = 100_000
    max_series_per_database: int = 1_000_000
    max_body_bytes: int = 25_000_000
    max_row_limit: int = 0
    # Size of the cache in memory at which the server writes it to a file.
    cache_snapshot_bytes: int = 25 * 2**20
    # Time without a write after which the cache is written, and the files are merged.
    snapshot_cold_s: int = 600
    compact_cold_s: int = 4 * 3600
    start_limit_s: float = START_LIMIT_S


class InfluxDB:
    """One server process; `database` is the default database of its queries."""

    org = "qos"

    def __init__(
        self,
        program: Influxd,
        folder: Path,
        settings: Settings = Settings(),
        *,
        namespace: str | None = None,
        address: str = "127.0.0.1",
    ) -> None:
        self.program = program
        self.folder = folder
        self.settings = settings
        self.namespace = namespace
        self.address = address
        self.port = free_port(address, namespace)
        self.database = "qos"
        self._inner_port = self._choose_inner_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._front: Front | None = None
        self._prepared = False

    @property
    def url(self) -> str:
        return f"http://{self.address}:{self.port}"

    @property
    def token(self) -> str:
        return f"{USER}:{PASSWORD}" if self.settings.auth else ""

    @property
    def bucket(self) -> str:
        return self.database

    @property
    def view(self) -> Database:
        """The default database."""
        return Database(self.url, self.token, self.org, self.database, self.namespace)

    def query(self, influxql: str) -> list[Row]:
        """Run InfluxQL; see Database.query."""
        return self.view.query(influxql)

    def rows(self, measurement: str) -> list[Row]:
        """Return all points of a measurement."""
        return self.view.rows(measurement)

    def count(self, measurement: str, field: str) -> int:
        """Count the points of a measurement that have the field."""
        return self.view.count(measurement, field)

    def write(self, lines: bytes) -> HttpAnswer:
        """Write line protocol through the v2 path."""
        return self.view.write(lines)

    def create_database(self, name: str, duration: str | None = None) -> Database:
        """Create a database that keeps its points for a duration such as 30d."""
        return self.view.create_database(name, duration)

    def start(self) -> InfluxDB:
        """Start and wait for an answer; at first start create user and database."""
        self._launch()
        if not self.program.has_v2_write:
            self._front = mapping_front(
                self._inner_url, self.address, self.port, self.namespace
            ).start()
        if not self._prepared:
            self._prepare()
        return self

    def stop(self) -> None:
        """Stop it with SIGTERM if it is running."""
        if self._process is not None:
            self._process.terminate()
            self._reap()

    def kill(self) -> None:
        """Kill it with SIGKILL, similar to a power cut."""
        if self._process is not None:
            self._process.kill()
            self._reap()

    def restart(self) -> None:
        """Stop and start on the same port and data."""
        self.stop()
        self.start()

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def log(self) -> str:
        """The log of the server."""
        return (self.folder / "log").read_text(errors="replace")

    @property
    def _inner_url(self) -> str:
        return f"http://{self.address}:{self._inner_port}"

    def _choose_inner_port(self) -> int:
        if self.program.has_v2_write:
            return self.port
        return free_port(self.address, self.namespace)

    def _launch(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        configuration = self.folder / "influxdb.conf"
        configuration.write_text(self._configuration())
        command = [str(self.program.path), "run", "-config", str(configuration)]
        with (self.folder / "log").open("ab") as log:
            self._process = inside(
                self.namespace,
                lambda: subprocess.Popen(
                    command, stdin=subprocess.DEVNULL, stdout=log, stderr=log
                ),
            )
        self._await_answer()

    def _await_answer(self) -> None:
        end_mono = time.monotonic() + self.settings.start_limit_s
        inner = replace(self.view, url=self._inner_url)
        while time.monotonic() < end_mono and self.is_running:
            try:
                inner.version()
            except OSError:
                time.sleep(0.02)
            else:
                return
        self.kill()
        raise RuntimeError(f"influxd did not start:\n{self.log[-2000:]}")

    def _prepare(self) -> None:
        if self.settings.auth:
            # Without a user the server accepts this statement from everyone.
            create = (
                f"CREATE USER {USER} WITH PASSWORD '{PASSWORD}' WITH ALL PRIVILEGES"
            )
            replace(self.view, token="").query(create)
        self.create_database(self.database)
        self._prepared = True

    def _reap(self) -> None:
        assert self._process is not None
        try:
            self._process.wait(STOP_LIMIT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None
        if self._front is not None:
            self._front.stop()
            self._front = None

    def _configuration(self) -> str:
        settings = self.settings
        return f"""\
reporting-disabled = true
# The backup listener cannot be turned off; port 0 avoids conflicts.
bind-address = "127.0.0.1:0"
[meta]
dir = "{self.folder}/meta"
[data]
dir = "{self.folder}/data"
wal-dir = "{self.folder}/wal"
index-version = "{settings.index}"
query-log-enabled = false
cache-snapshot-memory-size = {settings.cache_snapshot_bytes}
cache-snapshot-write-cold-duration = "{settings.snapshot_cold_s}s"
compact-full-write-cold-duration = "{settings.compact_cold_s}s"
cache-max-memory-size = {max(2**30, 4 * settings.cache_snapshot_bytes)}
max-values-per-tag = {settings.max_values_per_tag}
max-series-per-database = {settings.max_series_per_database}
[http]
bind-address = "{self.address}:{self._inner_port}"
auth-enabled = {str(settings.auth).lower()}
log-enabled = false
max-body-size = {settings.max_body_bytes}
max-row-limit = {settings.max_row_limit}
[monitor]
store-enabled = false
[subscriber]
enabled = false
[continuous_queries]
log-enabled = false
[logging]
level = "warn"
suppress-logo = true
"""


__all__ = ["Database", "InfluxDB", "QueryError", "Settings"]
