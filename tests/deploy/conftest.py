"""Fixtures of the installation tests: packages, and booted devices in a laboratory."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from socketserver import BaseRequestHandler, TCPServer
from threading import Thread

import pytest

from deploy.packages.architecture import ARCHITECTURES
from deploy.packages.deb import deb
from deploy.packages.self_extracting import self_extracting
from deploy.packages.tree import tree
from deploy.packages.wheels import own_wheel, wheels
from tests.deploy.container import Container, require_containers
from tests.lab.fixtures import require_tools
from tests.lab.network import CLIENT, GATEWAY, SERVER, Lab
from tests.support.requirement import require

OLD, NEW = "0.8.0", "0.9.0"
_CACHE = Path.home() / ".cache/qos-agent-packages"


@dataclass(frozen=True, slots=True)
class Packages:
    """An old and a new version of the package, and the self-extracting file."""

    old: Path
    new: Path
    run: Path


@pytest.fixture(scope="session")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Packages:
    """Build the packages of this machine's processor, with little compression."""
    require_containers()
    machine = os.uname().machine
    known = {entry.machine: entry for entry in ARCHITECTURES.values()}
    require(machine in known, "a processor with a package", "use amd64 or arm64")
    architecture = known[machine]
    folder = tmp_path_factory.mktemp("packages")
    own = own_wheel(folder)
    libraries = [*wheels(architecture, _CACHE), own]
    built = {}
    for version in (OLD, NEW):
        files = tree(version, libraries)
        built[version] = folder / f"qos-agent_{version}.deb"
        built[version].write_bytes(deb(files, version, architecture, 0, fast=True))
    run = folder / "qos-agent.run"
    run.write_bytes(self_extracting(files, NEW, architecture, 0, fast=True))
    return Packages(built[OLD], built[NEW], run)


@dataclass(frozen=True, slots=True)
class Device:
    """A booted device whose only way out is the laboratory."""

    container: Container
    lab: Lab

    def connect(self) -> None:
        """Move the client's interface of the laboratory to the device."""
        link = ("ip", "-n", self.lab.name("client"), "link", "set", "eth0")
        subprocess.run([*link, "netns", str(self.container.leader)], check=True)
        for line in (
            "link set lo up",
            f"addr add {CLIENT}/24 dev eth0",
            "link set eth0 up",
            f"route add default via {GATEWAY}",
        ):
            self.container.run("ip", *line.split())
        self.container.write("/etc/resolv.conf", f"nameserver {SERVER}\n")

    def install(self, name: str = "old.deb") -> None:
        """Install a package as a technician does, from a file."""
        self.container.run("dpkg", "--install", f"/media/{name}")


@pytest.fixture(scope="session")
def installed(
    packages: Packages, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Path]:
    """Return the changes of a device on which the old package was installed."""
    with Container(tmp_path_factory.mktemp("installed") / "device") as container:
        _plug_in(container, packages)
        container.run("dpkg", "--install", "/media/old.deb")
        container.stop()
        yield container.changes


@pytest.fixture
def device(tmp_path: Path, packages: Packages) -> Iterator[Device]:
    """Return a fresh device with the packages in /media, and a network."""
    with _device(tmp_path) as device:
        _plug_in(device.container, packages)
        yield device


@pytest.fixture
def installed_device(tmp_path: Path, installed: Path) -> Iterator[Device]:
    """Return a device with the old package, and a network."""
    with _device(tmp_path, installed) as device:
        yield device


def _plug_in(container: Container, packages: Packages) -> None:
    for path, name in (
        (packages.old, "old.deb"),
        (packages.new, "new.deb"),
        (packages.run, "agent.run"),
    ):
        container.copy(path, f"/media/{name}")


@contextmanager
def _device(folder: Path, *lower: Path) -> Iterator[Device]:
    require_tools()
    with Lab() as lab, Container(folder / "device", lower) as container:
        lab.dns({"a.root-servers.net": ["198.41.0.4"]})
        # Delivery is tested elsewhere. The doctor only connects.
        server = lab.call("server", _collector)
        Thread(target=server.serve_forever, daemon=True).start()
        device = Device(container, lab)
        device.connect()
        yield device
        server.shutdown()
        server.server_close()


def _collector() -> TCPServer:
    """Return a server that closes each connection."""
    return TCPServer((SERVER, 8086), BaseRequestHandler)
