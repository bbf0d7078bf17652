"""`qos-agent` and `python -m qos_agent`."""

from __future__ import annotations

import sys

from qos_agent.cli.main import run


def main() -> None:
    """Run the command line and leave with its exit status."""
    sys.exit(run())


if __name__ == "__main__":
    main()
