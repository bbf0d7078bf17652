"""Pages are timed in their parts, and every kind of failure has its cause."""

from __future__ import annotations

import ssl
import threading
import time

import pytest

from qos_agent.config.settings import Settings, WebSection
from qos_agent.model import Probe
from qos_agent.model.schema import MEASUREMENTS
from qos_agent.probes.http.connection import HttpClient
from qos_agent.probes.web.page import Web
from qos_agent.system.network import Resolved
from tests.probes.http_responses import (
    INTERIM,
    LONG_LINE,
    MANY_LINES,
    TOO_LONG,
    chunked,
)
from tests.probes.scripted import Client, Play, Scripted, answer, ok, responds
from tests.probes.time_left import TimeLeft
from tests.probes.web.pages import fields_of, load, probe, task
from tests.servers.certificates import Authority
from tests.support.children import nothing_left

HTML = "<!DOCTYPE html><html><body>Please log in to TPS-WiFi</body></html>"
PAGE_HTML = "Content-Type: text/html; charset=utf-8"
CHUNKED = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def test_is_a_probe_with_the_page_as_target() -> None:
    """The class is a Probe; its point has the page's name, not its URL."""
    web: Probe = Web.of(Settings())
    page = task("http://example.id/")
    assert (web.measurement, web.loads_link) == ("web", False)
    assert list(web.tags(page)) == [{"target": "page", "layer": "application"}]
    assert web.worst_case_bytes() > 2_000_000


def test_a_good_page() -> None:
    """A loaded page is counted once; its parts are no longer than the whole."""
    with Scripted(responds(ok("hello"))) as server:
        result = load(probe(server.url), task(server.url))
    fields = fields_of(result)
    assert (result.cause, fields["pages"], fields["status"]) == (None, 1, 200)
    assert (fields["http_2xx"], fields["http_5xx"], fields["body_bytes"]) == (1, 0, 5)
    assert (fields["address"], fields["ip_version"]) == ("127.0.0.1", 4)
    parts = float(fields["connect_ms"]) + float(fields["first_byte_ms"])
    assert 0 < parts <= float(fields["total_ms"]) == fields["page_sum_ms"]
    assert "dns_ms" not in fields
    assert "tls_ms" not in fields
    assert set(fields) <= {field.name for field in MEASUREMENTS["web"].fields}


def test_the_request_is_the_page_and_nothing_else() -> None:
    """There is one GET for path and query, with the host name, in ASCII."""
    heads: list[bytes] = []

    def play(client: Client) -> None:
        heads.append(client.head())
        client.send(ok())

    with Scripted(play) as server:
        url = f"{server.url}/a ä/?q=1#part".replace(" ", "%20")
        load(probe(url), task(url))
    (head,) = heads
    assert head.startswith(b"GET /a%20%C3%A4/?q=1 HTTP/1.1\r\nHost: 127.0.0.1:")


def test_the_parts_are_timed_separately() -> None:
    """A slow response delays the first byte; a slow body delays the total."""

    def play(client: Client) -> None:
        client.head()
        client.pause(0.15)
        client.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab")
        client.pause(0.25)
        client.send("cd")

    with Scripted(play) as server:
        fields = fields_of(load(probe(server.url), task(server.url)))
    first_ms, total_ms = float(fields["first_byte_ms"]), float(fields["total_ms"])
    assert first_ms >= 150
    assert total_ms - first_ms >= 200  # the first byte may be read late
    within = [fields[f"page_le_{bound}"] for bound in (250, 500)]
    assert within == [0, int(total_ms <= 500)]


def test_tls_is_timed_and_authenticated(authority: Authority) -> None:
    """Over https the handshake has its own time."""
    with Scripted(responds(ok()), authority.server_context()) as server:
        web = probe(server.url, context=authority.client_context())
        result = load(web, task(server.url))
    assert result.cause is None
    assert float(fields_of(result)["tls_ms"]) > 0


def test_ipv6() -> None:
    """A name that resolves to an IPv6 address is loaded over IPv6."""
    with Scripted(responds(ok()), address="::1") as server:
        url = f"http://six.example.id:{server.port}/"
        client = HttpClient(
            ssl.create_default_context(), 0.5, lambda *_: Resolved("::1", 1.5)
        )
        web = Web(WebSection(), client)
        fields = fields_of(load(web, task(url)))
    assert (fields["address"], fields["ip_version"], fields["pages"]) == ("::1", 6, 1)
    assert fields["dns_ms"] == 1.5


def test_a_name_resolved_outside_the_link_is_not_timed() -> None:
    """Only the steps over the link are part of the page's time."""

    def slow(*_: object) -> Resolved:
        threading.Event().wait(0.3)
        return Resolved("127.0.0.1", outside=True)

    with Scripted(responds(ok())) as server:
        client = HttpClient(ssl.create_default_context(), 0.5, slow)
        url = f"http://a.example.id:{server.port}/"
        fields = fields_of(load(Web(WebSection(), client), task(url)))
    assert (fields["resolve_outside"], "dns_ms" in fields) == (1, False)
    assert float(fields["total_ms"]) < 300


def closes(client: Client) -> None:
    client.head()


def resets(client: Client) -> None:
    client.head()
    client.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
    client.reset()


def truncates(client: Client) -> None:
    client.head()
    client.send("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf")


def truncates_and_holds(client: Client) -> None:
    truncates(client)
    client.hold()


def is_silent(client: Client) -> None:
    client.head()
    client.hold()


def trickles(client: Client) -> None:
    client.head()
    client.send("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
    while not client.pause(0.02):
        client.send("x")


def trickles_its_head(client: Client) -> None:
    client.head()
    client.send("HTTP/1.1 200 OK\r\nX: ")
    while not client.pause(0.02):
        client.send("x")


def redirect(where: str) -> Play:
    return responds(answer("302 Found", "", f"Location: {where}"))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("play", "cause"),
    [
        (closes, "closed_early"),
        (resets, "reset"),
        (truncates, "closed_early"),
        (truncates_and_holds, "stalled"),
        (is_silent, "timeout"),
        (trickles, "deadline"),
        (trickles_its_head, "deadline"),
        (responds("good evening\r\n\r\n"), "bad_answer"),
        (responds(TOO_LONG), "bad_answer"),
        (responds("HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n"), "bad_answer"),
        (responds("HTTP/1.1 200 OK\r\nX: y\r\n"), "closed_early"),
        (responds(INTERIM["103"]), "closed_early"),
        (responds(INTERIM["103"] + answer("404 Not Found")), "http_status"),
        (responds("HTTP/1.1 101 Switching Protocols\r\n\r\n"), "http_status"),
        (responds(CHUNKED + "zz\r\n"), "closed_early"),
        (responds(answer("503 Service Unavailable")), "http_status"),
        (responds(answer("404 Not Found", HTML, PAGE_HTML)), "http_status"),
        (responds(answer("304 Not Modified")), "http_status"),
        (
            responds(answer("511 Network Authentication Required", HTML)),
            "captive_portal",
        ),
        (redirect("/elsewhere"), "redirected"),
        (redirect("https://127.0.0.1/"), "redirected"),
        (redirect("http://login.hotspot.example/?from=page"), "captive_portal"),
        (redirect("http://192.168.1.1/"), "captive_portal"),
        (redirect("http://[bad"), "bad_answer"),
    ],
)
def test_bad_servers(play: Play, cause: str) -> None:
    """Each kind of failure has its cause, ends in time, and counts its bytes."""
    with nothing_left(2.5), Scripted(play) as server:
        result = load(probe(server.url), task(server.url), seconds=1)
    assert result.cause == cause
    fields = fields_of(result)
    assert float(fields["connect_ms"]) > 0
    assert int(fields["data_bytes"]) > 0
    assert "pages" not in fields
    assert "total_ms" not in fields


@pytest.mark.parametrize("interim", INTERIM.values(), ids=INTERIM)
def test_interim_responses_are_not_the_answer(interim: str) -> None:
    """The page is that of the final response, whose first byte is timed."""

    def play(client: Client) -> None:
        client.head()
        client.send(interim)
        client.pause(0.3)
        client.send(ok("the page"))

    with Scripted(play) as server:
        result = load(probe(server.url, text="the page"), task(server.url))
    fields = fields_of(result)
    assert (result.cause, fields["status"], fields["body_bytes"]) == (None, 200, 8)
    assert float(fields["first_byte_ms"]) >= 200  # the request may be read early


@pytest.mark.parametrize(
    "response",
    [
        ok("the page", LONG_LINE.strip()),
        ok("the page", MANY_LINES.strip()),
        CHUNKED + chunked("the ", "page"),
        CHUNKED + chunked("the page", extension=";x" * 2000),
        "HTTP/1.0 200 OK\n\nthe page",
    ],
    ids=["a long line", "many lines", "chunks", "long extensions", "line feeds"],
)
def test_valid_responses_are_pages(response: str) -> None:
    """RFC 9110 and RFC 9112 allow them, so the page is loaded."""
    with Scripted(responds(response)) as server:
        result = load(probe(server.url, text="the page"), task(server.url))
    assert (result.cause, fields_of(result)["body_bytes"]) == (None, 8)


def test_the_reason_is_in_the_words_of_the_agent() -> None:
    """The detail names the limit, not an exception of a library."""
    with Scripted(responds(TOO_LONG)) as server:
        result = load(probe(server.url), task(server.url))
    assert result.detail == "the head of the response is longer than 256 KiB"


@pytest.mark.parametrize(
    ("response", "status", "text", "cause"),
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
def test_an_unexpected_page_is_a_captive_portal(
    response: str, status: int | None, text: str | None, cause: str | None
) -> None:
    """A page with status 200 fails if another response was expected."""
    with Scripted(responds(response)) as server:
        web = probe(server.url, status=status, text=text)
        result = load(web, task(server.url))
    assert result.cause == cause


def test_over_https_an_unexpected_page_is_a_bad_answer(authority: Authority) -> None:
    """Over https no captive portal can respond, so the page is the server's."""
    with Scripted(responds(ok(HTML)), authority.server_context()) as server:
        web = probe(server.url, context=authority.client_context(), text="forms")
        assert load(web, task(server.url)).cause == "bad_answer"


def test_over_https_a_redirect_is_the_servers_own(authority: Authority) -> None:
    """A redirect to another site over https does not come from a captive portal."""
    play = redirect("http://login.hotspot.example/")
    with Scripted(play, authority.server_context()) as server:
        web = probe(server.url, context=authority.client_context())
        assert load(web, task(server.url)).cause == "redirected"


def test_long_pages_are_truncated_at_the_limit() -> None:
    """A page without end is read and timed up to the limit."""

    def floods(client: Client) -> None:
        client.head()
        client.send("HTTP/1.1 200 OK\r\n\r\n")
        while not client.stopping.is_set():
            client.send(b"x" * 65536)

    with Scripted(floods) as server:
        web = probe(server.url, body_limit="300kB")
        result = load(web, task(server.url))
    assert result.cause is None
    assert fields_of(result)["body_bytes"] == 300_000


def test_the_allowance_stops_a_page() -> None:
    """If the task may move less than the page, its cause is `allowance`."""
    with Scripted(responds(ok("x" * 1_000_000))) as server:
        result = load(probe(server.url), task(server.url, byte_limit=200_000))
    assert result.cause == "allowance"


def test_stopping_the_agent_ends_a_page_at_once() -> None:
    """A page that hangs does not delay the stop of the agent."""
    deadline = TimeLeft(60)
    requested = threading.Event()

    def play(client: Client) -> None:
        client.head()
        requested.set()
        client.hold()

    def stop() -> None:
        requested.wait(5)
        deadline.stop()

    with Scripted(play) as server:
        web = Web(WebSection(), HttpClient(ssl.create_default_context(), 0.5))
        threading.Thread(target=stop).start()
        started = time.monotonic()
        assert web.measure(task(server.url), deadline).cause == "deadline"
    assert time.monotonic() - started < 2
