"""The time to upload a bundle the size of the result forms: what a station feels.

To one's own server, over the link, from resolving the name to the server's answer.
What send() took says nothing: megabytes fit into the kernel's buffers. An upload
counts when every byte was acknowledged and the server has answered that it is done.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Self

from qos_agent.config.settings import FormSection, Settings
from qos_agent.model import Deadline, Layer, ProbeResult, Sample, Task, Value
from qos_agent.model.errors import ProbeError
from qos_agent.model.schema import UPLOAD_BOUNDS_S
from qos_agent.model.units import size_text
from qos_agent.probes.http.connection import (
    Connection,
    HttpClient,
    TaskContext,
    opened,
    timed,
    trust,
)
from qos_agent.probes.http.request import RequestTarget
from qos_agent.probes.http.response import (
    Answer,
    Expected,
    Limits,
    judge,
    read_answer,
    within,
)
from qos_agent.probes.spec import NEVER, ProbeSpec, intervals, on_links

# A radio that lost its cell may be silent for long and still deliver.
_IDLE_S = 30.0
# After a failure, an answer that has come already says more than the failure does.
_EARLY_S = 0.5
_CHUNK_BYTES = 65536
_ANSWER_MAX_BYTES = 65536
# Headers and acknowledgements take up to 9 %; the rest is for what is sent twice.
_OVERHEAD = 1.25
_OVERHEAD_BYTES = 65536


class Form:
    """The probe of form uploads. It loads the link: nothing is measured beside it."""

    measurement = "web"
    loads_link = True

    def __init__(self, settings: FormSection, reach: HttpClient) -> None:
        self._settings = settings
        self._reach = reach

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """The probe for these settings. Raises ConfigError for a bad `form.ca_file`."""
        form = settings.form
        context = trust(form.ca_file, "form.ca_file", [form.url or ""])
        return cls(form, HttpClient(context, _IDLE_S))

    @property
    def deadline_s(self) -> float:
        """The configured limit."""
        return self._settings.time_limit

    def worst_case_bytes(self) -> int:
        """The bundle on the wire, with room for what is sent twice."""
        return int(self._settings.size * _OVERHEAD) + _OVERHEAD_BYTES

    def tags(self, task: Task) -> Sequence[Mapping[str, str]]:
        """One point, of the configured server."""
        name = task.target.name if task.target else self._settings.name
        return ({"target": name, "layer": Layer.APPLICATION.value},)

    def measure(self, task: Task, deadline: Deadline) -> ProbeResult:
        """Upload the bundle once; what was timed before a failure is kept."""
        url = task.target.host if task.target else self._settings.url
        if url is None:
            raise ValueError("form.url is not set: nothing to schedule")
        found: dict[str, Value] = {}
        whole: dict[str, Value] = {}
        way = TaskContext(self._reach, task.link, deadline)
        try:
            with timed(whole, "upload_ms"):
                self._upload(RequestTarget.of(url), way, task.byte_limit, found)
        except ProbeError as error:
            return ProbeResult((Sample({}, found),), error.cause, error.detail)
        upload_ms = float(whole["upload_ms"])
        return ProbeResult((Sample({}, found | self._upload_fields(upload_ms)),))

    def _upload(
        self,
        place: RequestTarget,
        way: TaskContext,
        limit: int | None,
        found: dict[str, Value],
    ) -> None:
        size = self._settings.size
        if limit is not None and limit < size:
            raise ProbeError("allowance", f"{limit} bytes allowed of {size}")
        head = place.head(
            self._settings.method,
            f"Content-Length: {size}",
            "Content-Type: application/octet-stream",
        )
        with opened(place, way, found) as connection:
            connection.send(head)
            try:
                _send_bundle(connection, size, limit)
            except ProbeError as failure:
                raise _failure(connection, place, failure) from failure
            answer = _answer(connection, found)
            found |= answer.fields()
            if wrong := judge(answer, place, Expected(html=False)):
                raise wrong
            if rest := connection.unacknowledged_bytes():
                raise ProbeError("bad_answer", f"answered {rest} bytes early")

    def _upload_fields(self, upload_ms: float) -> dict[str, Value]:
        within = {f"upload_le_{b}": int(upload_ms <= b * 1000) for b in UPLOAD_BOUNDS_S}
        return {
            "uploads": 1,
            "upload_ms": upload_ms,
            "upload_sum_ms": upload_ms,
            "upload_bytes": self._settings.size,
            **within,
        }


def _send_bundle(connection: Connection, size: int, limit: int | None) -> None:
    """Random bytes: nothing on the way can make them fewer."""
    left = size
    while left:
        chunk = os.urandom(min(_CHUNK_BYTES, left))
        if limit is not None:
            within(connection, limit - connection.unacknowledged_bytes() - len(chunk))
        connection.send(chunk)
        left -= len(chunk)


def _answer(connection: Connection, found: dict[str, Value]) -> Answer:
    return read_answer(connection, Limits(_ANSWER_MAX_BYTES, None), found)


def _failure(
    connection: Connection, place: RequestTarget, failure: ProbeError
) -> ProbeError:
    """Why the upload broke off: the server's word, if it has come, or what we saw.

    A server that refuses a body answers and closes while we are still sending.
    """
    acked = size_text(connection.info().acked_bytes)
    seen = ProbeError(failure.cause, f"{failure.detail}; {acked} acknowledged")
    connection.idle_s = _EARLY_S
    try:
        answer = _answer(connection, {})
    except ProbeError:
        return seen
    return judge(answer, place, Expected(html=False)) or seen


# Result forms are uploaded while votes are counted, so uploads are most frequent then.
SPEC = ProbeSpec(
    name="form",
    make=Form.of,
    places=on_links(lambda settings, _link: settings.form.url is not None),
    intervals_s=intervals(NEVER, voting_s=900.0, counting_s=600.0),
    first_delay_s=(25.0, 40.0),
    heavy=True,
    status_fields=("upload_ms", "data_bytes"),
    log_fields=("upload_ms",),
)
