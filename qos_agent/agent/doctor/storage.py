"""Checks of the disk: free space, errors of the file system, wear of the card."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from shlex import quote

from qos_agent.agent.doctor.check import Check, bad, ok, warn
from qos_agent.agent.doctor.subject import Subject
from qos_agent.model.units import size_text
from qos_agent.system.files import may_exist, read_number, read_text

ROOT = Path("/")
_MIN_FREE_BYTES = 200_000_000
_FREE = "sudo journalctl --vacuum-size=20M && sudo apt-get clean"
_REPLACE = "replace the card or the device, and tell the NOC"
# JEDEC eMMC 5.1, 7.4: wear in steps of 10 %, and the reserve of blocks.
_WORN_STEP = 9
_RESERVE_LOW = 2


def existing(folder: Path) -> Path:
    """Return the folder, or the nearest one above that exists."""
    return next(p for p in (folder, *folder.absolute().parents) if may_exist(p))


def disk(subject: Subject) -> Check:
    """Check the free space of the disk that has the journal."""
    folder = subject.folder
    try:
        found = os.statvfs(existing(folder))
    except OSError as error:
        text = "{folder}: {error}"
        return bad("disk", text, _REPLACE, folder=folder, error=error.strerror)
    free_bytes = found.f_bavail * found.f_frsize
    reserve_bytes = subject.settings.journal.disk_reserve
    values = {"folder": folder, "size": size_text(free_bytes)}
    if found.f_files and not found.f_favail:
        return bad("disk", "{folder}: no file can be created", _FREE, folder=folder)
    if free_bytes < reserve_bytes:
        text = "{folder}: {size} free; the journal leaves {reserve} to others"
        reserve = size_text(reserve_bytes)
        return bad("disk", text, _FREE, reserve=reserve, **values)
    if free_bytes < _MIN_FREE_BYTES:
        return warn("disk", "{folder}: {size} free", _FREE, **values)
    return ok("disk", "{folder}: {size} free", **values)


def card(subject: Subject, root: Path = ROOT) -> Check:
    """Check the file system's errors, and the wear that the card reports."""
    name, folder = "card", existing(subject.folder)
    try:
        read_only = os.statvfs(folder).f_flag & os.ST_RDONLY
        device = folder.stat().st_dev
    except OSError as error:
        text = "{folder}: {error}"
        return bad(name, text, _REPLACE, folder=folder, error=error.strerror)
    if read_only:
        text = "the file system of {folder} is read-only"
        mount = quote(str(_mount_point(folder)))
        fix = f"sudo mount -o remount,rw {mount} && sudo touch /forcefsck"
        return bad(name, text, "{fix}", folder=folder, fix=fix)
    return next(_faults(device, root), ok(name, _described(device, root)))


def _mount_point(folder: Path) -> Path:
    return next(p for p in (folder, *folder.absolute().parents) if p.is_mount())


def _block_device(device: int, root: Path) -> Path:
    """Return the folder of a block device in sysfs; it may not exist."""
    return root / f"sys/dev/block/{os.major(device)}:{os.minor(device)}"


def _described(device: int, root: Path) -> str:
    if not may_exist(_block_device(device, root)):
        return "no card or disk of its own"
    return "no errors"


def _faults(device: int, root: Path) -> Iterator[Check]:
    """Yield a check for each sign of a failing card."""
    folder = _block_device(device, root)
    if not may_exist(folder):
        return
    folder = folder.resolve()
    errors = read_number(root / f"sys/fs/ext4/{folder.name}/errors_count") or 0
    if errors:
        text = "{count} errors of the file system on {device}"
        values = {"count": errors, "device": folder.name}
        yield warn("card", text, _REPLACE, **values)
    for disk_folder in (folder, folder.parent):
        wear = max(_hexadecimal(read_text(disk_folder / "device/life_time") or ""))
        reserve = max(
            _hexadecimal(read_text(disk_folder / "device/pre_eol_info") or "")
        )
        if wear > _WORN_STEP or reserve >= _RESERVE_LOW:
            text = "the card {device} is worn out"
            yield warn("card", text, _REPLACE, device=disk_folder.name)


def _hexadecimal(text: str) -> list[int]:
    """Return the numbers of a text such as `0x01 0x0b`, at least a zero."""
    words = [word for word in text.split() if word.startswith("0x")]
    return [0, *(int(word[2:], 16) for word in words if _is_hexadecimal(word[2:]))]


def _is_hexadecimal(digits: str) -> bool:
    return 0 < len(digits) <= 8 and all(c in "0123456789abcdefABCDEF" for c in digits)
