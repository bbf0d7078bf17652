"""An InfluxDB of this machine for the demonstration: on loopback, reporting nothing."""

from __future__ import annotations

import os
import socket
import subprocess
from pathlib import Path

VARIABLE = "QOS_INFLUXD"


def found() -> Path | None:
    """The program named by QOS_INFLUXD: of 1.8 or later of its line, to take points.

    Raises FileNotFoundError where it names no program.
    """
    named = os.environ.get(VARIABLE)
    if not named:
        return None
    if not os.access(named, os.X_OK) or Path(named).is_dir():
        raise FileNotFoundError(f"{VARIABLE} names {named}, which is no program")
    return Path(named)


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
