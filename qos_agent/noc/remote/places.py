"""The files and folders of the remote configuration at the centre, and their lock."""

from __future__ import annotations

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from qos_agent.model.errors import OperatorError
from qos_agent.noc.settings import NocSettings

_LOCK = "remote.lock"
# A publication for 823,220 stations takes four seconds.
_PATIENCE_S, _PAUSE_S = 60.0, 0.2


@dataclass(frozen=True, slots=True)
class Places:
    """The folder of the state, the one that people edit, and the published one."""

    folder: Path
    source: Path
    published: Path

    @classmethod
    def of(cls, settings: NocSettings) -> Places:
        """Return the places of noc.toml."""
        section, folder = settings.remote, settings.folder
        return cls(
            folder,
            section.source or folder / "config",
            section.folder or folder / "published",
        )

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Hold the lock of the folder. Raises OperatorError if it is taken."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / _LOCK).open("w") as file:
            _lock(file)
            yield

    @contextmanager
    def unchanged(self) -> Iterator[None]:
        """Wait for the lock and hold it; a backup cannot write here.

        Raises OperatorError after a minute.
        """
        path = self.folder / _LOCK
        if not path.exists():
            yield
            return
        with path.open("rb") as file:
            _lock(file, _PATIENCE_S)
            yield


def _lock(file: IO[str] | IO[bytes], patience_s: float = 0.0) -> None:
    end_mono = time.monotonic() + patience_s
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if time.monotonic() >= end_mono:
                fix = "wait until it has ended"
                problem = "another command publishes"
                raise OperatorError(f"{problem}. Fix: {fix}.") from error
        else:
            return
        time.sleep(_PAUSE_S)
