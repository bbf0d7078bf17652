"""Draws the live screen of a real run as SVG.

`python docs/pictures/screen.py FOLDER [id] > screen.svg` reads the status.json that an
agent wrote into FOLDER. With `id` the screen is in Indonesian.
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
from qos_agent.system.language import Translator


def main() -> None:
    """Print the SVG."""
    current = status.read(Path(sys.argv[1]))
    if current is None:
        sys.exit(f"{sys.argv[1]}: no status.json in this folder")
    translate = Translator("id" if "id" in sys.argv[2:] else "en")
    console = Console(record=True, width=104, file=io.StringIO(), force_terminal=True)
    console.print(render(current, current.boot_ns, translate))
    picture = console.export_svg(title="qos-agent run", theme=MONOKAI)
    # The font rules would make the reader's browser load fonts from another server.
    print(re.sub(r"@font-face \{.*?\}", "", picture, flags=re.DOTALL))


if __name__ == "__main__":
    main()
