"""The state of the remote configuration in a backup: an archive of its files.

It has the state with the version, the folder that people edit without hidden files, and
the published folder with the key sets. No command publishes meanwhile, so the state
and the published files are of one version. They go back together: each present folder
is renamed, because a file of a later version must not stay between the older ones.
"""

from __future__ import annotations

import os
import shutil
import tarfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path, PurePosixPath

from qos_agent.model.errors import OperatorError
from qos_agent.noc.remote.places import Places
from qos_agent.noc.remote.state import FILE_NAME
from qos_agent.system.files import sync

NAME = "remote.tar"
_SOURCE, _PUBLISHED = "source", "published"


def exists(places: Places) -> bool:
    """Return True if something was published or edited."""
    return any(True for _ in _files(places))


def pack(places: Places, target: Path) -> int:
    """Write the archive, and return the number of its files.

    Raises OperatorError if a command publishes all the time, or OSError.
    """
    count = 0
    with places.unchanged(), tarfile.open(target, mode="w") as archive:
        for name, path in _files(places):
            archive.add(path, name, recursive=False)
            count += 1
    target.chmod(0o600)
    return count


def check(archive: Path) -> None:
    """Check the names of an archive. Raises ValueError."""
    with tarfile.open(archive, mode="r:") as file:
        for member in file:
            path = PurePosixPath(member.name)
            is_known = path.parts[0] in {FILE_NAME, _SOURCE, _PUBLISHED}
            if not member.isfile() or not is_known or ".." in path.parts:
                raise ValueError(f"{member.name!r} is not a file of this archive")


def extract(archive: Path, places: Places) -> None:
    """Put the files of a checked archive in place. Raises OperatorError or OSError.

    What was there before stays with the suffix `.before-restore`.
    """
    targets = {
        FILE_NAME: places.folder / FILE_NAME,
        _SOURCE: places.source,
        _PUBLISHED: places.published,
    }
    with places.alone():
        new = {name: _beside(target, ".new") for name, target in targets.items()}
        try:
            _write(archive, new)
            for name, target in targets.items():
                _exchange(new[name], target)
        finally:
            for path in new.values():
                _remove(path)


def _write(archive: Path, new: dict[str, Path]) -> None:
    with tarfile.open(archive, mode="r:") as file:
        for member in file:
            first, *rest = PurePosixPath(member.name).parts
            target, content = new[first].joinpath(*rest), file.extractfile(member)
            if content is None:
                raise OperatorError(f"{archive}: is damaged. Fix: use another backup.")
            target.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
            with content, target.open("wb") as out:
                os.fchmod(out.fileno(), member.mode & 0o777)
                shutil.copyfileobj(content, out)
    # One for all, as for a publication.
    os.sync()


def _exchange(new: Path, target: Path) -> None:
    """Set the present file or folder aside, and put the new one in its place."""
    if not new.exists():
        return
    if target.exists():
        old = _beside(target, ".before-restore")
        _remove(old)
        target.rename(old)
    new.rename(target)
    sync(target.parent)


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        with suppress(FileNotFoundError):
            path.unlink()


def _files(places: Places) -> Iterator[tuple[str, Path]]:
    """Yield the regular files with their names in the archive, without hidden ones."""
    state = places.folder / FILE_NAME
    if state.is_file():
        yield FILE_NAME, state
    for first, root in ((_SOURCE, places.source), (_PUBLISHED, places.published)):
        for folder, folders, names in os.walk(root):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            for name in sorted(names):
                path = Path(folder) / name
                if not (name.startswith(".") or path.is_symlink()):
                    yield f"{first}/{path.relative_to(root)}", path
