"""`qos-agent noc …` in processes of their own, with a configuration file."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Centre:
    """A folder with a noc.toml, and the commands typed there."""

    path: Path

    def _words(self, *words: str) -> list[str]:
        program = [sys.executable, "-m", "qos_agent", "noc"]
        return [*program, *words, "-c", str(self.path)]

    def typed(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Type a command and wait for its end."""
        return subprocess.run(
            self._words(*words), cwd=ROOT, capture_output=True, text=True,
            timeout=120, check=False,
        )  # fmt: skip

    def begun(self, *words: str) -> subprocess.Popen[str]:
        """Type a command, to be interrupted."""
        return subprocess.Popen(
            self._words(*words), cwd=ROOT, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True,
        )  # fmt: skip


def centre(
    folder: Path,
    collectors: Sequence[Mapping[str, Any]],
    rollup: Mapping[str, Any],
    rollups: Mapping[str, Any] | None = None,
) -> Centre:
    """Write the configuration of a centre; JSON's values are TOML's here."""
    tables = [("rollup", rollup), ("rollups", rollups or {})]
    lines = [f"folder = {json.dumps(str(folder))}"]
    for head, table in [*(("[collectors]", c) for c in collectors), *tables]:
        lines += ["", f"[{head}]"]
        lines += [f"{key} = {json.dumps(value)}" for key, value in table.items()]
    path = folder / "noc.toml"
    path.write_text("\n".join(lines) + "\n")
    return Centre(path)
