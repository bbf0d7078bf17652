"""Every write SQLite hands to the kernel, in order, and what a disk keeps of them.

A VFS registered in the very library that the standard `sqlite3` uses: the system's own
with opening, writing, truncating, syncing and deleting noted down
(sqlite.org/c3ref/vfs.html, sqlite.org/c3ref/io_methods.html).
"""

from __future__ import annotations

import _sqlite3
import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from ctypes import CFUNCTYPE, c_int, c_int64, c_void_p
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from tests.support.requirement import require

_SECTOR_SIZES = (512, 4096)
_METHOD_NAMES = (
    "close",
    "read",
    "write",
    "truncate",
    "sync",
    "file_size",
    "lock",
    "unlock",
    "check_lock",
    "control",
    "sector",
    "device",
    "shm_map",
    "shm_lock",
    "shm_barrier",
    "shm_unmap",
    "fetch",
    "unfetch",
)
_VFS_NAMES = (
    "open",
    "delete",
    "access",
    "full_pathname",
    "dl_open",
    "dl_error",
    "dl_sym",
    "dl_close",
    "randomness",
    "sleep",
    "time",
    "last_error",
    "time_64",
    "set_call",
    "get_call",
    "next_call",
)
_OPEN = CFUNCTYPE(c_int, c_void_p, c_void_p, c_void_p, c_int, c_void_p)
_DELETE = CFUNCTYPE(c_int, c_void_p, c_void_p, c_int)
_WRITE = CFUNCTYPE(c_int, c_void_p, c_void_p, c_int, c_int64)
_TRUNCATE = CFUNCTYPE(c_int, c_void_p, c_int64)
_SYNC = CFUNCTYPE(c_int, c_void_p, c_int)


class _Methods(ctypes.Structure):
    _fields_ = (("version", c_int), *((name, c_void_p) for name in _METHOD_NAMES))


class _Vfs(ctypes.Structure):
    _fields_ = (
        ("version", c_int), ("file_bytes", c_int), ("path_bytes", c_int),
        ("following", c_void_p), ("name", ctypes.c_char_p), ("data", c_void_p),
        *((name, c_void_p) for name in _VFS_NAMES),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Create:
    """A file that was not there."""

    name: str


@dataclass(frozen=True, slots=True)
class Delete:
    """A file that is gone; on disk at once where the folder was synced with it."""

    name: str
    synced: bool


@dataclass(frozen=True, slots=True)
class Write:
    """Bytes at an offset."""

    name: str
    offset: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Truncate:
    """A file cut to a size."""

    name: str
    size: int


@dataclass(frozen=True, slots=True)
class Sync:
    """All written to a file before is on disk."""

    name: str


Call = Create | Delete | Write | Truncate | Sync


class _Recorder:
    """The calls, and C functions that note them before they go on to the system's."""

    def __init__(self, library: ctypes.CDLL) -> None:
        library.sqlite3_vfs_find.restype = ctypes.POINTER(_Vfs)
        self.calls: list[Call] = []
        self._names: dict[int, str] = {}
        # SQLite holds bare pointers to all of these.
        self._alive: list[Any] = []
        system = library.sqlite3_vfs_find(None).contents
        self._open, self._delete = _OPEN(system.open), _DELETE(system.delete)
        self.vfs = _Vfs.from_buffer_copy(system)
        self.vfs.name = b"recording"
        self.vfs.open = self._kept(_OPEN(self._opened))
        self.vfs.delete = self._kept(_DELETE(self._deleted))

    def _kept(self, function: Any) -> int | None:
        self._alive.append(function)
        return ctypes.cast(function, c_void_p).value

    def _opened(self, vfs: int, name: int, file: int, flags: int, out: int) -> int:
        path = Path(ctypes.string_at(name).decode()) if name else None
        is_new = path is not None and not path.exists()
        result = int(self._open(vfs, name, file, flags, out))
        if result == 0 and path is not None:
            self._names[file] = path.name
            if is_new:
                self.calls.append(Create(path.name))
            self._watch(file)
        return result

    def _deleted(self, vfs: int, name: int, synced: int) -> int:
        result = int(self._delete(vfs, name, synced))
        if result == 0:
            path = Path(ctypes.string_at(name).decode())
            self.calls.append(Delete(path.name, bool(synced)))
        return result

    def _watch(self, file: int) -> None:
        """Give an open file methods that note what it is told."""
        place = ctypes.cast(file, ctypes.POINTER(ctypes.POINTER(_Methods)))
        methods = _Methods.from_buffer_copy(place[0].contents)
        write, truncate = _WRITE(methods.write), _TRUNCATE(methods.truncate)
        sync = _SYNC(methods.sync)

        def on_write(file: int, data: int, size: int, offset: int) -> int:
            written = ctypes.string_at(data, size)
            self.calls.append(Write(self._names[file], offset, written))
            return int(write(file, data, size, offset))

        def on_truncate(file: int, size: int) -> int:
            self.calls.append(Truncate(self._names[file], size))
            return int(truncate(file, size))

        def on_sync(file: int, flags: int) -> int:
            self.calls.append(Sync(self._names[file]))
            return int(sync(file, flags))

        methods.write = self._kept(_WRITE(on_write))
        methods.truncate = self._kept(_TRUNCATE(on_truncate))
        methods.sync = self._kept(_SYNC(on_sync))
        self._alive.append(methods)
        place[0] = ctypes.pointer(methods)


@contextmanager
def recording() -> Iterator[list[Call]]:
    """The calls of all connections that are opened, and closed, meanwhile."""
    library = ctypes.CDLL(getattr(_sqlite3, "__file__", None))
    found = hasattr(library, "sqlite3_vfs_register")
    require(found, "SQLite's interface in C", "use a Python linked with libsqlite3")
    recorder = _Recorder(library)
    library.sqlite3_vfs_register(ctypes.byref(recorder.vfs), 1)
    try:
        yield recorder.calls
    finally:
        library.sqlite3_vfs_unregister(ctypes.byref(recorder.vfs))


def _apply(content: bytearray, change: Write | Truncate) -> None:
    if isinstance(change, Truncate):
        del content[change.size :]
        return
    content.extend(bytes(max(0, change.offset - len(content))))
    content[change.offset : change.offset + len(change.data)] = change.data


@dataclass
class _File:
    on_disk: bytearray = field(default_factory=bytearray)
    unsynced: list[Write | Truncate] = field(default_factory=list)

    def all(self) -> bytes:
        content = bytearray(self.on_disk)
        for change in self.unsynced:
            _apply(content, change)
        return bytes(content)

    def torn(self, chance: Random) -> bytes:
        """What was not synced arrived sector by sector, in any order, or as noise."""
        content, calls = bytearray(self.on_disk), len(self.unsynced)
        size, earliest = chance.choice(_SECTOR_SIZES), chance.randint(0, calls)
        # Each sector is as it was after so many of the calls.
        moments: dict[int, int] = {}
        for number, change in enumerate(self.unsynced):
            for part in _sectors(change, size):
                of = -1 if isinstance(part, Truncate) else part.offset // size
                moment = moments.setdefault(of, chance.randint(earliest, calls))
                if number < moment:
                    _apply(content, _noise(part, chance))
        return bytes(content)


def _sectors(change: Write | Truncate, size: int) -> Iterator[Write | Truncate]:
    if isinstance(change, Truncate):
        yield change
        return
    at, end = change.offset, change.offset + len(change.data)
    while at < end:
        until = min(end, at - at % size + size)
        data = change.data[at - change.offset : until - change.offset]
        yield Write(change.name, at, data)
        at = until


def _noise(part: Write | Truncate, chance: Random) -> Write | Truncate:
    if isinstance(part, Truncate) or chance.random() > 0.1:
        return part
    return Write(part.name, part.offset, chance.randbytes(len(part.data)))


class Disk:
    """The files as calls change them, and as a power cut may leave them.

    A folder's entries are on disk once SQLite syncs the folder: with a deletion that
    asks for it and with the first sync of a log or rollback journal it made.
    """

    def __init__(self) -> None:
        self._files: dict[str, _File] = {}
        self._entries: dict[str, _File] = {}
        self._unsynced: list[Create | Delete] = []

    def apply(self, call: Call) -> None:
        """One call more."""
        match call:
            case Create() | Delete():
                self._change_folder(call)
            case Sync():
                file = self._files[call.name]
                file.on_disk, file.unsynced = bytearray(file.all()), []
                made = Create(call.name) in self._unsynced
                if made and call.name.endswith(("-wal", "-journal")):
                    self._sync_folder()
            case _:
                self._files[call.name].unsynced.append(call)

    def _change_folder(self, call: Create | Delete) -> None:
        if isinstance(call, Create):
            self._files[call.name] = _File()
        else:
            del self._files[call.name]
        self._unsynced.append(call)
        if isinstance(call, Delete) and call.synced:
            self._sync_folder()

    def _sync_folder(self) -> None:
        self._entries, self._unsynced = dict(self._files), []

    def written(self) -> dict[str, bytes]:
        """Everything so far arrived."""
        return {name: file.all() for name, file in self._files.items()}

    def torn(self, chance: Random) -> dict[str, bytes]:
        """Only what was synced arrived whole; the rest by chance."""
        entries = dict(self._entries)
        for change in self._unsynced[: chance.randint(0, len(self._unsynced))]:
            if isinstance(change, Delete):
                entries.pop(change.name, None)
            elif change.name in self._files:
                entries[change.name] = self._files[change.name]
        return {name: file.torn(chance) for name, file in entries.items()}
