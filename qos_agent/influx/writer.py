"""Writes lines to one database, with the agent's transport and decision table."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from qos_agent.config.settings import CollectorSection
from qos_agent.influx.responses import Action, decide
from qos_agent.influx.secrets import shown_url
from qos_agent.influx.transport import InfluxTransport, pack
from qos_agent.model.errors import DeliveryError

BATCH = 5000
_WAITS_S = (0.5, 1.0, 2.0, 4.0)


@dataclass(eq=False)
class WriteError(DeliveryError):
    """A write that failed: the server, and the error with its fix.

    `refused` is True if the database rejects some points and accepts the others.
    """

    server: str
    message: str
    refused: bool = False

    def __str__(self) -> str:
        """Return one line for the log."""
        return f"{self.server}: {self.message}"


class Writer:
    """Writes batches, and retries each of them for a few seconds.

    If a database accepts nothing, the next batches fail at once until `wake`.
    Otherwise waiting for each batch would take longer than the minute it belongs to.
    `alive` is called before each request.
    """

    def __init__(
        self,
        section: CollectorSection,
        wait: Callable[[float], object] = time.sleep,
        alive: Callable[[], None] = lambda: None,
    ) -> None:
        self._section = section
        self._alive = alive
        self._transport = InfluxTransport(section)
        self._wait = wait
        self._down: WriteError | None = None

    def wake(self) -> None:
        """Send batches again, also if the last one failed."""
        self._down = None

    def write(self, lines: Sequence[bytes]) -> None:
        """Write all lines. Raises WriteError if a batch is not accepted after retries.

        If the database rejects some points, the others are still written. Writing is
        idempotent, so all lines may be written again after an error.
        """
        starts = range(0, len(lines), BATCH)
        write_each(self._write_batch, (lines[at : at + BATCH] for at in starts))

    def close(self) -> None:
        """Close connections."""
        self._transport.close()

    def _write_batch(self, batch: Sequence[bytes]) -> None:
        if self._down is not None:
            raise self._down
        message = ""
        for wait_s in (*_WAITS_S, None):
            self._alive()
            exchange = self._transport.post(pack(batch), self._section.timeout)
            decision = decide(exchange.result)
            match decision.action:
                case Action.DELIVERED:
                    return
                case Action.HALVE if len(batch) > 1:
                    middle = len(batch) // 2
                    write_each(self._write_batch, (batch[:middle], batch[middle:]))
                    return
                case Action.BISECT | Action.LIMIT:
                    raise self._error(decision.message, refused=True)
                case Action.RENEW_TOKEN:
                    self._transport.renew()
            message = decision.message
            if wait_s is not None:
                self._wait(max(wait_s, decision.wait_s or 0.0))
        self._down = self._error(message, refused=False)
        raise self._down

    def _error(self, message: str, *, refused: bool) -> WriteError:
        server = f"{shown_url(self._section)}/{self._section.bucket}"
        return WriteError(server, message, refused)


def write_each(
    write: Callable[[Sequence[bytes]], None], parts: Iterable[Sequence[bytes]]
) -> int:
    """Write all parts and return the number of lines. Raises WriteError.

    After a part with rejected points the others are still written, and the first such
    error is raised at the end. If the database accepts nothing, that is raised at once.
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
