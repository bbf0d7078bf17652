"""The configuration and the keys of the centre in a backup, encrypted.

`openssl cms` encrypts them to the certificate of the recovery key. The key itself is on
a stick in a safe, so a stolen backup discloses nothing, and the machine that makes
the backups cannot read them.
"""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path, PurePosixPath

from qos_agent.evidence.signer import openssl
from qos_agent.model.errors import ConfigError, OperatorError
from qos_agent.noc.provision.vault import Vault
from qos_agent.system.files import create_private, read_bytes, write_atomically

NAME = "config.cms"
_FILE_MAX_BYTES = 1_000_000
_FILES_MAX = 1000


def create_recovery_key(key: Path, certificate: Path) -> None:
    """Create the recovery key on a stick, and its certificate on this machine.

    Raises OperatorError if the file exists, SigningError or OSError.
    """
    if key.exists():
        raise OperatorError(f"{key}: exists already. Fix: use another name.")
    Vault.of(key)
    argv = ["x509", "-in", str(key), "-outform", "PEM"]
    text = openssl(argv, "read the recovery key").decode()
    certificate.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(certificate, text)


def encrypt(folder: Path, certificate: Path, target: Path) -> int:
    """Write all files of a folder to an encrypted file, and return their number.

    Raises SigningError, ConfigError or OSError.
    """
    if not certificate.exists():
        fix = "qos-agent noc ca recovery FILE"
        name = "backup.recovery_cert_file"
        raise ConfigError(name, repr(str(certificate)), "is missing", fix)
    content = io.BytesIO()
    count = 0
    with tarfile.open(fileobj=content, mode="w:gz") as archive:
        for path in _files(folder):
            data = read_bytes(path, _FILE_MAX_BYTES)
            member = tarfile.TarInfo(str(path.relative_to(folder)))
            status = path.stat()
            member.size, member.mode = len(data), status.st_mode & 0o777
            member.mtime = int(status.st_mtime)
            archive.addfile(member, io.BytesIO(data))
            count += 1
    argv = ["cms", "-encrypt", "-aes-256-gcm", "-binary", "-outform", "DER"]
    argv += ["-recip", str(certificate), "-out", str(target)]
    openssl(argv, "encrypt the configuration", content.getvalue())
    target.chmod(0o600)
    return count


def decrypt(source: Path, key: Path, work: Path) -> bytes:
    """Return the archive in an encrypted file. Raises SigningError or OperatorError."""
    if not key.exists():
        raise OperatorError(f"{key}: is missing. Fix: name the recovery key.")
    target = work / "config.tar.gz"
    argv = ["cms", "-decrypt", "-binary", "-inform", "DER", "-in", str(source)]
    argv += ["-recip", str(key), "-inkey", str(key), "-out", str(target)]
    openssl(argv, f"decrypt with {key}")
    return target.read_bytes()


def extract(content: bytes, folder: Path) -> int:
    """Write the files of an archive to a folder, and return their number.

    Files that differ stay with the suffix `.before-restore`. Raises OperatorError if a
    name leads out of the folder, or OSError.
    """
    files: dict[Path, tuple[bytes, int]] = {}
    with tarfile.open(fileobj=io.BytesIO(content), mode="r:gz") as archive:
        for member in archive:
            name = PurePosixPath(member.name)
            source = archive.extractfile(member) if member.isfile() else None
            if source is None or name.is_absolute() or ".." in name.parts:
                fix = "use another backup"
                raise OperatorError(f"{member.name!r}: is not a file. Fix: {fix}.")
            files[folder / name] = source.read(_FILE_MAX_BYTES), member.mode & 0o777
    for path, (data, mode) in files.items():
        _replace(path, data, mode)
    return len(files)


def _replace(path: Path, data: bytes, mode: int) -> None:
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    with suppress(FileNotFoundError):
        if path.read_bytes() == data:
            path.chmod(mode)
            return
        path.replace(path.with_name(f"{path.name}.before-restore"))
    create_private(path, data)
    path.chmod(mode)


def _files(folder: Path) -> Iterator[Path]:
    """Yield the regular files of a folder. Raises OperatorError if there are many."""
    count = 0
    for name, _, files in os.walk(folder):
        for file in sorted(files):
            path = Path(name) / file
            if not path.is_file() or path.is_symlink():
                continue
            count += 1
            if count > _FILES_MAX:
                fix = "correct backup.config"
                raise OperatorError(f"{folder}: has too many files. Fix: {fix}.")
            yield path
