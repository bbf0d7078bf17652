"""The child process of the `speedtest` backend: speedtest-cli on one link, bounded.

Reads its plan as JSON on standard input, prints one JSON object. It is a process of
its own because speedtest-cli cannot be interrupted, leaves threads behind, and can
be tied to a link only by giving it another `socket.create_connection`.
"""

from __future__ import annotations

import ctypes
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
from qos_agent.probes.http.request import AUTHENTICATE, RequestTarget
from qos_agent.probes.throughput.interface_counter import InterfaceCounter
from qos_agent.system.clock import SystemClock, TaskDeadline
from qos_agent.system.network import bind, cause_of, resolve
from qos_agent.system.network.tls import cause_of_tls

_PR_SET_PDEATHSIG = 1  # <linux/prctl.h>
_TIMEOUT_S = 5.0
_THREADS = {"down": 4, "up": 2}
# Of what was asked for, with time left; files are about as long as is known.
_LEAST_SHARE = 0.9
# What speedtest-cli reports as the latency of a server that did not answer.
_NO_ANSWER_MS = 600_000
_ERRORS = (
    ProbeError,
    OSError,
    speedtest.SpeedtestException,
    http.client.HTTPException,
    LookupError,
    ValueError,
    NameError,  # a fault of speedtest-cli, where a page stands in for its XML
)
_KINDS: tuple[tuple[type[BaseException], str], ...] = (
    (urllib.error.HTTPError, "http_status"),
    (socket.gaierror, "name_not_resolved"),
    (http.client.RemoteDisconnected, "closed_early"),
    (http.client.IncompleteRead, "closed_early"),
)

Answer = dict[str, Any]


class _OwnServer(speedtest.Speedtest):  # type: ignore[misc]  # has no types
    """speedtest-cli that leaves speedtest.net alone: it asks it even for one's own.

    Inherited because the library offers no other way to leave that request out.
    """

    def get_config(self) -> None:
        """Set the parts of the configuration that are read later."""
        self.config.update({"client": {}, "ignore_servers": []})


class _Wary(urllib.request.HTTPRedirectHandler):
    """Follows redirections, but not a captive portal's."""

    handler_order = 100  # before the one that follows all

    def __init__(self, place: RequestTarget) -> None:
        self._place = place

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        """The next request; raises ProbeError `captive_portal`."""
        away = self._place.sent_away(newurl)
        if away.cause == "captive_portal":
            raise away
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def main() -> int:
    """Measure as the plan on standard input says; print the answer."""
    # The agent may be killed before it can kill us.
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    plan = json.load(sys.stdin)
    if plan["link"] is not None:
        _tie(Link(**plan["link"]))
    json.dump(_measure(plan), sys.stdout)
    return 0


def _tie(link: Link) -> None:
    """Make every connection of this process leave by `link`, names included."""
    clock = SystemClock(not_before_ns=0)
    end_ns = clock.boot_ns() + 600 * 10**9
    deadline = TaskDeadline(clock, end_ns, threading.Event())

    def connect(
        address: tuple[str, int], timeout: float | None = None, *_: object, **__: object
    ) -> socket.socket:
        host = resolve(address[0].strip("[]"), link, deadline)
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            sock.settimeout(timeout or _TIMEOUT_S)
            bind(sock, link, host)
            sock.connect((host, address[1]))
        except BaseException:
            sock.close()
            raise
        return sock

    socket.create_connection = connect  # type: ignore[assignment]


def _measure(plan: Mapping[str, Any]) -> Answer:
    try:
        tester = _tester(plan)
    except _ERRORS as error:
        return {"server": plan["server"], "down": _said(error), "up": _said(error)}
    interface = plan["interface"]
    meter = None if interface is None else InterfaceCounter(interface)
    return {
        "server": urlsplit(tester.best["url"]).netloc,
        "down": _direction(plan, tester, "down", meter),
        "up": _direction(plan, tester, "up", meter),
    }


def own_server() -> Any:
    """speedtest-cli for a server of one's own; it has none yet."""
    return _OwnServer(timeout=_TIMEOUT_S)


def _tester(plan: Mapping[str, Any]) -> Any:
    """speedtest-cli with its server chosen and its transfers bounded."""
    if plan["server"] is None:
        tester = speedtest.Speedtest(timeout=_TIMEOUT_S, secure=plan["secure"])
        tester.get_servers()
        tester.get_best_server()
    else:
        tester = own_server()
        _ask(plan["server"])
        tester.get_best_server(tester.set_mini_server(plan["server"]))
    if tester.best["latency"] >= _NO_ANSWER_MS:
        raise ProbeError("bad_answer", "no server answered latency.txt")
    tester.config.update(_bounds(plan))
    return tester


def _ask(server: str) -> None:
    """One request whose error is kept: speedtest-cli forgets why it failed."""
    opener = speedtest.build_opener(timeout=_TIMEOUT_S)
    opener.add_handler(_Wary(RequestTarget.of(server)))
    answer, error = speedtest.catch_request(speedtest.build_request(server), opener)
    if error:
        raise error
    answer.close()


def _bounds(plan: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "sizes": {"download": plan["download_widths"], "upload": plan["upload_sizes"]},
        "counts": {"download": 1, "upload": 1},
        "length": {"download": plan["length_s"], "upload": plan["length_s"]},
        "threads": {"download": _THREADS["down"], "upload": _THREADS["up"]},
        "upload_max": len(plan["upload_sizes"]),
    }


def _direction(
    plan: Mapping[str, Any],
    tester: Any,
    direction: str,
    meter: InterfaceCounter | None,
) -> Answer:
    sizes = plan["download_widths" if direction == "down" else "upload_sizes"]
    if not sizes:
        return {"cause": "allowance", "detail": "no file is small enough"}
    run = tester.download if direction == "down" else tester.upload
    before = _used(meter)
    try:
        rate_bps = run(threads=_THREADS[direction])
    except _ERRORS as error:
        return _said(error)
    if not rate_bps:
        return {"cause": "closed_early", "detail": "not one byte; it does not say why"}
    after = _used(meter)
    results = tester.results
    moved = results.bytes_received if direction == "down" else results.bytes_sent
    elapsed_s = moved * 8 / rate_bps
    cut = elapsed_s >= plan["length_s"]
    asked = plan["payload_bytes"][direction]
    if not cut and moved < asked * _LEAST_SHARE:
        # It passes over what breaks, and over a page in a file's place.
        return {"cause": "closed_early", "detail": f"{moved} of {asked} bytes"}
    return {
        "payload_bytes": moved,
        "elapsed_s": elapsed_s,
        "cut": cut,
        "threads": min(_THREADS[direction], len(sizes)),
        "cpu_s": after[1] - before[1],
        "data_bytes": None if before[0] is None else after[0] - before[0],
    }


def _used(meter: InterfaceCounter | None) -> tuple[Any, float]:
    """Bytes moved by the interface so far, and seconds of processor time."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    moved = None if meter is None else meter.moved()
    return moved, usage.ru_utime + usage.ru_stime


def _said(error: BaseException) -> Answer:
    """The cause behind speedtest-cli's wrappings, and its words."""
    inner = _innermost(error)
    return {"cause": _cause(inner), "detail": str(inner) or type(inner).__name__}


def _innermost(error: BaseException) -> BaseException:
    for inside in (getattr(error, "reason", None), *error.args):
        if isinstance(inside, BaseException):
            return _innermost(inside)
    return error


def _cause(error: BaseException) -> str:
    if isinstance(error, ProbeError):
        return error.cause
    if isinstance(error, urllib.error.HTTPError) and error.code == AUTHENTICATE:
        return "captive_portal"
    for kind, cause in _KINDS:
        if isinstance(error, kind):
            return cause
    if isinstance(error, ssl.SSLError):
        return cause_of_tls(error)
    return cause_of(error) if isinstance(error, OSError) else "bad_answer"


if __name__ == "__main__":
    raise SystemExit(main())
