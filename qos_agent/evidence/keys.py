"""The file with the device's private Ed25519 key, and its place.

The key is created on the device and never leaves it. Its file has mode 0600. systemd
can provide it instead as a credential (systemd.exec(5), LoadCredential=).
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from qos_agent.evidence import last_seal
from qos_agent.evidence.signer import OpensslSigner, PublicKey, openssl
from qos_agent.model.errors import OperatorError, SigningError
from qos_agent.system.files import may_exist, read_bytes, sync

FILE_NAME = "device-key.pem"
RETIRED_NAME = "device-key-{time}.pem"
CREDENTIAL = "device-key"
# The credential of the centre, and that of a device.
_CREDENTIALS = frozenset({CREDENTIAL, "witness-key"})
_MAX_BYTES = 4096
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def key_path(folder: Path, environment: Mapping[str, str]) -> Path:
    """Return the path of the key: the credential if there is one, else in `folder`."""
    credentials = environment.get("CREDENTIALS_DIRECTORY")
    if credentials and may_exist(path := Path(credentials) / CREDENTIAL):
        return path
    return folder / FILE_NAME


def load_signer(path: Path) -> OpensslSigner | None:
    """Return the signer of a key file; None if there is no file.

    Raises SigningError if the key cannot be used or others may read its file.
    """
    if not may_exist(path):
        return None
    try:
        mode = path.stat().st_mode
        content = read_bytes(path, _MAX_BYTES)
    except OSError as error:
        fix = f"sudo chown $(id -u qos-agent) {path}"
        problem = f"{path}: cannot be read: {error.strerror}"
        raise SigningError(f"{problem}. Fix: {fix}.") from error
    # A credential's folder is closed to other users, and systemd sets the file's mode.
    if mode & _OTHERS and path.name not in _CREDENTIALS:
        found = f"found: mode {stat.S_IMODE(mode):04o}"
        problem = f"{path}: other users may read the key ({found})"
        raise SigningError(f"{problem}. Fix: chmod 600 {path}.")
    if b"PRIVATE KEY-----" not in content:
        found = f"found: hidden, {len(content)} bytes"
        problem = f"{path}: is not a private key in PEM form ({found})"
        raise SigningError(f"{problem}. Fix: qos-agent enrol --self --new-key.")
    return OpensslSigner.of(path)


def public_keys(folder: Path) -> list[PublicKey]:
    """Return the public keys of this device: present, replaced and of the last seal.

    A private key that cannot be read here is skipped.
    """
    found = [] if (last := last_seal.read(folder)) is None else [last.key]
    for path in [key_path(folder, os.environ), *retired_keys(folder)]:
        with suppress(SigningError):
            if (signer := load_signer(path)) is not None:
                found.append(signer.public_key)
    return found


def retired_keys(folder: Path) -> list[Path]:
    """Return the files of replaced keys."""
    return sorted(folder.glob(RETIRED_NAME.format(time="*")))


def create_key(path: Path) -> OpensslSigner:
    """Create a key, on disk when this returns. Raises SigningError or OSError.

    Raises OperatorError if the file exists: a lost key cannot be created again.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    content = openssl(["genpkey", "-algorithm", "ed25519"], "create a key")
    try:
        handle = os.open(path, flags, 0o600)
    except FileExistsError:
        fix = "use this key, or replace it: qos-agent enrol --self --new-key"
        raise OperatorError(f"{path}: there is a key already. Fix: {fix}.") from None
    with os.fdopen(handle, "wb") as file:
        _give_to_owner_of(path.parent, file.fileno())
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    sync(path.parent)
    return OpensslSigner.of(path)


def replace_key(path: Path, time_text: str) -> OpensslSigner:
    """Create a new key in place of another, which keeps another name.

    The new key is complete before the old one is renamed. Raises SigningError, OSError.
    """
    new = path.with_name(f"{path.name}.new")
    new.unlink(missing_ok=True)
    create_key(new)
    retire_key(path, time_text)
    new.rename(path)
    sync(path.parent)
    return OpensslSigner.of(path)


def retire_key(path: Path, time_text: str) -> Path:
    """Rename a key that is replaced and return its new path. Raises OSError."""
    retired = path.with_name(RETIRED_NAME.format(time=time_text))
    path.rename(retired)
    sync(path.parent)
    return retired


def _give_to_owner_of(folder: Path, handle: int) -> None:
    """Give a file that root creates to the user of the folder, who runs the agent."""
    if os.geteuid() == 0:
        owner = folder.stat()
        os.fchown(handle, owner.st_uid, owner.st_gid)
