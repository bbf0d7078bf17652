"""Runs a tool as a child process with limits on time and output.

The tool gets an argument list, never a shell, and no variable of the environment that
it does not need: those of the agent may contain secrets. It runs in a session of its
own, so that every process that it started ends with it. This module does not interpret
the output.
"""

from __future__ import annotations

import os
import selectors
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from qos_agent.model.errors import ProbeError

_POLL_S = 0.05
_DRAIN_S = 0.5
_CHUNK_BYTES = 65536

# Variables of a child: the bus of ModemManager, a Python child, and TLS.
_PASSED_ON = (
    "DBUS_SYSTEM_BUS_ADDRESS",
    "MALLOC_ARENA_MAX",
    "PYTHONOPTIMIZE",
    "PYTHONPATH",
    "PYTHONPYCACHEPREFIX",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
)

Watch = Callable[[], str | None]


@dataclass(frozen=True, slots=True)
class ChildResult:
    """The end of a child process, and its output up to then.

    `exit_status` is None if a signal ended the child. `stopped_by` is the cause if this
    module killed it: `deadline`, `child_output` (too much output), or the cause that
    `watch` returned.
    """

    exit_status: int | None
    signal: int | None
    stdout: bytes
    stderr: bytes
    stopped_by: str | None

    def failure(self) -> ProbeError | None:
        """Return the error for a probe to raise; None if the child succeeded."""
        if self.stopped_by is not None:
            return ProbeError(self.stopped_by, self._last_line())
        if self.signal is not None:
            return ProbeError("child_signal", signal.Signals(self.signal).name)
        if self.exit_status:
            detail = f"status {self.exit_status}: {self._last_line()}"
            return ProbeError("child_exit", detail)
        return None

    def _last_line(self) -> str:
        lines = self.stderr.decode(errors="replace").strip().splitlines()
        return lines[-1][:200] if lines else ""


def run_child(
    argv: Sequence[str],
    *,
    timeout_s: float,
    output_limit_bytes: int,
    stdin: bytes | None = None,
    watch: Watch | None = None,
    env: Mapping[str, str] | None = None,
) -> ChildResult:
    """Run `argv` until it ends, or kill it and all that it started.

    `watch` is called every 50 ms; a cause that it returns kills the child. `env` has
    all variables of the child, by default those of `clean_environment`. Raises
    ProbeError `missing_tool` if the program does not exist.
    """
    process = _start(argv, stdin, env)
    output = _Output(process, output_limit_bytes)
    try:
        stopped_by = _follow(output, time.monotonic() + timeout_s, watch)
    finally:
        _kill(process)
        output.drain()
    code = process.returncode
    return ChildResult(
        exit_status=code if code >= 0 else None,
        signal=-code if code < 0 else None,
        stdout=bytes(output.stdout),
        stderr=bytes(output.stderr),
        stopped_by=stopped_by,
    )


def program(name: str) -> str:
    """Return the absolute path of a program, which is searched on PATH only once.

    Raises ProbeError `missing_tool`.
    """
    return _program(name, os.environ.get("PATH", os.defpath))


@lru_cache(maxsize=100)
def _program(name: str, path: str) -> str:
    found = shutil.which(name, path=path)
    if found is None or not Path(found).is_absolute():
        raise ProbeError("missing_tool", f"{name}: not found")
    return found


def clean_environment() -> dict[str, str]:
    """Return the variables that a child needs; its messages are English."""
    kept = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    path = os.environ.get("PATH", os.defpath)
    return {"PATH": path, "LC_ALL": "C", **kept}


def _start(
    argv: Sequence[str], stdin: bytes | None, env: Mapping[str, str] | None
) -> subprocess.Popen[bytes]:
    source = subprocess.DEVNULL if stdin is None else _memory_file(stdin)
    try:
        return subprocess.Popen(
            [program(argv[0]), *argv[1:]],
            stdin=source,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=clean_environment() if env is None else env,
            start_new_session=True,
        )
    except (FileNotFoundError, PermissionError) as error:
        raise ProbeError("missing_tool", f"{argv[0]}: {error.strerror}") from error
    finally:
        if stdin is not None:
            os.close(source)


def _memory_file(content: bytes) -> int:
    """Return a file with `content`; a pipe would block if the child never reads."""
    handle = os.memfd_create("stdin")
    os.write(handle, content)
    os.lseek(handle, 0, os.SEEK_SET)
    return handle


class _Output:
    """Standard output, standard error and the end of a child, behind one selector."""

    def __init__(self, process: subprocess.Popen[bytes], limit_bytes: int) -> None:
        self.stdout, self.stderr = bytearray(), bytearray()
        self.ended = False
        self._room_bytes = limit_bytes
        self._end = os.pidfd_open(process.pid)
        self._pipes = [p for p in (process.stdout, process.stderr) if p is not None]
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._end, selectors.EVENT_READ)
        for pipe, buffer in zip(self._pipes, (self.stdout, self.stderr), strict=True):
            self._selector.register(pipe, selectors.EVENT_READ, buffer)

    def overflowed(self) -> bool:
        return self._room_bytes < 0

    def read(self, wait_s: float) -> None:
        """Read what arrives within `wait_s`."""
        for key, _ in self._selector.select(wait_s):
            if key.data is None:
                self.ended = True
            else:
                self._read_pipe(key.fd, key.data)

    def _read_pipe(self, handle: int, buffer: bytearray) -> None:
        chunk = os.read(handle, _CHUNK_BYTES)
        if not chunk:
            self._selector.unregister(handle)
        buffer += chunk[: max(0, self._room_bytes)]
        self._room_bytes -= len(chunk)

    def drain(self) -> None:
        """Read the rest, for a limited time, and close all.

        A process that left the session may keep a pipe open.
        """
        self._selector.unregister(self._end)
        end_s = time.monotonic() + _DRAIN_S
        while self._selector.get_map() and not self.overflowed():
            if time.monotonic() >= end_s:
                break
            self.read(_POLL_S)
        self._selector.close()
        os.close(self._end)
        for pipe in self._pipes:
            pipe.close()


def _follow(output: _Output, end_s: float, watch: Watch | None) -> str | None:
    """Read until the child ends; return the cause if it must be killed."""
    while not output.ended:
        output.read(min(_POLL_S, max(0.0, end_s - time.monotonic())))
        if output.overflowed():
            return "child_output"
        if watch is not None and (cause := watch()) is not None:
            return cause
        if not output.ended and time.monotonic() >= end_s:
            return "deadline"
    return None


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Kill the process group of the session, then reap the leader.

    The leader is reaped last: until then the kernel cannot reuse its group number.
    """
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
