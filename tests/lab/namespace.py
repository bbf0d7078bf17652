"""A network namespace: create, enter, empty and remove it.

Names contain the id of the process that created them. `sweep` can therefore remove the
namespaces of killed test runs without touching a laboratory in use.
"""

from __future__ import annotations

import ctypes
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

CLONE_NEWNET = 0x40000000
MOUNTED = Path("/run/netns")
CONFIGURED = Path("/etc/netns")

T = TypeVar("T")


class LabError(RuntimeError):
    """A command that builds or reads the laboratory failed."""


def command(argv: Sequence[str], stdin: str = "") -> str:
    """Run a command and return its output. Raises LabError if it fails."""
    done = subprocess.run(
        argv, input=stdin, capture_output=True, text=True, timeout=30, check=False
    )
    if done.returncode:
        raise LabError(f"{' '.join(argv)}: {done.stderr.strip()}\n{stdin}")
    return done.stdout


@dataclass(frozen=True, slots=True)
class Namespace:
    """A named network namespace of this machine."""

    name: str

    def create(self) -> None:
        """Create the namespace and bring its loopback up."""
        command(["ip", "netns", "add", self.name])
        self.ip("link set lo up")

    def ip(self, *lines: str, family: str | None = None) -> None:
        """Run `ip` commands inside in one process; rules need "-4" or "-6"."""
        options = [family] if family else []
        argv = ["ip", *options, "-n", self.name, "-batch", "-"]
        command(argv, "\n".join(lines) + "\n")

    def argv(self, argv: Sequence[str]) -> list[str]:
        """Return the command that runs `argv` inside."""
        return ["ip", "netns", "exec", self.name, *argv]

    @contextmanager
    def enter(self) -> Iterator[None]:
        """Move the current thread inside; its sockets stay inside after the block."""
        original = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            self._join()
            try:
                yield
            finally:
                _setns(original)
        finally:
            os.close(original)

    def call(self, function: Callable[[], T]) -> T:
        """Run `function` in a new thread inside and return its result."""
        with ThreadPoolExecutor(1) as pool:
            pool.submit(self._join).result()
            return pool.submit(function).result()

    def write_sysctls(self, values: dict[str, int]) -> None:
        """Set keys below net/ in this namespace only."""
        self.call(lambda: _write_sysctls(values))

    def write_resolvers(self, addresses: Iterable[str]) -> None:
        """Set the resolvers in /etc/resolv.conf of commands that run inside."""
        folder = CONFIGURED / self.name
        folder.mkdir(parents=True, exist_ok=True)
        lines = "".join(f"nameserver {address}\n" for address in addresses)
        (folder / "resolv.conf").write_text(lines)

    def pids(self) -> list[int]:
        """Return the processes inside, without the current one."""
        pids = command(["ip", "netns", "pids", self.name]).split()
        return [pid for pid in map(int, pids) if pid != os.getpid()]

    def remove(self) -> None:
        """Kill the processes inside, then remove the namespace and its files."""
        shutil.rmtree(CONFIGURED / self.name, ignore_errors=True)
        if not (MOUNTED / self.name).exists():
            return
        deadline = time.monotonic() + 5
        while (pids := self.pids()) and time.monotonic() < deadline:
            for pid in pids:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.01)
        command(["ip", "netns", "del", self.name])

    def _join(self) -> None:
        descriptor = os.open(MOUNTED / self.name, os.O_RDONLY | os.O_CLOEXEC)
        try:
            _setns(descriptor)
        finally:
            os.close(descriptor)


def unused_prefix() -> str:
    """Return a name prefix that no other laboratory has."""
    return f"lab{os.getpid()}-{os.urandom(3).hex()}"


def sweep() -> None:
    """Remove the namespaces of laboratories whose process is dead."""
    for path in MOUNTED.glob("lab*-*-*"):
        match = re.fullmatch(r"lab(\d+)-[0-9a-f]{6}-\w+", path.name)
        if match and not Path("/proc", match[1]).exists():
            # Another test run may remove the same namespace.
            with suppress(LabError):
                Namespace(path.name).remove()


def _write_sysctls(values: dict[str, int]) -> None:
    for key, value in values.items():
        Path("/proc/sys/net", key).write_text(str(value))


def _setns(descriptor: int) -> None:
    if sys.version_info >= (3, 12):
        os.setns(descriptor, CLONE_NEWNET)
        return
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(descriptor, CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")
