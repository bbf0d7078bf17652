"""A device for tests: a container that boots systemd with this machine's own Debian.

The files of this machine are the lower layer of an overlay. Nothing is downloaded, and
a device boots in about two seconds. Services, network and Python libraries of this
machine are hidden. All changes are in memory, or on a disk image for power cuts, and
end with the container. The variable QOS_DEVICE_ROOT names a root folder with another
Debian; `tests/device.sh` makes one.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import signal
import struct
import subprocess
import time
import uuid
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Self

from tests.lab.fixtures import CAP_SYS_ADMIN, has_capability
from tests.support.requirement import require

_BOOT_S = 60.0
_STOP_S = 30.0
# A busy machine needs minutes for a command that takes seconds.
_RUN_S = 400.0
_POLL_S = 0.05
_SIZE = "700m"
# EXT4_IOC_SHUTDOWN with NOLOGFLUSH, fs/ext4/ext4.h: nothing is written any more, as at
# a power cut. xfstests uses the same call.
_SHUTDOWN, _WITHOUT_LOG = 0x8004587D, 2
_IN_MEMORY = ("-t", "tmpfs", "-o", f"size={_SIZE}", "qos-test")
# What a device in the field does not have.
_HIDDEN = (
    "etc/systemd/system",
    "etc/resolv.conf",
    # Images for containers let dpkg write without fsync.
    "etc/dpkg/dpkg.cfg.d",
    "usr/lib/python3/dist-packages",
    "usr/local",
)
_ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}
# Each device has cgroups of its own; otherwise two would share /system.slice.
_JOIN = """
while [ "$1" != -- ]; do echo $$ >"$1/cgroup.procs"; shift; done
shift
exec "$@"
"""
_HIERARCHIES = [
    path
    for name in ("unified", "systemd")
    if (path := Path("/sys/fs/cgroup", name)).is_dir()
]


def require_containers() -> None:
    """Skip the test if no container can be booted here."""
    root = has_capability(CAP_SYS_ADMIN)
    require(root, "the right to mount", "run as root (in a container: --privileged)")
    for tool, package in (
        ("systemd-nspawn", "systemd-container"),
        ("dpkg", "dpkg"),
        ("nsenter", "util-linux"),
    ):
        require(shutil.which(tool) is not None, tool, f"apt-get install {package}")
    installed = Path("/usr/lib/systemd/systemd").exists()
    require(installed, "systemd", "apt-get install systemd dbus")
    python = Path("/usr/bin/python3").exists()
    require(python, "Debian's Python", "apt-get install python3")


class Container:
    """A booted device during the block `with Container(folder) as device:`."""

    def __init__(
        self, folder: Path, lower: Sequence[Path] = (), *, on_disk: bool = False
    ) -> None:
        """Set the folder for the overlay, and layers above this machine's files."""
        self._folder, self._on_disk = folder, on_disk
        base = os.environ.get("QOS_DEVICE_ROOT", "/")
        self._lower, self._above = ":".join(map(str, (*lower, base))), bool(lower)
        self._name = f"qos-{uuid.uuid4().hex[:8]}"
        self._cleanup = ExitStack()
        self._nspawn: subprocess.Popen[bytes] | None = None
        self.leader = 0

    @property
    def root(self) -> Path:
        """The root folder of the device as this machine sees it."""
        return self._layers / "root"

    @property
    def changes(self) -> Path:
        """The layer with everything that the device changed."""
        return self._layers / "upper"

    @property
    def _layers(self) -> Path:
        return self._folder / "layers"

    @property
    def _disk(self) -> Path:
        return self._folder / "disk.img"

    def __enter__(self) -> Self:
        """Mount the overlay and boot."""
        self._mount()
        try:
            self.boot()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Kill the device and remove all that it changed."""
        self.kill()
        self._cleanup.close()

    def stop(self) -> None:
        """Shut the device down in order."""
        if self._nspawn is not None:
            self._nspawn.terminate()
            self._nspawn.wait(_STOP_S)
            self._nspawn, self.leader = None, 0

    def boot(self) -> None:
        """Boot, and wait until systemd has started everything."""
        cgroups = [str(path / self._name) for path in _HIERARCHIES]
        for cgroup in cgroups:
            Path(cgroup).mkdir(exist_ok=True)
        with (self._folder / "console").open("ab") as console:
            self._nspawn = self._boot(console.fileno(), cgroups)
        self.leader = self._wait_for_leader()
        self._wait_until_running()

    def _boot(self, console: int, cgroups: Sequence[str]) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [
                *("bash", "-c", _JOIN, "-", *cgroups, "--", "systemd-nspawn"),
                *("--quiet", "--directory", str(self.root), "--boot"),
                *("--machine", self._name, "--register=no", "--keep-unit"),
                *("--console=read-only", "--resolv-conf=off", "--private-network"),
                # The filter of nspawn itself forbids reading the clock's state.
                "--system-call-filter=adjtimex clock_adjtime",
            ],
            stdin=subprocess.DEVNULL,
            stdout=console,
            stderr=subprocess.STDOUT,
            env={**_ENVIRONMENT, "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"},
        )

    def kill(self) -> None:
        """Kill every process of the device at once, as a power cut does."""
        if self._nspawn is None:
            return
        with contextlib.suppress(ProcessLookupError):
            # The end of process 1 of a namespace ends all others.
            os.kill(self.leader or self._nspawn.pid, signal.SIGKILL)
        try:
            self._nspawn.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self._nspawn.kill()
            self._nspawn.wait(_STOP_S)
        self._nspawn, self.leader = None, 0

    def run(
        self,
        *argv: str,
        check: bool = True,
        stdin: str = "",
        user: str | None = None,
        timeout_s: float = _RUN_S,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command on the device and return its output and errors together."""
        as_user = ("runuser", "--user", user, "--") if user else ()
        done = subprocess.run(
            [*self._inside(), *as_user, *argv],
            input=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout_s,
            check=False,
        )
        if check and done.returncode:
            raise AssertionError(f"{argv}: status {done.returncode}\n{done.stdout}")
        return done

    def start(self, *argv: str) -> subprocess.Popen[bytes]:
        """Start a command on the device."""
        return subprocess.Popen(
            [*self._inside(), *argv],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def log(self, *options: str) -> str:
        """Return the log, with everything that was written before this call."""
        self.run("journalctl", "--sync")
        return self.output("journalctl", "--no-pager", *options)

    def output(self, *argv: str) -> str:
        """Run a command that must succeed and return its output."""
        return self.run(*argv).stdout

    def write(self, path: str, text: str) -> None:
        """Write a file of the device."""
        self.run("sh", "-c", 'mkdir -p "${1%/*}" && cat >"$1"', "-", path, stdin=text)

    def copy(self, source: Path, path: str) -> None:
        """Copy a file to the device, such as from a USB stick."""
        target = self.root / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)

    def _inside(self) -> Sequence[str]:
        variables = [f"{name}={value}" for name, value in _ENVIRONMENT.items()]
        spaces = ("-m", "-u", "-i", "-n", "-p", "-C", "-r", "-w")
        return ("nsenter", "-t", str(self.leader), *spaces, "env", "-i", *variables)

    def cut_power(self) -> None:
        """Lose all that was not synchronised, then boot again. Needs `on_disk`."""
        handle = os.open(self._layers, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.ioctl(handle, _SHUTDOWN, struct.pack("I", _WITHOUT_LOG))
        finally:
            os.close(handle)
        self.kill()
        self._cleanup.close()
        # Another process may still have the stopped file system, so a copy is mounted.
        _command("cp", "--sparse=always", str(self._disk), f"{self._disk}.copy")
        Path(f"{self._disk}.copy").replace(self._disk)
        self._mount()
        self.boot()

    def _mount(self) -> None:
        """Mount the disk and the overlay; a new disk is made first."""
        layers, new = self._layers, not self._layers.exists()
        layers.mkdir(parents=True, exist_ok=True)
        if self._on_disk and new:
            _command("truncate", "--size", _SIZE.upper(), str(self._disk))
            _command("mkfs.ext4", "-q", "-F", str(self._disk))
        source = ("-o", "loop", str(self._disk)) if self._on_disk else _IN_MEMORY
        with ExitStack() as stack:
            _command("mount", *source, str(layers))
            stack.callback(_command, "umount", "--lazy", str(layers))
            for name in ("upper", "work", "root"):
                (layers / name).mkdir(exist_ok=True)
            lower = f"lowerdir={self._lower},upperdir={layers}/upper"
            options = f"{lower},workdir={layers}/work"
            _command(
                "mount", "-t", "overlay", "-o", options, "qos-test", str(self.root)
            )
            stack.callback(_command, "umount", "--lazy", str(self.root))
            for cgroup in _HIERARCHIES:
                stack.callback(_remove_cgroup, cgroup / self._name)
            self._cleanup = stack.pop_all()
        if new and not self._above:
            _hide(self.root)

    def _wait_for_leader(self) -> int:
        """Return the process 1 of the device, as this machine numbers it."""
        assert self._nspawn is not None
        children = Path(f"/proc/{self._nspawn.pid}/task/{self._nspawn.pid}/children")
        end_s = time.monotonic() + _BOOT_S
        while time.monotonic() < end_s and self._nspawn.poll() is None:
            for child in children.read_text().split():
                with contextlib.suppress(OSError):
                    if Path(f"/proc/{child}/comm").read_text() == "systemd\n":
                        return int(child)
            time.sleep(_POLL_S)
        raise AssertionError(
            f"no boot: {(self._folder / 'console').read_text()[-2000:]}"
        )

    def _wait_until_running(self) -> None:
        end_s = time.monotonic() + _BOOT_S
        state = ""
        while time.monotonic() < end_s:
            state = self.run("systemctl", "is-system-running", check=False).stdout
            if state.strip() in {"running", "degraded"}:
                return
            time.sleep(_POLL_S)
        raise AssertionError(f"systemd is {state}")


def _hide(root: Path) -> None:
    for name in _HIDDEN:
        path = root / name
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
            path.mkdir()
        else:
            path.unlink(missing_ok=True)
    (root / "etc/hostname").write_text("tps\n")


def _remove_cgroup(path: Path) -> None:
    """Remove a cgroup and those below it; the kernel removes its files."""
    for folder, _, _ in os.walk(path, topdown=False):
        with contextlib.suppress(OSError):
            Path(folder).rmdir()


def _command(*argv: str) -> None:
    subprocess.run(argv, check=True, capture_output=True)
