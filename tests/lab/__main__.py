"""Run a command in a laboratory: `python -m tests.lab exec --rate 10 -- make run`.

`exec` runs a command in the client and returns its exit status. `up` keeps the
laboratory until it is interrupted, and prints commands that open a shell in it. The
name "server.lab" resolves to the server.
"""

from __future__ import annotations

import argparse
import shlex
import signal
import subprocess
import sys
from pathlib import Path

from tests.lab.network import NODES, SERVER, Lab
from tests.lab.shape import Shape


def main(arguments: list[str]) -> int:
    """Run the command line and return its exit status."""
    # Split here, because argparse would parse the options of the command as its own.
    split = arguments.index("--") if "--" in arguments else len(arguments)
    options, command = _parser().parse_args(arguments[:split]), arguments[split + 1 :]
    if (options.action == "exec") != bool(command):
        _parser().error("exec needs a command after --, up takes none")
    # Remove the laboratory after SIGTERM too, as after SIGINT.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with Lab(_shape(options)) as lab:
            lab.dns({"server.lab": SERVER})
            return _hold(lab) if options.action == "up" else _exec(lab, command)
    except KeyboardInterrupt:
        return 130


def _exec(lab: Lab, command: list[str]) -> int:
    return subprocess.run(lab.argv(command), check=False).returncode


def _hold(lab: Lab) -> int:
    for node in NODES:
        print(f"{node}: {shlex.join(lab.argv(['bash'], node))}")
    print("interrupt (Ctrl-C) to remove the laboratory", flush=True)
    signal.pause()
    return 0


def _shape(options: argparse.Namespace) -> Shape:
    return Shape(
        rate_mbps=options.rate,
        buffer_ms=options.buffer,
        delay_ms=options.delay,
        loss=options.loss,
        loss_back=options.loss_back,
        outage=tuple(options.outage) if options.outage else None,
        trace=_moments(options.trace),
        trace_up=_moments(options.trace_up),
        trace_queue_bytes=options.trace_queue,
        ipv6=not options.no_ipv6,
    )


def _moments(path: str | None) -> tuple[int, ...] | None:
    return tuple(map(int, Path(path).read_text().split())) if path else None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.lab",
        usage="%(prog)s up|exec [options] [-- COMMAND...]",
        description=__doc__,
    )
    add = parser.add_argument
    add("action", choices=["up", "exec"])
    add("--rate", type=float, metavar="MBPS", help="rate limit of Ethernet frames")
    add("--buffer", type=float, default=50, metavar="MS", help="rate limit's buffer")
    add("--delay", type=float, default=0, metavar="MS", help="round trip")
    add("--loss", type=float, default=0, metavar="P", help="client to server, 0 to 1")
    add("--loss-back", type=float, default=0, metavar="P", help="server to client")
    add("--outage", type=float, nargs=2, metavar=("FROM_S", "TO_S"), help="total loss")
    add("--trace", metavar="FILE", help="downlink capacity in the format of mahimahi")
    add("--trace-up", metavar="FILE", help="the same of the uplink")
    add("--trace-queue", type=int, metavar="BYTES", help="queue of each trace")
    add("--no-ipv6", action="store_true", help="IPv4 only")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
