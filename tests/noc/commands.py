"""Runs `qos-agent noc ...` in child processes, with a configuration file."""

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
    """The noc.toml of a test, and the commands that use it."""

    path: Path

    def _command(self, *arguments: str) -> list[str]:
        program = [sys.executable, "-m", "qos_agent", "noc"]
        return [*program, *arguments, "-c", str(self.path)]

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command until it ends."""
        return subprocess.run(
            self._command(*arguments),
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start a command that the test will interrupt."""
        return subprocess.Popen(
            self._command(*arguments),
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )


def centre(
    folder: Path,
    collectors: Sequence[Mapping[str, Any]],
    rollup: Mapping[str, Any],
    rollups: Mapping[str, Any] | None = None,
) -> Centre:
    """Write a noc.toml; the values that tests use have the same form in JSON."""
    tables = [("rollup", rollup), ("rollups", rollups or {})]
    lines = [f"folder = {json.dumps(str(folder))}"]
    for head, table in [*(("[collectors]", c) for c in collectors), *tables]:
        lines += ["", f"[{head}]"]
        lines += [f"{key} = {json.dumps(value)}" for key, value in table.items()]
    path = folder / "noc.toml"
    path.write_text("\n".join(lines) + "\n")
    return Centre(path)
