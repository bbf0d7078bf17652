"""Records every write of SQLite in order, and simulates power cuts on a disk.

The recorder is a VFS in the library that the standard `sqlite3` module uses. It is the
system's VFS with recorded open, write, truncate, sync and delete calls
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
        ("version", c_int),
        ("file_bytes", c_int),
        ("path_bytes", c_int),
        ("following", c_void_p),
        ("name", ctypes.c_char_p),
        ("data", c_void_p),
        *((name, c_void_p) for name in _VFS_NAMES),
    )


@dataclass(frozen=True, slots=True)
class Create:
    """A new file."""

    name: str


@dataclass(frozen=True, slots=True)
class Delete:
    """A deleted file; `synced` if the folder was synced with it."""

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
    """A file truncated to a size."""

    name: str
    size: int


@dataclass(frozen=True, slots=True)
class Sync:
    """A sync, after which all earlier writes to the file are on disk."""

    name: str


Call = Create | Delete | Write | Truncate | Sync


class _Recorder:
    """The calls, and the C functions that record and forward them."""

    def __init__(self, library: ctypes.CDLL) -> None:
        library.sqlite3_vfs_find.restype = ctypes.POINTER(_Vfs)
        self.calls: list[Call] = []
        self._names: dict[int, str] = {}
        # SQLite has only pointers to these objects, so Python must keep them alive.
        self._references: list[Any] = []
        system = library.sqlite3_vfs_find(None).contents
        self._open, self._delete = _OPEN(system.open), _DELETE(system.delete)
        self.vfs = _Vfs.from_buffer_copy(system)
        self.vfs.name = b"recording"
        self.vfs.open = self._pointer(_OPEN(self._opened))
        self.vfs.delete = self._pointer(_DELETE(self._deleted))

    def _pointer(self, function: Any) -> int | None:
        self._references.append(function)
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
        """Replace the methods of an open file by recording ones."""
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

        methods.write = self._pointer(_WRITE(on_write))
        methods.truncate = self._pointer(_TRUNCATE(on_truncate))
        methods.sync = self._pointer(_SYNC(on_sync))
        self._references.append(methods)
        place[0] = ctypes.pointer(methods)


@contextmanager
def recording() -> Iterator[list[Call]]:
    """Record the calls of all connections that are opened and closed in the block."""
    library = ctypes.CDLL(getattr(_sqlite3, "__file__", None))
    has_vfs = hasattr(library, "sqlite3_vfs_register")
    require(has_vfs, "SQLite's interface in C", "use a Python linked with libsqlite3")
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
        """Return the file with unsynced sectors written in any order, or as noise."""
        content, calls = bytearray(self.on_disk), len(self.unsynced)
        size, earliest = chance.choice(_SECTOR_SIZES), chance.randint(0, calls)
        # The state of each sector is that after a random number of calls.
        moments: dict[int, int] = {}
        for number, change in enumerate(self.unsynced):
            for part in _sectors(change, size):
                sector = -1 if isinstance(part, Truncate) else part.offset // size
                moment = moments.setdefault(sector, chance.randint(earliest, calls))
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
    """The files after each call, and their possible states after a power cut.

    A folder's entries are on disk once SQLite syncs the folder. It does so with a
    synced deletion, and with the first sync of a new log or rollback journal.
    """

    def __init__(self) -> None:
        self._files: dict[str, _File] = {}
        self._entries: dict[str, _File] = {}
        self._unsynced: list[Create | Delete] = []

    def apply(self, call: Call) -> None:
        """Apply a call."""
        match call:
            case Create() | Delete():
                self._change_folder(call)
            case Sync():
                file = self._files[call.name]
                file.on_disk, file.unsynced = bytearray(file.all()), []
                is_new = Create(call.name) in self._unsynced
                if is_new and call.name.endswith(("-wal", "-journal")):
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
        """Return the files with all writes."""
        return {name: file.all() for name, file in self._files.items()}

    def torn(self, chance: Random) -> dict[str, bytes]:
        """Return the files with all synced writes and a random part of the others."""
        entries = dict(self._entries)
        for change in self._unsynced[: chance.randint(0, len(self._unsynced))]:
            if isinstance(change, Delete):
                entries.pop(change.name, None)
            elif change.name in self._files:
                entries[change.name] = self._files[change.name]
        return {name: file.torn(chance) for name, file in entries.items()}
