"""The apt repository: its bytes, its signature, and a device that upgrades from it."""

from __future__ import annotations

import hashlib
import lzma
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from deploy.packages.architecture import ARCHITECTURES
from deploy.packages.deb import deb
from deploy.packages.repository import sign_repository, source_of, write_repository
from deploy.packages.tree import PROGRAM, Entry, Tree, folder_of, tree
from tests.deploy.container import Container
from tests.deploy.device import NEW, OLD, Packages, booted, this_architecture
from tests.deploy.test_signature import OTHER, SIGNER, keyring
from tests.lab.network import SERVER, Lab
from tests.support.waiting import eventually

__all__ = ["keyring"]
AMD64, ARM64 = ARCHITECTURES["amd64"], ARCHITECTURES["arm64"]
BROKEN = "0.9.1"
PORT = 8088
URL = f"http://{SERVER}:{PORT}"
CONFIG = "/etc/qos-agent/agent.toml"
SOURCE = "/etc/apt/sources.list.d/qos-agent.sources"
REFUSED = "/var/lib/qos-agent-upgrade/refused"


def _packages(folder: Path) -> list[Path]:
    """Return small packages of two versions and two processors."""
    folder.mkdir()
    paths = []
    for version, architecture in (("1.0", AMD64), ("1.1", AMD64), ("1.1", ARM64)):
        path = folder / f"qos-agent_{version}_{architecture.debian}.deb"
        files = tree(version, [])
        path.write_bytes(deb(files, version, architecture, 0, fast=True))
        paths.append(path)
    return paths


def test_the_same_packages_give_the_same_repository(tmp_path: Path) -> None:
    """The order of the packages changes nothing, and the time is that of the commit."""
    packages = _packages(tmp_path / "packages")
    releases = [
        write_repository(order, tmp_path / name, 1_700_000_000).read_bytes()
        for name, order in (("a", packages), ("b", packages[::-1]))
    ]
    assert releases[0] == releases[1]
    assert b"\nDate: Tue, 14 Nov 2023 22:13:20 GMT\n" in releases[0]
    assert b"\nArchitectures: amd64 arm64\n" in releases[0]


def test_the_release_has_the_sum_of_each_index(tmp_path: Path) -> None:
    """An index has every version of its processor, and leads to a whole file."""
    release = write_repository(_packages(tmp_path / "packages"), tmp_path / "apt", 0)
    for line in release.read_text().splitlines():
        if line.startswith(" "):
            digest, size, name = line.split()
            content = (release.parent / name).read_bytes()
            assert (hashlib.sha256(content).hexdigest(), len(content)) == (
                digest,
                int(size),
            )
    index = release.parent / "main/binary-amd64/Packages.xz"
    first, second = lzma.decompress(index.read_bytes()).decode().split("\n\n")
    assert ("Version: 1.0\n" in first, "Version: 1.1\n" in second) == (True, True)
    fields = dict(line.split(": ", 1) for line in second.splitlines() if ": " in line)
    package = (tmp_path / "apt" / fields["Filename"]).read_bytes()
    assert hashlib.sha256(package).hexdigest() == fields["SHA256"]
    assert len(package) == int(fields["Size"])


def test_the_source_has_the_keys_of_today_and_of_tomorrow(keyring: None) -> None:
    """A device trusts the next key before the present one is replaced."""
    text = source_of(URL, [SIGNER, OTHER])
    assert f"URIs: {URL}\n" in text
    key = "\n".join(line[1:].replace(".", "", line == " .") for line in _key(text))
    shown = subprocess.run(
        ["gpg", "--batch", "--show-keys"],
        input=key,
        capture_output=True,
        text=True,
        check=True,
    )
    assert SIGNER in shown.stdout
    assert OTHER in shown.stdout


def _key(source: str) -> list[str]:
    return source.partition("Signed-By:\n")[2].splitlines()


@dataclass(frozen=True, slots=True)
class Station:
    """A device that measures, and the repository in its network."""

    container: Container
    lab: Lab
    folder: Path

    def publish(self, key: str, *packages: Path) -> None:
        """Replace the repository."""
        release = write_repository(packages, self.folder / "apt", 0)
        sign_repository(release, key)

    def want(self, version: str) -> None:
        """Name the version in the configuration, as the centre does."""
        text = self.container.output("cat", CONFIG).partition("\n[fleet]")[0]
        self.container.write(CONFIG, f'{text}\n[fleet]\nversion = "{version}"\n')

    def upgrade(self) -> tuple[bool, str, int]:
        """Start the upgrade as the timer does.

        Return its success, the version that runs afterwards, and the bytes that the
        server has sent.
        """
        before = self.lab.interface_bytes("server", "tx")
        done = self.container.run(
            "systemctl", "start", "qos-agent-upgrade", check=False
        )
        sent = self.lab.interface_bytes("server", "tx") - before
        self.container.run("systemctl", "is-active", "qos-agent")
        shown = ("dpkg-query", "-W", "-f", "${Version}", "qos-agent")
        version = self.container.output(*shown)
        return done.returncode == 0, version, sent


@pytest.fixture
def station(
    keyring: None, accepted: Path, installed: Path, tmp_path: Path
) -> Iterator[Station]:
    """Return a device that trusts the release key, and an empty repository."""
    (tmp_path / "apt").mkdir()
    with booted(tmp_path, accepted, installed) as device:
        served = ("--directory", str(tmp_path / "apt"), "--bind", SERVER, str(PORT))
        device.lab.popen(["python3", "-m", "http.server", *served], "server")
        device.container.write(SOURCE, source_of(URL, [SIGNER]))
        # http.server first asks the resolver for its name, which takes seconds here.
        probe = f"import socket; socket.create_connection(('{SERVER}', {PORT}), 1)"
        look = ("python3", "-c", probe)
        eventually(lambda: device.container.run(*look, check=False).returncode == 0)
        yield Station(device.container, device.lab, tmp_path)


def _broken(folder: Path) -> Path:
    """Build a package whose program ends at once."""
    files: Tree = {
        f"{folder_of(BROKEN)}/configure": tree(BROKEN, [])[
            f"{folder_of(BROKEN)}/configure"
        ],
        **{path: e for path, e in tree(BROKEN, []).items() if path != PROGRAM},
        PROGRAM: Entry(b"#!/bin/sh\nexit 1\n", 0o755),
    }
    path = folder / f"qos-agent_{BROKEN}.deb"
    path.write_bytes(deb(files, BROKEN, this_architecture(), 0, fast=True))
    return path


@pytest.mark.lab
@pytest.mark.slow
@pytest.mark.xdist_group("device")
def test_a_device_upgrades_itself_to_the_version_that_is_wanted(
    station: Station, packages: Packages, tmp_path: Path
) -> None:
    """A forged or broken version leaves the old one running; a good one replaces it."""
    # The answers to measurements count too. The package has millions of bytes.
    broken, quiet = _broken(tmp_path), 20_000
    station.want(OLD)
    station.publish(SIGNER, packages.old, packages.new, broken)
    succeeded, version, sent = station.upgrade()
    assert (succeeded, version) == (True, OLD)
    assert sent < quiet, "nothing is downloaded without a need"

    station.want(NEW)
    station.publish(OTHER, packages.old, packages.new, broken)
    assert station.upgrade()[:2] == (False, OLD)

    station.publish(SIGNER, packages.old, packages.new, broken)
    station.want(BROKEN)
    assert station.upgrade()[:2] == (False, OLD)
    assert station.container.output("cat", REFUSED) == f"{BROKEN}\n"
    succeeded, version, sent = station.upgrade()
    assert (succeeded, version) == (True, OLD)
    assert sent < quiet, "a version that did not run is not downloaded again"

    station.want(NEW)
    succeeded, version, sent = station.upgrade()
    assert (succeeded, version) == (True, NEW)
    assert sent < packages.new.stat().st_size * 1.1 + 20_000
    station.container.run("systemctl", "stop", "qos-agent")
    tail = station.container.output("qos-agent", "journal", "tail", "-n", "1000")
    assert ",kind=pause," in tail, "the download is not measured"
    assert ",kind=resume," in tail
