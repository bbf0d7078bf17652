"""Log records as entries of systemd's journal, with fields of their own.

The protocol is the "Native Journal Protocol" of systemd: one datagram for each entry,
with a line `FIELD=value` or, for a value of several lines, its length in binary. A
program reads a field with `journalctl QOS_OUTCOME=failed`, without parsing texts.
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TextIO

SOCKET = Path("/run/systemd/journal/socket")
# A larger datagram may exceed the default of net.core.wmem_max (socket(7)).
_VALUE_MAX_BYTES = 32_000
_PREFIX = "QOS_"
_IDENTIFIER = "qos-agent"
_PRIORITIES = (
    (logging.CRITICAL, 2),
    (logging.ERROR, 3),
    (logging.WARNING, 4),
    (logging.INFO, 6),
    (logging.DEBUG, 7),
)


class JournalHandler(logging.Handler):
    """Sends records to the journal, or to a stream if it does not accept one.

    A record may have an attribute `fields` (`extra={"fields": {"link": "main"}}`),
    whose names get the prefix QOS_.
    """

    def __init__(self, stream: TextIO, path: Path = SOCKET) -> None:
        super().__init__()
        self._path = str(path)
        self._otherwise = logging.StreamHandler(stream)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        # A journal that is stopped must not stop the measurements.
        self._socket.setblocking(False)

    def emit(self, record: logging.LogRecord) -> None:
        """Send one entry."""
        try:
            self._socket.sendto(self._entry(record), self._path)
        except OSError:
            self._otherwise.emit(record)

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()
        super().close()

    def _entry(self, record: logging.LogRecord) -> bytes:
        fields: dict[str, object] = {
            "MESSAGE": self.format(record),
            "PRIORITY": _priority(record.levelno),
            "SYSLOG_IDENTIFIER": _IDENTIFIER,
            "LOGGER": record.name,
            "CODE_FILE": record.pathname,
            "CODE_LINE": record.lineno,
            "CODE_FUNC": record.funcName,
            **dict(_own_fields(record)),
        }
        return b"".join(_encoded(name, value) for name, value in fields.items())


def is_connected(handle: int, environment: Mapping[str, str] | None = None) -> bool:
    """Return True if a descriptor is the stream to the journal; see systemd.exec(5)."""
    variables = os.environ if environment is None else environment
    try:
        status = os.fstat(handle)
    except OSError:
        return False
    name = f"{status.st_dev}:{status.st_ino}"
    return variables.get("JOURNAL_STREAM") == name


def _priority(level: int) -> int:
    return next((number for low, number in _PRIORITIES if level >= low), 7)


def _own_fields(record: logging.LogRecord) -> Iterator[tuple[str, object]]:
    fields = getattr(record, "fields", {})
    for name, value in fields.items():
        yield _PREFIX + name.upper(), value


def _encoded(name: str, value: object) -> bytes:
    content = str(value).encode("utf-8", "replace")[:_VALUE_MAX_BYTES]
    if b"\n" not in content:
        return b"%s=%s\n" % (name.encode(), content)
    size = len(content).to_bytes(8, "little")
    return b"%s\n%s%s\n" % (name.encode(), size, content)
