"""Time from the package to the first reading, on a booted device without the internet.

`python -m bench.install` needs root and systemd-nspawn. The package is compressed as
for a release. Memory and the time to ready are those of the installed service. The last
figure is its memory with everything on: names, modem, iperf3 and a test every 10 s.
"""

from __future__ import annotations

import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from bench.footprint import use
from bench.table import show, spread
from tests.deploy.container import Container
from tests.deploy.device import SETUP, TOKEN, Device, Packages, booted, build, plug_in
from tests.deploy.test_everything_on import CONFIG
from tests.probes.signal.manager import IFACE, MODEM, SIGNAL, manager

_RUNS = 3
_SETTLED_S, _EVERYTHING_S = 30, 240


@dataclass(frozen=True, slots=True)
class Installation:
    """The figures of one installation."""

    install_s: float
    setup_s: float
    ready_s: float
    peak_mib: float


def installation(packages: Packages) -> Installation:
    """Install on a fresh device and set it up."""
    with tempfile.TemporaryDirectory() as folder, booted(Path(folder)) as device:
        plug_in(device.container, packages)
        start_s = time.perf_counter()
        device.install("new.deb")
        installed_s = time.perf_counter()
        result = device.container.run(*SETUP, stdin=f"{TOKEN}\n")
        assert "ACCEPTED" in result.stdout, result.stdout
        end_s = time.perf_counter()
        return Installation(
            installed_s - start_s,
            end_s - installed_s,
            _ready_s(device.container),
            _peak_mib(device),
        )


def everything_mib(packages: Packages) -> float:
    """Return the peak memory of the installed service with everything on."""
    with tempfile.TemporaryDirectory() as name, booted(Path(name)) as device:
        container, silent = device.container, subprocess.DEVNULL
        plug_in(container, packages)
        device.install("new.deb")
        container.run(*SETUP, stdin=f"{TOKEN}\n")
        device.lab.popen(["iperf3", "--server"], "server", stdout=silent, stderr=silent)
        container.run("systemctl", "mask", "--now", "ModemManager")
        config = container.output("cat", "/etc/qos-agent/agent.toml")
        container.write("/etc/qos-agent/agent.toml", config + CONFIG)
        bus = f"unix:path=/proc/{container.leader}/root/run/dbus/system_bus_socket"
        with manager(Path(name), bus) as modem:
            modem.mock(MODEM, "AddProperties", f"{IFACE}.Signal", SIGNAL)
            container.run("systemctl", "restart", "qos-agent")
            return _peak_mib(device, _EVERYTHING_S)


def _ready_s(container: Container) -> float:
    """Return the time from the start of the process to READY=1, after a restart."""
    container.run("systemctl", "restart", "qos-agent")
    names = ("ExecMainStartTimestampMonotonic", "ActiveEnterTimestampMonotonic")
    start_us, ready_us = (
        int(container.output("systemctl", "show", "qos-agent", "-P", name))
        for name in names
    )
    return (ready_us - start_us) / 1e6


def _peak_mib(device: Device, after_s: float = _SETTLED_S) -> float:
    """Return the peak memory of the service after some measurements."""
    time.sleep(after_s)
    listed = device.container.output("systemctl", "show", "qos-agent", "-P", "MainPID")
    inside = int(listed)
    for path in Path("/proc").glob("[0-9]*/status"):
        numbers = path.read_text().partition("NSpid:")[2].partition("\n")[0].split()
        if len(numbers) == 2 and int(numbers[1]) == inside and _is_agent(path.parent):
            return use(int(path.parent.name)).peak_kib / 1024
    raise LookupError(f"process {inside} of the device")


def _is_agent(process: Path) -> bool:
    return b"qos_agent" in (process / "cmdline").read_bytes()


def main() -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as folder:
        packages = build(Path(folder), fast=False)
        size_mb = packages.new.stat().st_size / 1e6
        runs = [installation(packages) for _ in range(_RUNS)]
        everything = everything_mib(packages)
    columns = [
        ("dpkg --install", [run.install_s for run in runs], "s", ""),
        ("qos-agent setup", [run.setup_s for run in runs], "s", ""),
        ("both", [run.install_s + run.setup_s for run in runs], "s", "60 s"),
        ("start to ready", [run.ready_s for run in runs], "s", "2 s"),
        ("peak memory", [run.peak_mib for run in runs], "MiB", "64 MiB"),
    ]
    columns.append(("peak memory, everything on", [everything], "MiB", "64 MiB"))
    show(
        f"From package ({size_mb:.2f} MB) to first reading, n {_RUNS}",
        ("figure", "measured", "goal"),
        [(name, spread(values, unit), goal) for name, values, unit, goal in columns],
    )


if __name__ == "__main__":
    main()
