"""Runs a tool as a child process that cannot outlive, outwait or outtalk its caller.

An argument list, never a shell; a session of its own, so that whatever the tool
started dies with it; a deadline; a limit on what it may print. It decides nothing
about what was printed: that is the caller's.
"""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from qos_agent.model.errors import ProbeError

_POLL_S = 0.05
_DRAIN_S = 0.5
_CHUNK_BYTES = 65536

Watch = Callable[[], str | None]


@dataclass(frozen=True, slots=True)
class ChildResult:
    """How a child ended, and what it printed up to then.

    `exit_status` is None where a signal ended it; `stopped_by` says why we killed
    it: `deadline`, `child_output` (printed too much) or the word `watch` returned.
    """

    exit_status: int | None
    signal: int | None
    stdout: bytes
    stderr: bytes
    stopped_by: str | None

    def failure(self) -> ProbeError | None:
        """The error a probe raises for this end; None where the child succeeded."""
        if self.stopped_by is not None:
            return ProbeError(self.stopped_by, self._last_words())
        if self.signal is not None:
            return ProbeError("child_signal", signal.Signals(self.signal).name)
        if self.exit_status:
            said = self._last_words()
            return ProbeError("child_exit", f"status {self.exit_status}: {said}")
        return None

    def _last_words(self) -> str:
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
    """Run `argv` to its end, or kill it and all it started.

    `watch` is asked every 50 ms; a word from it kills the child. Raises ProbeError
    `missing_tool` where there is no such program.
    """
    process = _start(argv, stdin, env)
    listener = _Listener(process, output_limit_bytes)
    try:
        stopped_by = _follow(listener, time.monotonic() + timeout_s, watch)
    finally:
        _kill(process)
        listener.drain()
    code = process.returncode
    return ChildResult(
        exit_status=code if code >= 0 else None,
        signal=-code if code < 0 else None,
        stdout=bytes(listener.heard[0]),
        stderr=bytes(listener.heard[1]),
        stopped_by=stopped_by,
    )


def _start(
    argv: Sequence[str], stdin: bytes | None, env: Mapping[str, str] | None
) -> subprocess.Popen[bytes]:
    source = subprocess.DEVNULL if stdin is None else _memory_file(stdin)
    try:
        return subprocess.Popen(
            argv,
            stdin=source,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=env,
            start_new_session=True,
        )
    except (FileNotFoundError, PermissionError) as error:
        raise ProbeError("missing_tool", f"{argv[0]}: {error.strerror}") from error
    finally:
        if stdin is not None:
            os.close(source)


def _memory_file(content: bytes) -> int:
    """A file that holds `content`: a pipe would block where the child never reads."""
    handle = os.memfd_create("stdin")
    os.write(handle, content)
    os.lseek(handle, 0, os.SEEK_SET)
    return handle


class _Listener:
    """Both outputs of a child, and its end, behind one wait."""

    def __init__(self, process: subprocess.Popen[bytes], limit_bytes: int) -> None:
        self.heard = (bytearray(), bytearray())
        self.ended = False
        self._room_bytes = limit_bytes
        self._end = os.pidfd_open(process.pid)
        self._pipes = [p for p in (process.stdout, process.stderr) if p is not None]
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._end, selectors.EVENT_READ)
        for pipe, heard in zip(self._pipes, self.heard, strict=True):
            self._selector.register(pipe, selectors.EVENT_READ, heard)

    def overflowed(self) -> bool:
        return self._room_bytes < 0

    def listen(self, wait_s: float) -> None:
        """Take what has come within `wait_s`."""
        for key, _ in self._selector.select(wait_s):
            if key.data is None:
                self.ended = True
            else:
                self._take(key.fd, key.data)

    def _take(self, handle: int, heard: bytearray) -> None:
        chunk = os.read(handle, _CHUNK_BYTES)
        if not chunk:
            self._selector.unregister(handle)
        heard += chunk[: max(0, self._room_bytes)]
        self._room_bytes -= len(chunk)

    def drain(self) -> None:
        """Take the rest; what left the group may hold a pipe open, so not for ever."""
        self._selector.unregister(self._end)
        end_s = time.monotonic() + _DRAIN_S
        while self._selector.get_map() and not self.overflowed():
            if time.monotonic() >= end_s:
                break
            self.listen(_POLL_S)
        self._selector.close()
        os.close(self._end)
        for pipe in self._pipes:
            pipe.close()


def _follow(listener: _Listener, end_s: float, watch: Watch | None) -> str | None:
    """Listen until the child ends; the word for why it must be killed, if so."""
    while not listener.ended:
        listener.listen(min(_POLL_S, max(0.0, end_s - time.monotonic())))
        if listener.overflowed():
            return "child_output"
        if watch is not None and (word := watch()) is not None:
            return word
        if not listener.ended and time.monotonic() >= end_s:
            return "deadline"
    return None


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End the whole session's group, before its number can be given away.

    The leader is reaped last: until then its process group cannot be another's.
    """
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
