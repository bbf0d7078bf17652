"""Find the InfluxDB 1.x server program, or build it.

The agent writes to /api/v2/write, which InfluxDB has since 1.8. The order is therefore:

1. the program of QOS_TEST_INFLUXD;
2. an `influxd` of 1.8 or later on PATH;
3. version 1.8.10, built once with Go and kept in the cache;
4. an older `influxd` on PATH (Debian has 1.6.7), which needs `mapping.py`.

`python -m tests.servers.influxd` finds or builds the program before the tests.
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
INSTALL = "apt-get install influxdb, or install Go, or set QOS_TEST_INFLUXDB_URL"


@dataclass(frozen=True, slots=True)
class Influxd:
    """A server program of the 1.x line."""

    path: Path
    version: str

    @property
    def has_v2_write(self) -> bool:
        """True if the program has the path /api/v2/write."""
        return _numbers(self.version)[:2] >= FIRST_WITH_V2_WRITE


@functools.cache
def find() -> Influxd | None:
    """Return the first program in the order above; build it if Go is installed."""
    return _ready() or _built() or _on_path()


def describe() -> str:
    """Return a line about the server of the tests, without building anything."""
    if url := os.environ.get("QOS_TEST_INFLUXDB_URL"):
        return f"InfluxDB: {url} (QOS_TEST_INFLUXDB_URL)"
    if ready := _ready():
        return f"InfluxDB: {ready.version}, {ready.path}"
    if shutil.which("go"):
        return f"InfluxDB: {BUILD_VERSION}, built by Go at first use (a few minutes)"
    if old := _on_path():
        return f"InfluxDB: {old.version}, {old.path}, behind a path-mapping front"
    return f"InfluxDB: none; {INSTALL}"


def _ready() -> Influxd | None:
    """Return a program with the v2 write path that needs no build."""
    if name := os.environ.get("QOS_TEST_INFLUXD"):
        return _named(Path(name))
    program = _on_path()
    if program is not None and program.has_v2_write:
        return program
    return inspect(_cached_path())


def _named(path: Path) -> Influxd:
    program = inspect(path)
    if program is None:
        raise FileNotFoundError(f"QOS_TEST_INFLUXD: {path} is not an influxd 1.x")
    return program


def _on_path() -> Influxd | None:
    name = shutil.which("influxd")
    return inspect(Path(name)) if name else None


def inspect(path: Path) -> Influxd | None:
    """Return a program with its version; None if it is not an influxd 1.x."""
    if not os.access(path, os.X_OK):
        return None
    answer = subprocess.run(
        [path, "version"], capture_output=True, text=True, timeout=30, check=False
    )
    match = re.match(r"InfluxDB v(unknown|1\.\d+\.\d+)", answer.stdout)
    if match is None:
        return None
    # A plain `go install` does not set the version; packages do.
    version = match[1].replace("unknown", BUILD_VERSION)
    return Influxd(path=path, version=version)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def _cache_folder() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "qos-agent-tests"


def _cached_path() -> Path:
    return _cache_folder() / f"influxd-{BUILD_VERSION}"


def _built() -> Influxd | None:
    """Build the program into the cache; None without Go or if the build fails."""
    if not shutil.which("go"):
        return None
    with _build_lock():
        # Another process may have built it while this one waited for the lock.
        if not _cached_path().exists():
            _build(_cached_path())
    return inspect(_cached_path())


@contextmanager
def _build_lock() -> Iterator[None]:
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
    # Without cgo the build needs no C compiler and the result runs on any Linux.
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
    """Find or build the program and print its version and path."""
    program = find()
    if program is None:
        print(f"none; {INSTALL}")
        return 1
    print(f"influxd {program.version} {program.path}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
