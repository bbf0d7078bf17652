"""A booted device in the laboratory, and the packages that tests install on it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from deploy.packages.architecture import ARCHITECTURES, Architecture
from deploy.packages.deb import deb
from deploy.packages.self_extracting import self_extracting
from deploy.packages.tree import tree
from deploy.packages.wheels import LOCK, ROOT, own_wheel, wheels
from tests.deploy.container import Container
from tests.lab.network import CLIENT, GATEWAY, SERVER, Lab
from tests.servers.answers import Status
from tests.servers.certificates import Authority
from tests.servers.front import Front
from tests.support.requirement import require

EARLIER, OLD, NEW = "0.7.0", "0.8.0", "0.9.0"
STATION = "3171010001001"
NAME = "collector.example.id"
TOKEN = "secret-of-the-collector"
SETUP = (
    *("qos-agent", "setup", "--station", STATION, "--operator", "Telkomsel"),
    *("--interface", "eth0", "--collector", f"https://{SERVER}:8086"),
    *("--token-file", "-", "--language", "en"),
)
CACHE = Path.home() / ".cache/qos-agent-packages"


@dataclass(frozen=True, slots=True)
class Packages:
    """An old and a new version of the package, and the self-extracting file."""

    old: Path
    new: Path
    run: Path


@dataclass(frozen=True, slots=True)
class Device:
    """A booted device whose only way out is the laboratory."""

    container: Container
    lab: Lab
    authority: Authority

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

    def trust(self, certificate: str) -> None:
        """Set the only authority of certificates that the device trusts."""
        self.container.write("/etc/ssl/certs/ca-certificates.crt", certificate)

    def install(self, name: str = "old.deb") -> None:
        """Install a package as a technician does, from a file."""
        self.container.run("dpkg", "--install", f"/media/{name}")


def build(folder: Path, *, fast: bool = True) -> Packages:
    """Build the packages of this machine's processor."""
    architecture = this_architecture()
    own = own_wheel(folder)
    libraries = [*wheels(architecture, CACHE), own]
    packages = packages_in(folder)
    for version, path in ((OLD, packages.old), (NEW, packages.new)):
        files = tree(version, libraries)
        path.write_bytes(deb(files, version, architecture, 0, fast=fast))
    packages.run.write_bytes(self_extracting(files, NEW, architecture, 0, fast=fast))
    return packages


def packages_in(folder: Path) -> Packages:
    """Return the paths of the packages that are built into a folder."""
    old, new = (folder / f"qos-agent_{version}.deb" for version in (OLD, NEW))
    return Packages(old, new, folder / "qos-agent.run")


def build_earlier(folder: Path, *, fast: bool = True) -> Path:
    """Build the package of the code before this one, with the present libraries.

    It is that of the last release. Before the first release it is that of the first
    commit with packages, whose journals have fewer tables.
    """
    source = folder / "earlier"
    command = ["git", "-C", str(ROOT), "archive", _earlier_commit()]
    archive = subprocess.run(command, check=True, capture_output=True).stdout
    source.mkdir()
    subprocess.run(["tar", "-x", "-C", str(source)], input=archive, check=True)
    shutil.copy(LOCK, source / LOCK.relative_to(ROOT))
    environment = {
        "PYTHONPATH": str(source),
        "SETUPTOOLS_SCM_PRETEND_VERSION": EARLIER,
        "SOURCE_DATE_EPOCH": "0",
        "QOS_PACKAGE_CACHE": str(CACHE),
    }
    name = this_architecture().debian
    options = (*["--fast"] * fast, "--arch", name, "--out", str(folder))
    subprocess.run(
        [sys.executable, "-m", "deploy.packages", *options],
        cwd=source,
        env=os.environ | environment,
        check=True,
        stdout=subprocess.DEVNULL,
    )
    return folder / f"qos-agent_{EARLIER}_{name}.deb"


def _earlier_commit() -> str:
    release = _git("describe", "--tags", "--abbrev=0", "--match=v*", "HEAD^")
    return release or _git("rev-list", "HEAD", "--", "deploy/packages/deb.py")[-40:]


def _git(*arguments: str) -> str:
    """Return the output of git; empty if it fails."""
    command = ["git", "-C", str(ROOT), *arguments]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    return done.stdout.strip() if done.returncode == 0 else ""


def this_architecture() -> Architecture:
    """Return this machine's processor, or skip the test."""
    known = {entry.machine: entry for entry in ARCHITECTURES.values()}
    machine = os.uname().machine
    require(machine in known, "a processor with a package", "use amd64 or arm64")
    return known[machine]


def plug_in(container: Container, packages: Packages) -> None:
    """Copy the packages to the device's /media."""
    for path, name in (
        (packages.old, "old.deb"),
        (packages.new, "new.deb"),
        (packages.run, "agent.run"),
    ):
        container.copy(path, f"/media/{name}")


@contextmanager
def booted(folder: Path, *lower: Path, on_disk: bool = False) -> Iterator[Device]:
    """Boot a device with a gateway, a resolver and a collector in its network."""
    place = folder / "device"
    with Lab() as lab, Container(place, lower, on_disk=on_disk) as container:
        lab.dns({"a.root-servers.net": ["198.41.0.4"], NAME: [SERVER]})
        authority = Authority(folder)
        device = Device(container, lab, authority)
        device.connect()
        device.trust(authority.file.read_text())
        # Delivery is tested elsewhere: this collector accepts all and stores nothing.
        tls, namespace = authority.server_context(names=(SERVER,)), lab.name("server")
        front = Front(address=SERVER, port=8086, tls=tls, namespace=namespace)
        front.always(Status(204))
        front.start()
        yield device
        front.stop()
