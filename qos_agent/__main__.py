"""Entry point of `qos-agent` and `python -m qos_agent`."""

from __future__ import annotations

import gc
import sys


def main() -> None:
    """Run the command line and exit with its status."""
    # Imports produce no garbage, so a collection would only delay the start.
    gc.disable()
    from qos_agent.cli.main import run

    gc.enable()
    sys.exit(run())


if __name__ == "__main__":
    main()
