"""The parts of a TCP connection that all probes share: socket, TLS, errors, reset."""

from __future__ import annotations

import socket
import ssl
import struct

from qos_agent.model.addresses import without_zone
from qos_agent.model.errors import ProbeError
from qos_agent.system.network.links import cause_of
from qos_agent.system.network.tls import cause_of_tls, message_of_tls

# SO_LINGER for 0 s: close(2) sends RST and drops what is still unsent (socket(7)).
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


def tcp_socket(address: str) -> socket.socket:
    """Return a TCP socket of the address family of `address`."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return socket.socket(family, socket.SOCK_STREAM)


def wrap_tls(sock: socket.socket, context: ssl.SSLContext, host: str) -> ssl.SSLSocket:
    """Return the socket prepared for a TLS handshake with `host`.

    The caller does the handshake, because it sets the time limit.
    """
    return context.wrap_socket(
        sock, server_hostname=without_zone(host), do_handshake_on_connect=False
    )


def reset_on_close(sock: socket.socket) -> None:
    """Make close(2) reset the connection; unsent data is then dropped."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)


def connection_error(error: OSError) -> ProbeError:
    """Return the ProbeError for an error of the operating system or of TLS."""
    match error:
        case ssl.SSLError():
            return ProbeError(cause_of_tls(error), message_of_tls(error))
        case _:
            return ProbeError(cause_of(error), error.strerror or str(error))
