"""Pages are timed in their parts, and every way to go wrong has its own cause."""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from qos_agent.config.settings import PageSection, Settings, WebSection
from qos_agent.model import Layer, Link, Probe, ProbeResult, Target, Task, Value
from qos_agent.model.errors import ConfigError, ProbeError
from qos_agent.model.schema import MEASUREMENTS
from qos_agent.probes.http.connection import HttpClient
from qos_agent.probes.http.request import RequestTarget
from qos_agent.probes.web.page import Web
from tests.probes.scripted import Client, Play, Scripted, answer, ok, says
from tests.probes.time_left import TimeLeft
from tests.servers.certificates import Authority, Fault
from tests.support.children import nothing_left

HTML = "<!DOCTYPE html><html><body>Please log in to TPS-WiFi</body></html>"
PAGE_HTML = "Content-Type: text/html; charset=utf-8"


def task(url: str, *, link: Link | None = None, byte_limit: int | None = None) -> Task:
    target = Target("page", url, Layer.APPLICATION)
    return Task("web", 0, link, target, byte_limit)


def probe(
    url: str,
    *,
    context: ssl.SSLContext | None = None,
    status: int | None = None,
    text: str | None = None,
    body_limit: str = "2MB",
) -> Web:
    page = PageSection(name="page", url=url, status=status, text=text)
    settings = WebSection.model_validate({"pages": [page], "body_limit": body_limit})
    return Web(settings, HttpClient(context or ssl.create_default_context(), 0.5))


def load(web: Web, of: Task, seconds: float = 5) -> ProbeResult:
    return web.measure(of, TimeLeft(seconds))


def fields(finding: ProbeResult) -> Mapping[str, Value]:
    (sample,) = finding.samples
    return sample.fields


def test_is_a_probe_with_the_page_as_target() -> None:
    """The probe fits the seam; its point carries the page's name, not its URL."""
    web: Probe = Web.of(Settings())
    of = task("http://example.id/")
    assert (web.measurement, web.loads_link) == ("web", False)
    assert list(web.tags(of)) == [{"target": "page", "layer": "application"}]
    assert web.worst_case_bytes() > 2_000_000


def test_a_good_page() -> None:
    """A page that comes is counted once, with its parts no longer than the whole."""
    with Scripted(says(ok("hello"))) as server:
        finding = load(probe(server.url), task(server.url))
    found = fields(finding)
    assert (finding.cause, found["pages"], found["status"]) == (None, 1, 200)
    assert (found["http_2xx"], found["http_5xx"], found["body_bytes"]) == (1, 0, 5)
    assert (found["address"], found["ip_version"]) == ("127.0.0.1", 4)
    parts = float(found["connect_ms"]) + float(found["first_byte_ms"])
    assert 0 < parts <= float(found["total_ms"]) == found["page_sum_ms"]
    assert "dns_ms" not in found
    assert "tls_ms" not in found
    assert set(found) <= {field.name for field in MEASUREMENTS["web"].fields}


def test_the_request_is_the_page_and_nothing_else() -> None:
    """One GET, for the path and query, with the host's name, in ASCII."""
    heads: list[bytes] = []

    def play(client: Client) -> None:
        heads.append(client.head())
        client.say(ok())

    with Scripted(play) as server:
        url = f"{server.url}/a ä/?q=1#part".replace(" ", "%20")
        load(probe(url), task(url))
    (head,) = heads
    assert head.startswith(b"GET /a%20%C3%A4/?q=1 HTTP/1.1\r\nHost: 127.0.0.1:")


def test_parts_are_told_apart() -> None:
    """A server slow to answer is slow in its first byte; slow to send, in the rest."""

    def play(client: Client) -> None:
        client.head()
        client.pause(0.15)
        client.say("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab")
        client.pause(0.25)
        client.say("cd")

    with Scripted(play) as server:
        found = fields(load(probe(server.url), task(server.url)))
    first_ms, total_ms = float(found["first_byte_ms"]), float(found["total_ms"])
    assert first_ms >= 150
    assert total_ms - first_ms >= 200  # the first byte may be seen late
    within = [found[f"page_le_{bound}"] for bound in (250, 500)]
    assert within == [0, int(total_ms <= 500)]


def test_tls_is_timed_and_authenticated(authority: Authority) -> None:
    """Over https the agreement is a part of its own."""
    with Scripted(says(ok()), authority.server_context()) as server:
        web = probe(server.url, context=authority.client_context())
        finding = load(web, task(server.url))
    assert finding.cause is None
    assert float(fields(finding)["tls_ms"]) > 0


def test_ipv6() -> None:
    """A name that resolves to an IPv6 address is loaded over IPv6."""
    with Scripted(says(ok()), address="::1") as server:
        url = f"http://six.example.id:{server.port}/"
        reach = HttpClient(ssl.create_default_context(), 0.5, lambda *_: "::1")
        web = Web(WebSection(), reach)
        found = fields(load(web, task(url)))
    assert (found["address"], found["ip_version"], found["pages"]) == ("::1", 6, 1)
    assert float(found["dns_ms"]) >= 0


def closes(client: Client) -> None:
    client.head()


def resets(client: Client) -> None:
    client.head()
    client.say("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
    client.reset()


def says_less(client: Client) -> None:
    client.head()
    client.say("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf")


def says_less_and_holds(client: Client) -> None:
    says_less(client)
    client.hold()


def is_silent(client: Client) -> None:
    client.head()
    client.hold()


def trickles(client: Client) -> None:
    client.head()
    client.say("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
    while not client.pause(0.02):
        client.say("x")


def trickles_its_head(client: Client) -> None:
    client.head()
    client.say("HTTP/1.1 200 OK\r\nX: ")
    while not client.pause(0.02):
        client.say("x")


def redirect(where: str) -> Play:
    return says(answer("302 Found", "", f"Location: {where}"))


@pytest.mark.parametrize(
    ("play", "cause"),
    [
        (closes, "closed_early"),
        (resets, "reset"),
        (says_less, "closed_early"),
        (says_less_and_holds, "stalled"),
        (is_silent, "timeout"),
        (trickles, "deadline"),
        (trickles_its_head, "deadline"),
        (says("good evening\r\n\r\n"), "bad_answer"),
        (says("HTTP/1.1 200 OK\r\nX: " + "x" * 70_000 + "\r\n\r\n"), "bad_answer"),
        (says("HTTP/1.1 200 OK\r\n" + "X: y\r\n" * 200 + "\r\n"), "bad_answer"),
        (says("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"),
         "closed_early"),
        (says(answer("503 Service Unavailable")), "http_status"),
        (says(answer("404 Not Found", HTML, PAGE_HTML)), "http_status"),
        (says(answer("304 Not Modified")), "http_status"),
        (says(answer("511 Network Authentication Required", HTML)), "captive_portal"),
        (redirect("/elsewhere"), "redirected"),
        (redirect("https://127.0.0.1/"), "redirected"),
        (redirect("http://login.hotspot.example/?from=page"), "captive_portal"),
        (redirect("http://192.168.1.1/"), "captive_portal"),
        (redirect("http://[bad"), "bad_answer"),
    ],
)  # fmt: skip
def test_bad_servers(play: Play, cause: str) -> None:
    """Each way to go wrong fails with its own cause, in time, and counts its bytes."""
    with nothing_left(2.5), Scripted(play) as server:
        finding = load(probe(server.url), task(server.url), seconds=1)
    assert finding.cause == cause
    found = fields(finding)
    assert float(found["connect_ms"]) > 0
    assert int(found["data_bytes"]) > 0
    assert "pages" not in found
    assert "total_ms" not in found


@pytest.mark.parametrize(
    ("said", "status", "text", "cause"),
    [
        (ok("result forms"), None, "result forms", None),
        (ok(HTML, PAGE_HTML), None, "result forms", "captive_portal"),
        (ok(HTML), None, "result forms", "captive_portal"),
        (ok("busy"), None, "result forms", "bad_answer"),
        (answer("204 No Content"), 204, None, None),
        (ok(HTML, PAGE_HTML), 204, None, "captive_portal"),
        (answer("301 Moved", "", "Location: http://x.example/"), 301, None, None),
        (answer("200 OK"), 301, None, "http_status"),
    ],
)
def test_what_is_expected_tells_a_portal(
    said: str, status: int | None, text: str | None, cause: str | None
) -> None:
    """A page with status 200 is no success where another answer was expected."""
    with Scripted(says(said)) as server:
        web = probe(server.url, status=status, text=text)
        finding = load(web, task(server.url))
    assert finding.cause == cause


def test_over_https_a_wrong_page_is_the_servers_own(authority: Authority) -> None:
    """Nothing on the way can answer over https: there it is a bad answer."""
    with Scripted(says(ok(HTML)), authority.server_context()) as server:
        web = probe(server.url, context=authority.client_context(), text="forms")
        assert load(web, task(server.url)).cause == "bad_answer"


def test_over_https_being_sent_away_is_the_servers_own(authority: Authority) -> None:
    """A redirection to a stranger is no portal's where the server is authenticated."""
    play = redirect("http://login.hotspot.example/")
    with Scripted(play, authority.server_context()) as server:
        web = probe(server.url, context=authority.client_context())
        assert load(web, task(server.url)).cause == "redirected"


@pytest.mark.parametrize(
    ("fault", "cause"),
    [
        ("expired", "tls_expired"),
        ("not_yet_valid", "tls_expired"),
        ("wrong_name", "tls_name"),
        ("self_signed", "tls_untrusted"),
    ],
)
def test_bad_certificates(authority: Authority, fault: Fault, cause: str) -> None:
    """Each fault of a certificate has its cause, and connecting was still timed."""
    context = authority.server_context(fault)
    with nothing_left(5), Scripted(says(ok()), context) as server:
        web = probe(server.url, context=authority.client_context())
        finding = load(web, task(server.url))
    assert finding.cause == cause
    assert "connect_ms" in fields(finding)
    assert "tls_ms" not in fields(finding)


def resets_at_once(client: Client) -> None:
    client.sock.recv(1)
    client.reset()


def closes_at_once(client: Client) -> None:
    client.sock.recv(65536)


def holds(client: Client) -> None:
    client.hold()


@pytest.mark.parametrize(
    ("play", "cause"),
    [
        (says("HTTP/1.1 400 Bad Request\r\n\r\n"), "tls"),
        (resets_at_once, "reset"),
        (closes_at_once, "closed_early"),
        (holds, "timeout"),
    ],
)
def test_what_is_no_tls(play: Play, cause: str) -> None:
    """Plain text, silence and hanging up in the handshake are told apart."""

    def started(client: Client) -> None:
        client.head = lambda: client.sock.recv(65536)  # type: ignore[method-assign]
        play(client)

    with nothing_left(5), Scripted(started) as server:
        url = server.url.replace("http:", "https:")
        assert load(probe(url), task(url)).cause == cause


def test_server_gone() -> None:
    """A port where nobody listens is refused, not unreachable."""
    with Scripted(holds) as server:
        url = server.url
    finding = load(probe(url), task(url))
    assert finding.cause == "refused"


def test_name_that_does_not_resolve() -> None:
    """The resolver's failure is the cause; nothing was connected or timed."""

    def fails(*_: object) -> str:
        raise ProbeError("name_not_resolved", "NXDOMAIN")

    web = Web(WebSection(), HttpClient(ssl.create_default_context(), 0.5, fails))
    finding = load(web, task("http://nowhere.example.id/"))
    assert (finding.cause, dict(fields(finding))) == ("name_not_resolved", {})


def test_another_links_interface_is_never_used() -> None:
    """A link whose interface is gone fails; nothing leaves over another."""
    heard: list[bytes] = []
    with Scripted(lambda client: heard.append(client.head())) as server:
        gone = Link("sim1", "xl", interface="nosuch0")
        finding = load(probe(server.url), task(server.url, link=gone))
    assert (finding.cause, heard) == ("link_down", [])


def test_long_pages_are_cut_at_the_limit() -> None:
    """Of a page without end the limit is read and timed; the rest is not fetched."""

    def floods(client: Client) -> None:
        client.head()
        client.say("HTTP/1.1 200 OK\r\n\r\n")
        while not client.stopping.is_set():
            client.say(b"x" * 65536)

    with Scripted(floods) as server:
        web = probe(server.url, body_limit="300kB")
        finding = load(web, task(server.url))
    assert finding.cause is None
    assert fields(finding)["body_bytes"] == 300_000


def test_the_allowance_stops_a_page() -> None:
    """Where the task may move less than the page, it ends with `allowance`."""
    with Scripted(says(ok("x" * 1_000_000))) as server:
        finding = load(probe(server.url), task(server.url, byte_limit=200_000))
    assert finding.cause == "allowance"


def test_stopping_the_agent_ends_a_page_at_once() -> None:
    """A page that hangs does not hold up the agent's stop."""
    deadline = TimeLeft(60)
    begun = threading.Event()

    def play(client: Client) -> None:
        client.head()
        begun.set()
        client.hold()

    def stop() -> None:
        begun.wait(5)
        deadline.stop()

    with Scripted(play) as server:
        web = Web(WebSection(), HttpClient(ssl.create_default_context(), 0.5))
        threading.Thread(target=stop).start()
        started = time.monotonic()
        assert web.measure(task(server.url), deadline).cause == "deadline"
    assert time.monotonic() - started < 2


def test_a_bad_authority_file_is_a_configuration_error(tmp_path: Path) -> None:
    """The technician reads which key names a file without certificates."""
    file = tmp_path / "ca.pem"
    file.write_text("no certificate")
    settings = Settings(web=WebSection(ca_file=file))
    with pytest.raises(ConfigError, match=r"web\.ca_file: found .*ca\.pem"):
        Web.of(settings)


def test_place_of_an_international_name() -> None:
    """Names outside ASCII go out in punycode, as DNS and TLS want them."""
    place = RequestTarget.of("https://münchen.example.id/")
    assert (place.host, place.port) == ("xn--mnchen-3ya.example.id", 443)
