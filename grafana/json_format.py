"""JSON in which short values stay on one line, so that a dashboard is readable."""

from __future__ import annotations

import json
from typing import Any

_WIDTH = 110


def format_json(value: Any, indent: int = 0) -> str:
    """Return the value as JSON; only values wider than a line are broken up."""
    flat = json.dumps(value, ensure_ascii=False)
    if not isinstance(value, dict | list) or len(flat) + indent <= _WIDTH:
        return flat
    pad = " " * (indent + 1)
    if isinstance(value, list):
        parts = [pad + format_json(item, indent + 1) for item in value]
        return "[\n" + ",\n".join(parts) + f"\n{' ' * indent}]"
    pairs = [
        f"{pad}{json.dumps(key, ensure_ascii=False)}: {format_json(item, indent + 1)}"
        for key, item in value.items()
    ]
    return "{\n" + ",\n".join(pairs) + f"\n{' ' * indent}}}"
