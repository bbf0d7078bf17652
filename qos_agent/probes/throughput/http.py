"""Backend `http`: our own frugal test against a plain nginx or LibreSpeed server.

Downloads are counted where they arrive, on the interface; uploads by what the other
end has acknowledged (TCP_INFO), never by what `send` took: a send buffer at 1 Mbit/s
holds seconds. The test stops when it is sure enough, before bytes or time run out.
"""

from __future__ import annotations

import selectors
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass

from qos_agent.model import Deadline
from qos_agent.model.errors import ProbeError
from qos_agent.probes.throughput.backend import (
    Direction,
    Order,
    Rate,
    Results,
    Stop,
)
from qos_agent.probes.throughput.byte_limit import ByteLimit
from qos_agent.probes.throughput.connection import Connection, Endpoint
from qos_agent.probes.throughput.downloads import Downloads
from qos_agent.probes.throughput.flows import Flows, Uploads
from qos_agent.probes.throughput.interface_counter import (
    InterfaceCounter,
    interface_of_socket,
)
from qos_agent.probes.throughput.loaded_rtt import EchoTrain
from qos_agent.probes.throughput.rates import BIN_S, RateSeries
from qos_agent.system.network.tcp_info import congestion_control, tcp_info

_TIME_LIMIT_S = 10.0
_STALL_S = 4.0
# One flow fills a slow link; a fast or lossy one takes several.
_MORE_ABOVE_BPS = 20e6
# Less is no rate: a server that drips, or a link that is as good as dead.
_LEAST_PAYLOAD_BYTES = 20_000


@dataclass(frozen=True, slots=True)
class Http:
    """The frugal test."""

    name = "http"
    licence = "this agent's own, Apache-2.0; the server is one's own"
    data_use = "a tenth to a fifth of a ten-second test; never above the limits"
    byte_bound = (
        "downloads ask for ranges that fit what is left, uploads never give the kernel"
        " more than half of it, and the interface counter is looked at before half of"
        " what is left can have moved; what may pass the limit is what one round trip"
        " has in flight, on a busy device more where the server ignores ranges"
    )
    cannot_see = (
        "who else shares the link beyond this device; a limit in the server; its own"
        " echoes, 8 kbit/s, are not counted back into the rate; on an interface that"
        " merges packets before it counts them, rates read up to 5 % low"
    )

    def run(self, order: Order, deadline: Deadline) -> Results:
        """Down, then up; an error of one does not keep the other from running."""
        if order.server is None:
            raise ProbeError("name_not_resolved", "no server is configured")
        endpoint = Endpoint.of(order.server, order.link, order.ca_file, deadline)
        results: dict[Direction, Rate | ProbeError] = {}
        for direction in order.limits:
            try:
                results[direction] = _measure(direction, order, endpoint, deadline)
            except ProbeError as error:
                results[direction] = error
        return results


@dataclass(frozen=True, slots=True)
class _Bench:
    """What one direction is measured with: all connected, nothing sent."""

    connections: Sequence[Connection]
    meter: InterfaceCounter
    echo: EchoTrain
    flows: Flows

    def payload_bytes(self) -> int:
        """What our own connections carried, whatever else the interface moved."""
        infos = [tcp_info(c.sock) for c in self.connections]
        return sum(max(i.received_bytes, i.acked_bytes) for i in infos)

    def cross_bytes(self) -> int:
        """What the interface has moved beyond our own packets, both ways."""
        header_bytes = self.meter.header_bytes
        infos = [tcp_info(c.sock) for c in self.connections]
        own = sum(i.packet_bytes() + i.segments * header_bytes for i in infos)
        own += self.echo.sent_bytes(header_bytes)
        own += self.echo.answered_bytes(header_bytes)
        return max(0, self.meter.moved() - own)


@contextmanager
def _bench(
    direction: Direction, order: Order, endpoint: Endpoint, deadline: Deadline
) -> Iterator[_Bench]:
    """Connect all flows before the clock starts: handshakes are no part of a ramp."""
    with ExitStack() as stack:

        def connect() -> Connection:
            opened = Connection.open(endpoint, order.link, deadline)
            return stack.enter_context(closing(opened))

        first = connect()
        interface = order.interface or interface_of_socket(first.sock)
        meter = stack.enter_context(InterfaceCounter(interface))
        connections = [first, *(connect() for _ in range(order.connections - 1))]
        echo = stack.enter_context(closing(EchoTrain(endpoint.address, order.link)))
        flows: Flows
        if direction == "down":
            path = order.download_path
            limit = order.limits["down"]
            flows = Downloads(endpoint, path, connections, meter, echo, limit)
        else:
            limit = order.limits["up"]
            flows = Uploads(endpoint, order.upload_path, connections, limit)
        yield _Bench(connections, meter, echo, flows)


def _measure(
    direction: Direction, order: Order, endpoint: Endpoint, deadline: Deadline
) -> Rate:
    cpu_s, started_s = time.thread_time(), time.monotonic()
    with _bench(direction, order, endpoint, deadline) as bench:
        test = _Test(bench, order, direction)
        stop = test.run(deadline)
        moved_bytes, span_s = test.series.measured()
        # What a silent server's buffer took at once is no rate: then what followed
        # the ramp must be enough.
        carried = moved_bytes if stop == "stall" else test.series.totals_bytes[-1]
        own_bytes = min(carried, bench.payload_bytes())
        if own_bytes < _LEAST_PAYLOAD_BYTES:
            cause = "bad_answer" if stop == "complete" else "stalled"
            raise ProbeError(cause, f"{own_bytes:.0f} bytes in {span_s:.1f} s")
        interval = test.series.interval_bps()
        sender = bench.connections[0].sock if direction == "up" else None
        return Rate(
            rate_bps=moved_bytes * 8 / span_s,
            layer="tcp_payload",
            stop=stop,
            measured_bytes=round(moved_bytes),
            measured_us=round(span_s * 1e6),
            connections=bench.flows.started,
            server=endpoint.authority,
            interval_bps=None if interval is None else interval.ends(),
            ramp_ms=test.ramp_ms(),
            congestion_control=None if sender is None else congestion_control(sender),
            loaded=bench.echo.result(),
            cpu_share=(time.thread_time() - cpu_s) / (time.monotonic() - started_s),
            cross_bytes=bench.cross_bytes(),
            data_bytes=bench.meter.moved(),
        )


class _Test:
    """One direction under way."""

    def __init__(self, bench: _Bench, order: Order, direction: Direction) -> None:
        self._bench = bench
        self._most = order.connections
        self._cap = ByteLimit(bench.meter, order.limits[direction])
        self._tolerance = order.tolerance
        self._time_limit_s = min(_TIME_LIMIT_S, order.time_limit_s / len(order.limits))
        self._rtt_s = min(c.rtt_s for c in bench.connections)
        self.series = RateSeries(self._rtt_s)
        self._grew_at_s = 0.0

    def run(self, deadline: Deadline) -> Stop:
        """Move data until enough is known, or until no more may be moved."""
        bench = self._bench
        with selectors.DefaultSelector() as selector:
            if bench.echo.transport is not None:
                selector.register(bench.echo.transport, selectors.EVENT_READ)
            started_s = time.monotonic()
            self._grew_at_s = started_s
            self.series.add(started_s, 0.0)
            bench.echo.begin(started_s)
            bench.flows.start_more(selector, 1)
            while (stop := self._turn(selector, deadline)) is None:
                pass
        if stop == "complete" or len(self.series.times_s) == 1:
            # A short body, or a small limit, may have ended within its first bin.
            self._note(time.monotonic())
        return stop

    def _turn(
        self, selector: selectors.BaseSelector, deadline: Deadline
    ) -> Stop | None:
        """Wait for the next thing to do, and do it; why to stop, if there is a reason.

        Bytes come before time.
        """
        bench = self._bench
        next_s = self.series.times_s[-1] + BIN_S
        wake_s = min(next_s, self._cap.due_s)
        for key, ready in selector.select(max(0.0, wake_s - time.monotonic())):
            if key.data is None:
                bench.echo.receive()
                continue
            room_bytes = self._cap.room_bytes(bench.flows.carried_bytes)
            bench.flows.serve(key.data, ready, room_bytes)
            if self._spent():
                return "bytes"
        if self._spent():
            return "bytes"
        if (stop := bench.flows.finished()) is not None:
            return stop
        now_s = time.monotonic()
        bench.echo.send_due(now_s)
        if now_s < next_s:
            return None
        bench.flows.sweep()
        self._note(now_s)
        self._grow(selector)
        return self._reason(now_s, deadline)

    def _note(self, now_s: float) -> None:
        total_bytes = self._bench.flows.total_bytes()
        if total_bytes > self.series.totals_bytes[-1]:
            self._grew_at_s = now_s
        self.series.add(now_s, total_bytes)

    def _grow(self, selector: selectors.BaseSelector) -> None:
        """Start the other flows where one cannot be known to fill the link."""
        flows = self._bench.flows
        if flows.started >= self._most:
            return
        fast = self.series.latest_bps() > _MORE_ABOVE_BPS
        if fast or (self.series.ramp_bin is not None and not self._filled()):
            flows.start_more(selector, self._most - flows.started)
            self.series.join()

    def _filled(self) -> bool:
        """Whether one flow is known to fill the link: by a queue, or by its nature."""
        loaded_s = self._bench.echo.recent_s()
        if loaded_s is not None and loaded_s > 1.25 * self._rtt_s + 0.005:
            return True
        return self._bench.flows.queue_averse()

    def _spent(self) -> bool:
        """Whether what has moved, and what is under way to us, reaches the limit."""
        now_s, flows = time.monotonic(), self._bench.flows
        if not self._cap.is_due(now_s, flows.carried_bytes):
            return False
        rate_bps = self.series.latest_bps() or self._cap.rate_bps(now_s)
        rtt_s = self._bench.echo.recent_s() or self._rtt_s
        coming_bytes = int(rate_bps / 8 * rtt_s) if flows.pushed else 0
        held_bytes, carried_bytes = flows.held_bytes(), flows.carried_bytes
        spent = self._cap.look(now_s, carried_bytes, coming_bytes, held_bytes)
        flows.keep_within(self._cap.room_bytes(carried_bytes))
        return spent

    def _reason(self, now_s: float, deadline: Deadline) -> Stop | None:
        """Why to stop at the end of a bin."""
        if deadline.stopping():
            raise ProbeError("killed", "the agent is stopping")
        if self.series.precise(self._tolerance):
            return "precision"
        if now_s - self._grew_at_s >= _STALL_S:
            return "stall"
        late = now_s - self.series.times_s[0] >= self._time_limit_s
        return "time" if late or deadline.remaining_s() < BIN_S else None

    def ramp_ms(self) -> float | None:
        """The start-up left out; None where it had no end within the test."""
        return self.series.ramp_s() * 1e3 or None
