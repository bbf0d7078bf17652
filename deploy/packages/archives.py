"""Writes archives of which every byte follows from the content.

Owner, order and time are fixed. The time is that of the commit.
"""

from __future__ import annotations

import io
import lzma
import tarfile
from collections.abc import Iterator
from pathlib import PurePosixPath

from deploy.packages.tree import Tree

_AR_MEMBER = "{name:<16}{time:<12}0     0     100644  {size:<10}`\n"
# 16 MiB of dictionary: a device needs as much memory to unpack.
_XZ = ({"id": lzma.FILTER_LZMA2, "preset": 6, "dict_size": 1 << 24},)


def tar(files: Tree, time_s: int) -> bytes:
    """Return a tar archive with all folders, in the order of the files."""
    output = io.BytesIO()
    written: set[str] = set()
    with tarfile.open(fileobj=output, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for path, entry in files.items():
            for folder in _folders(path):
                if folder not in written:
                    written.add(folder)
                    archive.addfile(_member(f"./{folder}", time_s, 0o755, folder=True))
            member = _member(f"./{path}", time_s, entry.mode)
            member.size = len(entry.content)
            archive.addfile(member, io.BytesIO(entry.content))
    return output.getvalue()


def xz(content: bytes, fast: bool = False) -> bytes:
    """Compress. `fast` is for tests: it takes a tenth of the time."""
    if fast:
        return lzma.compress(content, preset=0)
    return lzma.compress(content, filters=_XZ)


def ar(members: dict[str, bytes], time_s: int) -> bytes:
    """Return an ar archive, the outer form of a Debian package (deb(5))."""
    output = bytearray(b"!<arch>\n")
    for name, content in members.items():
        header = _AR_MEMBER.format(name=name, time=time_s, size=len(content))
        output += header.encode("ascii") + content + b"\n" * (len(content) % 2)
    return bytes(output)


def _folders(path: str) -> Iterator[str]:
    """Yield the folders of a path, the outermost first."""
    for parent in reversed(PurePosixPath(path).parents):
        if parent.name:
            yield f"{parent}/"


def _member(
    name: str, time_s: int, mode: int, *, folder: bool = False
) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type = tarfile.DIRTYPE if folder else tarfile.REGTYPE
    member.mode, member.mtime = mode, time_s
    member.uname = member.gname = "root"
    return member
