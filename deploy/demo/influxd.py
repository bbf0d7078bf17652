"""An installed InfluxDB for the demonstration, on the loopback address only."""

from __future__ import annotations

import os
import socket
import subprocess
from pathlib import Path

VARIABLE = "QOS_INFLUXD"


def configured_program() -> Path | None:
    """Return the program that QOS_INFLUXD names: InfluxDB 1.8 or a later 1.x.

    Raises FileNotFoundError if the variable does not name a program.
    """
    named = os.environ.get(VARIABLE)
    if not named:
        return None
    if not os.access(named, os.X_OK) or Path(named).is_dir():
        raise FileNotFoundError(f"{VARIABLE}: is not a program (found: {named})")
    return Path(named)


def free_port() -> int:
    """Return a free port of the loopback address."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def start(program: Path, folder: Path, port: int) -> subprocess.Popen[bytes]:
    """Start the program with its data in a folder."""
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
# The backup listener cannot be turned off. Port 0 lets the kernel choose a free port.
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
