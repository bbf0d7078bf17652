"""`qos-agent` and `python -m qos_agent`."""

from __future__ import annotations

import gc
import sys


def main() -> None:
    """Run the command line and leave with its exit status."""
    # Nothing made while importing is garbage: collecting then only delays the start.
    gc.disable()
    from qos_agent.cli.main import run

    gc.enable()
    sys.exit(run())


if __name__ == "__main__":
    main()
