"""Lines to one database, through the agent's own transport and decision table."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from qos_agent.config.settings import CollectorSection
from qos_agent.influx.decision import Action, decide
from qos_agent.influx.query import mend_of
from qos_agent.influx.transport import InfluxTransport, pack
from qos_agent.model.errors import DeliveryError

BATCH = 5000
_WAITS_S = (0.5, 1.0, 2.0, 4.0)


@dataclass(eq=False)
class WriteError(DeliveryError):
    """A database that did not take points: which one, and its words.

    `refused` is of some points, by a database that takes the others.
    """

    server: str
    why: str
    refused: bool = False

    def __str__(self) -> str:
        """One line for the log."""
        return f"{self.server}: {self.why}"


class Writer:
    """Writes batches and waits a little where the server asks for it.

    A database that took nothing is not tried again until `wake`: were each batch to
    wait for it, a minute would not be enough.
    """

    def __init__(
        self, section: CollectorSection, wait: Callable[[float], object] = time.sleep
    ) -> None:
        self._section = section
        self._transport = InfluxTransport(section)
        self._wait = wait
        self._down: WriteError | None = None

    def wake(self) -> None:
        """Try again, also where nothing was taken."""
        self._down = None

    def write(self, lines: Sequence[bytes]) -> None:
        """Write all lines. Raises WriteError where a batch is still not taken.

        Where some points are refused the others are written first. Writing is
        idempotent: after an error the whole may be written again.
        """
        starts = range(0, len(lines), BATCH)
        write_each(self._write_batch, (lines[at : at + BATCH] for at in starts))

    def close(self) -> None:
        """Close connections."""
        self._transport.close()

    def _write_batch(self, batch: Sequence[bytes]) -> None:
        if self._down is not None:
            raise self._down
        said = ""
        for wait_s in (*_WAITS_S, None):
            exchange = self._transport.post(pack(batch), self._section.timeout)
            decision = decide(exchange.heard)
            match decision.action:
                case Action.DELIVERED:
                    return
                case Action.HALVE if len(batch) > 1:
                    middle = len(batch) // 2
                    write_each(self._write_batch, (batch[:middle], batch[middle:]))
                    return
                case Action.BISECT:
                    raise self._error(decision.words, refused=True)
                case Action.RENEW_TOKEN:
                    self._transport.renew()
            said = decision.words
            if wait_s is not None:
                self._wait(max(wait_s, decision.wait_s or 0.0))
        self._down = self._error(said, refused=False)
        raise self._down

    def _error(self, said: str, *, refused: bool) -> WriteError:
        mend = mend_of(said)
        where = f"{self._section.url}/{self._section.bucket}"
        return WriteError(where, f"{said}; {mend}" if mend else said, refused)


def write_each(
    write: Callable[[Sequence[bytes]], None], parts: Iterable[Sequence[bytes]]
) -> int:
    """Write parts, past those with refused points; how many lines. Raises WriteError.

    The first refusal is raised when all others are written; a database that takes
    nothing ends it at once.
    """
    count = 0
    refused: WriteError | None = None
    for part in parts:
        try:
            write(part)
        except WriteError as error:
            if not error.refused:
                raise
            refused = refused or error
        count += len(part)
    if refused is not None:
        raise refused
    return count
