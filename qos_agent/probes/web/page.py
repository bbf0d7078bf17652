"""A page loaded, in its parts: name, connection, TLS, first byte, the whole of it.

One request, of the page alone, not of what it refers to; redirections are not
followed but reported. What is timed is `body_limit` bytes at most, always the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Self

from qos_agent.config.settings import Settings, WebSection
from qos_agent.model import Deadline, ProbeResult, Sample, Target, Task, Value
from qos_agent.model.errors import ProbeError
from qos_agent.model.schema import PAGE_BOUNDS_MS
from qos_agent.probes.http.connection import (
    HttpClient,
    TaskContext,
    opened,
    timed,
    trust,
)
from qos_agent.probes.http.request import RequestTarget
from qos_agent.probes.http.response import Answer, Expected, Limits, judge, read_answer
from qos_agent.probes.spec import NEVER, ProbeSpec, intervals, on_targets

_IDLE_S = 10.0
# Headers of packets and acknowledgements take up to 9 % of a stream; then the rest:
# name, TLS, heads.
_OVERHEAD = 1.12
_OVERHEAD_BYTES = 65536


class Web:
    """The probe of pages; the task's target is a page, its host the page's URL."""

    measurement = "web"
    loads_link = False

    def __init__(self, settings: WebSection, reach: HttpClient) -> None:
        self._settings = settings
        self._reach = reach
        self._expected = {p.name: Expected(p.status, p.text) for p in settings.pages}

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """The probe for these settings. Raises ConfigError for a bad `web.ca_file`."""
        web = settings.web
        urls = [page.url for page in web.pages]
        return cls(web, HttpClient(trust(web.ca_file, "web.ca_file", urls), _IDLE_S))

    @property
    def deadline_s(self) -> float:
        """The configured limit."""
        return self._settings.time_limit

    def worst_case_bytes(self) -> int:
        """A page as long as the limit, on the wire."""
        return int(self._settings.body_limit * _OVERHEAD) + _OVERHEAD_BYTES

    def tags(self, task: Task) -> Sequence[Mapping[str, str]]:
        """One point, of the page."""
        target = _target(task)
        return ({"target": target.name, "layer": target.layer.value},)

    def measure(self, task: Task, deadline: Deadline) -> ProbeResult:
        """Load the page once; what was timed before a failure is kept."""
        found: dict[str, Value] = {}
        way = TaskContext(self._reach, task.link, deadline)
        limits = Limits(self._settings.body_limit, task.byte_limit)
        place = RequestTarget.of(_target(task).host)
        whole: dict[str, Value] = {}
        try:
            with timed(whole, "total_ms"):
                answer = _load(place, way, limits, found)
        except ProbeError as error:
            return ProbeResult((Sample({}, found),), error.cause, error.detail)
        found |= answer.fields() | {"body_bytes": len(answer.body)}
        expected = self._expected.get(_target(task).name, Expected())
        if wrong := judge(answer, place, expected):
            return ProbeResult((Sample({}, found),), wrong.cause, wrong.detail)
        return ProbeResult(
            (Sample({}, found | _page_fields(float(whole["total_ms"]))),)
        )


def _target(task: Task) -> Target:
    if task.target is None:
        raise ValueError("a page is measured against a target")
    return task.target


def _load(
    place: RequestTarget, way: TaskContext, limits: Limits, found: dict[str, Value]
) -> Answer:
    with opened(place, way, found) as connection:
        connection.send(place.head("GET"))
        return read_answer(connection, limits, found)


def _page_fields(total_ms: float) -> dict[str, Value]:
    """The page counted and summed: only what was loaded as expected."""
    within = {f"page_le_{b}": int(total_ms <= b) for b in PAGE_BOUNDS_MS}
    return {"pages": 1, "page_sum_ms": total_ms, "total_ms": total_ms, **within}


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
