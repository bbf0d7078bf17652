"""The secrets and the place of this device, which the support file must not contain."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import unquote, urlsplit

from qos_agent.agent.doctor.subject import TOKEN_FILE, Subject
from qos_agent.agent.support.redaction import secrets_in
from qos_agent.config.settings import CollectorSection
from qos_agent.evidence import keys
from qos_agent.system.files import matching, may_exist, read_bytes

_CREDENTIALS = Path("/run/credentials/qos-agent.service")
_SECRET_NAME = re.compile(r"(?i)token|password|passwd|secret|key|credential")
_URL = re.compile(r"[a-z][a-z0-9+.-]*://[^\s\"'<>]+", re.I)
_SECRET_FILE = re.compile(r"""(?:token|key)_file\s*=\s*["']([^"'\n]+)["']""")
_MAX_BYTES = 100_000
# A host name that says nothing about the place.
_COMMON_NAMES = ("localhost", "raspberrypi", "debian", "device", "unassigned")


def known_values(subject: Subject) -> tuple[dict[str, str], list[Path]]:
    """Return values with their kind, and the files that this user may not read."""
    values = {value: kind for value, kind in _values(subject) if value}
    unread = [path for path, _ in _files(subject) if _is_closed(path)]
    return values, unread


def _is_closed(path: Path) -> bool:
    return may_exist(path) and not os.access(path, os.R_OK)


def _values(subject: Subject) -> Iterator[tuple[str, str]]:
    station = subject.settings.station
    for name in (station.id, station.device, socket.gethostname()):
        if name not in _COMMON_NAMES:
            yield name, "place"
    for section in (subject.settings.collector, subject.settings.fallback):
        if section.token is not None:
            yield from _parts(section.token.get_secret_value(), "token")
    for environment in (os.environ, _environment_of_service(subject)):
        yield from _of_environment(environment)
    for path, kind in _files(subject):
        yield from _in_file(path, kind)
    if subject.file is not None:
        yield from _of_configuration(_text(subject.file))


def _of_configuration(text: str) -> Iterator[tuple[str, str]]:
    """Yield the secrets of a configuration, which may be wrong and thus not loaded."""
    yield from _of_urls(text)
    for value in secrets_in(text):
        yield from _parts(value, "secret")
    for name in _SECRET_FILE.findall(text):
        yield from _in_file(Path(name), "secret")


def _parts(text: str, kind: str) -> Iterator[tuple[str, str]]:
    """Yield a secret, its lines, and the password of USER:PASSWORD."""
    stripped = text.strip().removeprefix("\ufeff")
    yield stripped, kind
    for line in stripped.splitlines():
        if not line.startswith("-----"):
            yield line.strip(), kind
    if ":" in stripped and "\n" not in stripped:
        yield stripped.partition(":")[2], kind


def _of_environment(variables: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for name, value in variables.items():
        is_path = value.startswith("/") or name.upper().endswith("_FILE")
        if _SECRET_NAME.search(name) and not is_path:
            yield from _parts(value, "secret")
        yield from _of_urls(value)


def _of_urls(text: str) -> Iterator[tuple[str, str]]:
    """Yield the user names and passwords in URLs, also as they are decoded."""
    for match in _URL.finditer(text):
        try:
            user = urlsplit(match[0])
            parts = (user.username, user.password)
        except ValueError:
            continue
        for part in filter(None, parts):
            yield part, "user of a URL"
            yield unquote(part), "user of a URL"


def _environment_of_service(subject: Subject) -> dict[str, str]:
    pid = subject.unit.number("MainPID") if subject.unit is not None else 0
    text = _text(Path(f"/proc/{pid}/environ")) if pid else ""
    return dict(entry.split("=", 1) for entry in text.split("\0") if "=" in entry)


def _files(subject: Subject) -> Iterator[tuple[Path, str]]:
    """Yield the files of secrets, with the kind of secret."""
    settings = subject.settings
    if subject.unit is not None:
        yield TOKEN_FILE, "token"
    for folder in (_CREDENTIALS, _folder(os.environ.get("CREDENTIALS_DIRECTORY"))):
        if folder is not None:
            yield from ((path, "secret") for path in matching(folder, "*"))
    if settings.latency.stamp_key_file is not None:
        yield settings.latency.stamp_key_file, "key"
    yield keys.key_path(subject.folder, os.environ), "private key"
    yield from ((path, "private key") for path in keys.retired_keys(subject.folder))
    for section in (settings.collector, settings.fallback):
        yield from _files_of(section)


def _files_of(section: CollectorSection) -> Iterator[tuple[Path, str]]:
    if section.token_file is not None:
        yield section.token_file, "token"
    for path in (section.client_key_file, section.client_cert_file):
        if path is not None:
            yield path, "private key"


def _folder(text: str | None) -> Path | None:
    return Path(text) if text else None


def _in_file(path: Path, kind: str) -> Iterator[tuple[str, str]]:
    yield from _parts(_text(path), kind)


def _text(path: Path) -> str:
    try:
        return read_bytes(path, _MAX_BYTES).decode("utf-8", "replace")
    except OSError:
        return ""
