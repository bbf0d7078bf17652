"""Entry point of `qos-agent` and `python -m qos_agent`."""

from __future__ import annotations

import gc
import sys

_REINSTALL = "sudo mount LABEL=QOS /mnt; sudo sh /mnt/install.sh"


def main() -> None:
    """Run the command line and exit with its status."""
    # Imports produce no garbage, so a collection would only delay the start.
    gc.disable()
    try:
        from qos_agent.cli.main import run

        gc.enable()
        status = run()
    # EOFError: the bytecode of a module was cut short.
    except (EOFError, ImportError, SyntaxError, ValueError) as error:
        status = _damaged(error)
    sys.exit(status)


def _damaged(error: Exception) -> int:
    """Report a file of the program that is missing or cut short."""
    text = f"the program is damaged: {error}. Fix: install it again: {_REINSTALL}"
    print(text, file=sys.stderr)
    return 1


if __name__ == "__main__":
    main()
