"""An InfluxDB of this machine for the demonstration: on loopback, reporting nothing."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
from pathlib import Path

VARIABLE = "QOS_INFLUXD"
_WITH_V2_WRITE = (1, 8)


def found() -> Path | None:
    """The program named by QOS_INFLUXD, else an influxd of 1.8 or later on PATH."""
    named = os.environ.get(VARIABLE) or shutil.which("influxd")
    path = Path(named) if named else None
    return path if path is not None and _takes_points(path) else None


def _takes_points(path: Path) -> bool:
    """Whether it is of the 1.x line and has /api/v2/write, to which agents write."""
    if not os.access(path, os.X_OK):
        return False
    said = subprocess.run(
        [path, "version"], capture_output=True, text=True, timeout=30, check=False
    ).stdout
    version = re.match(r"InfluxDB v(?:(1)\.(\d+)|unknown)", said)
    if version is None:
        return False
    # A plain `go install` leaves the version unset; every package sets it.
    return version[1] is None or (int(version[1]), int(version[2])) >= _WITH_V2_WRITE


def free_port() -> int:
    """A port of the loopback address that nobody listens on."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def start(program: Path, folder: Path, port: int) -> subprocess.Popen[bytes]:
    """Start it with its data in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    configuration = folder / "influxdb.conf"
    configuration.write_text(_configuration(folder, port), encoding="utf-8")
    with (folder / "log").open("wb") as log:
        return subprocess.Popen(
            [program, "run", "-config", configuration],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )


def _configuration(folder: Path, port: int) -> str:
    return f"""\
reporting-disabled = true
# The backup listener cannot be turned off; port 0 keeps it out of everyone's way.
bind-address = "127.0.0.1:0"
[meta]
dir = "{folder}/meta"
[data]
dir = "{folder}/data"
wal-dir = "{folder}/wal"
index-version = "tsi1"
query-log-enabled = false
[http]
bind-address = "127.0.0.1:{port}"
log-enabled = false
[monitor]
store-enabled = false
[subscriber]
enabled = false
[logging]
level = "warn"
suppress-logo = true
"""
