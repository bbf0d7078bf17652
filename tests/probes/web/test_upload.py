"""A form bundle counts as uploaded after acknowledgement and response."""

from __future__ import annotations

import itertools
import socket
import ssl
import time
import zlib
from collections.abc import Mapping
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qos_agent.config.settings import FormSection, Settings
from qos_agent.model import Layer, Link, Probe, ProbeResult, Target, Task, Value
from qos_agent.model.errors import ProbeError
from qos_agent.model.schema import MEASUREMENTS
from qos_agent.probes.http.connection import HttpClient, HttpConnection
from qos_agent.probes.web.upload import Form, _send_bundle
from tests.lab.fixtures import MakeLab
from tests.lab.network import Lab
from tests.lab.shape import TCP_PAYLOAD_SHARE, Shape
from tests.probes.http_responses import INTERIM
from tests.probes.scripted import Client, Play, Scripted, answer
from tests.probes.time_left import TimeLeft
from tests.servers.certificates import Authority
from tests.support.children import nothing_left

SIZE = 3_000_000
HTML = "<html>Your data package has run out</html>"


def task(url: str, *, link: Link | None = None, byte_limit: int | None = None) -> Task:
    return Task("form", 0, link, Target("forms", url, Layer.APPLICATION), byte_limit)


def probe(size: int = SIZE, context: ssl.SSLContext | None = None) -> Form:
    settings = FormSection.model_validate({"size": f"{size}B"})
    return Form(settings, HttpClient(context or ssl.create_default_context(), 0.5))


def fields_of(result: ProbeResult) -> Mapping[str, Value]:
    (sample,) = result.samples
    return sample.fields


def receives(response: str = answer("204 No Content"), size: int = SIZE) -> Play:
    """Return a server that reads the whole bundle and then responds."""

    def play(client: Client) -> None:
        client.head()
        client.receive(size)
        client.send(response)

    return play


def test_is_a_probe_that_loads_its_link() -> None:
    """The class is a Probe that needs the link alone and limits its bytes."""
    form: Probe = Form.of(Settings())
    assert (form.measurement, form.loads_link) == ("web", True)
    assert SIZE * 1.1 < form.worst_case_bytes() < SIZE * 1.3
    tags = [{"target": "forms", "layer": "application"}]
    assert list(form.tags(Task("form", 0))) == tags


def test_without_a_url_there_is_no_target() -> None:
    """Without a URL no task is scheduled."""
    assert FormSection().targets() == ()
    url = "https://forms.example.id/"
    assert FormSection(url=url).targets() == (task(url).target,)


def test_a_good_upload() -> None:
    """The upload counts after the server has received every byte."""
    with Scripted(receives()) as server:
        result = probe().measure(task(server.url), TimeLeft(10))
    fields = fields_of(result)
    assert result.cause is None
    assert len(server.clients[0].body) == SIZE
    assert (fields["uploads"], fields["upload_bytes"], fields["http_2xx"]) == (
        1,
        SIZE,
        1,
    )
    assert fields["upload_ms"] == fields["upload_sum_ms"]
    in_two_s = int(float(fields["upload_ms"]) <= 2000)
    assert (fields["upload_le_2"], fields["upload_le_120"]) == (in_two_s, 1)
    assert SIZE < int(fields["data_bytes"]) < SIZE * 1.1
    assert set(fields) <= {field.name for field in MEASUREMENTS["web"].fields}


@pytest.mark.parametrize("interim", INTERIM.values(), ids=INTERIM)
def test_interim_responses_are_not_the_answer(interim: str) -> None:
    """A server may send them before and after it has read the bundle."""

    def play(client: Client) -> None:
        client.head()
        client.send(interim)
        client.receive(SIZE)
        client.send(interim + answer("201 Created"))

    with Scripted(play) as server:
        result = probe().measure(task(server.url), TimeLeft(10))
    fields = fields_of(result)
    assert (result.cause, fields["status"], fields["uploads"]) == (None, 201, 1)


def test_the_bundle_cannot_be_compressed() -> None:
    """The data is random, so that no middlebox and no modem can compress it."""
    with Scripted(receives()) as server:
        probe().measure(task(server.url), TimeLeft(10))
    (client,) = server.clients
    assert len(zlib.compress(client.body, 1)) > SIZE * 0.999


def test_over_https(authority: Authority) -> None:
    """Over https the bundle arrives too, and the handshake is timed."""
    with Scripted(receives(), authority.server_context()) as server:
        form = probe(context=authority.client_context())
        result = form.measure(task(server.url), TimeLeft(10))
    assert (result.cause, len(server.clients[0].body)) == (None, SIZE)
    assert float(fields_of(result)["tls_ms"]) > 0


def test_the_time_ends_with_the_response() -> None:
    """A bundle that fits the send buffer is timed until the server responds."""

    def play(client: Client) -> None:
        client.head()
        client.pause(0.3)
        client.receive(50_000)
        client.send(answer("201 Created"))

    with Scripted(play) as server:
        fields = fields_of(probe(50_000).measure(task(server.url), TimeLeft(10)))
    assert 300 <= float(fields["upload_ms"]) < 450


def refuses_early(client: Client) -> None:
    client.head()
    client.send(answer("413 Content Too Large"))
    client.sock.close()


def resets(client: Client) -> None:
    client.head()
    client.receive(100_000)
    client.reset()


def stops_reading(client: Client) -> None:
    client.head()
    client.receive(100_000)
    client.hold()


def reads_and_is_silent(client: Client) -> None:
    client.head()
    client.receive(SIZE)
    client.hold()


def reads_slowly(client: Client) -> None:
    client.head()
    while not client.pause(0.02):
        client.sock.recv(20_000)


def reads_and_closes(client: Client) -> None:
    client.head()
    client.receive(SIZE)


def confirms_early(client: Client) -> None:
    client.head()
    client.send(answer("200 OK"))
    client.hold()


def trickles_its_response(client: Client) -> None:
    client.head()
    client.receive(SIZE)
    client.send("HTTP/1.1 200 OK\r\nX: ")
    while not client.pause(0.02):
        client.send("x")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("play", "cause"),
    [
        (refuses_early, "http_status"),
        (resets, "reset"),
        (stops_reading, "stalled"),
        (reads_slowly, "deadline"),
        (reads_and_is_silent, "timeout"),
        (reads_and_closes, "closed_early"),
        (confirms_early, "stalled"),
        (receives("good evening\r\n\r\n"), "bad_answer"),
        (receives(answer("500 Internal Server Error")), "http_status"),
        (receives(answer("200 OK", HTML)), "captive_portal"),
        (receives(answer("511 Network Authentication Required")), "captive_portal"),
        (trickles_its_response, "deadline"),
        (
            receives(answer("302 Found", "", "Location: http://login.example/")),
            "captive_portal",
        ),
        (
            receives(answer("307 Temporary Redirect", "", "Location: /there")),
            "redirected",
        ),
    ],
)
def test_bad_servers(play: Play, cause: str) -> None:
    """Each kind of failure has its cause, ends in time, and counts its bytes."""
    with nothing_left(4), Scripted(play) as server:
        result = probe().measure(task(server.url), TimeLeft(2))
    assert result.cause == cause
    fields = fields_of(result)
    assert int(fields["data_bytes"]) > 0
    assert "uploads" not in fields
    assert "upload_ms" not in fields


@pytest.mark.parametrize(
    ("size", "cause", "detail"),
    [(30_000, "bad_answer", "answered"), (SIZE, "stalled", "no byte ")],
    ids=["in the send buffer", "not yet in the send buffer"],
)
def test_a_response_before_the_end_is_no_success(
    size: int, cause: str, detail: str
) -> None:
    """A status 200 while bytes are still on the way does not confirm them."""

    def play(client: Client) -> None:
        client.head()
        client.send(answer("200 OK"))
        client.hold()

    server = Scripted(play)
    # Set before a client connects, because an open window does not shrink.
    server._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    with server:
        result = probe(size).measure(task(server.url), TimeLeft(5))
    assert (result.cause, result.detail[:8]) == (cause, detail)


@pytest.mark.parametrize("secure", [False, True])
@pytest.mark.parametrize("received", [0, 100_000, 1_000_000])
@pytest.mark.parametrize("interim", ["", INTERIM["103"]])
def test_a_confirmation_before_the_end_is_named(
    authority: Authority, secure: bool, received: int, interim: str
) -> None:
    """A server that answers 200 early and closes has not received the bundle."""

    def play(client: Client) -> None:
        # Without it, the answer may wait behind the tickets of TLS and be dropped.
        client.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client.head()
        client.receive(received)
        client.send(interim + answer("200 OK"))
        client.sock.close()

    with Scripted(play, authority.server_context() if secure else None) as server:
        form = probe(context=authority.client_context())
        result = form.measure(task(server.url), TimeLeft(5))
    assert result.cause == "bad_answer"
    assert result.detail.startswith("answered 200 before the end; ")
    assert result.detail.endswith(" of 3.0 MB acknowledged")
    assert "uploads" not in fields_of(result)


def test_more_than_the_allowance_does_not_start() -> None:
    """If the bundle is larger than the allowance, there is no connection."""
    with Scripted(receives()) as server:
        result = probe().measure(task(server.url, byte_limit=SIZE - 1), TimeLeft(5))
    assert (result.cause, server.clients) == ("allowance", [])


def test_the_allowance_holds_on_the_wire() -> None:
    """Headers count too: the upload ends before it exceeds the limit."""
    limit = SIZE + 1000
    with Scripted(receives()) as server:
        result = probe().measure(task(server.url, byte_limit=limit), TimeLeft(5))
    assert result.cause == "allowance"
    assert int(fields_of(result)["data_bytes"]) <= limit


def test_on_a_shaped_link(lab: MakeLab) -> None:
    """The time is that of the server; the bytes are those of the interface."""
    size = 2_000_000
    ended_s: list[float] = []

    def play(client: Client) -> None:
        client.head()
        client.receive(size)
        ended_s.append(time.monotonic())
        client.send(answer("204 No Content"))

    net = lab(Shape(rate_mbps=10, delay_ms=40))
    with net.enter("server"):
        server = Scripted(play, address="10.77.1.2")
    with server:
        before = _moved_bytes(net)
        started_s, fields = net.call("client", lambda: _measured(server.url, size))
        moved_bytes = _moved_bytes(net) - before
    upload_ms = float(fields["upload_ms"])
    # The time of the last byte at the server, plus the way back of the response.
    assert upload_ms == pytest.approx((ended_s[0] - started_s) * 1000 + 20, abs=25)
    assert upload_ms > size * 8 / (10e6 * TCP_PAYLOAD_SHARE) * 1000
    assert 40 <= float(fields["connect_ms"]) < 90
    assert int(fields["data_bytes"]) == pytest.approx(moved_bytes, rel=0.01)


def test_bytes_in_flight_count_once(lab: MakeLab) -> None:
    """A link with a long delay holds megabytes that are sent and not acknowledged."""
    net = lab(Shape(rate_mbps=200, delay_ms=150))
    with net.enter("server"):
        server = Scripted(receives(), address="10.77.1.2")
    form, link = probe(), Link("sim1", "xl", interface="eth0")
    with server:
        work = task(server.url, link=link, byte_limit=form.worst_case_bytes())
        result = net.call("client", lambda: form.measure(work, TimeLeft(30)))
    assert (result.cause, result.detail) == (None, "")
    assert int(fields_of(result)["data_bytes"]) < SIZE * 1.1


class _Link:
    """A connection over a link that takes, delivers and repeats bytes as it likes."""

    def __init__(self, steps: list[tuple[int, int, int]]) -> None:
        self._steps = itertools.cycle(steps)
        self._unsent_bytes = self._unacked_bytes = self.sent_bytes = 0

    def send(self, data: bytes) -> None:
        self._unsent_bytes += len(data)
        taken, acked, repeated = next(self._steps)
        taken = min(taken, self._unsent_bytes)
        self._unsent_bytes -= taken
        self._unacked_bytes = max(0, self._unacked_bytes + taken - acked)
        self.sent_bytes += taken + min(repeated, self._unacked_bytes)

    def unacknowledged_bytes(self) -> int:
        return self._unacked_bytes + self._unsent_bytes

    def wire_bytes(self) -> int:
        return self.sent_bytes

    def accepted_bytes(self) -> int:
        return self.sent_bytes + self._unsent_bytes


_BYTES = st.sampled_from([0, 1, 1000, 70_000, 10**6])


@given(
    st.lists(st.tuples(_BYTES, _BYTES, st.just(0) | _BYTES), min_size=1),
    st.integers(1, 10**6),
    st.integers(0, 10**6),
)
def test_an_upload_ends_only_if_it_would_exceed_its_grant(
    steps: list[tuple[int, int, int]], size: int, more: int
) -> None:
    """Nothing beyond the grant is accepted, and bytes sent once always fit in it."""
    link = _Link(steps)
    is_repeated = any(repeated for _, _, repeated in steps)
    cause = _cause_of(cast("HttpConnection", link), size, size + more)
    if cause is None:
        assert is_repeated or link.accepted_bytes() == size
    else:
        assert (cause, is_repeated) == ("allowance", True)
        assert link.accepted_bytes() + min(65536, size) > size + more


def _cause_of(connection: HttpConnection, size: int, limit: int) -> str | None:
    try:
        _send_bundle(connection, size, limit)
    except ProbeError as error:
        return error.cause
    return None


def _moved_bytes(lab: Lab) -> int:
    return lab.interface_bytes("client", "rx") + lab.interface_bytes("client", "tx")


def _measured(url: str, size: int) -> tuple[float, Mapping[str, Value]]:
    form = probe(size)
    link = Link("sim1", "xl", interface="eth0")
    started_s = time.monotonic()
    result = form.measure(task(url, link=link), TimeLeft(20))
    assert (result.cause, result.detail) == (None, "")
    return started_s, fields_of(result)
