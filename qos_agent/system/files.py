"""Files that another process may read at any moment."""

from __future__ import annotations

import os
from pathlib import Path


def write_atomically(path: Path, text: str) -> None:
    """Write a whole file in one step: readers see the old text or the new one.

    The text is written to a temporary file in the same folder, which then replaces
    `path` by rename(2). Raises OSError.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(path)
