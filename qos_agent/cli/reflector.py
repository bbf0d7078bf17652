"""`qos-agent reflector`: the STAMP Session-Reflector, for a measurement server."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from qos_agent.cli.output import write_in_background
from qos_agent.system.files import may_exist

if TYPE_CHECKING:
    import socket

PortOption = Annotated[
    int, typer.Option(metavar="PORT", min=1, max=65535, help="Listen on this UDP port.")
]
AddressOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="ADDRESS", help="Listen on this address. The default is all addresses."
    ),
]
KeyFileOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Answer only senders that use the shared key in this file. Without it, "
        "answer all senders.",
    ),
]
SourceRateOption = Annotated[
    float,
    typer.Option(metavar="N", min=1, help="Maximum answers per second to one source."),
]
TotalRateOption = Annotated[
    float,
    typer.Option(metavar="N", min=1, help="Maximum answers per second to all sources."),
]


def reflector(
    port: PortOption = 862,
    address: AddressOption = None,
    key_file: KeyFileOption = None,
    source_rate: SourceRateOption = 500,
    total_rate: TotalRateOption = 5000,
) -> None:
    """Answer STAMP test packets (RFC 8762).

    Runs on a measurement server until SIGTERM, Ctrl-C or the loss of the terminal.
    """
    import signal
    import socket
    import time

    from qos_agent.config.key_file import read_key
    from qos_agent.probes.latency.stamp_reflector import (
        Reflector,
        ReflectorLimits,
        serve,
    )
    from qos_agent.system.signals import handle_signals
    from qos_agent.system.systemd import Notifier

    key = None if key_file is None else read_key(key_file)
    session_reflector = Reflector(
        ReflectorLimits(source_rate, total_rate), key, time.monotonic()
    )
    sockets = _sockets(address, port)
    stopped, stop = socket.socketpair()
    # The handlers do nothing. They only let Python write the signal's number into the
    # socket, which ends `serve`.
    stop.setblocking(False)
    signal.set_wakeup_fd(stop.fileno(), warn_on_full_buffer=False)
    handle_signals(lambda: None)
    addresses = ", ".join(str(sock.getsockname()[0]) for sock in sockets)
    write_in_background()
    print(f"reflector: listening on {addresses}, port {port}", flush=True)
    Notifier().notify("READY=1")
    try:
        serve(sockets, session_reflector, stopped, lambda line: print(line, flush=True))
    finally:
        Notifier().notify("STOPPING=1")
        for sock in (*sockets, stopped, stop):
            sock.close()


def _sockets(addresses: list[str] | None, port: int) -> list[socket.socket]:
    """Open the sockets. The default is IPv4, and IPv6 if the kernel has it."""
    from qos_agent.model.addresses import is_host
    from qos_agent.model.errors import ConfigError
    from qos_agent.probes.latency.stamp_reflector import open_sockets

    every = ["0.0.0.0", "::"] if _has_ipv6() else ["0.0.0.0"]  # noqa: S104  a public service
    wanted = [address.strip("[]") for address in addresses or every]
    for address in wanted:
        if not is_host(address):
            problem, fix = "must be an IPv4 or IPv6 address", "correct the address"
            raise ConfigError("--address", repr(address), problem, fix)
    try:
        return open_sockets(wanted, port)
    except OSError as error:
        found = f"{', '.join(wanted)}, port {port}"
        problem = f"cannot listen: {error.strerror}"
        fix = "use another --port or --address; the systemd unit may use port 862"
        raise ConfigError("reflector", found, problem, fix) from error


def _has_ipv6() -> bool:
    return may_exist(Path("/proc/self/net/if_inet6"))
