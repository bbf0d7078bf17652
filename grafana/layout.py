"""JSON in which what is short stands on one line: a board as a few hundred lines."""

from __future__ import annotations

import json
from typing import Any

_WIDTH = 110


def laid_out(value: Any, indent: int = 0) -> str:
    """The value as JSON."""
    flat = json.dumps(value, ensure_ascii=False)
    if not isinstance(value, dict | list) or len(flat) + indent <= _WIDTH:
        return flat
    pad = " " * (indent + 1)
    if isinstance(value, list):
        parts = [pad + laid_out(item, indent + 1) for item in value]
        return "[\n" + ",\n".join(parts) + f"\n{' ' * indent}]"
    pairs = [
        f"{pad}{json.dumps(key, ensure_ascii=False)}: {laid_out(item, indent + 1)}"
        for key, item in value.items()
    ]
    return "{\n" + ",\n".join(pairs) + f"\n{' ' * indent}}}"
