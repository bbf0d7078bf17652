"""Draws the live screen of a real run: python docs/pictures/screen.py FOLDER > x.svg.

FOLDER holds the status.json that an agent wrote; nothing is invented.
"""

from __future__ import annotations

import io
import re
import sys
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import MONOKAI

from qos_agent.agent import status
from qos_agent.cli.screen import render
from qos_agent.system.language import Words


def main() -> None:
    """Print the picture."""
    found = status.read(Path(sys.argv[1]))
    if found is None:
        sys.exit(f"{sys.argv[1]}: no status.json here")
    words = Words("id" if "id" in sys.argv[2:] else "en")
    console = Console(record=True, width=104, file=io.StringIO(), force_terminal=True)
    console.print(render(found, found.boot_ns, words))
    picture = console.export_svg(title="qos-agent run", theme=MONOKAI)
    # Fonts from elsewhere would be fetched by whoever looks at the picture.
    print(re.sub(r"@font-face \{.*?\}", "", picture, flags=re.DOTALL))


if __name__ == "__main__":
    main()
