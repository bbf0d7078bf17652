"""Standard output and error that never end a command.

A full disk, a closed descriptor, a terminal that went away or an ASCII locale stops no
command: what cannot be written is dropped. A command that runs for long writes in the
background, because a pipe that nobody reads would block its measurements.
"""

from __future__ import annotations

import errno
import io
import os
import select
import sys
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TextIO

# A few minutes of log lines, or a few screens.
_PENDING_MAX_BYTES = 262_144
_CLOSE_S = 1.0
_POLL_S = 1.0


class GuardedStream(io.TextIOBase):
    """A text stream that drops what cannot be written, and keeps the first error.

    A character that the encoding lacks becomes a question mark.
    """

    def __init__(self, stream: TextIO | None) -> None:
        super().__init__()
        self.error: OSError | None = None
        self._stream = stream
        if stream is None:
            self.error = OSError(errno.EBADF, os.strerror(errno.EBADF))
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """The encoding of the stream below."""
        return self._stream.encoding if self._stream is not None else "utf-8"

    @property
    def buffer(self) -> io.RawIOBase:
        """The same stream for bytes."""
        return _GuardedBytes(self)

    def isatty(self) -> bool:
        """Return True for a terminal that is still there."""
        return self._stream is not None and not self.error and self._stream.isatty()

    def fileno(self) -> int:
        """Return the descriptor. Raises io.UnsupportedOperation without one."""
        if self._stream is None:
            raise io.UnsupportedOperation("fileno")
        return self._stream.fileno()

    def writable(self) -> bool:
        """Return True: a write never fails."""
        return True

    def write(self, text: str) -> int:
        """Write, or drop the text after an error."""
        if self._stream is not None and self.error is None:
            try:
                self._stream.write(text)
            except (OSError, ValueError) as error:
                self.lose(error)
        return len(text)

    def write_bytes(self, content: bytes) -> None:
        """Write bytes after the text so far."""
        self.flush()
        if self._stream is not None and self.error is None:
            try:
                self._stream.buffer.write(content)
            except (OSError, ValueError) as error:
                self.lose(error)

    def flush(self) -> None:
        """Write what is buffered."""
        if self._stream is not None and self.error is None:
            try:
                self._stream.flush()
            except (OSError, ValueError) as error:
                self.lose(error)

    def lose(self, error: OSError | ValueError) -> None:
        """Drop all further output; what is buffered must not fail at the exit."""
        closed = OSError(errno.EBADF, os.strerror(errno.EBADF))
        self.error = error if isinstance(error, OSError) else closed
        with suppress(OSError, ValueError):
            _open_null(self.fileno())

    def end(self) -> None:
        """Write what is left, as far as possible in a second."""
        self.flush()


class _GuardedBytes(io.RawIOBase):
    """The byte side of a guarded stream. After an error `write` raises it."""

    def __init__(self, stream: GuardedStream) -> None:
        super().__init__()
        self._stream = stream

    def writable(self) -> bool:
        return True

    def write(self, content: bytes) -> int:  # type: ignore[override]
        self._stream.write_bytes(content)
        if self._stream.error is not None:
            raise self._stream.error
        return len(content)

    def flush(self) -> None:
        self._stream.flush()


class BackgroundStream(GuardedStream):
    """A guarded stream whose writes never wait: a thread of its own does them.

    It bypasses the buffer of the stream below, whose lock a blocked write would hold
    until after the exit. Text beyond the limit is dropped, and the number is written.
    """

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        super().flush()
        self._handle = stream.fileno()
        self._pending: deque[bytes] = deque()
        self._pending_bytes = 0
        self._dropped = 0
        self._ending = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._drain, name="output", daemon=True)
        self._thread.start()

    def write(self, text: str) -> int:
        """Queue the text, or drop it if too much is waiting."""
        self.write_bytes(text.encode(self.encoding, "replace"))
        return len(text)

    def write_bytes(self, content: bytes) -> None:
        """Queue the bytes, or drop them if too much is waiting."""
        with self._changed:
            if self.error is not None:
                return
            if self._pending_bytes + len(content) > _PENDING_MAX_BYTES:
                self._dropped += 1
                return
            if self._dropped:
                content = b"(%d writes dropped)\n" % self._dropped + content
                self._dropped = 0
            self._pending.append(content)
            self._pending_bytes += len(content)
            self._changed.notify_all()

    def flush(self) -> None:
        """Do nothing: the thread writes at once."""

    def end(self) -> None:
        """Let the thread write what is left, for at most a second."""
        with self._changed:
            self._ending = True
            self._changed.notify_all()
        self._thread.join(_CLOSE_S)

    def _drain(self) -> None:
        while (content := self._take()) is not None:
            try:
                _write_all(self._handle, content)
            except (OSError, ValueError) as error:
                self.lose(error)
                return

    def _take(self) -> bytes | None:
        """Wait for output and return it; None after the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._pending or self._ending)
            if not self._pending:
                return None
            content = b"".join(self._pending)
            self._pending.clear()
            self._pending_bytes = 0
            return content


def _write_all(handle: int, content: bytes) -> None:
    rest = memoryview(content)
    while rest:
        try:
            rest = rest[os.write(handle, rest) :]
        except BlockingIOError:  # another process made the terminal non-blocking
            select.select([], [handle], [], _POLL_S)


def lost_output() -> str | None:
    """Write what is left, and return the reason if standard output was lost.

    A reader that closed its pipe has read enough.
    """
    stream = sys.stdout
    if not isinstance(stream, GuardedStream):
        return None
    stream.end()
    error = stream.error
    if error is None or error.errno == errno.EPIPE:
        return None
    return error.strerror or str(error)


@contextmanager
def guarded() -> Iterator[None]:
    """Guard sys.stdout and sys.stderr, and open descriptors that are closed.

    The next file that is opened would get the number of a closed descriptor, and what
    some library prints would be written into that file.
    """
    for handle in (0, 1, 2):
        try:
            os.fstat(handle)
        except OSError:
            _open_null(handle)
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = GuardedStream(sys.stdout), GuardedStream(sys.stderr)
    try:
        yield
    finally:
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, GuardedStream):
                stream.end()
        sys.stdout, sys.stderr = before


def write_in_background() -> None:
    """Let the output of this process never wait for a reader."""
    sys.stdout = _in_background(sys.stdout)
    sys.stderr = _in_background(sys.stderr)


def _in_background(stream: TextIO) -> GuardedStream | TextIO:
    """Return a stream that never waits; the same one if it has no descriptor."""
    below = getattr(stream, "_stream", None)
    if below is None or getattr(stream, "error", None) is not None:
        return stream
    try:
        return BackgroundStream(below)
    except (OSError, ValueError):
        return stream


def _open_null(handle: int) -> None:
    null = os.open(os.devnull, os.O_RDWR)
    if null != handle:
        os.dup2(null, handle)
        os.close(null)
