"""A form bundle counts as uploaded when its bytes were acknowledged and answered."""

from __future__ import annotations

import socket
import ssl
import time
import zlib
from collections.abc import Mapping

import pytest

from qos_agent.config.settings import FormSection, Settings
from qos_agent.model import Layer, Link, Probe, ProbeResult, Target, Task, Value
from qos_agent.model.schema import MEASUREMENTS
from qos_agent.probes.http.connection import HttpClient
from qos_agent.probes.web.upload import Form
from tests.lab.fixtures import MakeLab
from tests.lab.network import Lab
from tests.lab.shape import TCP_PAYLOAD_SHARE, Shape
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


def fields(finding: ProbeResult) -> Mapping[str, Value]:
    (sample,) = finding.samples
    return sample.fields


def takes(said: str = answer("204 No Content"), size: int = SIZE) -> Play:
    """A server that takes the whole bundle and then answers."""

    def play(client: Client) -> None:
        client.head()
        client.take(size)
        client.say(said)

    return play


def test_is_a_probe_that_loads_its_link() -> None:
    """The probe fits the seam, asks for its link alone, and bounds what it moves."""
    form: Probe = Form.of(Settings())
    assert (form.measurement, form.loads_link) == ("web", True)
    assert SIZE * 1.1 < form.worst_case_bytes() < SIZE * 1.3
    want = [{"target": "forms", "layer": "application"}]
    assert list(form.tags(Task("form", 0))) == want


def test_no_server_configured_is_no_target() -> None:
    """Without a url there is nothing to schedule."""
    assert FormSection().targets() == ()
    url = "https://forms.example.id/"
    assert FormSection(url=url).targets() == (task(url).target,)


def test_a_good_upload() -> None:
    """The server got every byte before the upload counted, and the time is theirs."""
    with Scripted(takes()) as server:
        finding = probe().measure(task(server.url), TimeLeft(10))
    found = fields(finding)
    assert finding.cause is None
    assert len(server.clients[0].body) == SIZE
    assert (found["uploads"], found["upload_bytes"], found["http_2xx"]) == (1, SIZE, 1)
    assert found["upload_ms"] == found["upload_sum_ms"]
    in_two_s = int(float(found["upload_ms"]) <= 2000)
    assert (found["upload_le_2"], found["upload_le_120"]) == (in_two_s, 1)
    assert SIZE < int(found["data_bytes"]) < SIZE * 1.1
    assert set(found) <= {field.name for field in MEASUREMENTS["web"].fields}


def test_the_bundle_cannot_be_compressed() -> None:
    """What is sent is random: no middlebox and no modem can make it shorter."""
    with Scripted(takes()) as server:
        probe().measure(task(server.url), TimeLeft(10))
    (client,) = server.clients
    assert len(zlib.compress(client.body, 1)) > SIZE * 0.999


def test_over_https(authority: Authority) -> None:
    """Over https the bundle arrives as well, and TLS is timed."""
    with Scripted(takes(), authority.server_context()) as server:
        form = probe(context=authority.client_context())
        finding = form.measure(task(server.url), TimeLeft(10))
    assert (finding.cause, len(server.clients[0].body)) == (None, SIZE)
    assert float(fields(finding)["tls_ms"]) > 0


def test_time_ends_with_the_answer_not_with_send() -> None:
    """A bundle that fits the kernel's buffers still takes until the server is done."""

    def play(client: Client) -> None:
        client.head()
        client.pause(0.3)
        client.take(50_000)
        client.say(answer("201 Created"))

    with Scripted(play) as server:
        found = fields(probe(50_000).measure(task(server.url), TimeLeft(10)))
    assert 300 <= float(found["upload_ms"]) < 450


def refuses_early(client: Client) -> None:
    client.head()
    client.say(answer("413 Content Too Large"))
    client.sock.close()


def resets(client: Client) -> None:
    client.head()
    client.take(100_000)
    client.reset()


def takes_no_more(client: Client) -> None:
    client.head()
    client.take(100_000)
    client.hold()


def takes_and_is_silent(client: Client) -> None:
    client.head()
    client.take(SIZE)
    client.hold()


def takes_slowly(client: Client) -> None:
    client.head()
    while not client.pause(0.02):
        client.sock.recv(20_000)


def takes_and_closes(client: Client) -> None:
    client.head()
    client.take(SIZE)


def lies(client: Client) -> None:
    client.head()
    client.say(answer("200 OK"))
    client.hold()


def trickles_its_answer(client: Client) -> None:
    client.head()
    client.take(SIZE)
    client.say("HTTP/1.1 200 OK\r\nX: ")
    while not client.pause(0.02):
        client.say("x")


@pytest.mark.parametrize(
    ("play", "cause"),
    [
        (refuses_early, "http_status"),
        (resets, "reset"),
        (takes_no_more, "stalled"),
        (takes_slowly, "deadline"),
        (takes_and_is_silent, "timeout"),
        (takes_and_closes, "closed_early"),
        (lies, "stalled"),
        (takes("good evening\r\n\r\n"), "bad_answer"),
        (takes(answer("500 Internal Server Error")), "http_status"),
        (takes(answer("200 OK", HTML)), "captive_portal"),
        (takes(answer("511 Network Authentication Required")), "captive_portal"),
        (trickles_its_answer, "deadline"),
        (takes(answer("302 Found", "", "Location: http://login.example/")),
         "captive_portal"),
        (takes(answer("307 Temporary Redirect", "", "Location: /there")), "redirected"),
    ],
)  # fmt: skip
def test_bad_servers(play: Play, cause: str) -> None:
    """Each way to go wrong fails with its own cause, in time, and counts its bytes."""
    with nothing_left(4), Scripted(play) as server:
        finding = probe().measure(task(server.url), TimeLeft(2))
    assert finding.cause == cause
    found = fields(finding)
    assert int(found["data_bytes"]) > 0
    assert "uploads" not in found
    assert "upload_ms" not in found


@pytest.mark.parametrize(
    ("size", "cause", "detail"),
    [(30_000, "bad_answer", "answered"), (SIZE, "stalled", "no byte ")],
    ids=["in the kernel", "not yet taken by it"],
)
def test_an_answer_before_the_end_is_no_success(
    size: int, cause: str, detail: str
) -> None:
    """A server that says 200 while bytes are still on the way has not taken them."""

    def play(client: Client) -> None:
        client.head()
        client.say(answer("200 OK"))
        client.hold()

    server = Scripted(play)
    # Before anybody connects: a window once open is not shut again.
    server._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    with server:
        finding = probe(size).measure(task(server.url), TimeLeft(5))
    assert (finding.cause, finding.detail[:8]) == (cause, detail)


def test_more_than_the_allowance_is_not_begun() -> None:
    """A bundle that is larger than what may be moved is not even connected for."""
    with Scripted(takes()) as server:
        finding = probe().measure(task(server.url, byte_limit=SIZE - 1), TimeLeft(5))
    assert (finding.cause, server.clients) == ("allowance", [])


def test_the_allowance_holds_on_the_wire() -> None:
    """Headers count too: the upload ends before the limit is passed."""
    limit = SIZE + 1000
    with Scripted(takes()) as server:
        finding = probe().measure(task(server.url, byte_limit=limit), TimeLeft(5))
    assert finding.cause == "allowance"
    assert int(fields(finding)["data_bytes"]) <= limit


def test_on_a_shaped_link(lab: MakeLab) -> None:
    """The time is the link's, as the server saw it; the bytes are the interface's."""
    size = 2_000_000
    ended_s: list[float] = []

    def play(client: Client) -> None:
        client.head()
        client.take(size)
        ended_s.append(time.monotonic())
        client.say(answer("204 No Content"))

    built = lab(Shape(rate_mbps=10, delay_ms=40))
    with built.enter("server"):
        server = Scripted(play, address="10.77.1.2")
    with server:
        before = _moved_bytes(built)
        began_s, found = built.call("client", lambda: _measured(server.url, size))
        moved_bytes = _moved_bytes(built) - before
    upload_ms = float(found["upload_ms"])
    # The server's last byte, and its answer's way back.
    assert upload_ms == pytest.approx((ended_s[0] - began_s) * 1000 + 20, abs=25)
    assert upload_ms > size * 8 / (10e6 * TCP_PAYLOAD_SHARE) * 1000
    assert 40 <= float(found["connect_ms"]) < 90
    assert int(found["data_bytes"]) == pytest.approx(moved_bytes, rel=0.01)


def _moved_bytes(lab: Lab) -> int:
    return lab.interface_bytes("client", "rx") + lab.interface_bytes("client", "tx")


def _measured(url: str, size: int) -> tuple[float, Mapping[str, Value]]:
    form = probe(size)
    link = Link("sim1", "xl", interface="eth0")
    began_s = time.monotonic()
    finding = form.measure(task(url, link=link), TimeLeft(20))
    assert (finding.cause, finding.detail) == (None, "")
    return began_s, fields(finding)
