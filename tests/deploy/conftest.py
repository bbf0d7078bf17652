"""Fixtures of the installation tests: packages and booted devices."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.deploy.container import Container, require_containers
from tests.deploy.device import (
    SETUP,
    TOKEN,
    Device,
    Packages,
    booted,
    build,
    build_earlier,
    packages_in,
    plug_in,
)
from tests.lab.fixtures import require_tools
from tests.support.waiting import eventually


@pytest.fixture(scope="session")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Packages:
    """Build the packages of this machine's processor, with little compression.

    The processes of pytest-xdist share them; the first one builds.
    """
    require_containers()
    require_tools()
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    with (shared / "packages.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        folder = shared / "packages"
        if not (folder / "complete").exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            build(folder)
            (folder / "complete").touch()
    return packages_in(folder)


@pytest.fixture(scope="session")
def earlier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the package of the last release, or of the first commit with packages."""
    require_containers()
    return build_earlier(tmp_path_factory.mktemp("earlier"))


@pytest.fixture(scope="session")
def installed(
    packages: Packages, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Path]:
    """Return the changes of a device on which the old package was installed."""
    with Container(tmp_path_factory.mktemp("installed") / "device") as container:
        plug_in(container, packages)
        container.run("dpkg", "--install", "/media/old.deb")
        container.stop()
        yield container.changes


@pytest.fixture(scope="session")
def accepted(
    installed: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Path]:
    """Return the changes of a device with the old package that was set up."""
    with booted(tmp_path_factory.mktemp("accepted"), installed) as device:
        container = device.container
        container.run(*SETUP, stdin=f"{TOKEN}\n")
        container.stop()
        yield container.changes


@pytest.fixture(scope="module")
def accepted_device(
    accepted: Path, installed: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Container]:
    """Return one device for a module. It has the old package, was set up, and measures.

    It has no network. A test leaves it as the next one needs it.
    """
    folder = tmp_path_factory.mktemp("accepted-device")
    with Container(folder / "device", (accepted, installed)) as container:
        # The agent writes its status up to two seconds after systemd calls it ready.
        status = ("qos-agent", "status")
        eventually(lambda: container.run(*status, check=False).returncode == 0, 60)
        yield container


@pytest.fixture
def device(tmp_path: Path, packages: Packages) -> Iterator[Device]:
    """Return a fresh device with the packages in /media, and a network."""
    with booted(tmp_path) as device:
        plug_in(device.container, packages)
        yield device


@pytest.fixture
def installed_device(tmp_path: Path, installed: Path) -> Iterator[Device]:
    """Return a device with the old package, and a network."""
    with booted(tmp_path, installed) as device:
        yield device
