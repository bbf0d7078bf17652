"""Find the InfluxDB 1.x server program, or build it.

The client writes to /api/v2/write, which InfluxDB has from 1.8 on, so the order is:
the program named by QOS_TEST_INFLUXD, an `influxd` of 1.8 or later on PATH, 1.8.10
built once by Go and kept in the cache, and last an older `influxd` on PATH (Debian has
1.6.7), which needs `mapping.py` before it. `python -m tests.servers.influxd` does the
finding, and the building, ahead of the tests.
"""

from __future__ import annotations

import fcntl
import functools
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

BUILD_VERSION = "1.8.10"
PACKAGE = f"github.com/influxdata/influxdb/cmd/influxd@v{BUILD_VERSION}"
BUILD_LIMIT_S = 900
FIRST_WITH_V2_WRITE = (1, 8)

MISSING = "an InfluxDB 1.x server"
MEND = "apt-get install influxdb, or install Go, or set QOS_TEST_INFLUXDB_URL"


@dataclass(frozen=True, slots=True)
class Influxd:
    """A server program of the 1.x line."""

    path: Path
    version: str

    @property
    def has_v2_write(self) -> bool:
        """Whether it answers /api/v2/write itself."""
        return _numbers(self.version)[:2] >= FIRST_WITH_V2_WRITE


@functools.cache
def find() -> Influxd | None:
    """Return the best program there is, after building it where Go can."""
    return _ready() or _built() or _on_path()


def plan() -> str:
    """Say in a line which server the tests use, without building anything."""
    if url := os.environ.get("QOS_TEST_INFLUXDB_URL"):
        return f"InfluxDB: {url} (QOS_TEST_INFLUXDB_URL)"
    if ready := _ready():
        return f"InfluxDB: {ready.version}, {ready.path}"
    if shutil.which("go"):
        return f"InfluxDB: {BUILD_VERSION}, built by Go at first use (some minutes)"
    if old := _on_path():
        return f"InfluxDB: {old.version}, {old.path}, behind a path-mapping front"
    return f"InfluxDB: none; {MEND}"


def _ready() -> Influxd | None:
    """Return a program that has all that is needed and costs nothing to get."""
    if name := os.environ.get("QOS_TEST_INFLUXD"):
        return _named(Path(name))
    found = _on_path()
    if found is not None and found.has_v2_write:
        return found
    return inspect(_cached_path())


def _named(path: Path) -> Influxd:
    found = inspect(path)
    if found is None:
        raise FileNotFoundError(
            f"QOS_TEST_INFLUXD names {path}, which is not an influxd of the 1.x line"
        )
    return found


def _on_path() -> Influxd | None:
    name = shutil.which("influxd")
    return inspect(Path(name)) if name else None


def inspect(path: Path) -> Influxd | None:
    """Ask a program for its version; None when it is not an influxd 1.x."""
    if not os.access(path, os.X_OK):
        return None
    answer = subprocess.run(
        [path, "version"], capture_output=True, text=True, timeout=30, check=False
    )
    found = re.match(r"InfluxDB v(unknown|1\.\d+\.\d+)", answer.stdout)
    if found is None:
        return None
    # A plain `go install` leaves the version unset; every package sets it.
    version = found[1].replace("unknown", BUILD_VERSION)
    return Influxd(path=path, version=version)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def _cache_folder() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "qos-agent-tests"


def _cached_path() -> Path:
    return _cache_folder() / f"influxd-{BUILD_VERSION}"


def _built() -> Influxd | None:
    """Build the program into the cache; None without Go, or when the build fails."""
    if not shutil.which("go"):
        return None
    with _only_builder():
        # Another process may have built it while this one waited for the lock.
        if not _cached_path().exists():
            _build(_cached_path())
    return inspect(_cached_path())


@contextmanager
def _only_builder() -> Iterator[None]:
    _cache_folder().mkdir(parents=True, exist_ok=True)
    with (_cache_folder() / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _build(result: Path) -> None:
    with tempfile.TemporaryDirectory(dir=result.parent) as folder:
        log = result.parent / "build.log"
        with log.open("w") as output:
            outcome = _go_install(Path(folder), output.fileno())
        if outcome == 0:
            (Path(folder) / "influxd").replace(result)


def _go_install(folder: Path, output: int) -> int:
    # Without cgo no C compiler is needed and the result runs on any Linux.
    environment = os.environ | {"GOBIN": str(folder), "CGO_ENABLED": "0"}
    flags = f"-s -w -X main.version={BUILD_VERSION} -X main.branch=1.8 -X main.commit=-"
    try:
        return subprocess.run(
            ["go", "install", "-trimpath", f"-ldflags={flags}", PACKAGE],
            env=environment,
            stdout=output,
            stderr=output,
            timeout=BUILD_LIMIT_S,
            check=False,
        ).returncode
    except subprocess.TimeoutExpired:
        return -1


def main() -> int:
    """Find or build the program and print which it is."""
    found = find()
    print(f"influxd {found.version} {found.path}" if found else f"none; {MEND}")
    return 0 if found else 1


if __name__ == "__main__":
    raise SystemExit(main())
