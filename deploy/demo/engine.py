"""The container engine of this machine, which runs the demonstration with compose."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

COMPOSE_FILE = Path(__file__).parent / "compose.yaml"
READY_LIMIT_S = 1200.0
# The command that fails if the engine is not running, and its compose command.
_ENGINES = (
    (("docker", "info"), ("docker", "compose")),
    (("podman", "info"), ("podman", "compose")),
    (("podman", "info"), ("podman-compose",)),
)


def compose_command() -> tuple[str, ...] | None:
    """Return the compose command of a running engine, or None."""
    for engine, compose in _ENGINES:
        if _works(engine) and _works((*compose, "version")):
            return compose
    return None


def start(compose: Sequence[str]) -> bool:
    """Build and start all services, and wait until the boards have data."""
    command = [*compose, "-f", str(COMPOSE_FILE)]
    if subprocess.run([*command, "up", "-d", "--build"], check=False).returncode:
        return False
    print("Starting. The first hours are being simulated …", flush=True)
    ready = (*command, "exec", "-T", "nation", "test", "-f", "/drill/ready")
    give_up_mono = time.monotonic() + READY_LIMIT_S
    while time.monotonic() < give_up_mono:
        if _works(ready):
            return True
        time.sleep(3)
    return False


def _works(command: Sequence[str]) -> bool:
    try:
        return (
            subprocess.run(
                command, capture_output=True, timeout=60, check=False
            ).returncode
            == 0
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
