"""Page probes for tests: one page, loaded once."""

from __future__ import annotations

import ssl
from collections.abc import Mapping

from qos_agent.config.settings import PageSection, WebSection
from qos_agent.model import Layer, Link, ProbeResult, Target, Task, Value
from qos_agent.probes.http.connection import HttpClient
from qos_agent.probes.web.page import Web
from tests.probes.time_left import TimeLeft


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


def load(web: Web, page: Task, seconds: float = 5) -> ProbeResult:
    return web.measure(page, TimeLeft(seconds))


def fields_of(result: ProbeResult) -> Mapping[str, Value]:
    (sample,) = result.samples
    return sample.fields
