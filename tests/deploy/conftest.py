"""Fixtures of the installation tests: packages and booted devices."""

from __future__ import annotations

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
    plug_in,
)
from tests.lab.fixtures import require_tools


@pytest.fixture(scope="session")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Packages:
    """Build the packages of this machine's processor, with little compression."""
    require_containers()
    require_tools()
    return build(tmp_path_factory.mktemp("packages"))


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
