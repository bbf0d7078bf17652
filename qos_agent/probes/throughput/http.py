"""Backend `http`: a test that uses little data, against nginx or a LibreSpeed server.

Downloads are counted on the interface. Uploads are counted by what the peer has
acknowledged (TCP_INFO), never by what `send` accepted: at 1 Mbit/s a send buffer holds
seconds of data. The test stops at the required precision, before its bytes or its time
run out.
"""

from __future__ import annotations

import selectors
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace

from qos_agent.model import Deadline
from qos_agent.model.errors import ProbeError
from qos_agent.probes.throughput.backend import (
    Direction,
    Order,
    Rate,
    Results,
    Stop,
    check_payload,
)
from qos_agent.probes.throughput.byte_limit import ByteLimit
from qos_agent.probes.throughput.connection import Connection, ServerEndpoint
from qos_agent.probes.throughput.downloads import Downloads
from qos_agent.probes.throughput.flows import FAST_BPS, Flows, window_bytes
from qos_agent.probes.throughput.interface_counter import (
    InterfaceCounter,
    interface_of_socket,
)
from qos_agent.probes.throughput.loaded_rtt import EchoTrain
from qos_agent.probes.throughput.rates import BIN_S, RateSeries
from qos_agent.probes.throughput.stalls import StallWatch
from qos_agent.probes.throughput.uploads import Uploads
from qos_agent.system.network.tcp_info import congestion_control, tcp_info

_TIME_LIMIT_S = 10.0
_STALL_S = 4.0
# After a stall the flows wait for their retransmission timeouts, which double. A flow
# that starts during the stall fills the link as soon as it recovers.
_RENEW_S = 0.4
_DEEP_QUEUE_S = 0.06
# A link that varies is measured for this long if the flows do not fill it.
_WITHOUT_QUEUE_S = 3.0
# A pause of this length at the end may be the server's, which has stopped reading.
_SILENCE_S = 1.0


@dataclass(frozen=True, slots=True)
class Http:
    """The backend of this agent itself."""

    name = "http"
    licence = "QoS Agent: Apache-2.0. You run the server"
    data_use = "A tenth to a third of a ten-second test, at most the limits."
    byte_bound = (
        "Downloads request ranges that fit the remaining bytes. Uploads give the kernel"
        " at most half of them. The interface counter is checked before half of them"
        " can have moved. What one round trip has in flight may exceed the limit, and"
        " more on a busy device if the server ignores ranges."
    )
    cannot_see = (
        "It cannot see who shares the link beyond this device, or a limit in the"
        " server. Its own echoes (8 kbit/s) are not added to the rate. On an interface"
        " that merges packets before counting them, rates read up to 5 % low."
    )

    def run(self, order: Order, deadline: Deadline) -> Results:
        """Measure down, then up; an error of one direction does not stop the other."""
        if order.server is None:
            raise ProbeError("name_not_resolved", "no server is configured")
        endpoint = ServerEndpoint.of(order.server, order.link, order.ca_file, deadline)
        results: dict[Direction, Rate | ProbeError] = {}
        for direction in order.limits:
            try:
                results[direction] = _measure(direction, order, endpoint, deadline)
            except ProbeError as error:
                results[direction] = error
        return results


@dataclass(frozen=True, slots=True)
class _TestSetup:
    """The connected flows of one direction and their counters; nothing is sent yet."""

    connections: Sequence[Connection]
    counter: InterfaceCounter
    echo: EchoTrain
    flows: Flows

    def payload_bytes(self) -> int:
        """Return the content that these connections transferred.

        Other traffic and the lines of chunks are not part of it.
        """
        infos = [tcp_info(c.sock) for c in self.connections]
        carried_bytes = sum(max(i.received_bytes, i.acked_bytes) for i in infos)
        return min(carried_bytes, self.flows.content_bytes)

    def cross_bytes(self) -> int:
        """Return the bytes of other traffic on the interface, in both directions."""
        header_bytes = self.counter.header_bytes
        infos = [tcp_info(c.sock) for c in self.connections]
        test_bytes = sum(i.packet_bytes() + i.segments * header_bytes for i in infos)
        test_bytes += self.echo.sent_bytes(header_bytes)
        test_bytes += self.echo.answered_bytes(header_bytes)
        return max(0, self.counter.moved() - test_bytes)


@contextmanager
def _set_up(
    direction: Direction, order: Order, endpoint: ServerEndpoint, deadline: Deadline
) -> Iterator[_TestSetup]:
    """Connect all flows before the test starts: handshakes are not part of the ramp."""
    with ExitStack() as stack:

        def connect(to: ServerEndpoint) -> Connection:
            connection = Connection.open(to, order.link, deadline)
            return stack.enter_context(closing(connection))

        first = connect(endpoint)
        # All flows use the address that answered, so that the path is one.
        endpoint = replace(endpoint, address=first.address)
        interface = order.interface or interface_of_socket(first.sock)
        counter = stack.enter_context(InterfaceCounter(interface))
        more = range(order.connections - 1)
        connections = [first, *(connect(endpoint) for _ in more)]
        echo = stack.enter_context(closing(EchoTrain(endpoint.address, order.link)))
        flows: Flows
        limit_bytes = order.limits[direction]
        if direction == "down":
            path = order.download_path
            flows = Downloads(endpoint, path, connections, counter, echo, limit_bytes)
        else:
            flows = Uploads(endpoint, order.upload_path, connections, limit_bytes)
        yield _TestSetup(connections, counter, echo, flows)


def _measure(
    direction: Direction, order: Order, endpoint: ServerEndpoint, deadline: Deadline
) -> Rate:
    cpu_s, started_s = time.thread_time(), time.monotonic()
    with _set_up(direction, order, endpoint, deadline) as setup:
        test = _RateTest(setup, order, direction)
        stop = test.run(deadline)
        measured_bytes, span_s = test.series.measured()
        test.check_reader()
        _check_payload(setup, test.series, stop)
        sender = setup.connections[0].sock if direction == "up" else None
        return Rate(
            rate_bps=measured_bytes * 8 / span_s,
            layer="tcp_payload",
            stop=stop,
            measured_bytes=round(measured_bytes),
            measured_us=round(span_s * 1e6),
            connections=setup.flows.started,
            server=endpoint.authority,
            resolved_outside=endpoint.outside,
            interval_bps=test.series.minute_bps(order.past.get(direction, ())),
            ramp_ms=test.series.ramp_ms(),
            congestion_control=None if sender is None else congestion_control(sender),
            loaded=setup.echo.result(),
            cpu_share=(time.thread_time() - cpu_s) / (time.monotonic() - started_s),
            cross_bytes=setup.cross_bytes(),
            data_bytes=setup.counter.moved(),
            measured_start_s=test.series.passed_s(),
            halves_bps=test.series.halves_bps(),
        )


def _check_payload(setup: _TestSetup, series: RateSeries, stop: Stop) -> None:
    """Raise ProbeError if too few bytes were transferred for a rate.

    If a server does not read, its receive buffer fills at once. After a stall, only the
    bytes after the ramp count.
    """
    measured_bytes, span_s = series.measured()
    # Or the server took what fits its buffer, and the ramp ended in the silence.
    is_silent = stop == "stall" or measured_bytes <= 0
    carried_bytes = measured_bytes if is_silent else series.totals_bytes[-1]
    payload_bytes = min(carried_bytes, setup.payload_bytes())
    check_payload(
        payload_bytes, span_s, "bad_answer" if stop == "complete" else "stalled"
    )


class _RateTest:
    """One direction while it is measured."""

    def __init__(self, setup: _TestSetup, order: Order, direction: Direction) -> None:
        self._setup = setup
        self._max_flows = order.connections
        self._byte_limit = ByteLimit(setup.counter, order.limits[direction])
        self._limit_bytes = order.limits[direction]
        self._tolerance = order.tolerance
        self._past = order.past.get(direction, ())
        self._time_limit_s = min(_TIME_LIMIT_S, order.time_limit_s / len(order.limits))
        self._rtt_s = min(c.rtt_s for c in setup.connections)
        self.series = RateSeries(self._rtt_s, acknowledged=direction == "up")
        self._stalls = StallWatch(direction == "up", self.series.round_bins + 1)
        self._grew_at_s = self._renewed_at_s = 0.0

    def run(self, deadline: Deadline) -> Stop:
        """Move data until the rate is precise, or until no more may be moved."""
        setup = self._setup
        with selectors.DefaultSelector() as selector:
            if setup.echo.transport is not None:
                selector.register(setup.echo.transport, selectors.EVENT_READ)
            started_s = time.monotonic()
            self._grew_at_s = started_s
            self.series.add(started_s, 0.0)
            setup.echo.begin(started_s)
            setup.flows.window_bytes = self._window_bytes()
            setup.flows.start_more(selector, 1)
            while (stop := self._step(selector, deadline)) is None:
                pass
        if stop == "complete" or len(self.series.times_s) == 1:
            # A short body or a small limit may have ended within its first bin.
            self._add_bin(time.monotonic())
        return stop

    def _step(
        self, selector: selectors.BaseSelector, deadline: Deadline
    ) -> Stop | None:
        """Wait for the next event and handle it; return why to stop, if there is one.

        The byte limit is checked before the time limit.
        """
        setup = self._setup
        next_s = self.series.times_s[-1] + BIN_S
        wake_s = min(next_s, self._byte_limit.due_s)
        for key, ready in selector.select(max(0.0, wake_s - time.monotonic())):
            if key.data is None:
                setup.echo.receive()
                continue
            room_bytes = self._byte_limit.room_bytes(setup.flows.carried_bytes)
            setup.flows.serve(key.data, ready, room_bytes)
            self._note_first_data()
            if self._limit_reached():
                return "bytes"
        if self._limit_reached():
            return "bytes"
        if (stop := setup.flows.finished()) is not None:
            return stop
        now_s = time.monotonic()
        setup.echo.send_due(now_s)
        if now_s < next_s:
            return None
        setup.flows.sweep()
        self._add_bin(now_s)
        self._start_more_flows(selector)
        return self._stop_after_bin(now_s, deadline)

    def _note_first_data(self) -> None:
        """Note when a download began; the first read waits for no other data."""
        series, flows = self.series, self._setup.flows
        if series.first_data_s is None and flows.pushed and flows.carried_bytes > 0:
            series.first_data_s = time.monotonic()

    def _add_bin(self, now_s: float) -> None:
        total_bytes = self._setup.flows.total_bytes()
        if total_bytes > self.series.totals_bytes[-1]:
            self._grew_at_s = now_s
        self.series.add(now_s, total_bytes)
        if self.series.ramp_bin is None and self._queue_is_deep():
            self.series.end_ramp()
        flows = self._setup.flows
        flows.window_bytes = self._window_bytes()
        flows.keep_within(self._byte_limit.room_bytes(flows.carried_bytes))

    def _window_bytes(self) -> int:
        return window_bytes(
            self.series.fastest_bps(),
            self._rtt_s,
            self._setup.flows.started,
            self._limit_bytes,
        )

    def _queue_is_deep(self) -> bool:
        """Return True if the rate has stopped growing in front of a deep queue.

        Such a queue proves a full link before three rounds without growth have passed.
        """
        least_s = self._setup.echo.least_s()
        deep_s = 2 * self._rtt_s + _DEEP_QUEUE_S
        return least_s is not None and least_s > deep_s and self.series.has_levelled()

    def _start_more_flows(self, selector: selectors.BaseSelector) -> None:
        """Start the other flows unless one flow is known to fill the link."""
        flows = self._setup.flows
        if flows.started >= self._max_flows:
            return
        if self.series.times_s[-1] - self._stalled_from_s() >= _RENEW_S:
            flows.start_more(selector, 1)
            self._renewed_at_s = self.series.times_s[-1]
            return
        fast = self.series.latest_bps() > FAST_BPS
        if fast or (self.series.ramp_bin is not None and not self._link_is_full()):
            flows.start_more(selector, self._max_flows - flows.started)
            self.series.join()

    def _stalled_from_s(self) -> float:
        """Return the last time at which data arrived or a stall got another flow."""
        return max(self._grew_at_s, self._renewed_at_s)

    def _link_is_full(self) -> bool:
        """Return True if one flow fills the link: by its queue, or by its algorithm."""
        loaded_s = self._setup.echo.recent_s()
        if loaded_s is not None and loaded_s > 1.25 * self._rtt_s + 0.005:
            # On a link that varies, one long round trip is no standing queue.
            return self._queue_stands() or not self.series.varies(self._past)
        return self._setup.flows.queue_averse()

    def _queue_stands(self) -> bool:
        """Return True if each of the latest echoes met a queue; unknown counts too."""
        least_s = self._setup.echo.least_s()
        margin_s = max(0.003, 0.05 * self._rtt_s)
        return least_s is None or least_s > self._rtt_s + margin_s

    def _long_enough(self) -> bool:
        """Return True if a longer test adds little to a mean of many tests.

        A rate that falls without a queue is that of the flows, not that of the link.
        """
        if not self.series.long_enough(self._past):
            return False
        return self._queue_stands() or self.series.measured()[1] >= _WITHOUT_QUEUE_S

    def _ends_before_stall(self) -> bool:
        """Leave out a stall of the flows; return True if the test ends before it."""
        series = self.series
        stall_bins = self._stalls.add(
            series.totals_bytes[-1] - series.totals_bytes[-2],
            series.fastest_bps() / 8 * BIN_S,
            starved=self._setup.flows.starved(),
            round_s=self._setup.echo.recent_s() or self._rtt_s,
        )
        if stall_bins is None or series.ramp_bin is None:
            return False
        return series.leave_out(stall_bins)

    def _limit_reached(self) -> bool:
        """Return True if the bytes moved and those on the way reach the limit."""
        now_s, flows = time.monotonic(), self._setup.flows
        if not self._byte_limit.is_due(now_s, flows.carried_bytes):
            return False
        rate_bps = self.series.latest_bps() or self._byte_limit.rate_bps(now_s)
        rtt_s = self._setup.echo.recent_s() or self._rtt_s
        coming_bytes = int(rate_bps / 8 * rtt_s) if flows.pushed else 0
        held_bytes, carried_bytes = flows.held_bytes(), flows.carried_bytes
        reached = self._byte_limit.is_reached(
            now_s, carried_bytes, coming_bytes, held_bytes
        )
        flows.keep_within(self._byte_limit.room_bytes(carried_bytes))
        return reached

    def _stop_after_bin(self, now_s: float, deadline: Deadline) -> Stop | None:
        """Return why to stop at the end of a bin; None to go on."""
        if deadline.stopping():
            raise ProbeError("killed", "the agent is stopping")
        if self._ends_before_stall():
            return "variation"
        if self.series.precise(self._tolerance):
            return "precision"
        if self._long_enough():
            return "variation"
        if now_s - self._grew_at_s >= _STALL_S:
            return "stall"
        late = now_s - self.series.times_s[0] >= self._time_limit_s
        return "time" if late or deadline.remaining_s() < BIN_S else None

    def check_reader(self) -> None:
        """Raise ProbeError if the server has stopped reading before the end.

        Such a mean would be that of the server, and not that of the link.
        """
        silence_s = time.monotonic() - self._grew_at_s
        if silence_s >= _SILENCE_S and self._setup.flows.blocked_by_receiver():
            detail = f"the server stopped reading {silence_s:.1f} s before the end"
            raise ProbeError("stalled", detail)
