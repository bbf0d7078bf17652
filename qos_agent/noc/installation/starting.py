"""Starts the systemd units of a centre on one machine."""

from __future__ import annotations

from pathlib import Path

from qos_agent.model.errors import OperatorError, ProbeError
from qos_agent.system.child_process import run_child
from qos_agent.system.files import write_atomically

TARGET = "qos-noc.target"
# The first backup need not wait for the night.
_BACKUP = "qos-noc-backup.service"
_UNITS = Path("/etc/systemd/system")
_DROP_INS = Path("/usr/share/qos-agent/drop-ins")
_LIMIT_S = 300.0
_OUTPUT_MAX_BYTES = 100_000


def start(*, certificates: bool) -> None:
    """Install the drop-ins, and enable and start all units. Raises OperatorError."""
    wanted = {"noc-grafana.conf": "grafana-server"}
    if certificates:
        wanted["noc-certificates.conf"] = "qos-agent-enrolment"
    for name, unit in wanted.items():
        folder = _UNITS / f"{unit}.service.d"
        folder.mkdir(parents=True, exist_ok=True)
        text = (_DROP_INS / name).read_text(encoding="utf-8")
        write_atomically(folder / "qos-noc.conf", text)
    for arguments in (
        ["daemon-reload"],
        ["enable", "--now", TARGET],
        ["start", "--no-block", _BACKUP],
    ):
        _systemctl(arguments)


def _systemctl(arguments: list[str]) -> None:
    fix = f"systemctl list-dependencies {TARGET}"
    try:
        result = run_child(
            ["systemctl", *arguments],
            timeout_s=_LIMIT_S,
            output_limit_bytes=_OUTPUT_MAX_BYTES,
        )
    except ProbeError as error:
        raise OperatorError(f"{TARGET}: {error}. Fix: {fix}.") from error
    if (failure := result.failure()) is not None:
        raise OperatorError(f"{TARGET}: {failure}. Fix: {fix}.")
