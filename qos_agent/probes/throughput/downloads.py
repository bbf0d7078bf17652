"""Downloads: counted where they arrive, asked for in ranges that fit the limit."""

from __future__ import annotations

import selectors
from collections.abc import Sequence
from typing import Literal

from qos_agent.probes.throughput.connection import Connection, Endpoint
from qos_agent.probes.throughput.flows import request
from qos_agent.probes.throughput.interface_counter import InterfaceCounter
from qos_agent.probes.throughput.loaded_rtt import EchoTrain
from qos_agent.probes.throughput.responses import Answers
from qos_agent.system.network.tcp_info import tcp_info

_BUFFER_BYTES = 262_144
# Reading is put off until so much has come, or until the next bin.
_LEAST_READ_BYTES, _MOST_READ_BYTES = 16_384, 262_144
_READS_IN_LIMIT = 32
# A range is worth a request from here; so no more than some 64 are sent.
_LEAST_STEP_BYTES, _STEPS_IN_LIMIT = 8_192, 64
# With less than this to ask for, the limit is reached.
_LEAST_RANGE_BYTES = 4_096
# A request and the head of its answer, in their frames.
_ASKING_BYTES = 1_000


class Downloads:
    """GETs; counted on the interface, where packets arrive whatever their order.

    Counting what applications read would show bursts behind every lost packet, and
    need six times the data for the same certainty. So reading need not be prompt.

    All that has been asked for fits what is left of the limit: a server that knows
    ranges cannot send more, however late we are. Each connection keeps its share of
    half of what is left under way, the next range asked for before the last has come.
    """

    pushed = True

    def __init__(
        self,
        endpoint: Endpoint,
        path: str,
        connections: Sequence[Connection],
        meter: InterfaceCounter,
        echo: EchoTrain,
        limit_bytes: int,
    ) -> None:
        self._endpoint = endpoint
        self._path = path
        self._connections = connections
        self._meter = meter
        self._echo = echo
        self._answers = {id(c): Answers(endpoint.place) for c in connections}
        self._buffer = memoryview(bytearray(_BUFFER_BYTES))
        info = tcp_info(connections[0].sock)
        header_bytes = info.header_bytes + meter.header_bytes
        frame_bytes = info.mss_bytes + header_bytes
        self._payload_share = info.mss_bytes / frame_bytes
        # At worst each frame is acknowledged by itself.
        self._net_share = info.mss_bytes / (frame_bytes + header_bytes)
        self._limit_bytes = limit_bytes
        self._step_bytes = max(limit_bytes // _STEPS_IN_LIMIT, _LEAST_STEP_BYTES)
        share_bytes = limit_bytes // _READS_IN_LIMIT
        self._wake_bytes = min(max(share_bytes, _LEAST_READ_BYTES), _MOST_READ_BYTES)
        self._wakes = dict.fromkeys(map(id, connections), 0)
        self._selector: selectors.BaseSelector | None = None
        self._before = 0
        self.started = 0
        self.carried_bytes = 0

    def start_more(self, selector: selectors.BaseSelector, count: int) -> None:
        """Send a request on so many further connections."""
        if self.started == 0:
            self._before = self._meter.received()
            self._selector = selector
        more = self._connections[self.started : self.started + count]
        self.started += len(more)
        for connection in more:
            self._ask(connection)
            self._wake(connection)
            selector.register(connection.sock, selectors.EVENT_READ, connection)

    def _ask(self, connection: Connection) -> None:
        """Ask for the next range, if one fits."""
        answers = self._answers[id(connection)]
        if not answers.wants_more():
            return
        if any(a.ranged is False for a in self._answers.values()):
            answers.ask_all()
            self._send(connection)
        elif size_bytes := self._grant_bytes(answers):
            self._send(connection, f"Range: {answers.ask(size_bytes)}")

    def _send(self, connection: Connection, *headers: str) -> None:
        plain = "Accept-Encoding: identity"
        words = request(self._endpoint, "GET", self._path, plain, *headers)
        connection.send(memoryview(words))

    def _grant_bytes(self, answers: Answers) -> int:
        """What may be asked for: 0 for nothing worth it."""
        left_bytes = (self._limit_bytes - self._meter.moved()) * self._net_share
        coming_bytes = sum(a.coming_bytes() for a in self._answers.values())
        free_bytes = left_bytes - coming_bytes - _ASKING_BYTES
        share_bytes = max(left_bytes / 2 / self.started, 2 * self._step_bytes)
        want_bytes = share_bytes - answers.coming_bytes()
        if want_bytes < self._step_bytes or free_bytes < _LEAST_RANGE_BYTES:
            return 0
        return int(min(want_bytes, free_bytes))

    def serve(self, connection: Connection, _ready: int, _room_bytes: int, /) -> None:
        """Read all that has come, and ask for more."""
        answers = self._answers[id(connection)]
        while not answers.ended:
            count = connection.receive(self._buffer)
            if count is None:
                break
            self.carried_bytes += count
            answers.take(self._buffer[:count])
            if count < _BUFFER_BYTES and not connection.secure:
                break
        if answers.ended and self._selector is not None:
            self._selector.unregister(connection.sock)
        else:
            self._ask(connection)
            self._wake(connection)

    def _wake(self, connection: Connection) -> None:
        coming_bytes = self._answers[id(connection)].coming_bytes()
        wake_bytes = self._wake_bytes if coming_bytes >= self._wake_bytes else 1
        if wake_bytes != self._wakes[id(connection)]:
            connection.wake_at(wake_bytes)
            self._wakes[id(connection)] = wake_bytes

    def keep_within(self, _room_bytes: int, /) -> None:
        """Nothing: no more was asked for than the limit leaves."""

    def sweep(self) -> None:
        """Read from every connection whose answers have not ended."""
        for connection in self._connections[: self.started]:
            if not self._answers[id(connection)].ended:
                self.serve(connection, selectors.EVENT_READ, 0)

    def total_bytes(self) -> float:
        """Frames received since the first request, less the echoes' answers."""
        echoes = self._echo.answered_bytes(self._meter.header_bytes)
        received = self._meter.received() - self._before - echoes
        return received * self._payload_share

    def held_bytes(self) -> int:
        """Nothing: requests are short."""
        return 0

    def queue_averse(self) -> bool:
        """Unknown: the sender is the server."""
        return False

    def finished(self) -> Literal["bytes", "complete"] | None:
        """Whether all that may be asked for has come: by the limit, or by the file."""
        started = [self._answers[id(c)] for c in self._connections[: self.started]]
        if any(a.coming_bytes() > 0 for a in started):
            return None
        return "complete" if all(a.ended for a in started) else "bytes"
