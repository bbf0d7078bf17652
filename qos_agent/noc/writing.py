"""Lines to one database, through the agent's own transport and decision table."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from qos_agent.errors import DeliveryError
from qos_agent.settings import CollectorSection
from qos_agent.uplink.decision import Action, decide
from qos_agent.uplink.packing import pack
from qos_agent.uplink.transport import InfluxTransport

_log = logging.getLogger(__name__)
BATCH = 5000
_WAITS_S = (0.5, 1.0, 2.0, 4.0, 8.0)


@dataclass(eq=False)
class WriteError(DeliveryError):
    """A database that did not take points: which one, and its words."""

    server: str
    why: str

    def __str__(self) -> str:
        """One line for the log."""
        return f"{self.server}: {self.why}"


class Writer:
    """Writes batches and waits a little where the server asks for it."""

    def __init__(
        self, section: CollectorSection, wait: Callable[[float], object] = time.sleep
    ) -> None:
        self._section = section
        self._transport = InfluxTransport(section)
        self._wait = wait

    def write(self, lines: Sequence[bytes]) -> None:
        """Write all lines. Raises WriteError where a batch is still not taken.

        Writing is idempotent: after an error the whole may be written again.
        """
        for start in range(0, len(lines), BATCH):
            self._write_batch(lines[start : start + BATCH])

    def close(self) -> None:
        """Close connections."""
        self._transport.close()

    def _write_batch(self, batch: Sequence[bytes]) -> None:
        said = ""
        for wait_s in (*_WAITS_S, None):
            exchange = self._transport.post(pack(batch), self._section.timeout)
            decision = decide(exchange.heard)
            match decision.action:
                case Action.DELIVERED:
                    return
                case Action.HALVE if len(batch) > 1:
                    middle = len(batch) // 2
                    self._write_batch(batch[:middle])
                    self._write_batch(batch[middle:])
                    return
                case Action.BISECT:
                    break
                case Action.RENEW_TOKEN:
                    self._transport.renew()
            said = decision.words
            if wait_s is not None:
                self._wait(max(wait_s, decision.wait_s or 0.0))
        where = f"{self._section.url}/{self._section.bucket}"
        raise WriteError(where, decision.words or said)
