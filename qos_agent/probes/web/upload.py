"""Times the upload of a bundle as large as the result forms of a polling station.

The upload goes to a configured server over the link. The time runs from the name
resolution to the server's response. The return of send() proves nothing, because
megabytes fit into the buffers of the kernel. An upload counts if every byte was
acknowledged and the server has confirmed it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Self

from qos_agent.config.settings import FormSection, Settings
from qos_agent.model import Deadline, Layer, ProbeResult, Task, Value
from qos_agent.model.errors import ProbeError
from qos_agent.model.schema import UPLOAD_BOUNDS_S
from qos_agent.model.units import size_text
from qos_agent.probes.http.connection import (
    HttpClient,
    HttpConnection,
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
    check_allowance,
    read_response,
    response_error,
)
from qos_agent.probes.spec import NEVER, ProbeSpec, intervals, on_links
from qos_agent.probes.web.transfer import result_of

# A radio that lost its cell may be silent for long and still deliver.
_IDLE_S = 30.0
# After a failure a response is read only if it has already arrived.
_EARLY_S = 0.5
_CLOSED = ("reset", "closed_early")
_CHUNK_BYTES = 65536
_RESPONSE_MAX_BYTES = 65536
# Packet headers and acknowledgements take up to 9 %; the rest is for retransmissions.
_OVERHEAD = 1.25
_OVERHEAD_BYTES = 65536
_EXPECTED = ExpectedResponse(html=False)


class Form:
    """The probe of form uploads. It loads the link, so it has the link alone."""

    measurement = "web"
    loads_link = True

    def __init__(self, settings: FormSection, client: HttpClient) -> None:
        self._settings = settings
        self._client = client

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Return the probe for these settings.

        Raises ConfigError if `form.ca_file` contains no certificate.
        """
        form = settings.form
        tls = tls_context(form.ca_file, "form.ca_file", [form.url or ""])
        return cls(form, HttpClient(tls, _IDLE_S))

    @property
    def deadline_s(self) -> float:
        """The configured time limit."""
        return self._settings.time_limit

    def worst_case_bytes(self) -> int:
        """Return the bytes of the bundle on the wire, with retransmissions."""
        return int(self._settings.size * _OVERHEAD) + _OVERHEAD_BYTES

    def tags(self, task: Task) -> Sequence[Mapping[str, str]]:
        """Return the tags of one point, for the configured server."""
        name = task.target.name if task.target else self._settings.name
        return ({"target": name, "layer": Layer.APPLICATION.value},)

    def measure(self, task: Task, deadline: Deadline) -> ProbeResult:
        """Upload the bundle once; timings taken before a failure are kept."""
        url = task.target.host if task.target else self._settings.url
        if url is None:
            raise ValueError("a task of probe form needs form.url")
        context = TaskContext(self._client, task.link, deadline)
        target = RequestTarget.of(url)
        return result_of(partial(self._upload, target, context, task.byte_limit))

    def _upload(
        self,
        target: RequestTarget,
        context: TaskContext,
        byte_limit: int | None,
        fields: dict[str, Value],
    ) -> None:
        fields["forms"] = 1
        size = self._settings.size
        if byte_limit is not None and byte_limit < size:
            raise ProbeError("allowance", f"{byte_limit} bytes allowed of {size}")
        first = resolve_host(target.host, context, fields)
        rest: dict[str, Value] = {}
        with timed(rest, "ms"):
            self._exchange(target, first, context, byte_limit, fields)
        fields |= self._upload_fields(total_ms(float(rest["ms"]), fields))

    def _exchange(
        self,
        target: RequestTarget,
        first: str,
        context: TaskContext,
        byte_limit: int | None,
        fields: dict[str, Value],
    ) -> None:
        """Send the bundle and check the response."""
        size = self._settings.size
        head = target.head(
            self._settings.method,
            f"Content-Length: {size}",
            "Content-Type: application/octet-stream",
        )
        with open_connection(target, first, context, fields) as connection:
            connection.send(head)
            try:
                _send_bundle(connection, size, byte_limit)
            except ProbeError as failure:
                raise _send_error(connection, target, failure, size) from failure
            response = _response(connection, fields)
            fields |= response.fields()
            if error := response_error(response, target, _EXPECTED):
                raise error
            if rest_bytes := connection.unacknowledged_bytes():
                detail = f"answered {rest_bytes} bytes before the end"
                raise ProbeError("bad_answer", detail)

    def _upload_fields(self, upload_ms: float) -> dict[str, Value]:
        within = {f"upload_le_{b}": int(upload_ms <= b * 1000) for b in UPLOAD_BOUNDS_S}
        return {
            "uploads": 1,
            "upload_ms": upload_ms,
            "upload_sum_ms": upload_ms,
            "upload_bytes": self._settings.size,
            **within,
        }


def _send_bundle(connection: HttpConnection, size: int, byte_limit: int | None) -> None:
    """Send `size` random bytes, which no device on the path can compress."""
    left_bytes = size
    while left_bytes:
        chunk = os.urandom(min(_CHUNK_BYTES, left_bytes))
        if byte_limit is not None:
            check_allowance(connection.accepted_bytes() + len(chunk), byte_limit)
        connection.send(chunk)
        left_bytes -= len(chunk)


def _response(connection: HttpConnection, fields: dict[str, Value]) -> HttpResponse:
    return read_response(connection, ReadLimits(_RESPONSE_MAX_BYTES, None), fields)


def _send_error(
    connection: HttpConnection, target: RequestTarget, failure: ProbeError, size: int
) -> ProbeError:
    """Return why sending failed: by the server's response, if it has arrived.

    A server that refuses a body answers and closes before the end of the upload. One
    that confirms a body and closes has not received it.
    """
    acked = size_text(connection.info().acked_bytes)
    send_failure = ProbeError(failure.cause, f"{failure.detail}; {acked} acknowledged")
    connection.idle_s = _EARLY_S
    try:
        response = _response(connection, {})
    except ProbeError:
        return send_failure
    is_whole = len(response.body) < _RESPONSE_MAX_BYTES
    if failure.cause in _CLOSED and is_whole:
        share = f"{acked} of {size_text(size)} acknowledged"
        detail = f"answered {response.status} before the end; {share}"
        send_failure = ProbeError("bad_answer", detail)
    return response_error(response, target, _EXPECTED) or send_failure


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
