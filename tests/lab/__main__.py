"""Try anything in a laboratory: `python -m tests.lab exec --rate 10 -- make run`.

`exec` runs a command in the client and exits as it does; `up` holds the laboratory
open until interrupted, and says how to get in. The name "server.lab" resolves.
"""

from __future__ import annotations

import argparse
import shlex
import signal
import subprocess
import sys
from pathlib import Path

from tests.lab.network import SERVER, WHERES, Lab
from tests.lab.shape import Shape


def main(words: list[str]) -> int:
    """Run the command line and give its exit status."""
    # By hand: argparse would look for its own options in the command's.
    split = words.index("--") if "--" in words else len(words)
    options, command = _parser().parse_args(words[:split]), words[split + 1 :]
    if (options.action == "exec") != bool(command):
        _parser().error("exec needs a command after --, up takes none")
    # A terminated laboratory is removed like an interrupted one.
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
    for where in WHERES:
        print(f"{where}: {shlex.join(lab.argv(['bash'], where))}")
    print("interrupt (Ctrl-C) to remove the laboratory", flush=True)
    signal.pause()
    return 0


def _shape(options: argparse.Namespace) -> Shape:
    trace: str | None = options.trace
    return Shape(
        rate_mbps=options.rate,
        buffer_ms=options.buffer,
        delay_ms=options.delay,
        loss=options.loss,
        loss_back=options.loss_back,
        outage=tuple(options.outage) if options.outage else None,
        trace=tuple(map(int, Path(trace).read_text().split())) if trace else None,
        ipv6=not options.no_ipv6,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.lab",
        usage="%(prog)s up|exec [options] [-- COMMAND...]",
        description=__doc__,
    )
    add = parser.add_argument
    add("action", choices=["up", "exec"])
    add("--rate", type=float, metavar="MBPS", help="of Ethernet frames, each way")
    add("--buffer", type=float, default=50, metavar="MS", help="before the rate limit")
    add("--delay", type=float, default=0, metavar="MS", help="round trip")
    add("--loss", type=float, default=0, metavar="P", help="client to server, 0 to 1")
    add("--loss-back", type=float, default=0, metavar="P", help="server to client")
    add("--outage", type=float, nargs=2, metavar=("FROM_S", "TO_S"))
    add("--trace", metavar="FILE", help="capacity down, as mahimahi writes it")
    add("--no-ipv6", action="store_true")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
