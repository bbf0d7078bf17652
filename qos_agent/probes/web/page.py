"""Loads a page and times its parts: name, connection, TLS, first byte, and the whole.

One request loads the page alone, without the files that it refers to. Redirects are
reported, not followed. At most `body_limit` bytes are read and timed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Self

from qos_agent.config.settings import Settings, WebSection
from qos_agent.model import Deadline, ProbeResult, Target, Task, Value
from qos_agent.model.schema import PAGE_BOUNDS_MS
from qos_agent.probes.http.connection import (
    HttpClient,
    TaskContext,
    open_connection,
    resolve_host,
    timed,
    tls_context,
    total_ms,
)
from qos_agent.probes.http.request import RequestTarget
from qos_agent.probes.http.response import (
    ExpectedResponse,
    HttpResponse,
    ReadLimits,
    read_response,
    response_error,
)
from qos_agent.probes.spec import NEVER, ProbeSpec, intervals, on_targets
from qos_agent.probes.web.transfer import result_of

_IDLE_S = 10.0
# Packet headers and acknowledgements take up to 9 % of a stream. The rest is for the
# name, TLS and the heads of request and response.
_OVERHEAD = 1.12
_OVERHEAD_BYTES = 65536


class Web:
    """The probe of pages. The host of the task's target is the URL of the page."""

    measurement = "web"
    loads_link = False

    def __init__(self, settings: WebSection, client: HttpClient) -> None:
        self._settings = settings
        self._client = client
        self._expected = {
            page.name: ExpectedResponse(page.status, page.text)
            for page in settings.pages
        }

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Return the probe for these settings.

        Raises ConfigError if `web.ca_file` contains no certificate.
        """
        web = settings.web
        urls = [page.url for page in web.pages]
        tls = tls_context(web.ca_file, "web.ca_file", urls)
        return cls(web, HttpClient(tls, _IDLE_S))

    @property
    def deadline_s(self) -> float:
        """The configured time limit."""
        return self._settings.time_limit

    def worst_case_bytes(self) -> int:
        """Return the bytes on the wire for a page as long as the limit."""
        return int(self._settings.body_limit * _OVERHEAD) + _OVERHEAD_BYTES

    def tags(self, task: Task) -> Sequence[Mapping[str, str]]:
        """Return the tags of one point, for the page."""
        page = _page(task)
        return ({"target": page.name, "layer": page.layer.value},)

    def measure(self, task: Task, deadline: Deadline) -> ProbeResult:
        """Load the page once; timings taken before a failure are kept."""
        context = TaskContext(self._client, task.link, deadline)
        limits = ReadLimits(self._settings.body_limit, task.byte_limit)
        return result_of(partial(self._load, _page(task), context, limits))

    def _load(
        self,
        page: Target,
        context: TaskContext,
        limits: ReadLimits,
        fields: dict[str, Value],
    ) -> None:
        target = RequestTarget.of(page.host)
        first = resolve_host(target.host, context, fields)
        rest: dict[str, Value] = {}
        with timed(rest, "ms"):
            response = _response(target, first, context, limits, fields)
        fields |= response.fields() | {"body_bytes": len(response.body)}
        expected = self._expected.get(page.name, ExpectedResponse())
        if error := response_error(response, target, expected):
            raise error
        fields |= _page_fields(total_ms(float(rest["ms"]), fields))


def _page(task: Task) -> Target:
    if task.target is None:
        raise ValueError("a task of probe web needs a target")
    return task.target


def _response(
    target: RequestTarget,
    first: str,
    context: TaskContext,
    limits: ReadLimits,
    fields: dict[str, Value],
) -> HttpResponse:
    with open_connection(target, first, context, fields) as connection:
        connection.send(target.head("GET"))
        return read_response(connection, limits, fields)


def _page_fields(page_ms: float) -> dict[str, Value]:
    """Return the additive fields of a page that was loaded as expected."""
    within = {f"page_le_{b}": int(page_ms <= b) for b in PAGE_BOUNDS_MS}
    return {"pages": 1, "page_sum_ms": page_ms, "total_ms": page_ms, **within}


SPEC = ProbeSpec(
    name="web",
    make=Web.of,
    places=on_targets(lambda settings: settings.web.targets()),
    intervals_s=intervals(NEVER, voting_s=900.0, counting_s=1800.0),
    first_delay_s=(5.0, 10.0),
    heavy=True,
    status_fields=("total_ms", "data_bytes"),
    log_fields=("total_ms",),
)
