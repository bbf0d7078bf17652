"""`qos-agent reflector`: the far end of STAMP, on the regulator's own server."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    import socket


def reflector(
    port: Annotated[int, typer.Option(min=1, max=65535, help="UDP port.")] = 862,
    address: Annotated[
        list[str] | None,
        typer.Option(help="Address to listen at; all of them by default."),
    ] = None,
    key_file: Annotated[
        Path | None, typer.Option(help="Shared key; without, all are answered.")
    ] = None,
    source_rate: Annotated[
        float, typer.Option(min=1, help="Answers a second to one source.")
    ] = 500,
    total_rate: Annotated[
        float, typer.Option(min=1, help="And to all of them.")
    ] = 5000,
) -> None:
    """Answer STAMP test packets (RFC 8762) until SIGTERM or SIGINT."""
    import signal
    import socket
    import time

    from qos_agent.config.key_file import read_key
    from qos_agent.probes.latency.stamp_reflector import (
        Reflector,
        ReflectorLimits,
        serve,
    )
    from qos_agent.system.systemd import Notifier

    key = None if key_file is None else read_key(key_file)
    desk = Reflector(ReflectorLimits(source_rate, total_rate), key, time.monotonic())
    sockets = _sockets(address, port)
    stopped, stop = socket.socketpair()
    # A handler only so that the signal is written to the socket, not obeyed.
    stop.setblocking(False)
    signal.set_wakeup_fd(stop.fileno(), warn_on_full_buffer=False)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    names = ", ".join(str(sock.getsockname()[0]) for sock in sockets)
    print(f"reflector: at {names}, port {port}", flush=True)
    Notifier().notify("READY=1")
    try:
        serve(sockets, desk, stopped, lambda line: print(line, flush=True))
    finally:
        Notifier().notify("STOPPING=1")
        for sock in (*sockets, stopped, stop):
            sock.close()


def _sockets(addresses: list[str] | None, port: int) -> list[socket.socket]:
    """The sockets asked for; by default IPv4 and, where the kernel has it, IPv6."""
    from qos_agent.model.errors import ConfigError
    from qos_agent.probes.latency.stamp_reflector import open_sockets

    wanted = addresses or (["0.0.0.0", "::"] if _has_ipv6() else ["0.0.0.0"])  # noqa: S104  a public service
    try:
        return open_sockets(wanted, port)
    except OSError as error:
        found = f"{', '.join(wanted)} port {port} ({error.strerror})"
        allowed = "addresses of this machine, and a port that is free"
        mend = "choose another --port, or run by the unit, which may use 862"
        raise ConfigError("reflector", found, allowed, mend) from error


def _has_ipv6() -> bool:
    return Path("/proc/net/if_inet6").exists()
