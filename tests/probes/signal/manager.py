"""A ModemManager of dbusmock with one modem, on any bus."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.requirement import require
from tests.support.waiting import eventually

# Debian's interpreter has the D-Bus bindings; dbusmock may be newer than Debian's.
_PYTHON = "/usr/bin/python3"
NAME = "org.freedesktop.ModemManager1"
MANAGER = "/org/freedesktop/ModemManager1"
MODEM = f"{MANAGER}/Modems/8"  # dbusmock's
IFACE = f"{NAME}.Modem"
SIGNAL = (
    "{'Rate': <uint32 10>, 'Nr5g': <{'rsrp': <-32768.0>}>, 'Lte': <{'rsrp': <-101.0>,"
    " 'rsrq': <-11.0>, 'snr': <8.2>, 'rssi': <-70.0>}>}"
)


@dataclass(frozen=True, slots=True)
class Manager:
    """A running mock; `environment` has the address of its bus."""

    environment: Mapping[str, str]

    def mock(self, path: str, method: str, *arguments: str) -> None:
        """Change an object of the mock."""
        done = self._call(path, method, *arguments)
        assert done.returncode == 0, done.stderr

    def add_modem(self) -> bool:
        """Add the modem. Return False until the mock runs."""
        return self._call(MANAGER, "AddSimpleModem").returncode == 0

    def _call(
        self, path: str, method: str, *arguments: str
    ) -> subprocess.CompletedProcess[bytes]:
        method = f"org.freedesktop.DBus.Mock.{method}"
        call = ("gdbus", "call", "--system", "-d", NAME, "-o", path, "-m", method)
        return subprocess.run(
            [*call, *arguments], env=self.environment, capture_output=True, check=False
        )


@contextmanager
def manager(folder: Path, address: str) -> Iterator[Manager]:
    """Run the mock on the system bus with this address."""
    found = importlib.util.find_spec("dbusmock")
    tools = all(map(shutil.which, ("mmcli", "dbus-daemon", "gdbus")))
    require(tools, "mmcli", "apt-get install modemmanager dbus libglib2.0-bin")
    bindings = subprocess.run([_PYTHON, "-c", "import dbus, gi"], check=False)
    install = "apt-get install python3-dbus python3-gi"
    require(bindings.returncode == 0, "D-Bus for Python", install)
    require(found is not None, "dbusmock", "pip install --no-deps python-dbusmock")
    assert found is not None
    assert found.origin is not None
    (folder / "dbusmock").symlink_to(Path(found.origin).parent)
    environment = {**os.environ, "DBUS_SYSTEM_BUS_ADDRESS": address}
    running = Manager(environment)
    with subprocess.Popen(
        [_PYTHON, "-m", "dbusmock", "--template", "modemmanager"],
        env={**environment, "PYTHONPATH": str(folder)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            eventually(running.add_modem, 15)
            yield running
        finally:
            process.kill()
