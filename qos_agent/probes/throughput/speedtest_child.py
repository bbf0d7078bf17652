"""The child process of the `speedtest` backend: speedtest-cli on one link.

It reads a SpeedtestSpec as JSON on standard input and prints one JSON object. It is a
separate process because speedtest-cli cannot be interrupted and leaves threads behind.
It can be bound to a link only by a replacement of `socket.create_connection`.
"""

from __future__ import annotations

import ctypes
import http
import http.client
import json
import resource
import signal
import socket
import ssl
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import IO, Any
from urllib.parse import urlsplit

import speedtest

from qos_agent.model import Link
from qos_agent.model.errors import ProbeError
from qos_agent.model.limits import SPEEDTEST_MEMORY_BYTES
from qos_agent.probes.http.head import HEAD_LIMIT_BYTES
from qos_agent.probes.http.request import (
    NETWORK_AUTHENTICATION_REQUIRED,
    RequestTarget,
)
from qos_agent.probes.throughput.interface_counter import InterfaceCounter, counter_of
from qos_agent.system.clock import SystemClock, TaskDeadline
from qos_agent.system.network import addresses_to_try, cause_of, look_up
from qos_agent.system.network.attempts import Attempts
from qos_agent.system.network.tls import cause_of_tls

_PR_SET_PDEATHSIG = 1  # <linux/prctl.h>
_TIMEOUT_S = 5.0
_PART_BYTES = 65_536
_THREADS = {"down": 4, "up": 2}
# The share of the requested bytes that must arrive before the time is up. The exact
# size of the files differs a little between servers.
_MIN_SHARE = 0.9
# The latency that speedtest-cli reports for a server that did not answer.
_NO_ANSWER_MS = 600_000
_ERRORS = (
    ProbeError,
    OSError,
    speedtest.SpeedtestException,
    http.client.HTTPException,
    LookupError,
    ValueError,
    MemoryError,
    NameError,  # a bug of speedtest-cli if it gets HTML instead of XML
)
_KINDS: tuple[tuple[type[BaseException], str], ...] = (
    (socket.gaierror, "name_not_resolved"),
    (http.client.RemoteDisconnected, "closed_early"),
    (http.client.IncompleteRead, "closed_early"),
)

Report = dict[str, Any]


class _OwnServer(speedtest.Speedtest):  # type: ignore[misc]  # has no types
    """speedtest-cli without its request to speedtest.net for a server of your own.

    A subclass, because the library has no option to leave that request out.
    """

    def get_config(self) -> None:
        """Set the parts of the configuration that the library reads later."""
        self.config.update({"client": {}, "ignore_servers": []})


class _PortalRedirectHandler(urllib.request.HTTPRedirectHandler):
    """Follows redirects, except those of a captive portal."""

    handler_order = 100  # before the handler that follows every redirect

    def __init__(self, target: RequestTarget) -> None:
        self._target = target

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        """Return the next request. Raises ProbeError `captive_portal`."""
        error = self._target.redirect_error(newurl)
        if error.cause == "captive_portal":
            raise error
        return super().redirect_request(req, fp, code, msg, headers, newurl)


class _FinalResponse(http.client.HTTPResponse):
    """A response whose interim responses are all skipped, not only 100 Continue.

    A body is read in parts, because http.client reserves the announced length at once.
    """

    def _read_status(self) -> tuple[str, int, str]:
        version, status, reason = super()._read_status()  # type: ignore[misc]
        interim = http.HTTPStatus.SWITCHING_PROTOCOLS < status < http.HTTPStatus.OK
        return version, http.HTTPStatus.CONTINUE if interim else status, reason

    def _safe_read(self, amt: int) -> bytes:
        parts: list[bytes] = []
        while amt:
            part = self.fp.read(min(amt, _PART_BYTES))
            if not part:
                raise http.client.IncompleteRead(b"".join(parts), amt)
            parts.append(part)
            amt -= len(part)
        return b"".join(parts)


def _accept_valid_responses() -> None:
    """Let http.client read every head that the agent's own client reads."""
    http.client.HTTPConnection.response_class = _FinalResponse
    limits = {"_MAXLINE": HEAD_LIMIT_BYTES, "_MAXHEADERS": HEAD_LIMIT_BYTES // 4}
    vars(http.client).update(limits)


def main() -> int:
    """Measure as the spec on standard input requires, and print the report."""
    # This process must end even if the agent is killed and cannot kill it.
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    _accept_valid_responses()
    limit = (SPEEDTEST_MEMORY_BYTES, SPEEDTEST_MEMORY_BYTES)
    resource.setrlimit(resource.RLIMIT_DATA, limit)
    spec = json.load(sys.stdin)
    outside = [] if spec["link"] is None else _use_link(Link(**spec["link"]))
    report = _measure(spec)
    json.dump(report | {"resolve_outside": any(outside)}, sys.stdout)
    return 0


def _use_link(link: Link) -> list[bool]:
    """Send every connection and name query of this process over `link`.

    The returned list grows with each name; True means resolved outside the link.
    """
    clock = SystemClock(not_before_ns=0)
    end_ns = clock.boot_ns() + 600 * 10**9
    deadline = TaskDeadline(clock, end_ns, threading.Event())

    outside: list[bool] = []

    def connect(
        address: tuple[str, int], timeout: float | None = None, *_: object, **__: object
    ) -> socket.socket:
        host = address[0].strip("[]").replace("%25", "%")  # a zone (RFC 6874)
        wait_s = timeout or _TIMEOUT_S
        resolved = look_up(host, link, deadline)
        outside.append(resolved.outside)
        addresses = addresses_to_try(host, resolved.address, link, deadline)
        sock = Attempts(link, address[1], wait_s).connect(addresses, deadline).sock
        sock.settimeout(wait_s)
        return sock

    socket.create_connection = connect  # type: ignore[assignment]
    return outside


def _measure(spec: Mapping[str, Any]) -> Report:
    try:
        tester = _tester(spec)
    except _ERRORS as error:
        failure = _failure(error)
        return {"server": spec["server"], "down": failure, "up": failure}
    with counter_of(spec["interface"]) as counter:
        return {
            "server": urlsplit(tester.best["url"]).netloc,
            "down": _direction(spec, tester, "down", counter),
            "up": _direction(spec, tester, "up", counter),
        }


def own_server() -> Any:
    """Return speedtest-cli without a server, for a server of your own."""
    return _OwnServer(timeout=_TIMEOUT_S)


def _tester(spec: Mapping[str, Any]) -> Any:
    """Return speedtest-cli with a chosen server and limited transfers."""
    if spec["server"] is None:
        tester = speedtest.Speedtest(timeout=_TIMEOUT_S, secure=spec["secure"])
        tester.get_servers()
        tester.get_best_server()
    else:
        tester = own_server()
        _check_server(spec["server"])
        tester.get_best_server(tester.set_mini_server(spec["server"]))
    if tester.best["latency"] >= _NO_ANSWER_MS:
        raise ProbeError("bad_answer", "no server answered latency.txt")
    tester.config.update(_limits(spec))
    return tester


def _check_server(server: str) -> None:
    """Send one request and raise its error: speedtest-cli drops the reason."""
    opener = speedtest.build_opener(timeout=_TIMEOUT_S)
    opener.add_handler(_PortalRedirectHandler(RequestTarget.of(server)))
    response, error = speedtest.catch_request(speedtest.build_request(server), opener)
    if error:
        raise error
    response.close()


def _limits(spec: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "sizes": {"download": spec["download_widths"], "upload": spec["upload_sizes"]},
        "counts": {"download": 1, "upload": 1},
        "length": {"download": spec["length_s"], "upload": spec["length_s"]},
        "threads": {"download": _THREADS["down"], "upload": _THREADS["up"]},
        "upload_max": len(spec["upload_sizes"]),
    }


def _direction(
    spec: Mapping[str, Any],
    tester: Any,
    direction: str,
    counter: InterfaceCounter | None,
) -> Report:
    sizes = spec["download_widths" if direction == "down" else "upload_sizes"]
    if not sizes:
        return {"cause": "allowance", "detail": "no file is small enough"}
    run = tester.download if direction == "down" else tester.upload
    before = _used(counter)
    try:
        rate_bps = run(threads=_THREADS[direction])
    except _ERRORS as error:
        return _failure(error)
    if not rate_bps:
        detail = "no data; speedtest-cli gives no reason"
        return {"cause": "closed_early", "detail": detail}
    after = _used(counter)
    results = tester.results
    moved_bytes = results.bytes_received if direction == "down" else results.bytes_sent
    elapsed_s = moved_bytes * 8 / rate_bps
    cut = elapsed_s >= spec["length_s"]
    payload_bytes = spec["payload_bytes"][direction]
    if not cut and moved_bytes < payload_bytes * _MIN_SHARE:
        # speedtest-cli ignores broken transfers and HTML error pages.
        detail = f"{moved_bytes} of {payload_bytes} bytes"
        return {"cause": "closed_early", "detail": detail}
    return {
        "payload_bytes": moved_bytes,
        "elapsed_s": elapsed_s,
        "cut": cut,
        "threads": min(_THREADS[direction], len(sizes)),
        "cpu_s": after[1] - before[1],
        "data_bytes": None if before[0] is None else after[0] - before[0],
    }


def _used(counter: InterfaceCounter | None) -> tuple[Any, float]:
    """Return the bytes moved by the interface, and the processor time in seconds."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    moved_bytes = None if counter is None else counter.moved()
    return moved_bytes, usage.ru_utime + usage.ru_stime


def _failure(error: BaseException) -> Report:
    """Return cause and message of the error inside speedtest-cli's exceptions."""
    inner = _innermost(error)
    return {"cause": _cause(inner), "detail": str(inner) or type(inner).__name__}


def _innermost(error: BaseException) -> BaseException:
    for inner in (getattr(error, "reason", None), *error.args):
        if isinstance(inner, BaseException):
            return _innermost(inner)
    return error


def _cause(error: BaseException) -> str:
    if isinstance(error, ProbeError):
        return error.cause
    if isinstance(error, urllib.error.HTTPError):
        portal = error.code == NETWORK_AUTHENTICATION_REQUIRED
        return "captive_portal" if portal else "http_status"
    for kind, cause in _KINDS:
        if isinstance(error, kind):
            return cause
    if isinstance(error, ssl.SSLError):
        return cause_of_tls(error)
    return cause_of(error) if isinstance(error, OSError) else "bad_answer"


if __name__ == "__main__":
    raise SystemExit(main())
